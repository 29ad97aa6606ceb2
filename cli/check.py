"""`auglik check`: probes a likelihood, an aggregator, or anything else that settings can name."""

from pathlib import Path

import rich_click as click

from auglik.cli.errors import one_line_errors
from auglik.cli.options import data_dir_option
from auglik.objectives import InputError
from auglik.settings.groups import Group

KINDS = ("likelihood", "aggregator", "network", "augmentation", "mixing", "confidence", "dataset", "corruptions")
"""The kinds that the probes know, as a test checks: importing them takes seconds that `--help` need not wait for."""
LONGEST = 160
"""Most characters shown of a finding."""


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option(
    "--as", "kind", type=click.Choice(KINDS), help="Its kind [recognized by its members].", panel=Group.MEASURED
)
@click.option(
    "--image", default="3x32x32", show_default=True, help="Channels, height and width of the images.",
    panel=Group.MEASURED,
)  # fmt: skip
@data_dir_option
@one_line_errors
def check(names: tuple[str, ...], kind: str | None, image: str, data_dir: Path) -> None:
    """Checks NAME against its contract: package.module:Name or path/to/file.py:Name, with parameters, or built in.

    Prints one line per probe with what it found. Exit status 0 if all pass, 1 if any fails.
    """
    from auglik.checks.checking import check as checked
    from auglik.views import Shape

    sides = image.split("x")
    if len(sides) != 3 or not all(side.isdecimal() and int(side) > 0 for side in sides):
        raise InputError(f"image: expected CHANNELSxHEIGHTxWIDTH, such as 3x32x32, got {image!r}")
    failed = 0
    for name in names:
        found = checked(name, kind, Shape(*map(int, sides)), data_dir)
        code = f", SHA-256 {found.code.digest}" if found.code is not None else ""
        click.echo(f"{name}: {found.kind}{code}")
        for finding in found.findings:
            failed += not finding.passed
            seen = (
                finding.seen if len(finding.seen) <= LONGEST or not finding.passed else f"{finding.seen[:LONGEST]}..."
            )
            click.echo(f"  {'passed' if finding.passed else 'FAILED'}  {finding.probe:<17} {seen}")
    if failed:
        raise SystemExit(1)
