"""What a map from a transformation's strength to a label's confidence must offer."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from auglik.system.array_types import FloatArray


class ConfidenceMap(Protocol):
    """A frozen dataclass whose fields are the map's parameters."""

    def confidence(self, operation: str, magnitude: FloatArray, visibility: FloatArray, classes: int) -> FloatArray:
        """p [n], what `operation` at these strengths [n] leaves on the true class: 1/classes <= p <= 1.

        Magnitudes are in the operation's own unit, visibility is the share of the image that can still be seen.
        """
        ...

    def lacking(self, operations: Iterable[str], class_names: Sequence[str]) -> list[str]:
        """Those of `operations` that it has no figures for.

        Raises InputError if it cannot be used at all, or not with these classes [C].
        """
        ...

    def identity(self) -> str:
        """Text that differs between maps whose values differ. Raises InputError as `lacking` does."""
        ...


@runtime_checkable
class MapOfImages(ConfidenceMap, Protocol):
    """A `ConfidenceMap` that tells images apart; its `confidence`, of none, is made of their mean figures."""

    def check_images(self, digest: str) -> None:
        """Raises InputError unless it is of the training images and labels of that digest."""
        ...

    def confidence_of(
        self, operation: str, magnitude: FloatArray, visibility: FloatArray, classes: int, rows: NDArray[np.int64]
    ) -> FloatArray:
        """p [n] of views of the images at `rows` [n] of the data set's training part: 1/classes <= p <= 1."""
        ...


class Acting(NamedTuple):
    """An operation on n views, at these strengths."""

    operation: str
    magnitude: FloatArray
    """[n]"""
    visibility: FloatArray
    """[n]"""


@runtime_checkable
class MapOfPairs(ConfidenceMap, Protocol):
    """A `ConfidenceMap` that knows what two operations leave together."""

    def confidence_together(self, first: Acting, second: Acting, classes: int) -> FloatArray:
        """p [n], what both on the same view leave on the true class: 1/classes <= p <= 1; the order does not count."""
        ...


def within_chance_and_one(p: FloatArray, classes: int) -> FloatArray:
    """p clamped to [1/C, 1]."""
    return np.clip(p, 1 / classes, 1)


def decay_of_confidence(p: FloatArray, classes: int) -> FloatArray:
    """gamma = (1-p) C/(C-1): the lost mass goes to the C-1 wrong classes; 1 for p below chance."""
    return np.clip((1 - p) * (classes / (classes - 1)), 0, 1)
