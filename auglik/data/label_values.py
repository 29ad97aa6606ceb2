"""Labels as users write them, and the classes 0..C-1 that they mean."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auglik.data.class_names import some
from auglik.objectives.errors import InputError

REMAP = "remap"
FEW_MISSING = 3
"""Numbers that are missing between others: more of them, and the labels are not numbers of classes."""


@dataclass(frozen=True)
class ArraySettings:
    """`labels=remap` numbers the distinct training labels 0..C-1 in their order, and calls the classes by them.

    `white` is the level that becomes 255; 0 is 255 of integers and 1 of floats. Raises InputError for other values.
    """

    labels: str = ""
    white: float = 0.0

    def __post_init__(self) -> None:
        if self.labels not in ("", REMAP):
            raise InputError(f"labels: expected {REMAP}, got {self.labels!r}")
        if not 0 <= self.white < math.inf:
            raise InputError(f"white: expected the level of white, such as 16 or 255, got {self.white:g}")


def label_values(labels: NDArray[np.integer], where: str, path: str, settings: ArraySettings) -> NDArray[np.integer]:
    """The label [C] of each class, from training labels [N].

    Raises InputError for a single class and, unless they are to be remapped, for labels that are not 0..C-1 with every
    class among them; it says which they are, and the cure.
    """
    values, counts = np.unique(labels, return_counts=True)
    C = len(values)
    if C < 2:
        raise InputError(f"{where}: expected two classes or more, got label {values[0]} on every image")
    if settings.labels != REMAP and not np.array_equal(values, np.arange(C)):
        raise InputError(
            f"{where}: expected labels 0..C-1 with every class present, got {_described(values, counts)};"
            f" {path}:labels={REMAP} renumbers these {C} classes as 0..{C - 1} (remove unlabelled images)"
        )
    return values


def numbered(labels: NDArray[np.integer], values: NDArray[np.integer], where: str) -> NDArray[np.int64]:
    """The class [N] of each of labels [N]. Raises InputError that lists those that are none of `values` [C]."""
    numbers = np.minimum(np.searchsorted(values, labels), len(values) - 1).astype(np.int64)
    others = values[numbers] != labels
    if others.any():
        found, counts = np.unique(labels[others], return_counts=True)
        raise InputError(
            f"{where}: expected the training labels, {_span(values)}, got {_counted(found, counts)}"
            " (unlabelled images, or another set's?)"
        )
    return numbers


def _described(values: NDArray[np.integer], counts: NDArray[np.integer]) -> str:
    whole = [int(value) for value in values]
    breaks = [i for i in range(1, len(whole)) if whole[i] - whole[i - 1] != 1 or whole[i] == 0]
    runs = np.split(np.arange(len(values)), breaks)
    longest = max(runs, key=len)
    if len(runs) == 1:
        return _span(values)
    if whole[0] == 0 and whole[-1] + 1 - len(whole) <= FEW_MISSING:
        absent = sorted(set(range(whole[-1])) - set(whole))
        return f"{_span(values)}, where class {some(absent)} never occurs"
    if 2 * len(longest) < len(values):
        return f"{len(values)} different labels from {values[0]} to {values[-1]}"
    others = np.setdiff1d(np.arange(len(values)), longest)
    return f"{_span(values[longest])} and {_counted(values[others], counts[others])}"


def _span(values: NDArray[np.integer]) -> str:
    return f"labels {values[0]} to {values[-1]}" if len(values) > 1 else f"label {values[0]}"


def _counted(values: NDArray[np.integer], counts: NDArray[np.integer]) -> str:
    each = [f"label {v} on {n} image{'s' * (n != 1)}" for v, n in zip(values.tolist(), counts.tolist(), strict=True)]
    return some(each)
