"""A comparison from the command line, from its plan to its tables: shared by `auglik compare` and related commands."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from auglik.cli.progress import bar, duration, shown
from auglik.cli.report import REPORT_FOLDER as REPORT
from auglik.cli.report import check_report, say
from auglik.cli.streams import whoever_reads
from auglik.cli.train import say_absent
from auglik.experiments import cells as cells_
from auglik.experiments.cells import Planned
from auglik.experiments.differences import COMPARISON_CSV, RUNS_CSV, plural, table
from auglik.experiments.engines.engine import Engine, Outcome
from auglik.experiments.engines.named import Chosen
from auglik.experiments.plan import Place, Plan, carry_out, collect, cost, make_plan, runs_at_a_time, write
from auglik.experiments.status import noted
from auglik.experiments.tuning import TUNING_CSV, TUNING_FOLDER, Grid, chosen, trials, tuned, write_tuning
from auglik.report import ReportSettings, write_report
from auglik.runs.loop import lengths
from auglik.runs.resolve import Facts, training_pipeline
from auglik.runs.resolved import ResolvedRun
from auglik.runs.results import Results
from auglik.runs.run import state_of
from auglik.scoring.columns import fixed
from auglik.scoring.ensembles import ENSEMBLES_CSV
from auglik.system.files import ensure_writable
from auglik.system.paths import check_files
from auglik.system.stop import stop_on_signals

if TYPE_CHECKING:
    from auglik.recipes.cost import Estimate


class Ended(NamedTuple):
    """How a comparison ended: whether all its runs succeeded, and whether there is any to report on."""

    well: bool
    any_finished: bool


def check_output(output: Path, with_report: bool, dry_run: bool) -> None:
    """Raises InputError if a comparison could not write its final files into `output`; writes nothing itself."""
    tables = (RUNS_CSV, COMPARISON_CSV, ENSEMBLES_CSV, TUNING_CSV)
    check_files((output / name for name in tables), dry=dry_run)
    if with_report:
        check_report(output / REPORT, dry=dry_run)


def engine_for(engine: Chosen, plan: Plan, place: Place) -> Engine:
    """The chosen engine, with as many runs at a time as are asked for."""
    return engine.engine(count_here(engine, plan, place) if engine.is_local else place.jobs)


def count_here(engine: Chosen, plan: Plan, place: Place) -> int:
    """How many runs go at a time by the local engine, and would go here of another's. Raises InputError for none."""
    options = engine.options if engine.is_local else {}
    asked, processes = options.get("jobs", place.jobs), options.get("processes_per_run", 1)
    assert isinstance(asked, int | None)
    assert isinstance(processes, int)
    return runs_at_a_time(plan.todo, asked, processes)


def at_a_time(engine: Chosen, plan: Plan, place: Place) -> str:
    """How the runs to do will be carried out."""
    return f"{plural(count_here(engine, plan, place), 'run')} at a time" if engine.is_local else f"by {engine.name}"


def run_comparison(
    planned: Sequence[Planned], plan: Plan, place: Place, engine: Chosen, reference: str | None, fail_fast: bool
) -> Ended:
    """Carries out a plan, prints the tables and says where the files are; or says that its runs are handed over.

    Exits the process if interrupted.
    """
    output, began = Path(place.output), time.monotonic()
    references = cells_.reference_of(planned, reference)
    with noted(output, plan.jobs, references), stop_on_signals() as stop, shown(plan.todo, "training") as progress:
        outcomes = carry_out(plan, engine_for(engine, plan, place), stop, progress, report_failure, fail_fast)
    if engine.detaches and plan.todo:
        click.echo(f"`auglik status {output}` says how they do; the same command without --detach takes their results")
        return Ended(True, False)
    runs = collect(plan, outcomes)
    found = write(output, plan, planned, runs, reference)
    if stop.signal is not None:
        click.echo(f"{interrupted(place.resume)} (finished runs and checkpoints are in {output})")
        raise SystemExit(128 + stop.signal)
    for part in ("clean", "mollified") if any(runs.values()) else ():
        click.echo("\n" + table(runs, found, part))
    for cell in planned:
        for remark in cells_.remarks(cell.config):
            click.echo(f"{cell.name}: {remark}")
    say_absent(run for of_cell in runs.values() for run in of_cell)
    click.echo(f"\n{counted(plan, outcomes)}; {time.monotonic() - began:.1f} s")
    click.echo(
        f"wrote {output / RUNS_CSV} (one row per run), {output / COMPARISON_CSV} (paired differences),"
        f" {output / ENSEMBLES_CSV} (each cell's seeds as an ensemble)"
    )
    click.echo(f"runs are in {output}/<cell>/seed-<n>/")
    return Ended(not any(item.error for item in outcomes), any(runs.values()))


def interrupted(resumes: bool) -> str:
    """How a command that was interrupted goes on."""
    return f"interrupted; run the same command again{'' if resumes else ' without --no-resume'} to continue"


def counted(plan: Plan, outcomes: Sequence[Outcome[Results]]) -> str:
    """How many runs of a plan were trained, failed, not started, or already finished."""
    failed = sum(item.error is not None for item in outcomes)
    trained = sum(item.results is not None for item in outcomes)
    parts = {
        "trained": trained,
        "failed": failed,
        "not started or not finished": len(plan.todo) - trained - failed,
        "finished before": len(plan.jobs) - len(plan.todo),
    }
    told = ", ".join(f"{count} {what}" for what, count in parts.items() if count)
    return f"{plural(len(plan.jobs), 'run')}: {told}"


def report_on(output: Path, settings: ReportSettings) -> None:
    """Writes the report of a comparison into its folder and prints its first lines."""
    with bar("report") as tell:
        say(write_report(output, output / REPORT, settings, tell))


def tune_cells(
    cells: Sequence[Planned], grid: Grid, seeds: Sequence[int], place: Place, engine: Chosen, dry_run: bool
) -> list[Planned]:
    """The cells with their chosen values; unchanged in a dry run."""
    folder = Path(place.output) / TUNING_FOLDER
    plan = make_plan(trials(cells, grid), seeds, replace(place, output=str(folder)), scored=False, dry=dry_run)
    total = cost(plan.todo, plan.classes())
    click.echo(
        f"tuning {grid.key} over {', '.join(f'{value:.15g}' for value in grid.values)}: {plural(len(plan.jobs), 'run')}"
        f" on {plural(len(seeds), 'seed')} set aside for it, {len(plan.jobs) - len(plan.todo)} finished; to do:"
        f" {plural(total.steps, 'step')}"
    )
    if dry_run:
        say_time(plan, place, engine)
        return list(cells)
    ensure_writable(folder)
    with whoever_reads():
        return _tuned(cells, grid, seeds, plan, place, engine_for(engine, plan, place))


def _tuned(
    cells: Sequence[Planned], grid: Grid, seeds: Sequence[int], plan: Plan, place: Place, engine: Engine
) -> list[Planned]:
    output = Path(place.output)
    tuning = noted(output / TUNING_FOLDER, plan.jobs)
    with tuning, stop_on_signals() as stop, shown(plan.todo, "tuning") as progress:
        outcomes = carry_out(plan, engine, stop, progress, report_failure)
    if stop.signal is not None:
        click.echo(interrupted(place.resume))
        raise SystemExit(128 + stop.signal)
    choices, table_ = chosen(cells, grid, collect(plan, outcomes), seeds)
    write_tuning(output, grid, table_)
    for choice in choices.values():
        edge = "; at the edge of the grid: a wider one may do better" if choice.at_edge else ""
        click.echo(
            f"  {choice.cell}: {grid.key} = {choice.value:.15g} (validation NLL {fixed(choice.mean_nll, 4)} over"
            f" {plural(len(seeds), 'seed')}{edge})"
        )
    return tuned(cells, grid, choices)


def describe(plan: Plan, references: Mapping[str, str], how: str) -> None:
    """The plan and its cost."""

    def trained_on(run: ResolvedRun) -> int:
        return run.trained_on(plan.facts[run.config.dataset].classes)

    by_cell = {job.cell: job.run for job in plan.jobs}
    total = cost(plan.todo, plan.classes())
    width = max(len(cell) for cell in by_cell) + 2
    dataset, network, epochs, device, precision = (
        " / ".join(dict.fromkeys(str(getattr(run.config, name)) for run in by_cell.values()))
        for name in ("dataset", "network", "epochs", "device", "precision")
    )
    images = " / ".join(dict.fromkeys(f"{trained_on(run):,}" for run in by_cell.values()))
    click.echo(f"{dataset}, {network}, {epochs} epochs of {images} images on {device} in {precision}")
    for cell, run in by_cell.items():
        marks, config = " (reference)" if cell in references.values() else "", run.config
        views = f"K={config.views}" if run.mean_views() == config.views else f"K={run.mean_views():.3g} on average"
        click.echo(f"  {cell:<{width}}{config.likelihood} + {config.aggregator}, {views}{marks}")
    for text in by_text(by_cell, lambda run: views_of(run, plan.facts[run.config.dataset])):
        click.echo(f"views of {text}")
    for text in by_text(by_cell, lambda run: left_out(run, trained_on(run))):
        click.echo(f"steps of {text}")
    done = len(plan.jobs) - len(plan.todo)
    click.echo(
        f"{plural(len(by_cell), 'cell')} x {plural(len(plan.jobs) // len(by_cell), 'seed')}"
        f" = {plural(len(plan.jobs), 'run')}, {done} finished; to do: {plural(total.steps, 'step')},"
        f" {total.views:,} views forward and backward, {how}"
    )
    for text in by_text(by_cell, scored_on):
        click.echo(f"scoring of {text}")


def by_text(by_cell: Mapping[str, ResolvedRun], say_of: Callable[[ResolvedRun], str]) -> list[str]:
    """Notes on cells as `cells: text`, those that share a note on one line; empty notes are left out."""
    found: dict[str, list[str]] = {}
    for cell, run in by_cell.items():
        found.setdefault(say_of(run), []).append(cell)
    return [f"{', '.join(cells) if len(found) > 1 else 'all cells'}: {text}" for text, cells in found.items() if text]


def views_of(run: ResolvedRun, facts: Facts) -> str:
    """The views that a run trains on."""
    return training_pipeline(run, facts.shape(), facts.classes).describe()


def left_out(run: ResolvedRun, images: int) -> str:
    """How many of the images do not fill a whole step; empty if none."""
    count = lengths(run, images)
    rest = images - count.images * count.steps_per_pass
    whole = (
        f"{count.images:,} of {plural(images, 'image')} each; every pass leaves {rest:,} out, different ones each time"
    )
    return whole if rest else ""


def scored_on(run: ResolvedRun) -> str:
    """What a run is scored on."""
    scoring = run.config.evaluation
    images = "the test images" if scoring.images is None else f"at most {scoring.images:,} of the test images"
    return f"{images}, clean, and {scoring.views + scoring.folded_views:,} views of each (--evaluation-views)"


def say_time(plan: Plan, place: Place, engine: Chosen, on_top: str = "") -> None:
    """How long the remaining runs will take here, from a few timed steps and evaluation batches."""
    from auglik.recipes.cost import estimate

    if plan.todo:
        with bar("timing") as tell:
            total = estimate(plan.todo, progress=tell, within=state_of)
        say_estimate(total, count_here(engine, plan, place), on_top)


def say_estimate(total: "Estimate", jobs: int, on_top: str = "") -> None:
    """Training and evaluation separately, and the total."""
    parts = [
        ("training", [run.training for run in total.times]),
        ("evaluation", [run.evaluation for run in total.times]),
    ]
    each = " and ".join(f"{spread(seconds)} of {name}" for name, seconds in parts if any(seconds))
    notes = ["from a few timed steps and evaluation batches"]
    if total.compiled:
        notes.append("without --compile, which adds about a minute at the start and makes each step faster")
    if total.left_out:
        notes.append(f"without {plural(total.left_out, 'run')} of kinds that were not timed")
    if on_top:
        notes.append(f"{on_top} not included")
    if total.times:
        click.echo(
            f"about {each} a run; {plural(len(total.times), 'run')}, {jobs} at a time: about"
            f" {duration(total.seconds() / jobs)} ({'; '.join(notes)})"
        )
    if total.faster is not None:
        name, share = total.faster
        click.echo(f"on this machine --precision {name} would take {share:.0%} of the time of a training step")


def spread(seconds: Sequence[float]) -> str:
    """The shortest and the longest of several durations."""
    ends = dict.fromkeys((duration(min(seconds)), duration(max(seconds))))
    return " to ".join(ends)


def report_failure(outcome: Outcome[object]) -> None:
    """Reports a failed task at once, with the reason."""
    if outcome.error is not None and not outcome.fatal:
        click.echo(f"\nfailed: {outcome.job.name}: {outcome.error}", err=True)
        if outcome.details is not None:
            click.echo(f"  the traceback is in {outcome.job.errors}", err=True)
