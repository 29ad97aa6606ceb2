"""Options of the command line, made from the fields of frozen configs: names, types and defaults stand there alone.

An option that is not given is left out, so that a configuration file can speak; the command line wins over it.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

import click

from auglik.objectives import InputError
from auglik.runs.settings import SETTINGS, RunConfig, change
from auglik.settings.fields import Setting, in_type, read_toml, settings_of
from auglik.settings.names import nearest

Command = TypeVar("Command", bound=Callable[..., object])
C = TypeVar("C")


def options(settings: Iterable[Setting], repeatable: bool = False) -> Callable[[Command], Command]:
    """Adds an option for each setting; `repeatable` ones may be given several times, as values to compare."""

    def add(command: Command) -> Command:
        for setting in reversed(list(settings)):
            command = _option(setting, repeatable)(command)
        return command

    return add


def _option(setting: Setting, repeatable: bool) -> Callable[[Command], Command]:
    name = setting.key.replace("_", "-")
    text = setting.help + ("" if setting.optional else f"  [default: {setting.default}]")
    if setting.type is bool:
        return click.option(f"--{name}/--no-{name}", setting.key, default=None, help=text)
    kind = {int: click.INT, float: click.FLOAT, str: click.STRING}[setting.type]
    return click.option(f"--{name}", setting.key, type=kind, multiple=repeatable, default=None, help=text)


config_option = click.option(
    "--config", "config_file", type=click.Path(path_type=Path), help="TOML file of any options; the command line wins."
)


def given(config_file: Path | None, command_line: Mapping[str, object]) -> dict[str, object]:
    """What the file and the command line say; the command line wins."""
    from_file = read_toml(config_file) if config_file is not None else {}
    return from_file | {key: value for key, value in command_line.items() if value is not None and value != ()}


def take(values: dict[str, object], config: type[C]) -> C:
    """Makes a flat config of its settings in `values`, removing them. Raises InputError for a value of another type."""
    fields = {setting.key: setting for setting in settings_of(config)}
    return config(**{key: in_type(fields[key], values.pop(key)) for key in list(values) if key in fields})


def run_config(values: Mapping[str, object]) -> RunConfig:
    """The settings of one run. Raises InputError for unknown names and for several values."""
    for key, value in values.items():
        if isinstance(value, list | tuple):
            raise InputError(f"{key}: expected one value, got several; `auglik compare` compares them")
    return change(RunConfig(), values)


def factors(values: Mapping[str, object], also_known: Iterable[str]) -> dict[str, list[object]]:
    """The values asked for of every setting. Raises InputError for a name that does not exist."""
    for key in values:
        if key not in SETTINGS:
            raise InputError(f"unknown setting {key!r}{nearest(key, [*SETTINGS, *also_known])}")
    return {key: list(value) if isinstance(value, list | tuple) else [value] for key, value in values.items()}
