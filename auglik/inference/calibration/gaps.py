"""The gaps of networks' confidences, and the noise that they would have were the expected ones others.

The part of an image in gap (s, b) is its residual, correct - confidence, if network s puts it in bin b, and else 0.
Were the expected gaps theta, and d = theta / share those of an image in its bin, the parts would vary in two ways.

Places: it falls into another bin. The covariance of this is d_b d_c (p_bc - p_b p_c), p_bc the share of images in both:
none for two bins of one network, many for bins of two.

Answers: it is right or wrong. In bin b this has the variance p_b (mean of confidence (1 - confidence) + d (1 - 2 mean
confidence) - d^2), as the accuracy is off by d. Answers of a network in different bins never meet in an image. Those
of two networks do, with one correlation for the two: that of their residuals, less what their places explain.

The covariance of the parts that were seen would not do: if no answer is wrong it only says which bins the images fell
into, and as an image in one bin is in no other, noise nearly cancels in the sum over bins.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import sparse

from auglik.inference.calibration.bins import Outcomes
from auglik.system.array_types import Float64Array

LEAST_VARIANCE = 1e-9
"""Of an image's answer: confidences of exactly 1 are rounded ones."""
SHARED_ERRORS = 1.0
"""So many errors are added that all networks share: hardly any error says little about whether they err together."""
MOST_SKEWED = 4.0
"""Skewness of a bin of a sixteenth of an error, up to which Wilson and Hilferty's law has the moments asked for."""


class Gaps(NamedTuple):
    """What S networks said of the same N images, in the D pairs of a network and a bin that hold any."""

    networks: int
    images: int
    gap: Float64Array
    """Sum of correct - confidence over N [D]."""
    share: Float64Array
    """Of the N images in the bin [D]."""
    confidence: Float64Array
    """Mean [D]."""
    calibrated_variance: Float64Array
    """Mean over all N of confidence (1 - confidence), in the bin [D]."""
    least_variance: Float64Array
    """Of confidence alone, in the bin, per image of all N [D]."""
    places: Float64Array
    """Root of p_bc - p_b p_c [D,D]."""
    answers: Float64Array
    """Root of the correlations of the bins' answers [D,D]."""

    def moments(self, theta: Float64Array) -> tuple[Float64Array, Float64Array]:
        """Standard deviation and skewness of a gap by its answers, were the expected gaps theta [D].

        Where theta is not what was seen, answers and places are to blame in proportion to their variances, and only
        the former says that the accuracy is another; or answers alone are, if the variance is greater then.
        """
        sign = np.copysign(1, self.gap)
        alone = self._variance(theta)
        by_answers = LEAST_VARIANCE + np.square(self.answers @ (sign * np.sqrt(alone))).sum()
        by_places = np.square(self.places @ (sign * theta / self.share)).sum()
        partly = self.gap + by_answers / (by_answers + by_places) * (theta - self.gap)
        shared = self._variance(partly)
        taken, variance = np.where(alone > shared, theta, partly), np.maximum(alone, shared)
        right = np.clip(self.confidence + taken / self.share, 0, 1)
        third = self.share * right * (1 - right) * (1 - 2 * right)
        skewness = np.clip(third / variance**1.5 / np.sqrt(self.images), -MOST_SKEWED, MOST_SKEWED)
        return np.sqrt(variance / self.images), skewness

    def _variance(self, theta: Float64Array) -> Float64Array:
        """Of an image's answer, per image of all N [D]."""
        variance = self.calibrated_variance + theta * (1 - 2 * self.confidence) - np.square(theta) / self.share
        return np.maximum(variance, self.least_variance)


def gaps(runs: Sequence[Outcomes], edges: Float64Array) -> Gaps:
    """The gaps of the runs, and how they would vary over test sets."""
    confidence, correct = (np.stack(column) for column in ([r.confidence for r in runs], [r.correct for r in runs]))
    (S, N), bins = confidence.shape, edges.size + 1
    confidence = np.minimum(confidence, 1)  # float32 probabilities may exceed 1 by a rounding
    residual = correct - confidence
    place = np.searchsorted(edges, confidence, side="left") + bins * np.arange(S)[:, None]
    # bins that hold an image, numbered from 0
    found, place = np.unique(place, return_inverse=True)
    place = place.reshape(S, N)

    def mean(part: Float64Array) -> Float64Array:
        return np.bincount(place.ravel(), part.ravel(), found.size) / N

    share, gap, total = mean(np.ones_like(confidence)), mean(residual), mean(confidence)
    inside = sparse.csr_array((np.ones(S * N), place.T.ravel(), np.arange(0, N * S + 1, S)), shape=(N, found.size))
    joint, network = (inside.T @ inside).toarray() / N, found // bins
    expected = (gap / share)[place]
    alike = _alike(residual, expected, np.sqrt(mean((residual - expected) ** 2) / share)[place])
    return Gaps(
        networks=S,
        images=N,
        gap=gap,
        share=share,
        confidence=total / share,
        calibrated_variance=np.maximum(mean(confidence * (1 - confidence)), LEAST_VARIANCE * share),
        least_variance=np.maximum(mean(confidence**2) - total**2 / share, LEAST_VARIANCE * share),
        places=_root(joint - np.outer(share, share)),
        answers=_root(alike[np.ix_(network, network)] * joint / np.sqrt(np.outer(share, share))),
    )


def skewed(normal: Float64Array, skewness: Float64Array) -> Float64Array:
    """Of standard normal numbers those of a shifted Gamma law of this skewness (Wilson and Hilferty 1931) [...,D]."""
    part = normal / 6 - skewness / 36
    grown = part * skewness
    return 2 * part * (3 + grown * (3 + grown))


def _alike(residual: Float64Array, expected: Float64Array, deviation: Float64Array) -> Float64Array:
    """Correlations of the answers of networks to an image [S,S], of residuals, their means and deviations [S,N].

    What is expected of one network may go with the answers of another, which counts here too.
    """
    together = residual @ residual.T - expected @ expected.T
    return np.clip((together + SHARED_ERRORS) / (deviation @ deviation.T + SHARED_ERRORS), 0, 1)


def _root(covariance: Float64Array) -> Float64Array:
    """The symmetric root, which is continuous in the matrix; negative eigenvalues count as 0 [D,D]."""
    values, axes = np.linalg.eigh(covariance)
    return np.asarray((axes * np.sqrt(np.maximum(values, 0))) @ axes.T)
