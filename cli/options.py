"""Options of the command line, made from the fields of frozen configs: names, types and defaults are found only there.

An option that is not given is left out, so that a configuration file can set it; the command line overrides the file.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import rich_click as click
import tomli_w
from rich_click import RichContext, RichHelpFormatter

from auglik.cli.paths import PATH
from auglik.objectives import InputError
from auglik.runs.settings import SETTINGS, RunConfig, change
from auglik.settings.fields import Setting, in_type, read_toml, settings_of
from auglik.settings.groups import Group
from auglik.settings.names import nearest

if TYPE_CHECKING:
    from rich_click.rich_help_rendering import RichPanelRow
    from rich_click.rich_panel import RichOptionPanel

Command = TypeVar("Command", bound=Callable[..., object])
C = TypeVar("C")


def options(settings: Iterable[Setting], repeatable: bool = False) -> Callable[[Command], Command]:
    """Adds an option for each setting, group by group; `repeatable` ones take several values to compare."""
    order = list(Group)
    in_groups = sorted(settings, key=lambda setting: order.index(setting.group))

    def add(command: Command) -> Command:
        for setting in reversed(in_groups):
            command = _option(setting, repeatable)(command)
        return command

    return add


def with_default(settings: Iterable[Setting], key: str, default: str) -> Iterator[Setting]:
    """The settings, one of them with the default of a command of its own."""
    return (replace(setting, default=default) if setting.key == key else setting for setting in settings)


class Option(click.RichOption):
    """Wraps its name on a narrow terminal, where rich-click would cut it off."""

    def get_rich_table_row(
        self, ctx: RichContext, formatter: RichHelpFormatter, panel: "RichOptionPanel | None" = None
    ) -> "RichPanelRow":
        from rich.text import Text  # here, as only help needs it

        row = super().get_rich_table_row(ctx, formatter, panel)
        for cell in row:
            if isinstance(cell, Text):
                cell.overflow = "fold"
        return row


def _option(setting: Setting, repeatable: bool) -> Callable[[Command], Command]:
    name = setting.key.replace("_", "-")
    text = " ".join(part for part in (setting.help, *_values(setting)) if part)
    if setting.type is bool:
        flags = f"--{name}/--no-{name}"
        return click.option(flags, setting.key, cls=Option, default=None, help=text, panel=setting.group)
    kind, metavar = {int: (click.INT, "N"), float: (click.FLOAT, "X"), str: (click.STRING, "TEXT")}[setting.type]
    return click.option(
        f"--{name}", setting.key, cls=Option, type=kind, metavar=metavar, multiple=repeatable, default=None, help=text,
        panel=setting.group, shell_complete=completer(setting.choices or setting.names),
    )  # fmt: skip


def _values(setting: Setting) -> Iterator[str]:
    """What an option's help says about its values."""
    if setting.choices:
        yield f"One of {', '.join(setting.choices)}."
    if setting.names:
        yield f"Known: {', '.join(setting.names)}."
    if not setting.optional:
        shown = str(setting.default).lower() if setting.type is bool else setting.default
        yield f" [default: {shown}]"


Completer = Callable[[click.Context, click.Parameter, str], list[str]]


def completer(names: Iterable[str]) -> Completer | None:
    """Completes names, also within a comma-separated list; None if the setting has no names."""
    known = list(names)

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
        earlier, comma, last = incomplete.rpartition(",")
        return [earlier + comma + name for name in known if name.startswith(last)]

    return complete if known else None


data_dir_option = click.option(
    "--data-dir", type=PATH, default=Path("data"), show_default=True,
    help="Folder of the data sets.", panel=Group.MACHINE,
)  # fmt: skip


def config_options(command: Command) -> Command:
    """Adds --config and --print-config."""
    printed = click.option(
        "--print-config", is_flag=True, help="Print all settings as a --config file; run nothing.",
        panel=Group.COMMAND,
    )  # fmt: skip
    read = click.option(
        "--config", "config_file", type=PATH, panel=Group.COMMAND,
        help="TOML file of settings, as --print-config prints them; the command line overrides it.",
    )  # fmt: skip
    return read(printed(command))


def say_config(*parts: Mapping[str, object]) -> None:
    """Prints settings as TOML, without those that are None because the data set or the network decides them."""
    click.echo(
        tomli_w.dumps({key: value for part in parts for key, value in part.items() if value is not None}), nl=False
    )


def given(config_file: Path | None, command_line: Mapping[str, object]) -> dict[str, object]:
    """The values from the file and the command line, which overrides it."""
    from_file = read_toml(config_file) if config_file is not None else {}
    return from_file | {key: value for key, value in command_line.items() if value is not None and value != ()}


def take(values: dict[str, object], config: type[C]) -> C:
    """Makes a flat config from its settings in `values`, removing them. Raises InputError for a wrong type."""
    fields = {setting.key: setting for setting in settings_of(config)}
    return config(**{key: in_type(fields[key], values.pop(key)) for key in list(values) if key in fields})


def check_one_way(resume: bool, restart: bool) -> None:
    """Raises InputError where an interrupted run is to go on from its checkpoint and to lose it."""
    if resume and restart:
        raise InputError("expected either --resume, which goes on from the checkpoint, or --restart, got both")


def run_config(values: Mapping[str, object]) -> RunConfig:
    """The settings of one run. Raises InputError for unknown names and for several values."""
    for key, value in values.items():
        if isinstance(value, list | tuple):
            raise InputError(f"{key}: expected one value, got several; `auglik compare` compares them")
    return change(RunConfig(), values)


def factors(values: Mapping[str, object], also_known: Iterable[str]) -> dict[str, list[object]]:
    """The values given for every setting. Raises InputError for an unknown name."""
    for key in values:
        if key not in SETTINGS:
            raise InputError(f"unknown setting {key!r}{nearest(key, [*SETTINGS, *also_known])}")
    return {key: list(value) if isinstance(value, list | tuple) else [value] for key, value in values.items()}
