"""scikit-learn's digits: 1797 real 8x8 images, kept beside this file in one fixed split, so nothing to download.

scikit-learn, which has them as text, takes a second to import, and every process that trains would.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from auglik.data.arrays import Arrays, check_arrays
from auglik.data.class_names import ClassNames, by_number
from auglik.data.source import Traits

IMAGES = Path(__file__).with_name("digits.npz")
"""Images and labels of both parts: `train_test_split(range(1797), test_size=500, stratify=labels, random_state=0)`.

The split is part of the data set: changing it makes earlier results incomparable.
"""


@dataclass(frozen=True)
class Digits:
    """1297 training and 500 test images in one fixed stratified split (Alpaydin and Kaynak, UCI 1998; CC BY 4.0)."""

    name: ClassVar[str] = "digits"
    traits: ClassVar[Traits] = Traits(flip=False, network="small-cnn", epochs=20)
    classes: ClassVar[int] = 10
    class_names: ClassVar[ClassNames] = by_number(10)

    def train(self) -> Arrays:
        return self._part("train")

    def test(self) -> Arrays:
        return self._part("test")

    def check(self) -> None:
        """Nothing to verify: the images are part of this package."""

    def _part(self, part: str) -> Arrays:
        with np.load(IMAGES) as kept:
            images, labels = kept[f"{part}_images"], kept[f"{part}_labels"].astype(np.int64)
        return check_arrays(images, labels, where=self.name, classes=self.classes)


def digits(data_dir: Path, download: bool) -> Digits:
    """The registry's entry; nothing is read from `data_dir` and nothing is ever downloaded."""
    return Digits()
