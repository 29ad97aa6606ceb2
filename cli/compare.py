"""`auglik compare`: trains cells over seeds and compares them with a reference."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import rich_click as click

from auglik.cli.engines import KEYS as ENGINE_KEYS
from auglik.cli.engines import engine_options, take_engine
from auglik.cli.errors import one_line_errors
from auglik.cli.options import completer, config_options, factors, given, options, say_config, take
from auglik.cli.plans import at_a_time, check_output, describe, report_on, run_comparison, say_time, tune_cells
from auglik.cli.seeds import SEEDS, chosen_seeds, seed_options
from auglik.cli.streams import whoever_reads
from auglik.data import some
from auglik.experiments import cells as cells_
from auglik.experiments.cells import MAIN_CELLS, MOST_RUNS, Cell
from auglik.experiments.plan import Place, make_plan
from auglik.experiments.tuning import FIRST_SEED, parse_grid, tunable
from auglik.objectives import InputError
from auglik.report import ReportSettings
from auglik.runs.settings import SETTINGS, RunConfig, change, flatten
from auglik.settings.fields import settings_of, underscored
from auglik.settings.groups import Group
from auglik.system.cards import asked_elsewhere
from auglik.system.files import ensure_writable

DEFAULT_SEEDS = 5
TUNE_SEEDS = 2
OBJECTIVE = ("likelihood", "aggregator")


@click.command()
@seed_options(f" [default: {DEFAULT_SEEDS}]")
@click.option("--reference", help="Cell to compare the others with [the first].", panel=Group.COMPARED)
@click.option(
    "--tune",
    shell_complete=completer(f"{key}=" for key in tunable()),
    help="Tune a setting in every cell: SETTING=VALUE,VALUE,...; the best validation NLL wins.",
    panel=Group.COMPARED,
)
@click.option(
    "--tune-seeds",
    metavar="N",
    type=click.IntRange(1, MOST_RUNS),
    help=f"Number of separate seeds for --tune.  [default: {TUNE_SEEDS}]",
    panel=Group.COMPARED,
)
@options((setting for setting in SETTINGS.values() if setting.key != "seed"), repeatable=True)
@options(settings_of(Place))
@engine_options
@click.option(
    "--dry-run",
    is_flag=True,
    default=None,
    help="Print the plan and its estimated time; run nothing.",
    panel=Group.COMMAND,
)
@click.option(
    "--report/--no-report",
    "with_report",
    default=None,
    help="Write a report at the end.  [default: report]",
    panel=Group.COMMAND,
)
@click.option("--fail-fast", is_flag=True, default=None, help="Stop at the first run that fails.", panel=Group.COMMAND)
@config_options
@one_line_errors
@asked_elsewhere()
def compare(config_file: Path | None, print_config: bool, **command_line: object) -> None:
    """Trains and compares objectives; without options, the main job: nine cells, five seeds, digits.

    Repeat --likelihood and --aggregator to compare their product. Any other setting may be repeated too,
    which multiplies the cells. In a file, [[cells]] tables name cells and what they change.
    """
    values = given(config_file, command_line)
    if command_line["seeds"] or command_line["seed"]:  # those of a file give way to both
        values = {key: value for key, value in values.items() if key not in SEEDS or command_line[key]}
    engine, place = take_engine(values), take(values, Place)
    seeds = chosen_seeds(values, range(DEFAULT_SEEDS))
    reference, fail_fast = values.pop("reference", None), take_flag(values, "fail_fast", False)
    dry_run, with_report = take_flag(values, "dry_run", False), take_flag(values, "with_report", True)
    if "tune_seeds" in values and values.get("tune") is None:
        raise InputError("tune_seeds: only works with --tune SETTING=VALUE,VALUE,..., got none")
    tune, tune_count = values.pop("tune", None), values.pop("tune_seeds", TUNE_SEEDS)
    if not isinstance(tune_count, int) or isinstance(tune_count, bool) or not 1 <= tune_count <= MOST_RUNS:
        raise InputError(f"tune_seeds: expected an integer in 1..{MOST_RUNS}, got {tune_count!r}")
    tune_seeds = range(FIRST_SEED, FIRST_SEED + tune_count)
    if tune is not None and (both := sorted({*tune_seeds} & {*seeds})):
        raise InputError(f"seeds: expected others than those of tuning, from {FIRST_SEED} on, got {both[0]}")
    own_cells = parse_cells(values.pop("cells", None))
    check_free([key for key in SETTINGS if command_line.get(key) not in (None, ())], own_cells or ())
    asked = factors(
        values,
        also_known=(
            *SEEDS,
            *ENGINE_KEYS,
            "reference",
            "cells",
            "fail_fast",
            "dry_run",
            "tune",
            "tune_seeds",
            "with_report",
        ),
    )
    single = {key: chosen[0] for key, chosen in asked.items() if len(chosen) == 1}
    common = change(RunConfig(), {key: value for key, value in single.items() if key not in OBJECTIVE})
    planned = cells_.plan(common, asked, own_cells)
    name = str(reference) if reference is not None else None
    references = cells_.reference_of(planned, name)
    planned = cells_.in_order(planned, references)
    if print_config:
        told = {"seeds": seeds, "reference": name, "fail_fast": fail_fast, "with_report": with_report}
        tuning = {"tune": tune, "tune_seeds": tune_count} if tune is not None else {}
        return say_config(told, tuning, asdict(place), as_asked(common, asked, own_cells), engine.table())
    check_output(Path(place.output), with_report, dry_run)
    if tune is not None:
        if engine.detaches:
            raise InputError("--detach: expected nothing to wait for, got --tune, which has to end before cells begin")
        grid = parse_grid(str(tune))
        if len(asked.get(grid.key, ())) > 1:
            raise InputError(
                f"--tune {grid.key}: expected one value of it beside, or none, got several: which is tuned?"
            )
        if not dry_run:
            engine.check_here()
        planned = tune_cells(planned, grid, tune_seeds, place, engine, dry_run)
    plan = make_plan(planned, seeds, place, dry=dry_run)
    if not dry_run:
        if plan.todo:
            engine.check_here()
        ensure_writable(Path(place.output))
    describe(plan, references, at_a_time(engine, plan, place))
    if dry_run:
        say_time(plan, place, engine, "the report" if with_report else "")
        return
    with whoever_reads():
        ended = run_comparison(planned, plan, place, engine, name, fail_fast)
        if with_report and ended.any_finished:
            report_on(Path(place.output), ReportSettings(data_dir=place.data_dir))
    if not ended.well:
        raise SystemExit(1)


def as_asked(
    common: RunConfig, asked: Mapping[str, Sequence[object]], own_cells: Sequence[Cell] | None
) -> dict[str, object]:
    """All settings and cells of a comparison, defaults included: a file that gives the same plan.

    Settings that depend on the data set or the network are None.
    """
    settings: dict[str, object] = {key: value for key, value in flatten(common).items() if key != "seed"}
    settings |= {key: asked[key][0] for key in OBJECTIVE if key in asked}
    settings |= {key: list(values) for key, values in asked.items() if len(values) > 1}
    if own_cells is None and asked.keys() & set(OBJECTIVE):  # their product makes the cells
        return settings | {key: asked.get(key, [settings[key]]) for key in OBJECTIVE}
    for key in set(OBJECTIVE) - asked.keys():
        del settings[key]
    cells = own_cells if own_cells is not None else MAIN_CELLS
    return settings | {"cells": [{"name": cell.name, **cell.changes} for cell in cells]}


def take_flag(values: dict[str, object], key: str, default: bool) -> bool:
    """Removes a flag from `values`. Raises InputError for anything but true or false."""
    value = values.pop(key, default)
    if not isinstance(value, bool):
        raise InputError(f"{key}: expected true or false, got {value!r}")
    return value


def check_free(keys: Sequence[str], cells: Sequence[Cell]) -> None:
    """Raises InputError where the command line sets what every cell of a file sets itself: it would change nothing."""
    for key in keys:
        if cells and all(key in cell.changes for cell in cells):
            option, names = key.replace("_", "-"), some([cell.name for cell in cells])
            raise InputError(f"--{option}: expected a setting that some cell of the file leaves, but {names} set it")


def parse_cells(value: object) -> list[Cell] | None:
    """The [[cells]] of a configuration file, each a name and settings. Raises InputError for anything else."""
    if value is None:
        return None
    if not isinstance(value, list) or not all(
        isinstance(item, dict) and isinstance(item.get("name"), str) for item in value
    ):
        raise InputError(f"cells: expected [[cells]] tables, each with a name in quotes, got {value!r:.60}")
    cells = [underscored(item, f"cell {item['name']}") for item in value]
    return [Cell(str(cell.pop("name")), cell) for cell in cells]
