"""`--engine` and `--engine-options`: what carries runs out. Neither is part of what a run is."""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import rich_click as click

from auglik.cli.options import Option, completer
from auglik.objectives import InputError
from auglik.settings.groups import Group

if TYPE_CHECKING:
    from auglik.experiments.engines.named import Chosen

Command = TypeVar("Command", bound=Callable[..., object])
NAMES = ("local", "ray", "slurm")
"""Those of the registry, as a test checks: importing it takes a second that `--help` need not wait for."""
KEYS = ("engine", "engine_name", "engine_options", "detach")


def engine_options(command: Command) -> Command:
    """Adds the options of engines to a command."""
    command = click.option(
        "--detach", is_flag=True, default=None, help="Return once Slurm has the runs.", panel=Group.MACHINE
    )(command)
    command = click.option(
        "--engine-options",
        cls=Option,
        multiple=True,
        metavar="KEY=VALUE",
        help="An option of the engine; several times, or [engine].",
        panel=Group.MACHINE,
    )(command)
    return click.option(
        "--engine",
        "engine_name",
        shell_complete=completer(NAMES),
        help="local, ray (auglik[ray]) or slurm (auglik[slurm]).  [default: local]",
        panel=Group.MACHINE,
    )(command)


def take_engine(values: dict[str, object]) -> "Chosen":
    """Removes what is said of the engine from `values`. Raises InputError for names and values that it has not."""
    from auglik.experiments.engines.named import choose

    table, name, texts, detach = (values.pop(key, None) for key in KEYS)
    if texts is not None and not (isinstance(texts, list | tuple) and all(isinstance(text, str) for text in texts)):
        raise InputError(f"engine_options: expected KEY=VALUE texts, got {texts!r}")
    more = ("detach=true",) if detach else ()
    return choose(table, None if name is None else str(name), (*(texts or ()), *more))
