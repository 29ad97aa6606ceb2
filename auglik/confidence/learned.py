"""Confidence by content: a small estimator of how hard an image is under an operation, learned on other images."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from auglik.confidence.contract import within_chance_and_one
from auglik.confidence.estimator import Estimator, parse_estimator
from auglik.confidence.table import loaded, read_bytes
from auglik.data.class_names import class_numbers
from auglik.objectives import InputError
from auglik.system.array_types import FloatArray


@dataclass(frozen=True)
class Learned:
    """p of an image from its class and features, interpolated in its logit between the strengths that were measured.

    `file` is one that `auglik confidence --by learned` wrote. Figures enter as they are, so that even untouched images
    have p < 1; `relative` divides by the image's own of these, which count as chance at least.
    """

    file: str = ""
    relative: bool = False

    def confidence(self, operation: str, magnitude: FloatArray, visibility: FloatArray, classes: int) -> FloatArray:
        found = self._load()
        strengths = found.operations[operation]
        where, means = strengths.between(magnitude, visibility), found.mean[strengths.columns]
        p = where.of(means[where.below], means[where.above])
        return self._limited(p, found.mean[found.operations["identity"].columns.start], classes)

    def confidence_of(
        self, operation: str, magnitude: FloatArray, visibility: FloatArray, classes: int, rows: NDArray[np.int64]
    ) -> FloatArray:
        found = self._load()
        strengths, fold, traits = found.operations[operation], found.fold[rows], found.traits[rows]
        where = strengths.between(magnitude, visibility)
        ends = (_logits(found, fold, traits, strengths.columns.start + end) for end in (where.below, where.above))
        untouched = _logits(found, fold, traits, np.full(1, found.operations["identity"].columns.start))
        return self._limited(expit(where.of(*ends)), expit(untouched), classes)

    def check_images(self, digest: str) -> None:
        found = self._load()
        if found.digest != digest:
            raise InputError(
                f"{self.file}: expected an estimator with features of the images that are trained on, got those of"
                f" others ({found.source} on {found.dataset}): learn it on this data set"
            )

    def lacking(self, operations: Iterable[str], class_names: Sequence[str]) -> list[str]:
        found = self._load()
        class_numbers(found.class_names, class_names, self.file, f"the network ({found.source} on {found.dataset})")
        return [name for name in operations if name not in found.operations]

    def identity(self) -> str:
        digest = hashlib.sha256(read_bytes(self._path())).hexdigest()
        return f"Learned({digest}, relative={self.relative})"

    def _limited(self, p: FloatArray, untouched: FloatArray, classes: int) -> FloatArray:
        return within_chance_and_one(p / np.maximum(untouched, 1 / classes) if self.relative else p, classes)

    def _path(self) -> Path:
        if not self.file:
            raise InputError("learned: expected learned:file=FILE, which `auglik confidence --by learned` writes")
        return Path(self.file)

    def _load(self) -> Estimator:
        return loaded(self._path(), parse_estimator)


def _logits(found: Estimator, fold: NDArray[np.int64], traits: FloatArray, column: NDArray[np.int64]) -> FloatArray:
    """Of images of these folds [n] and traits [n,r] at columns [n]; summed trait by trait, whatever n is."""
    total = found.fit.curve[fold, column]
    loading = found.fit.loading[fold, column]
    for trait in range(traits.shape[1]):
        total = total + loading[:, trait] * traits[:, trait]
    return total
