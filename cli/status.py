"""`auglik status`: what has become of the runs of a comparison."""

import sys
import time
from collections import Counter
from pathlib import Path

import rich_click as click

from auglik.cli.errors import one_line_errors
from auglik.cli.paths import PATH
from auglik.objectives import InputError
from auglik.settings.groups import Group
from auglik.system.paths import check_local

LONGEST = 86_400
"""Seconds between two looks."""


@click.command()
@click.argument("folder", metavar="DIR", type=PATH)
@click.option("--watch", is_flag=True, help="Go on saying it until no run is running or waiting.", panel=Group.COMMAND)
@click.option(
    "--every",
    metavar="X",
    type=click.FloatRange(0.1, LONGEST),
    default=5.0,
    show_default=True,
    help="Seconds, with --watch.",
    panel=Group.COMMAND,
)
@one_line_errors
def status(folder: Path, watch: bool, every: float) -> None:
    """Says which runs in DIR, the output of `auglik compare`, are done, running, waiting and failed, and why.

    It reads their folders alone, so it is the same for every engine and may be asked from any machine that sees them.
    """
    from auglik.experiments.differences import plural
    from auglik.experiments.status import STATES, statuses

    check_local(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: expected the output of `auglik compare`, got no such folder")
    while True:
        found = list(statuses(folder))
        if not found:
            raise InputError(f"{folder}: expected the output of `auglik compare`, got a folder without runs")
        counts = Counter(one.state for one in found)
        if watch and sys.stdout.isatty():
            click.clear()
        for one in found:
            if one.state != "done":
                click.echo(f"{one.state:<8} {one.folder.relative_to(folder)}: {one.text}")
        click.echo(f"{plural(len(found), 'run')}: {', '.join(f'{counts[state]} {state}' for state in STATES)}")
        if not watch or not counts["running"] + counts["waiting"]:
            return
        time.sleep(every)
