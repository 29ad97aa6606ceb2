"""The test images that a run is scored on, and what is known of them besides its scores."""

from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from auglik.data import (
    Arrays,
    Content,
    LazyArrays,
    LazyImages,
    Source,
    absent_classes,
    content,
    copies,
    copies_line,
    digest,
    first_rows,
    in_training,
    in_training_line,
    open_dataset,
    opened,
    take,
)
from auglik.objectives import InputError
from auglik.runs.resolve import TrainingData, rows_of
from auglik.runs.resolved import ResolvedRun, settings_hash
from auglik.runs.results import Results


class Tested(NamedTuple):
    """Nothing is known of the test images of a run that was not scored."""

    images: int | None = None
    digest: str | None = None
    absent: tuple[str, ...] | None = None
    """Classes that they lack."""
    copies: int | None = None
    """Those that are copies of another; None where they are not looked for, as below."""
    in_training: int | None = None
    """Those that were trained on."""
    first_in_training: tuple[int, ...] | None = None
    """The first one's positions in the test set and in the training part."""


def test_images(run: ResolvedRun, source: Source) -> tuple[Arrays | LazyArrays, NDArray[np.int64]]:
    """The images that a run is scored on, and their positions in the test set; call it once training has ended."""
    test, count = opened(source, "test"), run.config.evaluation.images
    if count is None:
        return test, np.arange(len(test.labels))
    indices = first_rows(test.labels, min(count, len(test.labels)), run.config.evaluation.seed)
    return take(test, indices), indices


def tested(
    test: Arrays | LazyArrays, indices: NDArray[np.int64], data: TrainingData, trained_on: Content | None
) -> Tested:
    """Of test images with the positions `indices` [N] in the test set; `trained_on` is what `data`'s images hold."""
    absent, held = tuple(absent_classes(data.class_names, test.labels)), content(test.images)
    of_test = Tested(len(test.labels), digest(test), absent)
    with suppress(InputError):  # a training file that is gone by now is no reason to lose the run
        of_test = of_test._replace(copies=copies(held))
        if data.rows is not None and (found := in_training(held, trained_on, indices, data.rows)):
            of_test = of_test._replace(in_training=found.images, first_in_training=found.first)
    return of_test


def met_elsewhere(
    test: Arrays | LazyArrays, indices: NDArray[np.int64], run: ResolvedRun, settings: str, data_dir: Path
) -> str | None:
    """The line if test images of another data set than the run's are among those that it trained on.

    None too where that cannot be seen: its data set is not here or has other images than the run of these `settings`
    had, one set is of pixels and the other of files, or too many files would be read.
    """
    try:
        part = _training_part(run.config.dataset, data_dir)
        same = settings_hash(run, part.digest) == settings
    except InputError:
        return None
    if not same or part.held is None:
        return None
    rows = rows_of(run, part.labels)[0]
    of_run = part.held.select(rows) if isinstance(part.held, LazyImages) else part.held[rows]
    found = in_training(content(test.images), of_run, indices, rows)
    return in_training_line(found.images, len(test.labels), found.first) if found and found.images else None


class _TrainingPart(NamedTuple):
    """What the training images of a data set hold, their labels [N] and digest."""

    held: Content | None
    labels: NDArray[np.int64]
    digest: str


@cache
def _training_part(dataset: str, data_dir: Path) -> _TrainingPart:
    """Read once for all runs of a command."""
    arrays = opened(open_dataset(dataset, data_dir), "train")
    return _TrainingPart(content(arrays.images), arrays.labels, digest(arrays))


def met_before(runs: Iterable[Results]) -> list[str]:
    """Lines on test images that are copies of another or were trained on, each case once."""
    lines = []
    for run in runs:
        if run.test_images and run.test_copies:
            lines.append(copies_line(run.test_copies, run.test_images))
        if run.test_images and run.test_in_training:
            lines.append(in_training_line(run.test_in_training, run.test_images, run.first_in_training))
    return list(dict.fromkeys(lines))
