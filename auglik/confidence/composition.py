"""The decay of a view from all operations on it."""

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from auglik.confidence.contract import decay_of_confidence
from auglik.confidence.rules import Rules, map_of
from auglik.system.array_types import FloatArray
from auglik.views.augmentation import OPERATIONS, Applied

Compose = Literal["kept", "published"]


def decay_of(
    applied: Sequence[Sequence[Applied]], rules: Rules, classes: int, compose: Compose = "kept"
) -> NDArray[np.float32]:
    """gamma [n] of n views, from the branches of each augmentation in turn; operations without a rule keep all.

    kept: the kept label masses 1-gamma multiply, which never pushes the true class below chance.
    published: confidences p multiply, as published code has it, which can: two floors of 0.1 among 10 classes give
    p = 0.01 where every other class has 0.11. As gamma ends at 1, such views count as chance here.
    Branches are averaged by share. Raises InputError for unusable tables.
    """
    mass: FloatArray = np.ones(1, np.float32)
    for branches in applied:
        mass = mass * sum(branch.share * _mass(branch, rules, classes, compose) for branch in branches)
    decay = 1 - mass if compose == "kept" else decay_of_confidence(mass, classes)
    return np.clip(decay, 0, 1).astype(np.float32)


def _mass(branch: Applied, rules: Rules, classes: int, compose: Compose) -> NDArray[np.float32]:
    """The product, over one branch's operations, of 1-gamma or of p: [n]."""
    mass = np.ones(branch.operation.size, np.float32)
    magnitude, visibility = branch.magnitude.ravel(), branch.visibility.ravel()
    for operation, where in _by_operation(branch.operation.ravel()):
        if (chosen := map_of(rules, operation)) is not None:
            p = chosen.confidence(operation, magnitude[where], visibility[where], classes)
            mass[where] = 1 - decay_of_confidence(p, classes) if compose == "kept" else p
    return mass.reshape(branch.operation.shape).prod(-1)


def _by_operation(codes: NDArray[np.uint8]) -> Iterator[tuple[str, NDArray[np.intp]]]:
    """Each operation that occurs, with its positions."""
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes, minlength=len(OPERATIONS)))
    for operation, where in zip(OPERATIONS, np.split(order, ends[:-1]), strict=True):
        if len(where):
            yield operation, where
