"""From finished runs to the comparison: runs.csv, comparison.csv and the printed table."""

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from auglik.files import write_csv
from auglik.runs import Results
from auglik.statistics import Interval, paired_difference, summary

RUNS_CSV, COMPARISON_CSV = "runs.csv", "comparison.csv"

FIRST_COLUMNS = ("cell", "dataset", "network", "likelihood", "aggregator", "views", "seed", "views_digest")
METRICS = ("error", "nll", "brier", "ece", "ece_equal_mass", "ece_batches_of_100", "mean_confidence")
PARTS = ("clean", "mollified", "folded")
COMPARED = (
    *(f"{part}_{metric}" for part in PARTS for metric in METRICS),
    "marginal_log_likelihood",
    "marginal_log_likelihood_corrected",
    "effective_views",
)

ABSENT = "–"
"""What stands for a number that is not there."""

RunsOfCells = Mapping[str, Sequence[Results]]
"""The finished runs of every cell, in the order of the plan and of the seeds."""


class Difference(NamedTuple):
    """How a cell differs from its reference in one metric, paired by seed."""

    cell: str
    reference: str
    metric: str
    interval: Interval


def differences(runs: RunsOfCells, references: Mapping[str, str]) -> list[Difference]:
    """Every cell against its reference, over the seeds that both have finished on the same test images."""
    found = []
    for cell, own in runs.items():
        reference = references[cell]
        if cell == reference:
            continue
        other = {_pairing(run): run for run in runs[reference]}
        pairs = [(run, other[_pairing(run)]) for run in own if _pairing(run) in other]
        if not pairs:
            continue
        for metric in COMPARED:
            values, compared_with = ([number(run, metric) for run in side] for side in zip(*pairs, strict=True))
            found.append(Difference(cell, reference, metric, paired_difference(values, compared_with)))
    return found


def _pairing(run: Results) -> tuple[object, object]:
    return run["seed"], run["test_digest"]


def number(run: Results, metric: str) -> float:
    """A score of a run; one that was not finite is null in its file."""
    value = run.get(metric)
    return float(value) if isinstance(value, int | float) else math.nan


def write_comparison(folder: Path, runs: RunsOfCells, found: Sequence[Difference]) -> None:
    """runs.csv, one row a run, and comparison.csv, one row a cell and metric: paired differences to the reference."""
    rows = [run for cell in runs.values() for run in cell]
    scalars = {name for run in rows for name, value in run.items() if not isinstance(value, list | dict)}
    ordered = [name for run in rows[:1] for name in run if name in scalars and name not in FIRST_COLUMNS]
    columns = [*FIRST_COLUMNS, *ordered, *sorted(scalars - {*FIRST_COLUMNS, *ordered})]
    write_csv(folder / RUNS_CSV, [{name: run.get(name) for name in columns} for run in rows], columns)
    table = [
        {"cell": item.cell, "reference": item.reference, "metric": item.metric, **item.interval._asdict()}
        for item in found
    ]
    write_csv(
        folder / COMPARISON_CSV, table, ["cell", "metric", "mean", "standard_error", "lower", "upper", "n", "reference"]
    )


SHOWN = (("error", "error %", 100.0, 2), ("nll", "NLL", 1.0, 4), ("brier", "Brier", 1.0, 4), ("ece", "ECE %", 100.0, 2))


def table(runs: RunsOfCells, found: Sequence[Difference], part: str) -> str:
    """The scores of one part as text: mean ± standard error over seeds, then the differences with their intervals."""
    width = max(len(cell) for cell in runs) + 2
    counts = sorted({len(of_cell) for of_cell in runs.values() if of_cell}) or [0]
    seeds = plural(counts[-1], "seed") if len(counts) == 1 else f"{counts[0]} to {counts[-1]} seeds"
    images = {"clean": "Clean test images", "mollified": "Mollified test images"}.get(part, part)
    lines = [f"{images}: mean ± standard error over {seeds}"]
    lines.append(" " * width + "".join(f"{title:>18}" for _, title, _, _ in SHOWN))
    for cell, of_cell in runs.items():
        if of_cell:
            values = [_mean(of_cell, f"{part}_{name}", scale, digits) for name, _, scale, digits in SHOWN]
            lines.append(f"{cell:<{width}}" + "".join(f"{text:>18}" for text in values))
    by_cell = {(item.cell, item.metric): item for item in found}
    compared = [cell for cell in runs if (cell, f"{part}_nll") in by_cell]
    if compared:
        lines += ["", "Paired difference to the reference [95% interval, Student's t over seeds]"]
        lines.append(" " * width + "".join(f"{title:>28}" for _, title, _, _ in SHOWN))
        for cell in compared:
            values = [
                _difference(by_cell[cell, f"{part}_{name}"].interval, scale, digits) for name, _, scale, digits in SHOWN
            ]
            lines.append(f"{cell:<{width}}" + "".join(f"{text:>28}" for text in values))
    if any(ABSENT in line for line in lines):
        lines.append(f"{ABSENT} the score of a run is not finite: a label of probability zero, or a run that diverged")
    return "\n".join(lines)


def plural(count: int, noun: str) -> str:
    """`1 run`, `2,000 runs`."""
    return f"{count:,} {noun}{'s' * (count != 1)}"


def order_of(folder: Path) -> dict[str, int]:
    """The places of the cells of the comparison in `folder`: references first, then as in runs.csv.

    Empty where no comparison has ended there.
    """
    references = {row.get("reference") for row in read_rows(folder / COMPARISON_CSV)}
    cells = dict.fromkeys(row["cell"] for row in read_rows(folder / RUNS_CSV))
    return {cell: place for place, cell in enumerate(sorted(cells, key=lambda cell: cell not in references))}


def read_rows(path: Path) -> list[dict[str, str]]:
    """Of a CSV file with a column `cell`; none where there is no such file or another."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        return [row for row in csv.DictReader(file) if row.get("cell")]


def _mean(runs: Sequence[Results], metric: str, scale: float, digits: int) -> str:
    mean, error, *_ = summary([scale * number(run, metric) for run in runs])
    if not math.isfinite(mean):
        return ABSENT
    return f"{mean:.{digits}f}" + ("" if math.isnan(error) else f" ± {error:.{digits}f}")


def _difference(interval: Interval, scale: float, digits: int) -> str:
    mean, lower, upper = (scale * value for value in (interval.mean, interval.lower, interval.upper))
    if not math.isfinite(mean):
        return ABSENT
    bounds = "" if math.isnan(lower) else f" [{lower:+.{digits}f}, {upper:+.{digits}f}]"
    return f"{mean:+.{digits}f}{bounds}"
