"""A comparison from the command line, from its plan to its tables: what `auglik compare` and its kin share."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import click

from auglik import cells as cells_
from auglik.cells import Planned
from auglik.comparison import COMPARISON_CSV, RUNS_CSV, table
from auglik.engines import Local, Outcome
from auglik.ensembles import ENSEMBLES_CSV
from auglik.experiments import Place, Plan, carry_out, collect, cost, make_plan, runs_at_a_time, write
from auglik.files import ensure_writable
from auglik.prepare import training_pipeline
from auglik.report import ReportSettings, write_report
from auglik.stop import stop_on_signals
from auglik.tuning import FOLDER, Grid, chosen, trials, tuned, write_tuning
from cli.progress import bar, shown
from cli.report import FOLDER as REPORT
from cli.report import say
from cli.train import say_absent


def run_comparison(
    planned: Sequence[Planned], plan: Plan, place: Place, reference: str | None, fail_fast: bool
) -> bool:
    """Carries out a plan, prints the tables and says where things are; whether all runs have ended well.

    Ends the process where it is interrupted.
    """
    output, began = Path(place.output), time.monotonic()
    jobs = runs_at_a_time(plan.todo, place.jobs)
    with stop_on_signals() as stop, shown(plan.todo, "training") as progress:
        outcomes = carry_out(plan, Local(jobs), stop, progress, report_failure, fail_fast)
    runs = collect(plan, outcomes)
    found = write(output, planned, runs, reference)
    if stop.signal is not None:
        click.echo(f"interrupted; the same command goes on from here (finished runs and checkpoints are in {output})")
        raise SystemExit(128 + stop.signal)
    for part in ("clean", "mollified"):
        click.echo("\n" + table(runs, found, part))
    for cell in planned:
        for remark in cells_.remarks(cell.config):
            click.echo(f"{cell.name}: {remark}")
    say_absent(run for of_cell in runs.values() for run in of_cell)
    click.echo(f"\n{len(plan.jobs)} runs, {len(outcomes)} of them trained in {time.monotonic() - began:.1f} s")
    click.echo(
        f"wrote {output / RUNS_CSV} (a row a run), {output / COMPARISON_CSV} (paired differences),"
        f" {output / ENSEMBLES_CSV} (each cell's seeds as one ensemble)"
    )
    click.echo(f"runs are in {output}/<cell>/seed-<n>/")
    return not any(item.error for item in outcomes)


def report_on(output: Path, settings: ReportSettings) -> None:
    """Writes the report of a comparison into its folder, and says what it says first."""
    with bar("report") as tell:
        say(write_report(output, output / REPORT, settings, tell))


def tune_cells(
    cells: Sequence[Planned], grid: Grid, seeds: Sequence[int], place: Place, dry_run: bool
) -> list[Planned]:
    """The cells under the values that they choose; in a dry run, as they are."""
    folder = Path(place.output) / FOLDER
    plan = make_plan(trials(cells, grid), seeds, replace(place, output=str(folder)), scored=False)
    jobs, total = runs_at_a_time(plan.todo, place.jobs), cost(plan.todo, plan.facts)
    click.echo(
        f"tuning {grid.key} over {', '.join(f'{value:g}' for value in grid.values)}: {len(plan.jobs)} runs on"
        f" {len(seeds)} seeds of their own, {len(plan.jobs) - len(plan.todo)} finished; to do: {total.steps:,} steps"
    )
    if dry_run:
        return list(cells)
    ensure_writable(folder)
    with stop_on_signals() as stop, shown(plan.todo, "tuning") as progress:
        outcomes = carry_out(plan, Local(jobs), stop, progress, report_failure)
    if stop.signal is not None:
        click.echo("interrupted; the same command goes on from here")
        raise SystemExit(128 + stop.signal)
    choices, table_ = chosen(cells, grid, collect(plan, outcomes), seeds)
    write_tuning(Path(place.output), grid, table_)
    for choice in choices.values():
        edge = "; at the edge of the grid: a wider one may do better" if choice.at_edge else ""
        click.echo(
            f"  {choice.cell}: {grid.key} = {choice.value:g} (validation NLL {choice.mean_nll:.4f} over"
            f" {len(seeds)} seeds{edge})"
        )
    return tuned(cells, grid, choices)


def describe(plan: Plan, references: Mapping[str, str], jobs: int) -> None:
    """The plan and its cost."""
    by_cell = {job.cell: job.config for job in plan.jobs}
    total = cost(plan.todo, plan.facts)
    first = plan.jobs[0].config
    width = max(len(cell) for cell in by_cell) + 2
    click.echo(f"{first.dataset}, {first.network}, {first.epochs} epochs on {first.device} in {first.precision}")
    for cell, config in by_cell.items():
        marks = " (reference)" if cell in references.values() else ""
        click.echo(f"  {cell:<{width}}{config.likelihood} + {config.aggregator}, K={config.views}{marks}")
    of_views: dict[str, list[str]] = {}
    for cell, config in by_cell.items():
        facts = plan.facts[config.dataset]
        of_views.setdefault(training_pipeline(config, facts.shape(), facts.classes).describe(), []).append(cell)
    for text, cells in of_views.items():
        click.echo(f"views of {', '.join(cells) if len(of_views) > 1 else 'all cells'}: {text}")
    done = len(plan.jobs) - len(plan.todo)
    click.echo(
        f"{len(by_cell)} cells x {len(plan.jobs) // len(by_cell)} seeds = {len(plan.jobs)} runs, {done} finished;"
        f" to do: {total.steps:,} steps, {total.views:,} views forth and back, {jobs} runs at a time"
    )
    scored = first.evaluation.images or "the"
    views = first.evaluation.views + first.evaluation.folded_views
    click.echo(f"each is scored on {scored} test images: clean, and {views} views of each (--evaluation-views)")


def report_failure(outcome: Outcome) -> None:
    """Says at once that a run failed, and why."""
    if outcome.error is not None and not outcome.fatal:
        click.echo(f"\nfailed: {outcome.job.cell}, seed {outcome.job.config.seed}: {outcome.error}", err=True)
        if outcome.details is not None:
            path = outcome.job.folder / "error.txt"
            path.write_text(outcome.details)
            click.echo(f"  the traceback is in {path}", err=True)
