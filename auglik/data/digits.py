"""scikit-learn's digits: 1797 real 8x8 images that come with the library, so nothing to download."""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from auglik.data.arrays import Arrays, check_arrays
from auglik.data.class_names import ClassNames, by_number
from auglik.data.source import Traits

TEST_IMAGES = 500
SPLIT = 0  # the split is part of the data set: changing it makes earlier results incomparable


@dataclass(frozen=True)
class Digits:
    """1297 training and 500 test images in one fixed stratified split (Alpaydin and Kaynak, UCI 1998)."""

    name: ClassVar[str] = "digits"
    traits: ClassVar[Traits] = Traits(flip=False, network="small-cnn", epochs=20)
    classes: ClassVar[int] = 10
    class_names: ClassVar[ClassNames] = by_number(10)

    def train(self) -> Arrays:
        return self._part(0)

    def test(self) -> Arrays:
        return self._part(1)

    def check(self) -> None:
        """Nothing to verify: the images are part of an installed package."""

    def _part(self, part: int) -> Arrays:
        images, labels = (array.copy() for array in _parts()[part])
        return check_arrays(images, labels, where=self.name, classes=self.classes)


@functools.cache
def _parts() -> list[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
    """Images [N,8,8] and labels [N] of both parts; a run asks for them four times, and the text they lie in is slow."""
    # here, as scikit-learn takes a second to import and only this data set needs it
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    values, labels = load_digits(return_X_y=True)
    images = np.rint(values * 255 / 16).astype(np.uint8).reshape(-1, 8, 8)
    split = train_test_split(np.arange(len(labels)), test_size=TEST_IMAGES, stratify=labels, random_state=SPLIT)
    return [(images[taken], labels[taken]) for taken in split]


def digits(data_dir: Path, download: bool) -> Digits:
    """The registry's entry; nothing is read from `data_dir` and nothing is ever downloaded."""
    return Digits()
