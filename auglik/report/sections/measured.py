"""Measurements of runs under conditions: looked up by condition, averaged over seeds."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from auglik.experiments.cells import folder_name
from auglik.report.collect import Cell, Collected
from auglik.report.content import Shown, words
from auglik.report.figures.lines import Curve
from auglik.report.run_files import Run
from auglik.report.sections.scores import over_seeds
from auglik.report.sections.training import over_runs
from auglik.scoring.columns import Column
from auglik.scoring.conditions import Score
from auglik.scoring.intervals import summary

Condition = tuple[str, str, str, float | None]
"""Kind, name, category and severity of a score."""
CLEAN: Condition = ("clean", "clean", "", 0.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """The scores of every cell's runs by condition; all of the same conditions."""

    cells: Mapping[str, Sequence[Mapping[Condition, Score]]]
    corruptions: str
    """The set's name."""
    images: int
    left_out: tuple[str, ...]
    """Runs that were not measured, or under different conditions."""
    data: str = ""
    """The data set, if there are several."""

    def key(self, text: str) -> str:
        """A key of the data set's own."""
        return f"{text}-{folder_name(self.data)}" if self.data else text

    def caption(self, text: str) -> str:
        return f"{self.data}: {text}" if self.data else text

    def conditions(self) -> list[Condition]:
        """All that were measured, in their order."""
        return list(dict.fromkeys(key for runs in self.cells.values() for run in runs for key in run))

    def names(self, kind: str) -> list[str]:
        """What the conditions of a kind are called, in their order."""
        return list(dict.fromkeys(key[1] for key in self.conditions() if key[0] == kind))

    def strengths(self, kind: str) -> list[float]:
        """The severities, occluded shares or temperatures of a kind, rising."""
        return sorted({key[3] for key in self.conditions() if key[0] == kind and key[3] is not None})

    def covered(self, condition: Condition) -> float:
        """The share of the area that occlusion really hid; the named one where scores of an earlier version lack it."""
        hidden = next(run[condition].covered for runs in self.cells.values() for run in runs if condition in run)
        return hidden if hidden is not None else float(condition[3] or 0)

    def entry(self, cell: str, condition: Condition, metric: Column) -> Shown:
        """mean ± standard error over seeds."""
        values = [getattr(run[condition], metric.name) for run in self.cells[cell] if condition in run]
        return over_seeds(values, metric.digits, metric.scale) if values else words("")

    def curves(self, at: Mapping[float, Sequence[Condition]], metric: Column) -> dict[str, Curve]:
        """For every cell the mean over the conditions at each x, over its runs that have all of them."""
        found = {}
        for cell, runs in self.cells.items():
            rows = [
                [summary([getattr(run[one], metric.name) for one in conditions]).mean for conditions in at.values()]
                for run in runs
                if all(one in run for conditions in at.values() for one in conditions)
            ]
            if rows:
                found[cell] = over_runs(rows, list(at), metric.scale)
        return found


def suite_of(cells: Mapping[str, Cell]) -> str | None:
    """The identity of the conditions that most runs were measured under; None if none was measured."""
    suites = Counter(_suite(run) for cell in cells.values() for run in cell.runs.values() if run.robustness)
    return suites.most_common(1)[0][0] if suites else None


def scores_under(run: Run, suite: str | None) -> tuple[Score, ...]:
    """The run's scores under the conditions of that identity; none where it was measured under others."""
    return run.robustness if _suite(run) == suite else ()


def measured(cells: Mapping[str, Cell]) -> Measured | None:
    """The runs under the conditions that most were measured under; None if none was measured."""
    runs = [(name, run) for name, cell in cells.items() for run in cell.runs.values()]
    suite = suite_of(cells)
    if suite is None:
        return None
    kept = [(name, run) for name, run in runs if scores_under(run, suite)]
    found: dict[str, list[Mapping[Condition, Score]]] = {}
    for name, run in kept:
        found.setdefault(name, []).append({score.condition: score for score in run.robustness})
    left_out = tuple(f"{name}, seed {run.seed}" for name, run in runs if _suite(run) != suite)
    first = kept[0][1]
    return Measured(
        cells=found,
        corruptions=first.measured.corruptions if first.measured else "",
        images=first.robustness[0].images,
        left_out=left_out,
    )


def by_data(collected: Collected) -> dict[str, dict[str, Cell]]:
    """The cells of every data set."""
    found: dict[str, dict[str, Cell]] = {}
    for name, cell in collected.cells.items():
        found.setdefault(cell.config.dataset, {})[name] = cell
    return found


def _suite(run: Run) -> str | None:
    return run.measured.identity if run.measured else None
