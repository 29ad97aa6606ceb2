"""`auglik report`: the likelihood ablation report of a comparison's runs."""

from pathlib import Path

import rich_click as click

from auglik.cli.errors import one_line_errors
from auglik.cli.options import options, take
from auglik.cli.paths import PATH
from auglik.cli.progress import bar
from auglik.report import Report, ReportSettings, write_report
from auglik.report.write import CSV, FIGURES, LATEX, MARKDOWN, PAGE
from auglik.settings.fields import settings_of
from auglik.settings.groups import Group
from auglik.system.paths import check_files, check_folder

REPORT_FOLDER = "report"


@click.command()
@click.argument("folder", metavar="DIR", type=PATH)
@options(settings_of(ReportSettings))
@click.option(
    "--output",
    type=PATH,
    help=f"Folder for the report [DIR/{REPORT_FOLDER}].",
    panel=Group.MACHINE,
)
@one_line_errors
def report(folder: Path, output: Path | None, **command_line: object) -> None:
    """Reports the finished runs below DIR, the output of `auglik compare`: which objective is better, and how surely.

    Writes a self-contained page (report.html), report.md, tables.csv, tables.tex, the figures and the
    posteriors (NetCDF).
    """
    settings = take({key: value for key, value in command_line.items() if value is not None}, ReportSettings)
    if folder.is_dir():
        check_report(output or folder / REPORT_FOLDER)
    with bar("report") as tell:
        written = write_report(folder, output or folder / REPORT_FOLDER, settings, tell)
    say(written)


def check_report(output: Path, *, dry: bool = False) -> None:
    """Raises InputError if a report could not be written into `output`; `dry` as in `check_files`."""
    check_folder(output, room=len(".partial-0123456789abcdef.tmp/figures/corruptions-by-category.svg"), dry=dry)
    check_files((output / name for name in (PAGE, MARKDOWN, CSV, LATEX)), dry=dry)
    check_folder(output / FIGURES, dry=dry)


def say(written: Report) -> None:
    """Prints the warnings, the answer and the report's path."""
    for text in written.warnings:
        click.echo(f"warning: {text}", err=True)
    for text in written.sentences:
        click.echo(text)
    click.echo(f"wrote {written.page}")
