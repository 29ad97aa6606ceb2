"""What a data set must offer, whatever its source."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from auglik.data.arrays import Arrays, LazyArrays, check_labels
from auglik.data.class_names import ClassNames
from auglik.data.levels import no_white
from auglik.objectives.errors import InputError
from auglik.system.notices import say_once

Part = Literal["train", "test"]
Stamp = tuple[tuple[int, int, int], ...]
"""Of each file: its inode, its size in bytes, the time of its last change in nanoseconds."""


@dataclass(frozen=True)
class Traits:
    """What training needs to know about a data set before reading an image."""

    flip: bool  # a horizontal flip keeps the class
    network: str  # the default network
    epochs: int  # the default number of epochs


class Source(Protocol):
    """A data set in two parts. Only `test` reads test images: call it once training is finished.

    `check` verifies in advance all that can be known without them: files present and whole, the headers of the two
    parts in agreement, test labels valid and as many as test images. `class_names` [C] are numbers as text
    if classes have no names. All methods raise InputError.
    """

    @property
    def name(self) -> str: ...
    @property
    def traits(self) -> Traits: ...
    @property
    def classes(self) -> int: ...
    @property
    def class_names(self) -> ClassNames: ...
    def train(self) -> Arrays: ...
    def test(self) -> Arrays: ...
    def check(self) -> None: ...


@runtime_checkable
class LargeSource(Source, Protocol):
    """A `Source` whose `train` and `test` may take more memory than there is; `opened` leaves images unread."""

    def opened(self, part: Part) -> Arrays | LazyArrays: ...


@runtime_checkable
class FileSource(Source, Protocol):
    """A `Source` of image files; `test_files` [N] are the names of the test images, without folder and ending."""

    def test_files(self) -> list[str]: ...


@runtime_checkable
class ConfigurableSource(Protocol):
    """A `Source` with settings of how its files are read; `configured` takes them as text, `size=64,resize=73`."""

    def configured(self, settings: str) -> Source: ...


@runtime_checkable
class StampedSource(Source, Protocol):
    """A `Source` whose parts may be replaced together; `stamp` differs once one of its files has been written."""

    def stamp(self) -> Stamp: ...


@runtime_checkable
class CorruptedSource(Source, Protocol):
    """A `Source` with corrupted test images beside it in `path`; `corruptions` are their files by name."""

    @property
    def path(self) -> Path: ...
    def corruptions(self) -> dict[str, Path]: ...


def opened(source: Source, part: Part) -> Arrays | LazyArrays:
    """One part of a data set, in memory or, where that may be too much, read as it is asked for."""
    if isinstance(source, LargeSource):
        return source.opened(part)
    arrays = source.train() if part == "train" else source.test()
    arrays = _whole(arrays, where := f"{source.name} ({part})", source.classes)
    if no_white(arrays.images) and not isinstance(source, ConfigurableSource):  # whose settings say what is white
        least = f"no pixel is above {arrays.images.max()} of 255"
        say_once(f"{where}: {least}: dark images, or levels of fewer bits, which check_arrays(white=...) converts?")
    return arrays


def stamp_of(source: Source) -> Stamp:
    """Of the files of a data set; empty if it does not say."""
    return source.stamp() if isinstance(source, StampedSource) else ()


def _whole(arrays: Arrays, where: str, classes: int) -> Arrays:
    """With labels int64 [N]. Raises InputError if a user's own data set gave others than the contract asks for."""
    if not isinstance(arrays, Arrays):
        raise InputError(f"{where}: expected auglik.Arrays of images and labels, got {type(arrays).__name__}")
    images, labels = arrays
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1] not in (1, 3) or 0 in images.shape:
        got = f"{images.dtype} {list(images.shape)}"
        raise InputError(f"{where}: expected images uint8 [N,c,H,W] with c = 1 or 3, got {got}; check_arrays converts")
    return Arrays(images, check_labels(np.asarray(labels), where=where, count=len(images), classes=classes))


def one_line(error: BaseException) -> str:
    """Another library's error on one line, for the end of an InputError."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:200]
