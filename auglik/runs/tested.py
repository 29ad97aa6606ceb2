"""The test images that a run is scored on, and what is known of them besides its scores."""

from collections.abc import Iterable
from contextlib import suppress
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from auglik.data import (
    Arrays,
    Content,
    LazyArrays,
    Source,
    absent_classes,
    content,
    copies,
    copies_line,
    digest,
    first_rows,
    in_training,
    in_training_line,
    opened,
    take,
)
from auglik.objectives import InputError
from auglik.runs.resolve import TrainingData
from auglik.runs.resolved import ResolvedRun
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
    if held is None:
        return of_test
    with suppress(InputError):  # a training file that is gone by now is no reason to lose the run
        of_test = of_test._replace(copies=copies(held))
        if (
            trained_on is not None
            and data.rows is not None
            and (found := in_training(held, trained_on, indices, data.rows))
        ):
            of_test = of_test._replace(in_training=found.images, first_in_training=found.first)
    return of_test


def met_before(runs: Iterable[Results]) -> list[str]:
    """Lines on test images that are copies of another or were trained on, each case once."""
    lines = []
    for run in runs:
        if run.test_images and run.test_copies:
            lines.append(copies_line(run.test_copies, run.test_images))
        if run.test_images and run.test_in_training:
            lines.append(in_training_line(run.test_in_training, run.test_images, run.first_in_training))
    return list(dict.fromkeys(lines))
