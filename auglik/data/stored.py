"""A user's own arrays on disk: what `.npz` files and folders of `.npy` files have in common."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tokenize import TokenError
from typing import IO, ClassVar, NamedTuple

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from auglik.data.arrays import Arrays, check_arrays, check_labels, image_shape
from auglik.data.source import Traits, one_line
from objectives.errors import InputError

# NumPy tokenizes a header that it cannot evaluate, as Python 2 may have written it
HEADER_DAMAGE = (ValueError, TypeError, KeyError, EOFError, SyntaxError, TokenError)


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
    """A `Source` whose classes are 0..(largest training label). Only `test` calls `read` for the test images."""

    path: Path
    entries: ClassVar[Entries]

    @abstractmethod
    def header(self, entry: str) -> Header:
        """The header of one array. Raises InputError where it is missing, damaged, cut short or pickled."""

    @abstractmethod
    def read(self, entry: str) -> NDArray[np.generic]:
        """One array. Raises InputError where it cannot be read."""

    @property
    def name(self) -> str:
        return self.path.name or str(self.path)

    @property
    def traits(self) -> Traits:
        _, channels, height, width = self._shape(self.entries.train_images)
        small = channels == 1 and max(height, width) <= 32
        return Traits(flip=True, network="small-cnn" if small else "fast-resnet", epochs=10)

    @cached_property
    def classes(self) -> int:
        """The largest training label plus one, at least 2. Raises InputError where images are fewer than classes."""
        count = self._shape(self.entries.train_images)[0]
        where = self._where("training")
        classes = max(2, int(check_labels(self._train_labels, where=where, count=count).max()) + 1)
        if classes > max(2, count):
            cause = "classes are numbered 0, 1, 2, ..."
            raise InputError(f"{where}: expected labels below the {count} images, got {classes - 1} ({cause})")
        return classes

    def train(self) -> Arrays:
        classes = self.classes
        images = self.read(self.entries.train_images)
        return check_arrays(images, self._train_labels, where=self._where("training"), classes=classes)

    def test(self) -> Arrays:
        self.check()
        images, labels = self.read(self.entries.test_images), self.read(self.entries.test_labels)
        return check_arrays(images, labels, where=self._where("test"), classes=self.classes)

    def check(self) -> None:
        training, test = self.header(self.entries.train_images), self.header(self.entries.test_images)
        train_shape, test_shape = self._shape(self.entries.train_images), self._shape(self.entries.test_images)
        if train_shape[1:] != test_shape[1:] or training.dtype != test.dtype:
            expected, got = (f"{list(header.shape[1:])} {header.dtype}" for header in (training, test))
            raise InputError(f"{self._where('test')}: expected images {expected} as for training, got {got}")
        labels = self.read(self.entries.test_labels)
        check_labels(labels, where=self._where("test"), count=test_shape[0], classes=self.classes)

    @cached_property
    def _train_labels(self) -> NDArray[np.generic]:
        return self.read(self.entries.train_labels)

    def _shape(self, entry: str) -> tuple[int, int, int, int]:
        return image_shape(self.header(entry).shape, f"{self.path}, {entry}")

    def _where(self, part: str) -> str:
        return f"{self.path}, {part} set"


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
        raise InputError(f"{where}: expected plain numbers, got pickled objects (save them with an integer dtype)")
    if min(shape, default=0) < 0:
        raise InputError(f"{where}: expected a plain .npy array, got a damaged header (shape {list(shape)})")
    expected = file.tell() + math.prod(shape) * dtype.itemsize
    if size < expected:
        raise InputError(f"{where}: expected {expected} bytes, got {size} (an interrupted copy?)")
    return Header(shape, dtype)
