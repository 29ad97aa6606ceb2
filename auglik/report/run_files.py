"""The files of one finished run, read and checked: a damaged one is refused in one line that names it."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from auglik.data.source import one_line
from auglik.experiments.differences import number
from auglik.objectives import InputError
from auglik.robustness.score import Score, load_measured, load_scores
from auglik.runs.log import METRICS
from auglik.runs.run import CONFIG, RESULTS, Results, finished
from auglik.runs.settings import RunConfig, change
from auglik.scoring.metrics import nll
from auglik.scoring.predictions import PARTS, PREDICTIONS, Predictions, load_predictions, part_of
from auglik.settings.fields import read_toml

SAME_NLL = 1e-4
"""The largest difference, relative beyond 1 nat, between an NLL in results.json and that of predictions.npz."""
LONGEST = 300
"""Characters of what is wrong with a run."""
TEXTS = (
    "cell",
    "test_digest",
    "evaluation_views_digest",
    "views_digest",
    "batches_digest",
    "settings",
    "pipeline",
    "device",
)
NOT_SCORES = (*TEXTS, "class_names", "absent_classes", "likelihood", "aggregator", "view_digests", "versions")

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


def read_run(folder: Path) -> Run:
    """The finished run in `folder`. Raises InputError where it has not ended, or its files are damaged or differ."""
    results = finished(folder)
    if results is None:
        failed = (folder / "error.txt").is_file()
        raise InputError(f"{folder} has not ended{': it failed, see error.txt' if failed else ''}")
    if "test_digest" not in results:
        raise InputError(f"{folder} was not scored on test images")
    _check_results(folder / RESULTS, results)
    config = _naming(folder / CONFIG, lambda: change(RunConfig(), read_toml(folder / CONFIG)))
    predictions = load_predictions(folder)
    _check_one_run(folder, config, results, predictions)
    scores, measured = tuple(load_scores(folder) or ()), load_measured(folder) or {}
    return Run(folder, config.seed, config, results, predictions, scores, measured, read_epochs(folder / METRICS))


def read_epochs(path: Path) -> tuple[Epoch, ...]:
    """The lines of metrics.jsonl; none where there is no such file. Raises InputError for a damaged one."""
    if not path.is_file():
        return ()
    try:
        epochs = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: expected a line of JSON for every epoch ({one_line(error)})") from None
    for place, epoch in enumerate(epochs, 1):
        if not isinstance(epoch, dict) or epoch.get("epoch") is None or not all(map(_is_score, epoch.values())):
            raise InputError(f"{path}: expected the epoch and its numbers, got something else in line {place}")
    return tuple(epochs)


def _check_results(path: Path, results: Results) -> None:
    """That scores are numbers, or null where they were not finite, and that digests are texts."""
    for name, value in results.items():
        if name in TEXTS and not isinstance(value, str):
            raise InputError(f"{path}: expected {name} as text, got {value!r:.40}; delete it to run again")
        if name not in NOT_SCORES and not _is_score(value):
            raise InputError(f"{path}: expected {name} as a number, got {value!r:.40}; delete it to run again")


def _is_score(value: object) -> bool:
    return value is None or isinstance(value, int | float)


def _check_one_run(folder: Path, config: RunConfig, results: Results, predictions: Predictions) -> None:
    """That configuration, results and predictions are of one run."""
    if results.get("seed") != config.seed or folder.name != f"seed-{config.seed}":
        raise InputError(f"{folder}: expected a run of that seed, got seed {config.seed}: was the folder renamed?")
    if predictions.validation_labels.size and np.isfinite(number(results, "clean_nll")):
        rows = predictions.validation_log_probabilities, predictions.validation_labels
        _naming(folder / PREDICTIONS, lambda: nll(*rows))
    for part in PARTS:
        said = number(results, f"{part}_nll")
        if not np.isfinite(said):
            continue
        measured = _naming(folder / PREDICTIONS, lambda part=part: nll(*part_of(predictions, part)))  # type: ignore[misc]
        if not abs(measured - said) <= SAME_NLL * max(1.0, abs(said)):
            which = "" if part == "clean" else f"{part} "
            raise InputError(
                f"{folder}: its {which}predictions have NLL {measured:.4f}, its results {said:.4f}: of another run?"
            )


def _naming(path: Path, read: Callable[[], T]) -> T:
    """What `read` gives; what it refuses is said to be of the file at `path`."""
    try:
        return read()
    except InputError as error:
        said = str(error)
        raise InputError((said if str(path) in said else f"{path}: {said}")[:LONGEST]) from None
