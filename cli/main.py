"""The `auglik` command."""

import sys

import click

from auglik.version import __version__
from cli.compare import compare
from cli.confidence import confidence
from cli.datasets import datasets
from cli.evaluate import evaluate
from cli.objectives import objectives
from cli.pretrain import pretrain
from cli.report import report
from cli.reproduce import reproduce
from cli.robustness import robustness
from cli.train import train
from cli.verify import verify
from cli.views import views


@click.group()
@click.version_option(__version__, prog_name="auglik")
def auglik() -> None:
    """Under which likelihood should a classifier be trained when its inputs are augmented?"""


COMMANDS = (
    compare, report, reproduce, train, evaluate, robustness, pretrain, confidence, views, verify, objectives, datasets,
)  # fmt: skip
for command in COMMANDS:
    auglik.add_command(command)


def main() -> None:
    """The entry point: what click refuses is one line too."""
    try:
        status = auglik.main(prog_name="auglik", standalone_mode=False)
    except click.UsageError as error:
        if isinstance(error, getattr(click.exceptions, "NoArgsIsHelpError", ())):
            error.show()
            sys.exit(error.exit_code)
        where = error.ctx.command_path if error.ctx is not None else "auglik"
        click.echo(f"{where}: {' '.join(error.format_message().split())} (see {where} --help)", err=True)
        status = error.exit_code
    except click.ClickException as error:
        error.show()
        status = error.exit_code
    except click.Abort:
        status = 130
    sys.exit(status)
