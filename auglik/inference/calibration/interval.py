"""An interval for the calibration error of the networks at hand, on other images like these.

What it is about. For network s of S and the fixed bin b, theta_sb = E[(correct - confidence) 1(confidence in b)], the
expectation over images. The cell's error is t = 1/S sum_sb |theta_sb|: the mean of the networks' binned ECE.

How. Test inversion: t is refused where the debiased estimate is outside the central part of what it would be for
networks of error t. Estimated gaps are theta plus noise, of images that fall into other bins and of other answers (see
gaps.py); its covariance is that of networks whose expected gaps are theta, as in Wilson's interval for a proportion.
Answers are normal, or skewed as those of few errors are, whichever makes the interval longer. Many theta have error t;
each limit takes a kind that is hard on it. The lower one takes sparse ones, the gaps cut by a garrote (Breiman 1995),
the upper one dense ones, a multiple of the gaps, each enlarged by its standard error. This is hybrid resampling (Chuang
and Lai 2000). At t = 0 nothing is left to choose: the lower limit is 0 unless a test of calibration at 2.5% refuses it.

Where it ends. An estimate below the median of calibrated networks counts as that median, lest luck make an upper
limit of 0. Fewer than FEW_ERRORS errors a network are too few for the upper limit: then it is Clopper and Pearson's of
the error rate plus the mean of 1 - confidence, which no ECE exceeds; the lower one is 0 unless more were expected.
Likewise where hardly any answer is right.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy import optimize, special

from auglik.inference.calibration.bins import Outcomes
from auglik.inference.calibration.errors import fissioned
from auglik.inference.calibration.gaps import Gaps, gaps, skewed
from auglik.system.array_types import Float64Array

DRAWS = 500
FEW_ERRORS = 5.0


class ErrorInterval(NamedTuple):
    """Limits of a calibration error, each with a chance of (1 - level)/2 to be on the wrong side of it."""

    lower: float
    """0 where the networks may be calibrated: `upper` alone is then a bound, at (1 + level)/2."""
    upper: float


def ece_interval(
    runs: Sequence[Outcomes], edges: Float64Array, generator: np.random.Generator, level: float = 0.95
) -> ErrorInterval:
    """Of the mean of the runs' binned ECE; each has the same N images in the same order, bins have inner `edges`."""
    found, tail = gaps(runs, edges), (1 - level) / 2
    places, answers = generator.standard_normal((2, DRAWS, found.gap.size))
    places, answers = places @ found.places / np.sqrt(found.images) / found.share, answers @ found.answers
    scale = np.sqrt(found.calibrated_variance / found.images)

    def estimates(theta: Float64Array, longer: int) -> Float64Array:
        """Draws whose skewness is kept where it lengthens the tail of greater (1) or smaller (-1) errors [DRAWS]."""
        deviation, skewness = found.moments(theta)
        side = longer * np.copysign(1, found.gap)
        drawn = theta + places * theta + skewed(answers, side * np.maximum(side * skewness, 0)) * deviation
        return np.asarray(fissioned(drawn, scale).sum(-1) / found.networks)

    estimate = float(fissioned(found.gap, scale).sum() / found.networks)
    lower = _lower(found, scale, lambda theta: _quantile(estimates(theta, 1), 1 - tail) - estimate)
    least = max(estimate, float(np.median(estimates(np.zeros_like(scale), 0))))
    upper = _upper(found, scale, lambda theta: _quantile(estimates(theta, -1), tail) - least)
    lower, upper = _few(runs, lower, upper, tail)
    return ErrorInterval(lower, min(max(lower, upper), 1.0))


def _quantile(drawn: Float64Array, chance: float) -> float:
    """Below which one more draw would be with that chance, whatever its law (Hyndman and Fan 1996, type 6)."""
    return float(np.quantile(drawn, chance, method="weibull"))


def _lower(found: Gaps, scale: Float64Array, excess: Callable[[Float64Array], float]) -> float:
    """The least error that is not refused: 0, or where `excess` of a garrote is 0."""
    furthest = np.abs(found.gap) / scale

    def theta(cut: float) -> Float64Array:
        return found.gap * np.maximum(1 - np.square(cut / np.maximum(furthest, 1e-12)), 0)

    if excess(np.zeros_like(scale)) >= 0:
        return 0.0
    cut = _root(lambda cut: excess(theta(cut)), 0.0, float(furthest.max()))
    return float(np.abs(theta(cut)).sum() / found.networks)


def _upper(found: Gaps, scale: Float64Array, excess: Callable[[Float64Array], float]) -> float:
    """The greatest error that is not refused: where `excess` of a multiple of dense gaps is 0; at most 1."""
    dense = np.copysign(np.hypot(found.gap, scale), found.gap)
    total = np.abs(dense).sum()
    direction = dense / total * found.networks
    reach = 2 * total / found.networks
    while reach < 1 and excess(reach * direction) < 0:
        reach *= 2
    return _root(lambda t: excess(t * direction), 0.0, min(reach, 1.0))


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a monotone function crosses 0; the end that is nearer to it where it does not."""
    at_low, at_high = function(low), function(high)
    if at_low * at_high >= 0:
        return low if abs(at_low) < abs(at_high) else high
    return float(optimize.brentq(function, low, high, xtol=1e-4 * high, rtol=1e-3))


def _few(runs: Sequence[Outcomes], lower: float, upper: float, tail: float) -> tuple[float, float]:
    """The limits where hardly any answer, or all but a few, are right; what is few is counted per network."""
    N = runs[0].correct.size
    right = float(np.mean([run.correct.sum() for run in runs]))
    expected = float(np.mean([np.minimum(run.confidence, 1).sum() for run in runs]))
    count, chance = (right, expected) if right < N / 2 else (N - right, N - expected)
    if count >= FEW_ERRORS:
        return lower, upper
    rate = 1.0 if count == N else float(special.betaincinv(count + 1, N - count, 1 - tail))
    return 0.0 if chance < FEW_ERRORS else lower, rate + chance / N
