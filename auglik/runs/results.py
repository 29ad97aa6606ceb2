"""What results.json holds about a finished run."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from auglik.scoring.predictions import PREDICTIONS
from auglik.system.records import numbers, read_record

RESULTS = "results.json"
AGAIN = "delete it to run again"


@dataclass(frozen=True, kw_only=True, slots=True)
class Results:
    """The scores of a run and what identifies it; a score that was not finite is read as NaN."""

    cell: str
    likelihood: str
    aggregator: str
    views: int
    seed: int
    scores: Mapping[str, float] = numbers()
    """Of the test images, by name as in `Evaluation`; empty if the run was not scored."""
    test_images: int | None = None
    test_digest: str | None = None
    """None if the run was not scored."""
    evaluation_views_digest: str | None = None
    absent_classes: tuple[str, ...] | None = None
    """Classes that the test images lack."""
    test_copies: int | None = None
    """Of the test images, those that are copies of another; None if they were not counted."""
    test_in_training: int | None = None
    """Of the test images, those that were trained on, byte for byte; None if they were not counted."""
    first_in_training: tuple[int, ...] | None = None
    """The positions of the first of them in the test set and in the training part."""
    last_epoch: Mapping[str, float] = numbers("last_epoch_")
    """The last line of metrics.jsonl; of a chain its validation scores are those of all draws."""
    train_seconds: float
    evaluation_seconds: float
    steps: int
    training_images: int
    validation_images: int
    class_names: tuple[str, ...] | None = None
    parameters: int
    views_digest: str
    batches_digest: str
    view_digests: tuple[str, ...]
    pipeline: str
    settings: str
    """The hash of all settings and the training data."""
    threads: int
    processes: int | None = None
    """Over which a step's images were shared; None for one."""
    device: str
    versions: Mapping[str, str]
    own_code: Mapping[str, str] | None = None
    """SHA-256 of the source of a user's own code, by its name in the settings; None if there is none."""

    def score(self, name: str) -> float:
        """NaN if the run was not given it or it was not finite."""
        return self.scores.get(name, math.nan)


def finished(folder: Path) -> Results | None:
    """The results of the finished run in `folder`, or None.

    Raises InputError for a damaged results.json, OtherRecordError for that of pretraining.
    """
    others = {"soften": "a finished pretraining run: give training another --output"}
    return read_record(Results, folder / RESULTS, AGAIN, others)


def complete(folder: Path) -> Results | None:
    """The same, but None where its predictions are gone: the run goes on from its checkpoint and is scored anew."""
    results = finished(folder)
    gone = results is not None and results.test_digest is not None and not (folder / PREDICTIONS).is_file()
    return None if gone else results
