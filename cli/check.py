"""`auglik check`: the probes of a likelihood, an aggregator, or whatever else settings name."""

from pathlib import Path

import rich_click as click

from auglik.cli.errors import one_line_errors
from auglik.cli.options import data_dir_option
from auglik.objectives import InputError
from auglik.settings.groups import Group

KINDS = ("likelihood", "aggregator", "network", "augmentation", "mixing", "confidence", "dataset", "corruptions")
"""Those of the probes, which a test compares: importing them takes seconds that `--help` need not wait for."""
LONGEST = 160
"""Characters of what was seen."""


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--as", "kind", type=click.Choice(KINDS), help="What it is [told by its members].", panel=Group.MEASURED)
@click.option(
    "--image", default="3x32x32", show_default=True, help="Channels, height and width that a network sees.",
    panel=Group.MEASURED,
)  # fmt: skip
@data_dir_option
@one_line_errors
def check(names: tuple[str, ...], kind: str | None, image: str, data_dir: Path) -> None:
    """Tries what NAME promises: package.module:Name or path/to/file.py:Name, with parameters, or any built-in name.

    Prints a line for each probe with what was seen. Exit status 0 if all passed, 1 if one failed.
    """
    from auglik.experiments.checking import check as checked
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
