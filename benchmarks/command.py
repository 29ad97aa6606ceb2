"""The command line of a benchmark: options that several take; bad input ends it with a line and exit status 2."""

import functools
import subprocess
from collections.abc import Callable

import click
import torch

from auglik.cli.errors import one_line_errors
from auglik.cli.main import usage_line
from auglik.cli.paths import PATH
from auglik.objectives import InputError
from auglik.system.compiling import check_compiler
from auglik.system.devices import MOST_THREADS

COUNT = click.IntRange(min=1)
cifar10_option = click.option("--cifar10", metavar="FILE", type=PATH, help="CIFAR-10 as .npz [random images]")


class Benchmark(click.Command):
    """Says on one line what is wrong with its arguments."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: object
    ) -> click.Context:
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.UsageError as error:
            click.echo(usage_line(error), err=True)
            raise SystemExit(error.exit_code) from None


def benchmark(about: str | None, *, compiles: bool = False) -> Callable[[Callable[..., None]], click.Command]:
    """Makes a command of a benchmark's main; one that `compiles` is refused where there is no C++ compiler."""

    def command(main: Callable[..., None]) -> click.Command:
        @functools.wraps(main)
        def checked(**given: object) -> None:
            if compiles:
                check_compiler(torch.device("cpu"))
            main(**given)

        return click.command(cls=Benchmark, help=about)(one_line_errors(checked))

    return command


def rounds_option(default: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return click.option("--rounds", type=COUNT, default=default, show_default=True)


def check_ended(what: str, ended: subprocess.CompletedProcess[str]) -> None:
    """Raises InputError with the last line that a command said if it failed."""
    if ended.returncode:
        said = (ended.stderr.strip() or ended.stdout.strip()).splitlines() or [f"exit status {ended.returncode}"]
        raise InputError(f"{what} failed: {said[-1].removeprefix('auglik: ')}")


def set_threads(context: click.Context, parameter: click.Parameter, threads: int) -> None:
    torch.set_num_threads(threads)


threads_option = click.option(
    "--threads", type=click.IntRange(1, MOST_THREADS), default=1, show_default=True, callback=set_threads,
    expose_value=False, help="Of torch; seconds of several are the wall's",
)  # fmt: skip
