"""A user's own arrays on disk: what `.npz` files and folders of `.npy` files have in common."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from tokenize import TokenError
from typing import IO, ClassVar, NamedTuple, Self

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from auglik.data.arrays import Arrays, check_arrays, image_shape, label_column
from auglik.data.class_names import ClassNames
from auglik.data.label_values import ArraySettings, label_values, numbered
from auglik.data.levels import white_beside
from auglik.data.source import Part, Stamp, Traits, one_line
from auglik.objectives.errors import InputError
from auglik.settings.names import parse

# NumPy tokenizes a header that it cannot evaluate, as Python 2 may have written it
HEADER_DAMAGE = (ValueError, TypeError, KeyError, EOFError, SyntaxError, TokenError)


CLASS_NAMES = "class_names"
"""The optional array of text [C] besides the four."""


class Entries(NamedTuple):
    """The names under which the four arrays are kept."""

    train_images: str
    train_labels: str
    test_images: str
    test_labels: str


class Header(NamedTuple):
    """What an array's header says of it."""

    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]


@dataclass(frozen=True)
class Stored(ABC):
    """A `Source` whose classes are the training labels. Only `test` calls `read` for the test images."""

    path: Path
    settings: ArraySettings = field(default_factory=ArraySettings)
    entries: ClassVar[Entries]

    @abstractmethod
    def header(self, entry: str) -> Header:
        """The header of one array. Raises InputError if it is missing, damaged, cut short or pickled."""

    @abstractmethod
    def read(self, entry: str) -> NDArray[np.generic]:
        """One array. Raises InputError if it cannot be read."""

    @abstractmethod
    def read_names(self) -> NDArray[np.generic] | None:
        """The names of the classes, if there are any."""

    @abstractmethod
    def files(self) -> list[Path]:
        """Those that the arrays lie in."""

    def configured(self, settings: str) -> Self:
        """Raises InputError for settings that are unknown or out of range."""
        return replace(self, settings=parse("array settings", f"arrays:{settings}", {"arrays": self.settings}))

    @property
    def name(self) -> str:
        return self.path.name or str(self.path)

    @property
    def traits(self) -> Traits:
        _, channels, height, width = self._shape(self.entries.train_images)
        small = channels == 1 and max(height, width) <= 32
        return Traits(flip=True, network="small-cnn" if small else "fast-resnet", epochs=10)

    @property
    def classes(self) -> int:
        return len(self._values)

    @property
    def white(self) -> float | None:
        """The level that becomes 255; None where the settings leave it to the arrays."""
        return self.settings.white or None

    @cached_property
    def class_names(self) -> ClassNames:
        """Those of the array `class_names`, else the labels. Raises InputError for an array of other names than [C]."""
        given = self.read_names()
        if given is None:
            return tuple(map(str, self._values.tolist()))
        names = tuple(map(str, given.tolist())) if given.ndim == 1 and given.dtype.kind == "U" else ()
        if len(names) != self.classes or len(set(names)) < len(names):
            got = f"{len(set(names))} different ones" if names else f"{given.dtype} {list(given.shape)}"
            raise InputError(f"{self.path}: expected class_names as {self.classes} different strings, got {got}")
        return names

    def train(self) -> Arrays:
        images, labels = self.read(self.entries.train_images), self.labels("train")
        return check_arrays(images, labels, where=self._where("train"), classes=self.classes, white=self.white)

    def test(self) -> Arrays:
        self.check()
        images, labels = self.read(self.entries.test_images), self.labels("test")
        where = self._where("test")
        white = self.white or white_beside(images, lambda: self.read(self.entries.train_images), where)
        return check_arrays(images, labels, where=where, classes=self.classes, white=white)

    def labels(self, part: Part) -> NDArray[np.int64]:
        """The classes [N] of the images of one part. Raises InputError for labels that are none."""
        if part == "train":
            return numbered(self._train_labels, self._values, self._where(part))
        where, count = self._where(part), self._shape(self.entries.test_images)[0]
        return numbered(label_column(self.read(self.entries.test_labels), where, count), self._values, where)

    def check(self) -> None:
        training, test = self.header(self.entries.train_images), self.header(self.entries.test_images)
        train_shape, test_shape = self._shape(self.entries.train_images), self._shape(self.entries.test_images)
        if train_shape[1:] != test_shape[1:] or training.dtype != test.dtype:
            expected, got = (f"{list(header.shape[1:])} {header.dtype}" for header in (training, test))
            raise InputError(f"{self._where('test')}: expected images {expected} as for training, got {got}")
        self.labels("test")
        _ = self.class_names

    def stamp(self) -> Stamp:
        """Empty where a file is missing."""
        try:
            return tuple((found.st_ino, found.st_size, found.st_mtime_ns) for found in map(Path.stat, self.files()))
        except OSError:
            return ()

    @cached_property
    def _train_labels(self) -> NDArray[np.integer]:
        count = self._shape(self.entries.train_images)[0]
        return label_column(self.read(self.entries.train_labels), self._where("train"), count)

    @cached_property
    def _values(self) -> NDArray[np.integer]:
        """The label [C] of each class."""
        return label_values(self._train_labels, self._where("train"), str(self.path), self.settings)

    def _shape(self, entry: str) -> tuple[int, int, int, int]:
        return image_shape(self.header(entry).shape, f"{self.path}, {entry}")

    def _where(self, part: Part) -> str:
        return f"{self.path}, {'training' if part == 'train' else part} set"


def read_header(file: IO[bytes], size: int, where: str) -> Header:
    """The header of the `.npy` bytes in `file`, `size` of them, without reading what follows.

    Raises InputError for bytes that are no `.npy`, for pickled objects and where fewer follow than the header says.
    """
    try:
        version = npy_format.read_magic(file)
        readers = {(1, 0): npy_format.read_array_header_1_0, (2, 0): npy_format.read_array_header_2_0}
        shape, _, dtype = readers[version](file)
    except HEADER_DAMAGE as error:
        raise InputError(f"{where}: expected a plain .npy array, got a damaged header ({one_line(error)})") from None
    if dtype.hasobject:
        raise InputError(f"{where}: expected plain numbers or text, got pickled objects (save them with such a dtype)")
    if min(shape, default=0) < 0:
        raise InputError(f"{where}: expected a plain .npy array, got a damaged header (shape {list(shape)})")
    expected = file.tell() + math.prod(shape) * dtype.itemsize
    if size < expected:
        raise InputError(f"{where}: expected {expected} bytes, got {size} (an interrupted copy?)")
    return Header(shape, dtype)
