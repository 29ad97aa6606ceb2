"""From finished runs to the comparison: runs.csv, comparison.csv and the printed table."""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from auglik.runs.results import Results
from auglik.scoring.columns import ABSENT, PART_TITLES, PRINTED, Column, text_table
from auglik.scoring.intervals import FAMILY_WISE, Interval, holm, p_of, paired_difference
from auglik.scoring.metrics import PRIMARY, Scores
from auglik.system.files import write_csv
from auglik.system.records import to_json

if TYPE_CHECKING:
    from auglik.inference.differences.rows import Primary

RUNS_CSV, COMPARISON_CSV = "runs.csv", "comparison.csv"

FIRST_COLUMNS = ("cell", "dataset", "network", "likelihood", "aggregator", "views", "seed", "views_digest")
COMPARED_METRICS = (
    *(f"{part}_{metric}" for part in PART_TITLES for metric in Scores._fields),
    "marginal_log_likelihood",
    "marginal_log_likelihood_corrected",
    "effective_views",
)

RunsOfCells = Mapping[str, Sequence[Results]]
"""The finished runs of every cell, in the order of the plan and of the seeds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """How a cell differs from its reference in one metric, paired by seed; its interval is that of this cell alone."""

    cell: str
    reference: str
    metric: str
    interval: Interval
    p_adjusted: float
    """Of no difference, by Holm over the cells of this metric."""
    primary: bool
    """For new seeds and new test images, as `auglik.inference` does for clean NLL; else for new seeds alone."""


def differences(
    runs: RunsOfCells, references: Mapping[str, str], primary: Sequence["Primary"] = ()
) -> list[Difference]:
    """Every cell against its reference, over the seeds that both have finished on the same test images.

    Other than clean scores are compared only if the evaluation views are also the same. Clean NLL comes from `primary`
    if given: scores alone do not show how test images differ.
    """
    found = _paired(runs, references)
    by_cell = {row.cell: row for row in primary}
    family = sum(references[cell] != cell for cell in runs)
    p_values: dict[str, list[float]] = {}
    for one in found:
        p_values.setdefault(one.metric, []).append(one.p_adjusted)
    adjusted = {
        metric: iter(holm([*values, *[math.nan] * (family - len(values))])) for metric, values in p_values.items()
    }
    found = [replace(one, p_adjusted=float(next(adjusted[one.metric]))) for one in found]
    return [_primary(one, by_cell.get(one.cell)) if one.metric == PRIMARY else one for one in found]


def _primary(one: Difference, row: "Primary | None") -> Difference:
    if row is None:
        return one
    lower, upper, p = (row.effect.lower, row.effect.upper, row.effect.p_adjusted) if row.effect else (math.nan,) * 3
    interval = Interval(
        mean=row.mean, standard_error=row.new_seeds.standard_error, lower=lower, upper=upper, n=len(row.seeds)
    )
    return Difference(
        cell=row.cell, reference=row.reference, metric=PRIMARY, interval=interval, p_adjusted=p, primary=True
    )


def _paired(runs: RunsOfCells, references: Mapping[str, str]) -> list[Difference]:
    """With p-values not yet adjusted."""
    found = []
    for cell, own in runs.items():
        reference = references[cell]
        if cell == reference:
            continue
        for metric in COMPARED_METRICS:
            other = {_pairing(run, metric): run for run in runs[reference]}
            pairs = [(run, other[_pairing(run, metric)]) for run in own if _pairing(run, metric) in other]
            if not pairs:
                continue
            values, compared_with = ([run.score(metric) for run in side] for side in zip(*pairs, strict=True))
            one = paired_difference(values, compared_with)
            row = Difference(
                cell=cell, reference=reference, metric=metric, interval=one, p_adjusted=p_of(one), primary=False
            )
            found.append(row)
    return found


def _pairing(run: Results, metric: str) -> tuple[object, ...]:
    return run.seed, run.test_digest, None if metric.startswith("clean_") else run.evaluation_views_digest


def write_comparison(
    folder: Path, runs: RunsOfCells, found: Sequence[Difference], named: Mapping[str, Mapping[str, object]]
) -> None:
    """runs.csv, one row per run, and comparison.csv, one per cell and metric: paired differences from the reference.

    `named` has, by cell, the row's further entries: the data set and the network.
    """
    rows = [{**to_json(run), **named[cell]} for cell, of_cell in runs.items() for run in of_cell]
    scalars = {name for run in rows for name, value in run.items() if not isinstance(value, list | dict)}
    ordered = [name for run in rows[:1] for name in run if name in scalars and name not in FIRST_COLUMNS]
    columns = [*FIRST_COLUMNS, *ordered, *sorted(scalars - {*FIRST_COLUMNS, *ordered})]
    write_csv(folder / RUNS_CSV, [{name: run.get(name) for name in columns} for run in rows], columns)
    table = [
        {"cell": item.cell, "reference": item.reference, "metric": item.metric, **item.interval._asdict()}
        | {"p_adjusted": item.p_adjusted, "claim": CLAIMS[item.primary]}
        for item in found
    ]
    columns = ["cell", "metric", "mean", "standard_error", "lower", "upper", "n", "reference", "p_adjusted", "claim"]
    write_csv(folder / COMPARISON_CSV, table, columns)


CLAIMS = {
    True: "primary: new seeds and new test images",
    False: "exploratory: new seeds, these test images",
}


def table(runs: RunsOfCells, found: Sequence[Difference], part: str) -> str:
    """The scores of one part as text: mean ± standard error over seeds, then the differences with their intervals."""
    width = max(len(cell) for cell in runs) + 2
    counts = sorted({len(of_cell) for of_cell in runs.values() if of_cell}) or [0]
    seeds = plural(counts[-1], "seed") if len(counts) == 1 else f"{counts[0]} to {counts[-1]} seeds"
    lines = [f"{PART_TITLES[part]}: mean ± standard error over {seeds}"]
    names = [f"{part}_{column.name}" for column in PRINTED]
    means = {
        cell: [column.mean([run.score(name) for run in of_cell]) for column, name in zip(PRINTED, names, strict=True)]
        for cell, of_cell in runs.items()
        if of_cell
    }
    lines += text_table([column.title for column in PRINTED], means, width)
    by_cell = {(item.cell, item.metric): item for item in found}
    compared = {
        cell: [_difference(by_cell[cell, name], column) for column, name in zip(PRINTED, names, strict=True)]
        for cell in runs
        if (cell, f"{part}_nll") in by_cell
    }
    if compared:
        primary = by_cell[next(iter(compared)), f"{part}_nll"].primary
        lines += [
            "",
            "Paired difference from the reference [95% interval of one cell]; * p < 0.05, Holm over the cells",
        ]
        lines += [f"NLL is the {CLAIMS[True]}; others are {CLAIMS[False]}"] if primary else [CLAIMS[False]]
        lines += text_table([f"{column.title}  " for column in PRINTED], compared, width, entry=30)
    if any(ABSENT in line for line in lines):
        lines.append(f"{ABSENT} the score of a run is not finite: a label of probability zero, or a run that diverged")
    return "\n".join(lines)


def plural(count: int, noun: str) -> str:
    """`1 run`, `2,000 runs`."""
    return f"{count:,} {noun}{'s' * (count != 1)}"


def order_of(folder: Path) -> dict[str, int]:
    """The positions of the cells of the comparison in `folder`: references first, then as in runs.csv.

    Empty if no comparison has finished there.
    """
    references = {row.get("reference") for row in read_rows(folder / COMPARISON_CSV)}
    cells = dict.fromkeys(row["cell"] for row in read_rows(folder / RUNS_CSV))
    return {cell: place for place, cell in enumerate(sorted(cells, key=lambda cell: cell not in references))}


def read_rows(path: Path) -> list[dict[str, str]]:
    """Of a CSV file with a column `cell`; none if the file is missing or different."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        return [row for row in csv.DictReader(file) if row.get("cell")]


def _difference(found: Difference, column: Column) -> str:
    decided = found.p_adjusted <= FAMILY_WISE
    shown = column.difference(found.interval, sides=decided or (found.primary and not math.isnan(found.p_adjusted)))
    return shown if shown == ABSENT else shown + (" *" if decided else "  ")
