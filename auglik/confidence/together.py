"""What several operations on a view keep of a label, from what was measured of pairs of them."""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from auglik.confidence.contract import Acting, MapOfPairs, decay_of_confidence
from auglik.confidence.rules import Rules, map_of
from auglik.objectives import InputError
from auglik.system.array_types import FloatArray
from auglik.views.augmentation import OPERATIONS, Applied

IDENTITY = OPERATIONS.index("identity")


def kept_together(applied: Sequence[Sequence[Applied]], rules: Rules, classes: int) -> FloatArray:
    """The label mass 1-gamma [n] that n views keep, branches of all augmentations averaged by share.

    Of one operation or two it is as measured. Of more, with m_i and m_ij for one and two, prod m_ij / prod m_i^(n-2),
    Kirkwood's superposition (1935), right where operations interact in pairs alone; and no more than the least m_ij.
    """
    pairs = map_of_pairs(rules)
    total: FloatArray = np.zeros(1)
    for branches in itertools.product(*applied):
        share = np.prod([branch.share for branch in branches], axis=0)
        total = total + share * _of_branches(branches, rules, pairs, classes)
    return total


def map_of_pairs(rules: Rules) -> MapOfPairs:
    """The one map of all rules. Raises InputError unless it is one, and of pairs."""
    first = rules[0].map
    if any(rule.map != first for rule in rules) or not isinstance(first, MapOfPairs):
        got = ", ".join(f"{rule.target}:{rule.map}" for rule in rules)
        raise InputError(
            f"compose measured: expected one map of pairs for all operations, such as pairs:table=FILE, got {got}"
        )
    return first


def _of_branches(branches: Sequence[Applied], rules: Rules, pairs: MapOfPairs, classes: int) -> FloatArray:
    operation, magnitude, visibility = (
        np.concatenate([getattr(branch, name) for branch in branches], 1)
        for name in ("operation", "magnitude", "visibility")
    )

    def kept(p: FloatArray) -> FloatArray:
        return 1 - decay_of_confidence(p, classes)

    def at(column: int, rows: NDArray[np.intp], name: str) -> Acting:
        return Acting(name, magnitude[rows, column], visibility[rows, column])

    ruled = [map_of(rules, name) is not None for name in OPERATIONS]
    acts = np.array(ruled)[operation] & (operation != IDENTITY)
    count = acts.sum(1)
    one: FloatArray = np.ones(operation.shape)
    for column in range(operation.shape[1]):
        for (name,), rows in _named(acts[:, column], operation[:, [column]]):
            one[rows, column] = kept(pairs.confidence(*at(column, rows, name), classes))
    least, product = np.full(len(one), np.inf), np.ones(len(one))
    for i, j in itertools.combinations(range(operation.shape[1]), 2):
        for (first, second), rows in _named(acts[:, i] & acts[:, j], operation[:, [i, j]]):
            both = kept(pairs.confidence_together(at(i, rows, first), at(j, rows, second), classes))
            least[rows] = np.minimum(least[rows], both)
            product[rows] *= both
    several = one.prod(1) ** np.maximum(count - 2, 0)
    mass = np.minimum(np.divide(product, several, out=np.zeros(len(one)), where=several > 0), least)
    mass = np.where(count == 1, one.prod(1), mass)
    if not ruled[IDENTITY]:
        return np.where(count == 0, 1.0, mass)
    untouched = pairs.confidence("identity", np.zeros(1), np.ones(1), classes)
    return np.where(count == 0, kept(untouched), mass)


def _named(where: NDArray[np.bool_], codes: NDArray[np.uint8]) -> Iterator[tuple[list[str], NDArray[np.intp]]]:
    """The names of each combination of operations [n,i] that occurs, with the rows `where` it does."""
    for code in np.unique(codes[where], axis=0):
        yield [OPERATIONS[number] for number in code], np.flatnonzero(where & (codes == code).all(1))
