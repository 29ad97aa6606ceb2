"""Pretraining runs of several cells over seeds, and how they differ."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from auglik.experiments.cells import Cell, folder_name
from auglik.pretraining.config import PretrainConfig
from auglik.pretraining.results import PROBE_ACCURACIES, PretrainResults
from auglik.pretraining.runs import PretrainJob, make_job
from auglik.runs.resolve import Facts
from auglik.scoring.intervals import Interval, paired_difference, summary
from auglik.system.files import write_csv

PRETRAINING_CSV = "pretraining.csv"


@dataclass(frozen=True, kw_only=True, slots=True)
class PretrainRow:
    """A cell on a data set: a metric over seeds, and its paired difference from the reference there."""

    dataset: str
    cell: str
    metric: str
    value: Interval
    difference: Interval | None


def jobs_of(
    settings: Mapping[str, Sequence[object]],
    cells: Sequence[Cell],
    seeds: Sequence[int],
    output: Path,
    data_dir: Path,
    threads: int,
    facts: Mapping[str, Facts],
    *,
    tensorboard: bool = False,
    resume: bool = True,
) -> dict[tuple[str, str, int], PretrainJob]:
    """The runs by data set, cell and seed, each in `output/<cell>[+dataset=...]/seed-<n>`; `facts` by data set.

    Raises InputError as `make_job` does.
    """
    common = {key: values[0] for key, values in settings.items() if key != "dataset"}
    jobs = {}
    for dataset, cell, seed in itertools.product(facts, cells, seeds):
        name = folder_name(cell.name + (f"+dataset={dataset}" if len(facts) > 1 else ""))
        config = replace(PretrainConfig(), **{**common, **cell.changes, "dataset": dataset, "seed": seed})  # type: ignore[arg-type]
        folder = output / name / f"seed-{seed}"
        jobs[dataset, cell.name, seed] = make_job(
            config, folder, data_dir,
            threads=threads, tensorboard=tensorboard, resume=resume, facts=facts[dataset],
        )  # fmt: skip
    return jobs


def compared(results: Mapping[tuple[str, str, int], PretrainResults], reference: str) -> list[PretrainRow]:
    """Every cell on every data set, over the seeds that it and its reference have finished."""
    rows = []
    for dataset, cell in dict.fromkeys(key[:2] for key in results):
        seeds = [key[2] for key in results if key[:2] == (dataset, cell)]
        paired = [seed for seed in seeds if (dataset, reference, seed) in results]
        for metric in PROBE_ACCURACIES:
            values = [results[dataset, cell, seed].scores[metric] for seed in seeds]
            difference = None
            if cell != reference and paired:
                difference = paired_difference(
                    [results[dataset, cell, seed].scores[metric] for seed in paired],
                    [results[dataset, reference, seed].scores[metric] for seed in paired],
                )
            rows.append(
                PretrainRow(dataset=dataset, cell=cell, metric=metric, value=summary(values), difference=difference)
            )
    return rows


def write_rows(output: Path, rows: Sequence[PretrainRow]) -> None:
    """pretraining.csv in `output`."""
    names = ("mean", "standard_error", "lower", "upper", "n")
    table: list[dict[str, object]] = []
    for row in rows:
        difference = row.difference or Interval(*(float("nan"),) * 4, 0)
        table.append(
            {"dataset": row.dataset, "cell": row.cell, "metric": row.metric}
            | {name: getattr(row.value, name) for name in names}
            | {f"difference_{name}": getattr(difference, name) for name in names}
        )
    write_csv(output / PRETRAINING_CSV, table, list(table[0]))
