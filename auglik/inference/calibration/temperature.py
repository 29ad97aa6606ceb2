"""Temperature scaling (Guo et al. 2017): one temperature for all logits, chosen on validation images."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize

from auglik.scoring.blocks import blocks
from auglik.scoring.metrics import ece_of, joined, judged, nll
from auglik.system.array_types import Float64Array

RANGE = (0.02, 50.0)


class Scaling(NamedTuple):
    """One run's temperature and its test metrics before and after."""

    temperature: float
    at_bound: bool
    """The validation NLL still falls at an end of RANGE, e.g. as all validation images are classified correctly."""
    nll_before: float
    nll_after: float
    ece_before: float
    ece_after: float


def scaled(log_p: ArrayLike, temperature: float) -> Float64Array:
    """log_softmax(log p / T) of [N,C]."""
    rows = np.asarray(log_p, dtype=np.float64)
    below = (rows - rows.max(axis=1, keepdims=True)) / temperature
    return below - np.log(np.exp(below).sum(axis=1, keepdims=True))


def fit(log_p: ArrayLike, labels: ArrayLike) -> float | None:
    """The T in RANGE of least NLL on [V,C], [V]; None where no T is: V = 0, or a label of probability zero.

    The NLL is convex in 1/T, hence unimodal in log T, in which the minimum is sought to 1e-5.
    """
    targets = np.asarray(labels)
    if targets.size == 0 or not np.isfinite(nll(log_p, targets)):
        return None
    rows = np.asarray(log_p, dtype=np.float64)
    below = rows - rows.max(axis=1, keepdims=True)
    at_label = below[np.arange(targets.size), targets].mean()

    def objective(log_T: float) -> float:
        beta = np.exp(-log_T)
        return float(np.log(np.exp(beta * below).sum(axis=1)).mean() - beta * at_label)

    found = optimize.minimize_scalar(objective, bounds=np.log(RANGE), method="bounded", options={"xatol": 1e-5})
    low, high = (objective(bound) for bound in np.log(RANGE))
    if min(low, high) <= found.fun and low != high:  # flat up to a bound, as log(1 + x) is 0 for small x
        return RANGE[0] if low < high else RANGE[1]
    return float(np.exp(found.x))


def temperature_scaling(
    validation: tuple[ArrayLike, ArrayLike], test: tuple[ArrayLike, ArrayLike], bins: int
) -> Scaling | None:
    """Fits on validation, scores on test, each ([N,C], [N]); None where there is nothing to fit."""
    T = fit(*validation)
    if T is None:
        return None
    log_p, labels = map(np.asarray, test)
    before = judged(log_p, labels)
    after = joined(judged(scaled(log_p[some], T), labels[some]) for some in blocks(*log_p.shape))
    low, high = RANGE
    return Scaling(
        temperature=T,
        at_bound=not low * 1.001 < T < high / 1.001,
        nll_before=float(before.nll.mean()),
        nll_after=float(after.nll.mean()),
        ece_before=ece_of(before, bins),
        ece_after=ece_of(after, bins),
    )
