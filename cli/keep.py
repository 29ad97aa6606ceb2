"""`auglik keep`: the small part of a comparison that its report is made of."""

from pathlib import Path

import rich_click as click

from auglik.cli.errors import one_line_errors
from auglik.cli.paths import PATH
from auglik.cli.progress import bar


@click.command()
@click.argument("folder", metavar="DIR", type=PATH)
@click.argument("output", metavar="OUTPUT", type=PATH)
@one_line_errors
def keep(folder: Path, output: Path) -> None:
    """Keeps what a report needs of the finished runs below DIR, in OUTPUT: small enough to be committed or sent.

    Settings, scores, curves and digests as they are, log-probabilities rounded to half precision, no weights. OUTPUT is
    read as DIR is, by `auglik report` too. Runs that it holds already stay, so that seeds can be added one by one;
    robustness that was measured since is added.
    """
    from auglik.experiments.differences import plural
    from auglik.report.keep import keep as keep_

    with bar("keep") as tell:
        kept = keep_(folder, output, tell)
    for text in kept.warnings:
        click.echo(f"warning: {text}", err=True)
    click.echo(f"kept {plural(kept.runs, 'run')} in {output}: {kept.bytes / 1e6:.2f} MB of {kept.before / 1e6:.2f}")
