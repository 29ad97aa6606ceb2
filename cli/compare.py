"""`auglik compare`: trains cells over seeds and compares them with a reference."""

import time
from pathlib import Path

import click

from auglik import cells as cells_
from auglik.cells import Cell
from auglik.comparison import COMPARISON_CSV, RUNS_CSV, table
from auglik.config import SETTINGS, RunConfig, change, settings_of
from auglik.engines import Local, Outcome
from auglik.experiments import Place, Plan, carry_out, collect, cost, make_plan, runs_at_a_time, write
from auglik.files import ensure_writable
from auglik.stop import stop_on_signals
from cli.errors import one_line_errors
from cli.options import config_option, factors, given, options, take
from cli.progress import shown
from objectives import InputError

DEFAULT_SEEDS = 5


@click.command()
@config_option
@click.option("--seeds", multiple=True, help=f"How many seeds, or several: which ones.  [default: {DEFAULT_SEEDS}]")
@click.option("--reference", help="Cell that the others are compared with [the first].")
@click.option("--dry-run", is_flag=True, default=None, help="Print the plan and its cost, and run nothing.")
@click.option("--fail-fast", is_flag=True, default=None, help="Stop at the first run that fails.")
@options(settings_of(Place))
@options((setting for setting in SETTINGS.values() if setting.key != "seed"), repeatable=True)
@one_line_errors
def compare(config_file: Path | None, **command_line: object) -> None:
    """Trains and compares objectives: without options the main job, nine cells over five seeds on digits.

    Likelihoods and aggregators may be given several times: their product is then compared. So may any other setting,
    which multiplies the cells. In a file, [[cells]] tables name cells and what they change.
    """
    values = given(config_file, command_line)
    place = take(values, Place)
    seeds = parse_seeds(values.pop("seeds", DEFAULT_SEEDS))
    reference, fail_fast = values.pop("reference", None), bool(values.pop("fail_fast", False))
    dry_run = bool(values.pop("dry_run", False))
    own_cells = parse_cells(values.pop("cells", None))
    asked = factors(values, also_known=("seeds", "reference", "cells", "fail_fast", "dry_run"))
    single = {key: chosen[0] for key, chosen in asked.items() if len(chosen) == 1}
    common = change(
        RunConfig(), {key: value for key, value in single.items() if key not in ("likelihood", "aggregator")}
    )
    planned = cells_.plan(common, asked, own_cells)
    name = str(reference) if reference is not None else None
    references = cells_.reference_of(planned, name)
    plan = make_plan(planned, seeds, place)
    jobs = runs_at_a_time(plan.todo, place.jobs)
    if not dry_run:
        ensure_writable(Path(place.output))
    describe(plan, references, jobs)
    if dry_run:
        return

    began = time.monotonic()
    with stop_on_signals() as stop, shown(plan.todo, "training") as progress:
        outcomes = carry_out(plan, Local(jobs), stop, progress, report_failure, fail_fast)
    runs = collect(plan, outcomes)
    found = write(Path(place.output), planned, runs, name)
    if stop.signal is not None:
        click.echo(
            f"interrupted; the same command goes on from here (finished runs and checkpoints are in {place.output})"
        )
        raise SystemExit(128 + stop.signal)
    for part in ("clean", "mollified"):
        click.echo("\n" + table(runs, found, part))
    for cell in planned:
        for remark in cells_.remarks(cell.config):
            click.echo(f"{cell.name}: {remark}")
    click.echo(f"\n{len(plan.jobs)} runs, {len(outcomes)} of them trained in {time.monotonic() - began:.1f} s")
    output = Path(place.output)
    click.echo(f"wrote {output / RUNS_CSV} (a row a run), {output / COMPARISON_CSV} (paired differences)")
    click.echo(f"runs are in {output}/<cell>/seed-<n>/")
    if any(item.error for item in outcomes):
        raise SystemExit(1)


def parse_seeds(value: object) -> list[int]:
    """`5` is the seeds 0 to 4; several numbers, repeated or by commas, are those seeds. Raises InputError."""
    explicit = isinstance(value, list)  # a list in a file names seeds, even a list of one
    parts = [str(item) for item in value] if isinstance(value, list | tuple) else [str(value)]
    texts = [text.strip() for part in parts for text in part.split(",")]
    try:
        numbers = [int(text) for text in texts]
    except ValueError:
        raise InputError(f"seeds: expected a number of seeds or seeds by commas, got {', '.join(parts)!r}") from None
    count = len(texts) == 1 and not explicit
    if count and numbers[0] >= 1:
        return list(range(numbers[0]))
    if count or min(numbers, default=-1) < 0 or len(set(numbers)) < len(numbers):
        raise InputError(f"seeds: expected at least one seed, each >= 0 and once, got {', '.join(parts)}")
    return numbers


def parse_cells(value: object) -> list[Cell] | None:
    """The [[cells]] of a configuration file: a name and settings each. Raises InputError for anything else."""
    if value is None:
        return None
    if not isinstance(value, list) or not all(
        isinstance(item, dict) and isinstance(item.get("name"), str) for item in value
    ):
        raise InputError("cells: expected [[cells]] tables, each with a name")
    cells = [{key.replace("-", "_"): setting for key, setting in item.items()} for item in value]
    return [Cell(str(cell.pop("name")), cell) for cell in cells]


def describe(plan: Plan, references: dict[str, str], jobs: int) -> None:
    """The plan and its cost."""
    by_cell = {job.cell: job.config for job in plan.jobs}
    total = cost(plan.todo, plan.facts)
    first = plan.jobs[0].config
    width = max(len(cell) for cell in by_cell) + 2
    click.echo(f"{first.dataset}, {first.network}, {first.epochs} epochs on {first.device} in {first.precision}")
    for cell, config in by_cell.items():
        marks = " (reference)" if cell in references.values() else ""
        click.echo(f"  {cell:<{width}}{config.likelihood} + {config.aggregator}, K={config.views}{marks}")
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
