"""Fair settings: for every cell, the value of a grid with the best mean validation NLL, on separate seeds."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from auglik.objectives.errors import InputError

ValidationNLL = Mapping[str, Mapping[float, Mapping[int, float]]]
"""cell -> value of the grid -> seed -> validation NLL in nats."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """One line of the table: the mean validation NLL of a cell at a value, inf where a run failed."""

    cell: str
    value: float
    mean_nll: float
    seeds: int
    failed: tuple[int, ...]
    """Seeds whose run is missing or not finite."""
    chosen: bool


class Choice(NamedTuple):
    """The value chosen for a cell; `at_edge` says that the grid should be widened, as the best may lie beyond it."""

    cell: str
    value: float
    mean_nll: float
    at_edge: bool


def choose(validation_nll: ValidationNLL) -> tuple[dict[str, Choice], list[Trial]]:
    """For each cell the value of least mean validation NLL over seeds, the smaller of equals; and the whole table.

    A run that is missing at one value (any of the cell's seeds) or not finite makes that value worst: a rate that
    diverges on one seed in three is no choice. Raises InputError for an empty grid, and for a cell without a finite
    value.
    """
    choices, table = {}, []
    for cell, grid in validation_nll.items():
        seeds = sorted({seed for runs in grid.values() for seed in runs})
        if not seeds:
            raise InputError(f"expected tuning runs of the cell {cell!r}, got none: did they all fail?")
        means = {value: _mean(grid[value], seeds) for value in sorted(grid)}
        best = min(means, key=lambda value: (means[value], value))
        if math.isinf(means[best]):
            raise InputError(
                f"expected a finite validation NLL of the cell {cell!r} at some value of "
                f"{', '.join(f'{value:g}' for value in means)}, got none: try smaller ones"
            )
        at_edge = len(means) > 1 and best in (min(means), max(means))
        choices[cell] = Choice(cell, best, means[best], at_edge)
        table += [
            Trial(
                cell=cell,
                value=value,
                mean_nll=mean,
                seeds=len(seeds),
                failed=_failed(grid[value], seeds),
                chosen=value == best,
            )
            for value, mean in means.items()
        ]
    return choices, table


def _failed(runs: Mapping[int, float], seeds: Sequence[int]) -> tuple[int, ...]:
    return tuple(seed for seed in seeds if not math.isfinite(runs.get(seed, math.nan)))


def _mean(runs: Mapping[int, float], seeds: Sequence[int]) -> float:
    return math.inf if _failed(runs, seeds) else math.fsum(runs[seed] for seed in seeds) / len(seeds)
