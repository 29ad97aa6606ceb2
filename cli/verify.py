"""`auglik verify`: studies that verify the mathematics and measure the estimators."""

from pathlib import Path

import rich_click as click

from auglik.cli.engines import engine_options, take_engine
from auglik.cli.errors import one_line_errors
from auglik.cli.options import completer
from auglik.cli.paths import PATH
from auglik.cli.progress import shown
from auglik.objectives import InputError
from auglik.settings.groups import Group
from auglik.settings.names import look_up
from auglik.system.devices import MOST_THREADS, available_cores
from auglik.system.files import ensure_writable
from auglik.system.paths import check_files
from auglik.system.stop import stop_on_signals

SEED = 0
NAMES = (
    "objectives",
    "normalizer",
    "dirichlet",
    "estimators",
    "orbit",
    "gradients",
    "posterior",
    "sampling",
    "information",
    "schedules",
    "composition",
    "invariance",
    "calibration",
    "verdicts",
)
"""Those of the registry, as a test checks: importing it takes seconds that `--help` need not wait for."""


@click.command()
@click.argument("studies", nargs=-1, metavar="[STUDY]...", shell_complete=completer(NAMES))
@click.option(
    "--quick",
    is_flag=True,
    help="Fewer draws, points and cases: about two minutes on two cores.",
    panel=Group.MEASURED,
)
@click.option(
    "--seed", metavar="N", type=click.IntRange(0, 2**32 - 1), default=SEED, show_default=True, panel=Group.MEASURED
)
@click.option(
    "--data", help="A data set for the studies of real images, besides digits: a name or a path.", panel=Group.MEASURED
)
@click.option("--output", type=PATH, default=Path("verify"), show_default=True, panel=Group.MACHINE)
@click.option(
    "--jobs",
    metavar="N",
    type=click.IntRange(1, MOST_THREADS),
    help="Studies to run at a time [two, or the number of cores if fewer].",
    panel=Group.MACHINE,
)
@engine_options
@one_line_errors
def verify(
    studies: tuple[str, ...],
    output: Path,
    quick: bool,
    seed: int,
    data: str | None,
    jobs: int | None,
    **command_line: object,
) -> None:
    """Verifies the objectives against independent computations, and verdicts by simulation, claim by claim.

    Studies: objectives, normalizer, dirichlet, estimators, orbit, gradients, posterior, sampling, information,
    schedules, composition, invariance, calibration, verdicts. All by default.
    Writes verify.json and, for each study, its numbers (NetCDF) and figures (PNG, SVG). Exit status 0 if all hold.
    """
    names = [look_up("study", name, {known: known for known in NAMES}) for name in dict.fromkeys(studies or NAMES)]
    chosen = take_engine(command_line)
    if chosen.detaches:
        raise InputError("--detach: expected compare, reproduce or robustness, as the claims are read where they end")
    if (count := chosen.options.get("processes_per_run", 1)) != 1:
        raise InputError(f"processes_per_run: expected 1, as a study is one process, got {count}")
    if data is not None:
        from auglik.data import open_dataset

        open_dataset(data).check()
    chosen.check_here()
    check_files([output / "verify.json"])
    ensure_writable(output)
    from auglik.studies.verify import StudyTask, run, write_report

    engine = chosen.engine(min(jobs or min(2, available_cores()), len(names)) if chosen.is_local else jobs)
    tasks = [StudyTask(name=name, output=output, quick=quick, seed=seed, data=data) for name in names]
    with stop_on_signals() as stop, shown(tasks, "verifying") as progress:
        reports = run(tasks, engine, stop, progress)
    if stop.signal is not None:
        click.echo("interrupted; the same command begins the studies anew")
        raise SystemExit(128 + stop.signal)
    path = write_report(output, reports, quick, seed)
    crashed = [report for report in reports if report.error is not None]
    for report in reports:
        if report.error is not None:
            click.echo(f"\n{report.study}\n  FAILS  the study crashed: {report.error}")
            continue
        click.echo(f"\n{report.study} ({report.seconds:.1f} s)")
        for claim in report.claims:
            click.echo(f"  {claim.line()}")
        for remark in report.remarks:
            click.echo(f"  note   {remark}")
    claims = [claim for report in reports for claim in report.claims]
    failed = [claim for claim in claims if not claim.holds]
    if crashed:
        click.echo(f"\nnot verified, as the study crashed: {', '.join(report.study for report in crashed)}")
    click.echo(f"\n{len(claims)} claims, {len(failed)} fail; wrote {path} and the figures next to it")
    if not all(report.holds for report in reports):
        raise SystemExit(1)
