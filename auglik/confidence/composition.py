"""The decay of a view from all operations on it."""

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from auglik.confidence.contract import ConfidenceMap, MapOfImages, decay_of_confidence
from auglik.confidence.rules import Rules, map_of
from auglik.confidence.together import kept_together
from auglik.objectives import InputError
from auglik.system.array_types import FloatArray
from auglik.views.augmentation import OPERATIONS, Applied

Compose = Literal["kept", "published", "minimum", "measured"]
Rows = NDArray[np.int64] | None
IDENTITY = "identity"


def decay_of(
    applied: Sequence[Sequence[Applied]], rules: Rules, classes: int, compose: Compose = "kept", rows: Rows = None
) -> NDArray[np.float32]:
    """gamma [n] of n views, from the branches of each augmentation in turn; operations without a rule keep all.

    kept: the kept label masses 1-gamma multiply, which never pushes the true class below chance.
    minimum: the smallest of them, as if the strongest operation hid all that the others hide.
    published: confidences p multiply, as published code has it, which can: two floors of 0.1 among 10 classes give
    p = 0.01 where every other class has 0.11. As gamma ends at 1, such views count as chance here.
    measured: the mass that was measured of the composition itself, in pairs, as `kept_together` has it.
    What was measured of untouched images counts once, in views on which nothing acted: an operation that was drawn and
    not done costs nothing.
    Branches are averaged by share. `rows` [n] are the views' images, for maps that tell images apart. Raises InputError
    for unusable tables, and for such a map without them.
    """
    if compose == "measured":
        return np.clip(1 - kept_together(applied, rules, classes), 0, 1).astype(np.float32)
    together = np.minimum if compose == "minimum" else np.multiply
    mass: FloatArray = np.ones(1, np.float32)
    for branches in applied:
        mass = together(mass, sum(branch.share * _mass(branch, rules, classes, compose, rows) for branch in branches))
    mass = _with_untouched(mass, applied, rules, classes, compose, rows)
    decay = decay_of_confidence(mass, classes) if compose == "published" else 1 - mass
    return np.clip(decay, 0, 1).astype(np.float32)


def _mass(branch: Applied, rules: Rules, classes: int, compose: Compose, rows: Rows) -> NDArray[np.float32]:
    """The product, or the smallest, over one branch's operations, of 1-gamma or of p: [n]."""
    mass = np.ones(branch.operation.size, np.float32)
    magnitude, visibility = branch.magnitude.ravel(), branch.visibility.ravel()
    for operation, where in _by_operation(branch.operation.ravel()):
        if operation != IDENTITY and (chosen := map_of(rules, operation)) is not None:
            of = None if rows is None else rows[where // branch.operation.shape[-1]]
            p = _confidence(chosen, operation, magnitude[where], visibility[where], classes, of)
            mass[where] = p if compose == "published" else 1 - decay_of_confidence(p, classes)
    each = mass.reshape(branch.operation.shape)
    return each.min(-1) if compose == "minimum" else each.prod(-1)


def _with_untouched(
    mass: FloatArray, applied: Sequence[Sequence[Applied]], rules: Rules, classes: int, compose: Compose, rows: Rows
) -> FloatArray:
    """`mass` [n], and that of the identity for views on which no operation with a rule acted."""
    chosen = map_of(rules, IDENTITY)
    if chosen is None:
        return mass
    acts = np.array([name != IDENTITY and map_of(rules, name) is not None for name in OPERATIONS])
    untouched = ~np.any([acts[branch.operation].any(-1) for branches in applied for branch in branches], axis=0)
    n = int(untouched.sum())
    if n == 0:
        return mass
    of = None if rows is None else rows[untouched]
    p = _confidence(chosen, IDENTITY, np.zeros(n, np.float32), np.ones(n, np.float32), classes, of)
    found = np.broadcast_to(mass, untouched.shape).copy()
    found[untouched] = p if compose == "published" else 1 - decay_of_confidence(p, classes)
    return found


def _confidence(
    chosen: ConfidenceMap, operation: str, magnitude: FloatArray, visibility: FloatArray, classes: int, rows: Rows
) -> FloatArray:
    if not isinstance(chosen, MapOfImages):
        return chosen.confidence(operation, magnitude, visibility, classes)
    if rows is None:
        raise InputError(f"soften: {chosen} tells images apart, but nobody said which these are: train with `auglik`")
    return chosen.confidence_of(operation, magnitude, visibility, classes, rows)


def _by_operation(codes: NDArray[np.uint8]) -> Iterator[tuple[str, NDArray[np.intp]]]:
    """Each operation that occurs, with its positions."""
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes, minlength=len(OPERATIONS)))
    for operation, where in zip(OPERATIONS, np.split(order, ends[:-1]), strict=True):
        if len(where):
            yield operation, where
