"""The `auglik` command."""

import io
import os
import sys
from pathlib import Path

import rich_click as click

from auglik.cli.deferred import Deferred
from auglik.cli.interrupts import hear_dropped_interrupts
from auglik.cli.streams import READER_LEFT, closed, one_line_warnings, open_streams
from auglik.settings.groups import Group
from auglik.system.launched import follows, launched
from auglik.version import __version__

HELP = click.RichHelpConfiguration(
    options_panel_title=Group.COMMAND,
    style_options_panel_box=None,
    style_commands_panel_box=None,
    options_table_column_types=["opt_all", "metavar_short", "help"],
    options_table_help_sections=["help", "range", "default", "required"],
    force_terminal=None,  # whatever runs it, a pipe gets no colour
)


SHARED = ("train", "evaluate", "robustness")
"""Commands that several processes of torchrun execute together."""


class Program(click.RichGroup):
    """Leaves errors to `run`: rich-click would frame them, and exit on a broken pipe."""

    main = click.Group.main


@click.group(cls=Program, context_settings={"rich_help_config": HELP})
@click.version_option(__version__, prog_name="auglik")
@click.pass_context
def auglik(context: click.Context) -> None:
    """Which likelihood should a classifier be trained with when its inputs are augmented?"""
    if launched() is not None and context.invoked_subcommand not in SHARED:
        raise click.UsageError(
            f"torchrun started several processes, which share {', '.join(SHARED)}, not {context.invoked_subcommand}:"
            " start it alone; runs of a comparison are spread by --engine or by several such commands"
        )


COMMANDS = (
    Deferred("compare", "Trains the cells of an ablation over several seeds and compares each with a reference."),
    Deferred("status", "Says which runs of a comparison are done, running, waiting and failed, and why."),
    Deferred("report", "Writes the report of a comparison: which objective is better, and how surely."),
    Deferred("keep", "Keeps the small part of a comparison that its report is made of."),
    Deferred("reproduce", "Runs an experiment by name and compares it with the published figures."),
    Deferred("train", "Trains and scores one run."),
    Deferred("sample", "Samples the posterior of a network's weights under an objective, by several chains."),
    Deferred("evaluate", "Scores finished runs again, under another protocol or on other images."),
    Deferred("robustness", "Scores a comparison on corrupted, occluded and mollified images."),
    Deferred("pretrain", "Pretrains a network with SimSiam and probes its features."),
    Deferred("confidence", "Measures how much of a label survives each operation at each magnitude."),
    Deferred("confusions", "Writes what the classes are taken for, which labels may degrade toward."),
    Deferred("views", "Writes a contact sheet of the views that a run trains on."),
    Deferred("verify", "Verifies the mathematics of the objectives and the rates of the verdicts."),
    Deferred("check", "Checks your own objective, network, augmentation, confidence map or data set."),
    Deferred("objectives", "Lists the likelihoods and aggregators, with formula and source."),
    Deferred("datasets", "Lists the data sets, and whether they are available locally."),
)
for command in COMMANDS:
    auglik.add_command(command)


def main() -> None:
    """The entry point: usage errors are one line too."""
    open_streams()
    one_line_warnings()
    hear_dropped_interrupts()
    # Small chains in float64 are for a CPU; where JAX sees a GPU, it would take most of the memory that runs train in.
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name that a terminal cannot show is no reason to fail
    if follows():
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - for as long as the process lives
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
        if follows():
            return error.exit_code
        click.echo(usage_line(error), err=True)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return 130
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        click.echo(f"auglik: system error: {error.strerror or error}", err=True)
        return 2


def usage_line(error: click.UsageError) -> str:
    """What click says of arguments, and whose help tells more, on one line."""
    where = error.ctx.command_path if error.ctx is not None else "auglik"
    return f"{where}: {' '.join(error.format_message().split())} (see {where} --help)"
