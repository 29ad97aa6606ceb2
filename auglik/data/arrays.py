"""Images and labels as arrays: converted from users' formats, split, counted and identified."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from auglik.data.images import Images, LazyImages, Rows, parts
from auglik.data.levels import levels_of
from auglik.objectives.errors import InputError
from auglik.system.keys import host_generator

STATISTICS_IMAGES = 10_000
"""Number of images for the channel statistics if images are decoded on demand."""


class Arrays(NamedTuple):
    """images [N,c,H,W] with c = 1 or 3, labels [N]; both contiguous and writable."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]


class LazyArrays(NamedTuple):
    """The same with images that are read on demand."""

    images: LazyImages
    labels: NDArray[np.int64]

    def loaded(self) -> Arrays:
        """All images in memory."""
        levels = np.empty(self.images.shape, np.uint8)
        for part in parts(levels.shape):
            levels[part] = self.images[part]
        return Arrays(levels, self.labels)


A = TypeVar("A", bound=Arrays | LazyArrays)
P = TypeVar("P", bound=np.generic)


def check_arrays(
    images: NDArray[np.generic],
    labels: NDArray[np.generic],
    *,
    where: str,
    classes: int | None = None,
    white: float | None = None,
) -> Arrays:
    """`Arrays` from images [N,H,W], [N,H,W,c] or [N,c,H,W] and labels [N] or [N,1]; a last axis of 1 or 3 is c.

    Pixels are integers in 0..255 or floats in [0,1], or in 0..white, and become round(255 x / white); labels are
    integers in 0..classes-1. Raises InputError, its line starting with `where`, for anything else, for no images and
    for unequal lengths, and as `levels_of` does for integers that may have another white than 255.
    """
    images = np.asarray(images)
    count = image_shape(images.shape, where)[0]
    checked = check_labels(np.asarray(labels), where=where, count=count, classes=classes)
    return Arrays(np.require(channels_first(levels_of(images, where, white)), np.uint8, ["C", "W", "E"]), checked)


def image_shape(shape: Sequence[int], where: str) -> tuple[int, int, int, int]:
    """(N, c, H, W) of images stored with this shape."""
    match tuple(shape):
        case (count, height, width):
            found = (count, 1, height, width)
        case (count, height, width, 1 | 3 as channels):
            found = (count, channels, height, width)
        case (count, 1 | 3 as channels, height, width):
            found = (count, channels, height, width)
        case _:
            layouts = "[N,H,W], [N,H,W,c] or [N,c,H,W] with c = 1 or 3"
            cause = "an alpha channel?" if 4 in (*shape[1:2], *shape[3:4]) else "flattened images, or a single one?"
            if len(shape) == 4 and shape[3] != 4 and (shape[2] in (1, 3) or (shape[0] in (1, 3) and shape[1] != 4)):
                cause = "images along the last axis? move it to the front"
            raise InputError(f"{where}: expected images {layouts}, got shape {list(shape)} ({cause})")
    if 0 in found:
        raise InputError(f"{where}: expected at least one image of at least one pixel, got shape {list(shape)}")
    return found


def check_shape(arrays: Arrays | LazyArrays, shape: tuple[int, int, int], *, where: str) -> None:
    """Raises InputError for images of another shape [c,H,W] than those that were trained on."""
    if (got := arrays.images.shape[1:]) != shape:
        raise InputError(f"{where}: expected images of {list(shape)}, as in training, got {list(got)}")


def check_labels(
    labels: NDArray[np.generic], *, where: str, count: int, classes: int | None = None
) -> NDArray[np.int64]:
    """Labels [count] from [count] or [count,1] integers in 0..classes-1. Raises InputError for anything else."""
    found = label_column(labels, where, count)
    lowest, highest = int(found.min()), int(found.max())
    limit = 2**63 if classes is None else classes
    if lowest < 0 or highest >= limit:
        bounds = "0 or more" if classes is None else f"0..{classes - 1}"
        cause = "classes are counted from 0" if lowest > 0 else "unlabelled images, or labels of another set?"
        raise InputError(f"{where}: expected labels {bounds}, got {lowest}..{highest} ({cause})")
    return np.require(found, np.int64, ["C", "W", "E"])


def label_column(labels: NDArray[np.generic], where: str, count: int) -> NDArray[np.integer]:
    """Integers [count], whatever they are, from [count] or [count,1]. Raises InputError for other shapes and types."""
    if labels.ndim != 1 and labels.shape[1:] != (1,):
        cause = "one-hot labels? take their argmax" if labels.ndim == 2 else "one class number per image is expected"
        raise InputError(f"{where}: expected labels [N] or [N,1], got shape {list(labels.shape)} ({cause})")
    if not np.issubdtype(labels.dtype, np.integer):
        cause = "cast them with astype(int)" if labels.dtype.kind in "fb" else "number the classes from 0"
        raise InputError(f"{where}: expected integer labels, got dtype {labels.dtype} ({cause})")
    if len(labels) != count:
        raise InputError(f"{where}: expected one label per image, got {count} images and {len(labels)} labels")
    return cast(NDArray[np.integer], labels.reshape(-1))


def digest(arrays: Arrays | LazyArrays) -> str:
    """SHA-256, in hexadecimal, of shapes, images and labels; marks stand for images that have them."""
    images = arrays.images
    state = hashlib.sha256(repr((images.shape, arrays.labels.shape)).encode())
    if isinstance(images, LazyImages) and images.marks:
        state.update("\n".join(images.marks[row] for row in images.rows).encode())
    else:
        for part in parts(images.shape):
            state.update(np.ascontiguousarray(images[part], np.uint8).data)
    state.update(np.ascontiguousarray(arrays.labels, "<i8").data)
    return state.hexdigest()


def channel_statistics(images: Images) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of pixel/255 in each channel of images [N,c,H,W]; a deviation of 0 becomes 1.

    Both come from the channel's histogram over the 256 values, of at most STATISTICS_IMAGES evenly spaced images if
    they are decoded on demand. Raises InputError if there are not images.
    """
    if not len(images):
        raise InputError("expected at least one image for the channel statistics, got none")
    if isinstance(images, LazyImages) and images.marks and len(images) > STATISTICS_IMAGES:
        images = images.select(np.arange(STATISTICS_IMAGES) * len(images) // STATISTICS_IMAGES)
    counts = np.zeros((images.shape[1], 256), np.int64)
    for part in parts(images.shape):
        for count, channel_levels in zip(counts, np.moveaxis(images[part], 1, 0), strict=True):
            count += np.bincount(channel_levels.ravel(), minlength=256)
    values = np.arange(256) / 255
    means, deviations = [], []
    for share in counts / counts.sum(1, keepdims=True):
        mean = float(share @ values)
        means.append(mean)
        deviations.append(float(np.sqrt(share @ (values - mean) ** 2)) or 1.0)
    return means, deviations


def split_validation(arrays: A, fraction: float, seed: int) -> tuple[A, A]:
    """(training, validation): round(fraction N) images held out, stratified, both parts in the given order.

    A fraction above 0 holds out at least one image, and every class keeps one for training. Raises InputError
    where that is impossible, or fraction lies outside [0, 1).
    """
    training, validation = split_rows(arrays.labels, fraction, seed)
    return take(arrays, training), take(arrays, validation)


def split_rows(labels: NDArray[np.int64], fraction: float, seed: int) -> tuple[Rows, Rows]:
    """The positions of the images that `split_validation` puts into its two parts, in rising order."""
    if not 0 <= fraction < 1:
        raise InputError(f"expected a validation fraction in [0, 1), got {fraction} (a share, not a percentage)")
    order = stratified_order(labels, host_generator(seed, "validation split"))
    _, last_of_class = np.unique(labels[order][::-1], return_index=True)
    candidates = np.delete(order, len(order) - 1 - last_of_class)
    count = max(1, round(fraction * len(order))) if fraction else 0
    if count and not len(candidates):
        raise InputError(
            f"a validation fraction of {fraction} needs a class of two images or more, got none: 0 holds out none"
        )
    held_out = np.zeros(len(order), bool)
    held_out[candidates[:count]] = True
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)


def first(arrays: A, count: int, seed: int) -> A:
    """A stratified subset of `count` images, in the given order; under one seed, the smaller ones lie in the larger.

    Raises InputError for a count outside 1..N.
    """
    return take(arrays, first_rows(arrays.labels, count, seed))


def first_rows(labels: NDArray[np.int64], count: int, seed: int) -> Rows:
    """The positions of the images that `first` chooses, in rising order."""
    if not 1 <= count <= len(labels):
        raise InputError(f"expected 1 to {len(labels)} training images (all there are), got {count}")
    return np.sort(stratified_order(labels, host_generator(seed, "training subset"))[:count])


def stratified_order(labels: NDArray[np.int64], generator: np.random.Generator) -> NDArray[np.int64]:
    """A random order of labels [N] whose every prefix holds the same share of each class, to within half an image.

    The r-th image of a class of n comes at (r + 1/2) / n of the way, r = 0..n-1.
    """
    shuffled = generator.permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    sizes = np.unique(labels, return_counts=True)[1]
    rank = np.arange(len(labels)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    position = np.empty(len(labels))
    position[by_class] = (rank + 0.5) / np.repeat(sizes, sizes)
    return shuffled[np.argsort(position[shuffled], kind="stable")]


def least_images(labels: NDArray[np.int64]) -> int:
    """The least count for which the first of `stratified_order` hold every class, whatever comes first among equals."""
    sizes = np.unique(labels, return_counts=True)[1]
    least = sizes.min()
    # positions (r + 1/2) / n up to the first of the smallest class, 1 / (2 least)
    return int(((sizes + least) // (2 * least)).sum())


def take(arrays: A, indices: Rows) -> A:
    """The images at some positions, those of a lazy set unread."""
    if isinstance(arrays, LazyArrays):
        return arrays._replace(images=arrays.images.select(indices), labels=arrays.labels[indices])
    return arrays._replace(images=arrays.images[indices], labels=arrays.labels[indices])


def channels_first(images: NDArray[P]) -> NDArray[P]:
    """Images in any layout that is accepted as [N,c,H,W]."""
    if images.ndim == 3:
        return images[:, None]
    return np.moveaxis(images, -1, 1) if images.shape[-1] in (1, 3) else images
