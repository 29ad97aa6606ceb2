"""Images that a set holds twice: test images that are copies of each other, or of images that were trained on."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from auglik.data.images import Images, LazyImages, Rows, parts

Prints: TypeAlias = NDArray[np.uint64]
"""64 bits [N] of what is in each image: of 50,000 and a million different ones, two are alike by a chance of 3e-9."""
Content: TypeAlias = Prints | LazyImages
"""What images are compared by: prints of their pixels, or image files, of which few need be read."""
MOST_BYTES, MOST_FILES = 2**28, 10_000
"""Of image files that are read to be compared, a second's work; where it takes more, they are not."""


class InTraining(NamedTuple):
    """Test images that were trained on."""

    images: int
    first: tuple[int, int] | None
    """The positions of the first one in the test set, and of the first image like it in the training part."""


def content(images: Images, rows: Rows | None = None) -> Content | None:
    """Of the images, or of those at `rows`; None where marks stand for images of no files."""
    rows = np.arange(len(images)) if rows is None else rows
    if isinstance(images, LazyImages) and images.marks:
        return images.select(rows) if images.files is not None else None
    some = (images[rows[part]] for part in parts((len(rows), *images.shape[1:])))
    return _prints(np.ascontiguousarray(image, np.uint8).data for levels in some for image in levels)


def copies(images: Content | None) -> int | None:
    """How many of the images have the content of an earlier one; None of files of which too many would be read, and
    where the content is not known.
    """
    if images is None:
        return None
    if isinstance(images, LazyImages):
        _, of_size, counts = np.unique(_sizes(images), return_inverse=True, return_counts=True)
        found = images.select(np.flatnonzero(counts[of_size] > 1))
        return copies(_of_files(found)) if _few(_sizes(found)) else None
    return len(images) - len(np.unique(images))


def in_training(
    test: Content | None, training: Content | None, test_rows: Rows, training_rows: Rows
) -> InTraining | None:
    """Which test images have the content of a training image; the rows are their positions in the set's two parts.

    None as for `copies`, and where one of the two is of pixels and the other of files.
    """
    if isinstance(test, LazyImages) and isinstance(training, LazyImages):
        sizes = _sizes(test), _sizes(training)
        alike = [np.flatnonzero(np.isin(one, other)) for one, other in (sizes, sizes[::-1])]
        if not _few(np.concatenate([size[some] for size, some in zip(sizes, alike, strict=True)])):
            return None
        test_rows, training_rows = test_rows[alike[0]], training_rows[alike[1]]
        test, training = _of_files(test.select(alike[0])), _of_files(training.select(alike[1]))
    if not isinstance(test, np.ndarray) or not isinstance(training, np.ndarray):
        return None
    if not len(test):
        return InTraining(0, None)
    order = np.argsort(training, kind="stable")
    place = order[np.minimum(np.searchsorted(training, test, sorter=order), len(training) - 1)]
    found = np.flatnonzero(training[place] == test)
    first = (int(test_rows[found[0]]), int(training_rows[place[found[0]]])) if len(found) else None
    return InTraining(len(found), first)


def _prints(contents: Iterable[bytes | memoryview]) -> Prints:
    found = b"".join(hashlib.blake2b(one, digest_size=8).digest() for one in contents)
    return np.frombuffer(found, "<u8").astype(np.uint64)


def _sizes(images: LazyImages) -> NDArray[np.int64]:
    """In bytes, of the files."""
    assert images.files is not None
    return images.files.sizes[images.rows]


def _few(sizes: NDArray[np.int64]) -> bool:
    """Whether files of these sizes are read."""
    return len(sizes) <= MOST_FILES and int(sizes.sum()) <= MOST_BYTES


def _of_files(images: LazyImages) -> Prints:
    files = images.files
    assert files is not None
    return _prints(files.content(row) for row in images.rows.tolist())


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
        f"{count:,} of the {images:,} test images {verb}, byte for byte{pair}: scores are better than on images that"
        " are new, and comparisons favour what memorizes"
    )
