"""The `auglik` command."""

import io
import sys

import click

from auglik.cli.check import check
from auglik.cli.compare import compare
from auglik.cli.confidence import confidence
from auglik.cli.datasets import datasets
from auglik.cli.evaluate import evaluate
from auglik.cli.objectives import objectives
from auglik.cli.pretrain import pretrain
from auglik.cli.report import report
from auglik.cli.reproduce import reproduce
from auglik.cli.robustness import robustness
from auglik.cli.streams import READER_LEFT, closed, one_line_warnings
from auglik.cli.train import train
from auglik.cli.verify import verify
from auglik.cli.views import views
from auglik.version import __version__


@click.group()
@click.version_option(__version__, prog_name="auglik")
def auglik() -> None:
    """Under which likelihood should a classifier be trained when its inputs are augmented?"""


COMMANDS = (
    compare, report, reproduce, train, evaluate, robustness, pretrain, confidence, views, verify, check, objectives,
    datasets,
)  # fmt: skip
for command in COMMANDS:
    auglik.add_command(command)


def main() -> None:
    """The entry point: what click refuses is one line too."""
    one_line_warnings()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name that a terminal cannot show is no reason to fail
    try:
        status = run()
    except BrokenPipeError:  # as an error was told
        status = READER_LEFT
    sys.exit(closed(status))


def run() -> int:
    """The exit status of the command line."""
    try:
        return int(auglik.main(prog_name="auglik", standalone_mode=False) or 0)
    except SystemExit as exit_:
        return exit_.code if isinstance(exit_.code, int) else int(exit_.code is not None)
    except click.UsageError as error:
        if isinstance(error, getattr(click.exceptions, "NoArgsIsHelpError", ())):
            error.show()
            return error.exit_code
        where = error.ctx.command_path if error.ctx is not None else "auglik"
        click.echo(f"{where}: {' '.join(error.format_message().split())} (see {where} --help)", err=True)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return 130
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        click.echo(f"auglik: the system refused: {error.strerror or error}", err=True)
        return 2
