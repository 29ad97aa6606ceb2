"""MNIST, Fashion-MNIST, CIFAR-10, CIFAR-100 and SVHN, read as whole arrays through torchvision's own classes."""

from __future__ import annotations

import math
import pickle
import warnings
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from auglik.data.arrays import Arrays, check_arrays, check_labels, image_shape
from auglik.data.class_names import ClassNames, by_number
from auglik.data.source import Part, Traits, one_line
from auglik.objectives.errors import InputError

# torchvision takes over a second to import, so only the functions that need it do
if TYPE_CHECKING:
    from torchvision import datasets

Raw = tuple[NDArray[np.generic], NDArray[np.generic]]
# what a download raises, and what torchvision's readers raise on damage; they also use assertions
FAILED = (OSError, HTTPException, RuntimeError)
DAMAGE = (OSError, EOFError, ValueError, TypeError, LookupError, RuntimeError, AssertionError, pickle.UnpicklingError)


@dataclass(frozen=True)
class TorchvisionSource(ABC):
    """A `Source` in torchvision's layout below `data_dir`, fetched there if files are missing and `download` is set."""

    name: str
    classes: int
    traits: Traits
    first: str
    """The first of `files`, below `data_dir`: where it is missing, torchvision need not be asked for the others."""
    data_dir: Path
    download: bool

    @property
    @abstractmethod
    def class_names(self) -> ClassNames:
        """Those of the published files."""

    @abstractmethod
    def files(self) -> dict[Path, str]:
        """Every file of both parts, with its MD5 sum where torchvision knows it and "" where it does not."""

    @abstractmethod
    def fetch(self) -> None:
        """Download and unpack what is missing."""

    @abstractmethod
    def load(self, part: Part) -> Raw:
        """The raw images and labels of one part."""

    @abstractmethod
    def check_files(self) -> None:
        """Raises InputError for a damaged file, or a test set that does not fit."""

    def train(self) -> Arrays:
        return self._arrays("train")

    def test(self) -> Arrays:
        return self._arrays("test")

    def check(self) -> None:
        self._ensure_files()
        self.check_files()

    def _arrays(self, part: Part) -> Arrays:
        self._ensure_files()
        try:
            images, labels = self.load(part)
        except DAMAGE as error:
            raise self._damaged(self.data_dir, one_line(error)) from None
        return check_arrays(images, labels, where=f"{self.name}, {part} set", classes=self.classes)

    def _ensure_files(self) -> None:
        missing = self._missing()
        if missing and self.download:
            try:
                self.fetch()
            except FAILED as error:
                cause = f"{one_line(error)}; no network? point --data-dir to a folder that already has them"
                raise InputError(f"{self.name}: the download to {self.data_dir} failed ({cause})") from None
            missing = self._missing()
        if missing:
            ways = "fetch it with --download, which compare and train have, or give its folder as --data-dir"
            raise InputError(f"{self.name}: expected {missing[0]}, got no such file; {ways}")

    def _missing(self) -> list[Path]:
        first = self.data_dir / self.first
        return [path for path in self.files() if not path.is_file()] if first.is_file() else [first]

    def _damaged(self, path: Path, cause: str) -> InputError:
        return InputError(
            f"{self.name}: damaged files: {path}: {cause}; delete it and download it again with --download, which"
            " compare and train have"
        )

    def _check_sums(self) -> None:
        for path, md5 in self.files().items():
            self._check_sum(path, md5)

    def _check_sum(self, path: Path, md5: str) -> None:
        from torchvision.datasets.utils import check_integrity

        if not check_integrity(path, md5):
            raise self._damaged(path, "its checksum differs from the published file's")


class Mnist(TorchvisionSource):
    """MNIST and Fashion-MNIST: four IDX files (LeCun et al. 1998; Xiao et al. 2017)."""

    @property
    def class_names(self) -> ClassNames:
        return tuple(self._kind().classes) if self.name == "fashion-mnist" else by_number(self.classes)

    def files(self) -> dict[Path, str]:
        kind = self._kind()
        folder = self.data_dir / kind.__name__ / "raw"
        return {folder / name.removesuffix(".gz"): "" for name, _ in kind.resources}

    def fetch(self) -> None:
        self._kind()(self.data_dir, train=True, download=True)

    def load(self, part: Part) -> Raw:
        loaded = self._kind()(self.data_dir, train=part == "train")
        return loaded.data.numpy(), loaded.targets.numpy()

    def check_files(self) -> None:
        from torchvision.datasets.mnist import read_label_file

        train_images, train_labels, test_images, test_labels = self.files()
        train_shape = image_shape(self._shape(train_images), str(train_images))
        test_shape = image_shape(self._shape(test_images), str(test_images))
        if train_shape[1:] != test_shape[1:]:
            cause = f"expected images {list(train_shape[1:])} as for training, got {list(test_shape[1:])}"
            raise self._damaged(test_images, cause)
        for path, count in ((train_labels, train_shape[0]), (test_labels, test_shape[0])):
            if self._shape(path) != (count,):
                raise self._damaged(path, f"expected {count} labels, one per image, got {list(self._shape(path))}")
            check_labels(read_label_file(str(path)).numpy(), where=str(path), count=count, classes=self.classes)

    def _kind(self) -> type[datasets.MNIST]:
        from torchvision import datasets

        return datasets.FashionMNIST if self.name == "fashion-mnist" else datasets.MNIST

    def _shape(self, path: Path) -> tuple[int, ...]:
        """The shape of an IDX file of bytes: 0, 0, 8, the number of axes, each length as a big-endian int32, data."""
        with path.open("rb") as file:
            magic = file.read(4)
            axes = magic[3] if magic[:3] == b"\0\0\x08" and len(magic) == 4 else 0
            header = file.read(4 * axes)
        if axes not in (1, 3) or len(header) != 4 * axes:
            raise self._damaged(path, "not an IDX file of bytes")
        shape = tuple(int(length) for length in np.frombuffer(header, ">i4"))
        expected, size = 4 + 4 * axes + math.prod(shape), path.stat().st_size
        if size != expected:
            raise self._damaged(path, f"expected {expected} bytes, got {size}")
        return shape


class Cifar(TorchvisionSource):
    """CIFAR-10 and CIFAR-100: Python pickles of known checksums (Krizhevsky 2009)."""

    @cached_property
    def class_names(self) -> ClassNames:
        self._ensure_files()
        meta = self._kind().meta
        path = self.data_dir / self._kind().base_folder / meta["filename"]
        self._check_sum(path, meta["md5"])
        try:
            with path.open("rb") as file:
                names = tuple(map(str, pickle.load(file, encoding="latin1")[meta["key"]]))
        except DAMAGE as error:
            raise self._damaged(path, one_line(error)) from None
        if len(names) != self.classes:
            raise self._damaged(path, f"expected {self.classes} names of classes, got {len(names)}")
        return names

    def files(self) -> dict[Path, str]:
        kind = self._kind()
        folder = self.data_dir / kind.base_folder
        meta = (kind.meta["filename"], kind.meta["md5"])
        return {folder / name: md5 for name, md5 in [*kind.train_list, *kind.test_list, meta]}

    def fetch(self) -> None:
        self._kind()(self.data_dir, train=True, download=True)

    def load(self, part: Part) -> Raw:
        with warnings.catch_warnings():
            # the published pickles hold dtype("u1", 0, 1), of which NumPy 2.4.0 to 2.4.4 warn
            warnings.filterwarnings("ignore", message=r"dtype\(\): align should be passed")
            loaded = self._kind()(self.data_dir, train=part == "train")
        return loaded.data, np.asarray(loaded.targets)

    def check_files(self) -> None:
        self._check_sums()

    def _kind(self) -> type[datasets.CIFAR10]:
        from torchvision import datasets

        return datasets.CIFAR100 if self.name == "cifar100" else datasets.CIFAR10


class Svhn(TorchvisionSource):
    """SVHN, cropped digits: a MATLAB file for each part, of known checksum (Netzer et al. 2011)."""

    @property
    def class_names(self) -> ClassNames:
        return by_number(self.classes)

    def files(self) -> dict[Path, str]:
        return {self.data_dir / name: md5 for _, name, md5 in self._splits()}

    def fetch(self) -> None:
        from torchvision.datasets.utils import download_url

        for url, name, md5 in self._splits():
            download_url(url, self.data_dir, name, md5)

    def load(self, part: Part) -> Raw:
        from torchvision.datasets import SVHN

        loaded = SVHN(self.data_dir, split=part)
        return loaded.data, loaded.labels

    def check_files(self) -> None:
        self._check_sums()

    def _splits(self) -> list[list[str]]:
        from torchvision.datasets import SVHN

        return [SVHN.split_list["train"], SVHN.split_list["test"]]


GREY_DIGITS = Traits(flip=False, network="small-cnn", epochs=5)
GREY_OBJECTS = Traits(flip=True, network="small-cnn", epochs=5)
COLOUR_DIGITS = Traits(flip=False, network="fast-resnet", epochs=10)
COLOUR_OBJECTS = Traits(flip=True, network="fast-resnet", epochs=10)


def mnist(data_dir: Path, download: bool) -> Mnist:
    return Mnist("mnist", 10, GREY_DIGITS, "MNIST/raw/train-images-idx3-ubyte", data_dir, download)


def fashion_mnist(data_dir: Path, download: bool) -> Mnist:
    return Mnist("fashion-mnist", 10, GREY_OBJECTS, "FashionMNIST/raw/train-images-idx3-ubyte", data_dir, download)


def cifar10(data_dir: Path, download: bool) -> Cifar:
    return Cifar("cifar10", 10, COLOUR_OBJECTS, "cifar-10-batches-py/data_batch_1", data_dir, download)


def cifar100(data_dir: Path, download: bool) -> Cifar:
    return Cifar("cifar100", 100, COLOUR_OBJECTS, "cifar-100-python/train", data_dir, download)


def svhn(data_dir: Path, download: bool) -> Svhn:
    return Svhn("svhn", 10, COLOUR_DIGITS, "train_32x32.mat", data_dir, download)
