"""Fair settings: every cell chooses from the same grid by validation NLL, on separate seeds.

Gradients differ in scale between objectives, so one learning rate for all would compare rates as much as objectives.
Tuning runs never see a test image.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from auglik.experiments.cells import Planned, folder_name
from auglik.experiments.differences import RunsOfCells
from auglik.objectives import InputError
from auglik.runs.settings import SETTINGS, change, coerced
from auglik.settings.names import nearest
from auglik.system.files import write_csv

if TYPE_CHECKING:
    from auglik.inference.choose import Choice, Trial

TUNING_FOLDER, TUNING_CSV = "tuning", "tuning.csv"
FIRST_SEED = 10_000
"""Tuning seeds start here, where no comparison is likely to reach."""

UNTUNED = ("seed", "split_seed", "validation_fraction", "train_images")
"""They decide which images and draws a value is judged by."""


class Grid(NamedTuple):
    """The values that every cell chooses from."""

    key: str
    values: tuple[float, ...]


def parse_grid(text: str) -> Grid:
    """`learning_rate=0.003,0.01,0.03`. Raises InputError for a setting that is not a number and for a single value."""
    name, equals, rest = text.partition("=")
    key = name.replace("-", "_")
    if not equals:
        raise InputError(f"tune: expected SETTING=VALUE,VALUE,..., e.g. learning_rate=0.003,0.01,0.03, got {text!r}")
    if key not in SETTINGS:
        raise InputError(f"tune: unknown setting {name!r}{nearest(key, SETTINGS)}")
    if key not in tunable():
        raise InputError(
            f"tune: expected a numeric setting of training, got {name!r}: it would decide what values are judged by"
        )
    try:
        values = [float(coerced(key, SETTINGS[key].type(value))) for value in rest.split(",")]  # type: ignore[arg-type]
    except ValueError:
        raise InputError(f"tune: expected comma-separated numbers, got {rest!r}") from None
    if len(set(values)) < 2:
        raise InputError(f"tune: expected at least two values to choose from, got {rest!r}")
    return Grid(key, tuple(sorted(set(values))))


def tunable() -> list[str]:
    """The numeric settings of training, but for those that decide what values are judged by."""
    numeric = [key for key, setting in SETTINGS.items() if setting.type in (int, float)]
    return [key for key in numeric if key not in UNTUNED and not key.startswith("evaluation_")]


def setting(grid: Grid, value: float) -> dict[str, object]:
    """The settings that a value of the grid changes."""
    return {grid.key: SETTINGS[grid.key].type(value)}


def trials(cells: Sequence[Planned], grid: Grid) -> list[Planned]:
    """Every cell with every value. Raises InputError for values out of range, and without validation images."""
    for cell in cells:
        if cell.config.validation_fraction == 0:
            raise InputError(
                "tune: expected validation images to choose by, got a validation fraction of 0: set"
                " validation_fraction=0.1"
            )
    return [
        Planned(trial_name(cell.name, grid, value), cell.name, change(cell.config, setting(grid, value)))
        for cell in cells
        for value in grid.values
    ]


def trial_name(cell: str, grid: Grid, value: float) -> str:
    """The folder of a cell's runs at one value."""
    return folder_name(f"{cell}+{grid.key}={value:.15g}")


def chosen(
    cells: Sequence[Planned], grid: Grid, runs: RunsOfCells, seeds: Sequence[int]
) -> "tuple[dict[str, Choice], list[Trial]]":
    """What every cell chooses from its finished trials; a run that failed or is missing counts as the worst."""
    from auglik.inference.choose import choose  # here, as its package brings xarray, which training does without

    found: dict[str, dict[float, Mapping[int, float]]] = {}
    for cell in cells:
        found[cell.name] = {}
        for value in grid.values:
            finished = runs.get(trial_name(cell.name, grid, value), ())
            of_seed = {run.seed: run.last_epoch.get("validation_nll", math.nan) for run in finished}
            found[cell.name][value] = {seed: of_seed.get(seed, math.nan) for seed in seeds}
    return choose(found)


def tuned(cells: Sequence[Planned], grid: Grid, choices: "Mapping[str, Choice]") -> list[Planned]:
    """The cells with their chosen values."""
    return [cell._replace(config=change(cell.config, setting(grid, choices[cell.name].value))) for cell in cells]


def write_tuning(folder: Path, grid: Grid, table: "Sequence[Trial]") -> None:
    """tuning.csv: one row per cell and value."""
    rows = [
        {
            "cell": trial.cell,
            "setting": grid.key,
            "value": trial.value,
            "validation_nll": trial.mean_nll,
            "seeds": trial.seeds,
            "failed_seeds": " ".join(map(str, trial.failed)),
            "chosen": trial.chosen,
        }
        for trial in table
    ]
    write_csv(folder / TUNING_CSV, rows, list(rows[0]))
