"""Calibration errors of one run: plug-in, debiased, classwise.

Let d_b be the mean of correct - confidence over the n_b images of bin b, and w_b = n_b/N. The plug-in ECE
sum_b w_b |d_b| exceeds that of the expected gaps by up to sum_b w_b sd_b sqrt(2/pi), most of all for a calibrated
model. No estimator of |E d| is unbiased everywhere, as |.| has a corner.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from auglik.inference.calibration.bins import Counts, Outcomes, equal_width
from auglik.scoring.blocks import blocks
from auglik.system.array_types import Float64Array


def plug_in(counts: Counts) -> float:
    """sum_b w_b |d_b| (Guo et al. 2017, Eq. 3)."""
    return float(np.abs(counts.correct - counts.confidence).sum() / counts.images.sum())


def debiased(outcomes: Outcomes, edges: Float64Array) -> float:
    """sum_b w_b [d (2 Phi(d/s) - 1) - 2 s phi(d/s)]: an ECE that may be negative, in expectation 0 if calibrated.

    It is the mean of sign(d + e) (d - e) over e ~ N(0, s^2), data fission (Leiner et al. 2025): one half of the
    information chooses the sign of each gap, the other measures it. For normal d its bias is -2 |E d| Phi(-|E d| / (s
    sqrt 2)), between -0.48 s and 0; the plug-in's lies above 0, so that in expectation the two enclose the truth.
    s^2 = sum of confidence (1 - confidence) / n^2 is the variance of d if calibrated.
    """
    place = np.searchsorted(edges, outcomes.confidence, side="left")
    gap: Float64Array = np.bincount(place, outcomes.correct - outcomes.confidence, edges.size + 1).astype(np.float64)
    variance = np.bincount(place, outcomes.confidence * (1 - outcomes.confidence), edges.size + 1)
    deviation = np.sqrt(np.maximum(variance, 0))  # float32 probabilities may exceed 1 by a rounding
    return float(fissioned(gap, deviation).sum() / outcomes.correct.size)


def fissioned(gap: Float64Array, deviation: Float64Array) -> Float64Array:
    """g (2 Phi(g/s) - 1) - 2 s phi(g/s) of gaps and their standard deviations, any shape; |g| where s = 0."""
    safe = np.where(deviation > 0, deviation, 1)
    density = np.exp(-np.square(gap / safe) / 2) / np.sqrt(2 * np.pi)
    return np.where(deviation > 0, gap * special.erf(gap / (safe * np.sqrt(2))) - 2 * deviation * density, np.abs(gap))


def debiased_squared(outcomes: Outcomes, edges: Float64Array) -> float:
    """sum_b w_b [(sum_i r_i)^2 - sum_i r_i^2] / (n (n-1)), r = correct - confidence: the squared error, without bias.

    May be negative. A bin of one image says nothing and adds 0. Bröcker 2012; Kumar et al. 2019, Definition 5.1, here
    with the variance of r in place of that of `correct`.
    """
    place, bins = np.searchsorted(edges, outcomes.confidence, side="left"), edges.size + 1
    residual = outcomes.correct - outcomes.confidence
    images, total, squares = (np.bincount(place, weights, bins) for weights in (None, residual, residual**2))
    return float(((total**2 - squares) / np.maximum(images - 1, 1)).sum() / residual.size)


def classwise(log_p: ArrayLike, labels: ArrayLike, bins: int) -> float:
    """The mean over classes c of the plug-in ECE of p_c against [label = c], in equal-width bins (Kull et al. 2019)."""
    rows, targets = np.asarray(log_p), np.asarray(labels)
    N, C = rows.shape
    gaps, first = np.zeros(C * bins), np.arange(C) * bins
    for some in blocks(N, C):
        p = np.exp(rows[some].astype(np.float64))
        place = np.searchsorted(equal_width(bins), p, side="left") + first
        p[np.arange(len(p)), targets[some]] -= 1
        gaps += np.bincount(place.ravel(), p.ravel(), C * bins)
    return float(np.abs(gaps).sum() / (N * C))
