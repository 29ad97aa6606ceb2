"""What results.json holds about a finished pretraining run."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from auglik.runs.results import AGAIN, RESULTS
from auglik.system.records import numbers, read_record

PROBE_ACCURACIES = ("linear_accuracy", "knn_accuracy")


@dataclass(frozen=True, kw_only=True, slots=True)
class PretrainResults:
    """What a network's features know, and what identifies the run."""

    soften: str
    seed: int
    scores: Mapping[str, float] = numbers("", *PROBE_ACCURACIES)
    """METRICS on the test images, and linear_iterations."""
    untrained: Mapping[str, float] = numbers("untrained_", *PROBE_ACCURACIES)
    """The same of the network before training."""
    last_epoch: Mapping[str, float] = numbers("last_epoch_", "pair_weight", "pair_iou", "output_std")
    """The last line of metrics.jsonl."""
    projection: int
    train_seconds: float
    evaluation_seconds: float
    training_images: int
    validation_images: int
    test_images: int
    class_names: tuple[str, ...] | None = None
    absent_classes: tuple[str, ...] | None = None
    backbone_parameters: int
    batches_digest: str
    view_digests: tuple[str, ...]
    test_digest: str
    settings: str
    """The hash of all settings and the training data."""
    threads: int
    device: str
    versions: Mapping[str, str]


def finished(folder: Path) -> PretrainResults | None:
    """The results of the finished run in `folder`, or None.

    Raises InputError for a damaged results.json, OtherRecordError for that of training.
    """
    others = {"cell": "a finished training run: give pretraining another --output"}
    return read_record(PretrainResults, folder / RESULTS, AGAIN, others)
