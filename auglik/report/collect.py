"""What a comparison left in its folder: finished runs that can be compared, and what was left out and why."""

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from auglik.comparison import COMPARISON_CSV, RUNS_CSV, number
from auglik.config import RunConfig, Scalar, change, flatten, read_toml
from auglik.metrics import nll
from auglik.predictions import Predictions, load_predictions
from auglik.robustness.score import Score, load_measured, load_scores
from auglik.runs import CONFIG, Results, finished
from objectives import InputError
from objectives.names import nearest

METRICS = "metrics.jsonl"
SAME_NLL = 1e-4
"""The largest difference, relative beyond 1 nat, between the NLL in results.json and that of predictions.npz."""

Epoch = Mapping[str, float]
T = TypeVar("T")


class Run(NamedTuple):
    """A finished run."""

    folder: Path
    seed: int
    config: RunConfig
    results: Results
    predictions: Predictions
    robustness: tuple[Score, ...]
    """Empty where none was measured."""
    measured: Mapping[str, object]
    """Under which conditions these were measured."""
    epochs: tuple[Epoch, ...]
    """What metrics.jsonl says of every epoch."""


class Cell(NamedTuple):
    """The finished runs of a cell by seed, in order: same settings but the seed, same test images."""

    name: str
    runs: Mapping[int, Run]

    @property
    def config(self) -> RunConfig:
        """Of the first seed."""
        return next(iter(self.runs.values())).config

    def scores(self, metric: str) -> list[float]:
        """A score of results.json over the seeds."""
        return [number(run.results, metric) for run in self.runs.values()]


class Collected(NamedTuple):
    """The cells in the order of the plan, the cell that each is compared with, and what to warn of."""

    folder: Path
    cells: Mapping[str, Cell]
    references: Mapping[str, str]
    warnings: list[str]

    def predictions(self) -> dict[str, dict[int, Predictions]]:
        return {name: {seed: run.predictions for seed, run in cell.runs.items()} for name, cell in self.cells.items()}


def collect(folder: Path, reference: str | None = None) -> Collected:
    """Reads the output folder of a comparison.

    Raises InputError for no such folder, one without a finished run, and a reference that is no cell.
    """
    found = sorted({path.parent for path in folder.glob(f"*/seed-*/{CONFIG}")})
    if not found:
        got = "one without runs" if folder.is_dir() else "no such folder"
        raise InputError(f"{folder}: expected the output folder of `auglik compare`, <cell>/seed-<n>/ in it, got {got}")
    warnings: list[str] = []
    runs: dict[str, list[Run]] = {}
    for place in found:
        try:
            run = read_run(place)
            runs.setdefault(place.parent.name, []).append(run)
        except InputError as error:
            warnings.append(f"left out: {error}")
    if not runs:
        raise InputError(f"{folder}: expected at least one finished run, got {len(found)} others: {warnings[0]}")
    order = _order(folder)
    names = sorted(runs, key=lambda name: (order.get(name, len(order)), name))
    cells = {name: _cell(name, runs[name], warnings) for name in names}
    return Collected(folder, cells, _references(folder, cells, reference, warnings), warnings)


def read_run(folder: Path) -> Run:
    """The finished run in `folder`. Raises InputError where it has not ended, or its files are damaged or differ."""
    results = finished(folder)
    if results is None:
        failed = (folder / "error.txt").is_file()
        raise InputError(f"{folder} has not ended{': it failed, see error.txt' if failed else ''}")
    if "test_digest" not in results:
        raise InputError(f"{folder} was not scored on test images")
    config = change(RunConfig(), read_toml(folder / CONFIG))
    predictions = load_predictions(folder)
    _check_one_run(folder, config, results, predictions)
    scores, measured = tuple(load_scores(folder) or ()), load_measured(folder) or {}
    return Run(folder, config.seed, config, results, predictions, scores, measured, read_epochs(folder / METRICS))


def read_epochs(path: Path) -> tuple[Epoch, ...]:
    """The lines of metrics.jsonl; none where there is no such file. Raises InputError for a damaged one."""
    if not path.is_file():
        return ()
    try:
        return tuple(dict(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines() if line)
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{path}: expected a line of JSON for every epoch ({' '.join(str(error).split())})") from None


def _check_one_run(folder: Path, config: RunConfig, results: Results, predictions: Predictions) -> None:
    """That configuration, results and predictions are of one run."""
    if results.get("seed") != config.seed or folder.name != f"seed-{config.seed}":
        raise InputError(f"{folder}: expected a run of that seed, got seed {config.seed}: was the folder renamed?")
    said = number(results, "clean_nll")
    at_label = predictions.log_probabilities[np.arange(len(predictions.labels)), predictions.labels]
    if not (np.isfinite(said) and np.isfinite(at_label).all()):
        return
    measured = nll(predictions.log_probabilities, predictions.labels)
    if abs(measured - said) > SAME_NLL * max(1.0, abs(said)):
        raise InputError(f"{folder}: its predictions have NLL {measured:.4f}, its results {said:.4f}: of another run?")


def _cell(name: str, runs: Iterable[Run], warnings: list[str]) -> Cell:
    """The runs of one cell that were trained alike and scored on the same test images; says what was left out."""
    ordered = sorted(runs, key=lambda run: run.seed)
    alike = _most(
        ordered, lambda run: _settings(run.config), f"{name}: other settings than the cell's other runs", warnings
    )
    same = _most(
        alike, lambda run: run.results["test_digest"], f"{name}: other test images than the cell's other runs", warnings
    )
    return Cell(name, {run.seed: run for run in same})


def _most(runs: list[Run], key: Callable[[Run], object], why: str, warnings: list[str]) -> list[Run]:
    keys = [key(run) for run in runs]
    [(chosen, _)] = Counter(keys).most_common(1)
    if other := [run.seed for run, found in zip(runs, keys, strict=True) if found != chosen]:
        warnings.append(f"left out: {why}, seed{'s' * (len(other) > 1)} {', '.join(map(str, other))}")
    return [run for run, found in zip(runs, keys, strict=True) if found == chosen]


def _settings(config: RunConfig) -> tuple[tuple[str, Scalar], ...]:
    return tuple((key, value) for key, value in flatten(config).items() if key not in ("seed", "device"))


def _order(folder: Path) -> dict[str, int]:
    return {cell: place for place, cell in enumerate(dict.fromkeys(row["cell"] for row in _rows(folder / RUNS_CSV)))}


def _rows(path: Path) -> list[dict[str, str]]:
    """Of a CSV file with a column `cell`; none where there is no such file or another."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        return [row for row in csv.DictReader(file) if row.get("cell")]


def _references(folder: Path, cells: Mapping[str, Cell], asked: str | None, warnings: list[str]) -> dict[str, str]:
    if asked is not None and asked not in cells:
        raise InputError(f"unknown reference {asked!r}{nearest(asked, cells)}")
    compared = {row["cell"]: row.get("reference") or "" for row in _rows(folder / COMPARISON_CSV)}
    data = {name: cell.config.dataset for name, cell in cells.items()}
    names = list(compared.values())
    chosen = asked or next((name for name in names if name in cells), next(iter(cells)))
    if missing := sorted({name for name in names if name not in cells}):
        warnings.append(f"no finished run of the reference {', '.join(missing)}: cells are compared with {chosen}")
    found = {}
    for name in cells:
        of_file = compared.get(name, name if name in names else chosen)
        fallback = next((other for other in names if other in cells and data[other] == data[name]), chosen)
        if asked is not None and data[asked] == data[name]:
            found[name] = asked
        else:
            found[name] = of_file if of_file in cells else fallback
    return found
