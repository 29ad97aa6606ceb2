"""The files of one finished run, read and checked: a damaged one is reported in one line that names it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from auglik.data.source import one_line
from auglik.objectives import InputError
from auglik.runs.log import METRICS_FILE
from auglik.runs.results import Results, finished
from auglik.runs.run import CONFIG
from auglik.runs.saved import saved_settings, unchecked
from auglik.runs.settings import RunConfig, change
from auglik.sampling.files import ChainFile, Densities, load_chain, load_densities
from auglik.scoring.blocks import blocks
from auglik.scoring.columns import fixed
from auglik.scoring.conditions import Measured, Score, load_measured, load_scores
from auglik.scoring.metrics import judged, nll
from auglik.scoring.predictions import PARTS, PREDICTIONS, Predictions, load_predictions, part_of
from auglik.settings.foreign import MissingCodeError
from auglik.system.records import from_json, numbers

SAME_NLL = 1e-4
"""The largest difference, relative beyond 1 nat, between an NLL in results.json and that of predictions.npz."""
SAME_ERROR = 1e-9
"""The same of error rates, which are shares of whole images."""
LONGEST = 300
"""Most characters of a run's problem."""

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Epoch:
    """A line of metrics.jsonl."""

    epoch: int
    scores: Mapping[str, float] = numbers()
    """NaN where they were not finite."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """A finished run."""

    folder: Path
    seed: int
    config: RunConfig
    results: Results
    predictions: Predictions
    rounded: float
    """The most that an error rate of these is off that of the results, as kept predictions are rounded."""
    chain: ChainFile | None
    """None of a point estimate."""
    densities: Densities | None
    """Of a chain's draws on training images; None where none was left out."""
    robustness: tuple[Score, ...]
    """Empty where none was measured."""
    measured: Measured | None
    """The conditions that these were measured under."""
    epochs: tuple[Epoch, ...]
    """Every epoch's line of metrics.jsonl."""


def read_run(folder: Path) -> Run:
    """The finished run in `folder`. Raises InputError if it is unfinished, or its files are damaged or inconsistent."""
    results = finished(folder)
    if results is None:
        failed = (folder / "error.txt").is_file()
        raise InputError(f"{folder} is not finished{': it failed, see error.txt' if failed else ''}")
    if results.test_digest is None:
        raise InputError(f"{folder} was not scored on test images")
    config = _naming(folder / CONFIG, lambda: _config(folder))
    predictions = load_predictions(folder)
    rounded = _check_one_run(folder, config, results, predictions)
    scores, measured = tuple(load_scores(folder) or ()), load_measured(folder)
    return Run(
        folder=folder, seed=config.seed, config=config, results=results, predictions=predictions, rounded=rounded,
        chain=load_chain(folder), densities=load_densities(folder), robustness=scores,
        measured=measured, epochs=read_epochs(folder / METRICS_FILE),
    )  # fmt: skip


def _config(folder: Path) -> RunConfig:
    """A run's settings, as they stand where they name code that is no longer where it was: a report needs none."""
    settings = saved_settings(folder / CONFIG)
    try:
        return change(RunConfig(), settings)
    except MissingCodeError:
        return unchecked(settings)


def read_epochs(path: Path) -> tuple[Epoch, ...]:
    """The lines of metrics.jsonl; none if there is no such file. Raises InputError for a damaged one."""
    if not path.is_file():
        return ()
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: expected a line of JSON for every epoch ({one_line(error)})") from None
    return tuple(from_json(Epoch, line, f"{path}, line {place}") for place, line in enumerate(lines, 1))


def _check_one_run(folder: Path, config: RunConfig, results: Results, predictions: Predictions) -> float:
    """Checks that configuration, results and predictions are of one run; what `check_scores` gives."""
    if results.seed != config.seed or folder.name != f"seed-{config.seed}":
        raise InputError(f"{folder}: expected a run with that seed, got seed {config.seed}: was the folder renamed?")
    if predictions.validation_labels.size and np.isfinite(results.score("clean_nll")):
        rows = predictions.validation_log_probabilities, predictions.validation_labels
        _naming(folder / PREDICTIONS, lambda: nll(*rows))
    return check_scores(folder, results, predictions)


def check_scores(folder: Path, results: Results, predictions: Predictions) -> float:
    """The most that an error rate of the predictions is off the results'. Raises InputError where they are another's.

    NLLs are to be the same, and error rates but for images whose likeliest classes were rounded to one number.
    """
    most = 0.0
    for part in PARTS:
        said, error = results.score(f"{part}_nll"), results.score(f"{part}_error")
        if not np.isfinite(said):
            continue
        rows, labels = part_of(predictions, part)
        found = _naming(folder / PREDICTIONS, lambda rows=rows, labels=labels: judged(rows, labels))  # type: ignore[misc]
        which, nll = "" if part == "clean" else f"{part} ", float(found.nll.mean())
        if not abs(nll - said) <= SAME_NLL * max(1.0, abs(said)):
            raise InputError(
                f"{folder}: its {which}predictions have NLL {fixed(nll, 4)}, its results {fixed(said, 4)}:"
                " from another run?"
            )
        wrong = float((found.correct == 0).mean())
        if (off := abs(wrong - error)) > SAME_ERROR and off > _tied(rows) + SAME_ERROR:
            raise InputError(
                f"{folder}: its {which}predictions have error {wrong:.4f}, its results {error:.4f}: from another run?"
            )
        most = max(most, off) if off > SAME_ERROR else most
    return most


def _tied(log_p: NDArray[np.float32]) -> float:
    """The share of rows [N,C] of which two classes are likeliest."""
    tied = [(log_p[some] == log_p[some].max(-1, keepdims=True)).sum(-1) > 1 for some in blocks(*log_p.shape)]
    return float(np.concatenate(tied).mean())


def _naming(path: Path, read: Callable[[], T]) -> T:
    """What `read` gives; what it refuses is said to be of the file at `path`."""
    try:
        return read()
    except InputError as error:
        said = str(error)
        raise InputError((said if str(path) in said else f"{path}: {said}")[:LONGEST]) from None
