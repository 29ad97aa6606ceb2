"""Images that a set holds twice: test images that are copies of each other, or of images that were trained on."""

import hashlib
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from auglik.data.images import Images, LazyImages, Rows, parts

Prints: TypeAlias = NDArray[np.uint64]
"""64 bits [N] of what is in each image: of 50,000 and a million different ones, two are alike by a chance of 3e-9."""


def prints(images: Images, rows: Rows | None = None) -> Prints | None:
    """Of the pixels of each image, or of those at `rows`; None where marks stand for them, as none is read."""
    if isinstance(images, LazyImages) and images.marks:
        return None
    rows = np.arange(len(images)) if rows is None else rows
    found = b"".join(
        hashlib.blake2b(np.ascontiguousarray(image, np.uint8).data, digest_size=8).digest()
        for part in parts((len(rows), *images.shape[1:]))
        for image in images[rows[part]]
    )
    return np.frombuffer(found, "<u8").astype(np.uint64)


def copies(of_images: Prints) -> int:
    """How many of the images have the pixels of an earlier one."""
    return len(of_images) - len(np.unique(of_images))


def in_training(
    test: Prints, training: Prints, test_rows: Rows, training_rows: Rows
) -> tuple[int, tuple[int, int] | None]:
    """How many test images have the pixels of a training image, and where the first of them and its like are.

    The rows are the images' positions in the test set and in the training part, which the pair is given in.
    """
    order = np.argsort(training, kind="stable")
    place = order[np.minimum(np.searchsorted(training, test, sorter=order), len(training) - 1)]
    found = np.flatnonzero(training[place] == test)
    return len(found), (int(test_rows[found[0]]), int(training_rows[place[found[0]]])) if len(found) else None


def copies_line(copies: int, images: int) -> str:
    """The notice if scored test images are copies of each other."""
    verb = "is a copy" if copies == 1 else "are copies"
    return (
        f"{copies:,} of the {images:,} test images {verb} of another: intervals and verdicts take test images for"
        " independent of each other"
    )


def in_training_line(count: int, images: int, first: Sequence[int] | None) -> str:
    """The notice if test images were trained on."""
    verb = "is a training image" if count == 1 else "are training images"
    pair = "" if first is None else f" (test image {first[0]} is training image {first[1]}, counted from 0)"
    return (
        f"{count:,} of the {images:,} test images {verb}, pixel by pixel{pair}: scores are better than on images that"
        " are new, and comparisons favour what memorizes"
    )
