"""Confidences of a run and their bins: the counts that the models and the errors of calibration are made of."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from auglik.objectives.errors import InputError
from auglik.scoring.blocks import blocks
from auglik.scoring.metrics import error
from auglik.system.array_types import Float64Array


class Outcomes(NamedTuple):
    """A run's predictions for N images, and whether they were correct."""

    confidence: Float64Array
    """Of the predicted class [N]."""
    log_odds: Float64Array
    """log(confidence / (1 - confidence)), the latter summed over the other classes; may be inf [N]."""
    correct: Float64Array
    """1 or 0 [N]."""


class Counts(NamedTuple):
    """Sums over the images of each bin."""

    images: Float64Array
    correct: Float64Array
    confidence: Float64Array


def outcomes(log_p: ArrayLike, labels: ArrayLike) -> Outcomes:
    """Of log-probabilities [N,C] and labels [N]. Raises InputError as auglik.scoring.metrics does."""
    rows, targets = np.asarray(log_p), np.asarray(labels)
    error(rows, targets)
    parts = [_outcomes(rows[some].astype(np.float64), targets[some]) for some in blocks(*rows.shape)]
    return Outcomes(*map(np.concatenate, zip(*parts, strict=True)))


def _outcomes(rows: Float64Array, targets: NDArray[np.integer]) -> Outcomes:
    predicted = rows.argmax(axis=1)
    best = np.take_along_axis(rows, predicted[:, None], axis=1)[:, 0]
    others = rows.copy()
    np.put_along_axis(others, predicted[:, None], -np.inf, axis=1)
    with np.errstate(divide="ignore"):  # no probability is left for the others
        rest = np.log(np.exp(others).sum(axis=1))
    return Outcomes(np.exp(best), best - rest, (predicted == targets).astype(np.float64))


def equal_width(bins: int) -> Float64Array:
    """Inner edges [bins - 1] of the right-closed bins ((b-1)/bins, b/bins]. Raises InputError for bins < 1."""
    if bins < 1:
        raise InputError(f"expected bins >= 1, got {bins}")
    return np.arange(1, bins) / bins


def equal_mass(values: Float64Array, bins: int) -> Float64Array:
    """Inner edges [bins - 1] between equally many `values`; equal ones share a bin, so that some may stay empty."""
    return np.quantile(values, equal_width(bins), method="inverted_cdf")


def count(confidence: Float64Array, correct: Float64Array, edges: Float64Array) -> Counts:
    """Counts [bins] of one run."""
    place, bins = np.searchsorted(edges, confidence, side="left"), edges.size + 1
    images, right, total = (
        np.bincount(place, weights, bins) for weights in (np.ones_like(correct), correct, confidence)
    )
    return Counts(images.astype(np.float64), right.astype(np.float64), total.astype(np.float64))


def bounded_logit(p: Float64Array, bound: float) -> Float64Array:
    """logit p, at most `bound` away from 0."""
    with np.errstate(divide="ignore"):
        return np.clip(special.logit(p), -bound, bound)
