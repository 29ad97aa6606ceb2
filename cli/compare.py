"""`auglik compare`: trains cells over seeds and compares them with a reference."""

from pathlib import Path

import click

from auglik import cells as cells_
from auglik.cells import Cell
from auglik.config import SETTINGS, RunConfig, change, settings_of
from auglik.experiments import Place, make_plan, runs_at_a_time
from auglik.files import ensure_writable
from auglik.report import ReportSettings
from auglik.tuning import FIRST_SEED, parse_grid
from cli.comparing import describe, report_on, run_comparison, tune_cells
from cli.errors import one_line_errors
from cli.options import config_option, factors, given, options, take
from objectives import InputError

DEFAULT_SEEDS = 5
TUNE_SEEDS = 2


@click.command()
@config_option
@click.option("--seeds", multiple=True, help=f"How many seeds, or several: which ones.  [default: {DEFAULT_SEEDS}]")
@click.option("--reference", help="Cell that the others are compared with [the first].")
@click.option("--tune", help="Give every cell one grid: SETTING=VALUE,VALUE,... chosen by validation NLL.")
@click.option("--tune-seeds", type=click.IntRange(1), help=f"Seeds of their own for --tune.  [default: {TUNE_SEEDS}]")
@click.option("--dry-run", is_flag=True, default=None, help="Print the plan and its cost, and run nothing.")
@click.option("--report/--no-report", "with_report", default=None, help="End by writing a report.  [default: report]")
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
    dry_run, with_report = bool(values.pop("dry_run", False)), bool(values.pop("with_report", True))
    tune = values.pop("tune", None)
    tune_seeds = range(FIRST_SEED, FIRST_SEED + int(str(values.pop("tune_seeds", TUNE_SEEDS))))
    own_cells = parse_cells(values.pop("cells", None))
    asked = factors(
        values, also_known=("seeds", "reference", "cells", "fail_fast", "dry_run", "tune", "tune_seeds", "with_report")
    )
    single = {key: chosen[0] for key, chosen in asked.items() if len(chosen) == 1}
    common = change(
        RunConfig(), {key: value for key, value in single.items() if key not in ("likelihood", "aggregator")}
    )
    planned = cells_.plan(common, asked, own_cells)
    name = str(reference) if reference is not None else None
    references = cells_.reference_of(planned, name)
    if tune is not None:
        planned = tune_cells(planned, parse_grid(str(tune)), tune_seeds, place, dry_run)
    plan = make_plan(planned, seeds, place)
    if not dry_run:
        ensure_writable(Path(place.output))
    describe(plan, references, runs_at_a_time(plan.todo, place.jobs))
    if dry_run:
        return
    ended_well = run_comparison(planned, plan, place, name, fail_fast)
    if with_report:
        report_on(Path(place.output), ReportSettings(data_dir=place.data_dir))
    if not ended_well:
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
