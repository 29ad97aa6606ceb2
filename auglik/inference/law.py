"""What is known of a paired difference for new seeds and new test images, from S seeds crossed with N images.

    delta = mean + seed_error T - image_error T'        T ~ Student's t of S - 1, T' of N - 1 degrees of freedom

The first part is the posterior of the mean over new seeds of these images, under the reference prior and with the
cell's own variance: Student's interval. The second is what the draw of the images adds. Their sum is the posterior of
Behrens and Fisher (Fisher 1935). Its intervals are never narrower than Student's, and hold more often than they say
where both parts count. Arrays of differences broadcast.
"""

from typing import NamedTuple

import numpy as np
from scipy import special

from auglik.inference.components import mean_squares
from auglik.scoring.intervals import standard_errors
from auglik.system.array_types import Float64Array

Numbers = float | int | Float64Array

LEVEL = 0.95
ANGLES, WEIGHTS = np.polynomial.legendre.leggauss(100)
SHARES, SHARE_WEIGHTS = (1 + np.sin(np.pi / 2 * ANGLES)) / 2, WEIGHTS * np.pi / 4 * np.cos(np.pi / 2 * ANGLES)
"""Nodes in (0, 1), denser at its ends, where quantiles are steep."""
BISECTIONS = 50


class Law(NamedTuple):
    """Mean and errors; an error is NaN where nothing is known of it: one seed, one image, seeds without spread."""

    mean: Numbers
    seed_error: Numbers
    image_error: Numbers
    seeds: Numbers
    images: Numbers


def law_of(differences: Float64Array) -> Law:
    """Of finite per-image differences [...,S,N]; the image error is sqrt((MS_images - MS_residual)_+ / (S N))."""
    S, N = differences.shape[-2:]
    _, images, residual = mean_squares(differences)
    image_error = np.sqrt(np.maximum(images - residual, 0) / (S * N))
    return Law(
        mean=differences.mean((-2, -1)), seed_error=standard_errors(differences.mean(-1)), image_error=image_error,
        seeds=S, images=N,
    )  # fmt: skip


def below(law: Law, x: Numbers) -> Float64Array:
    """P(delta < x given the data), by quadrature over the narrower part; NaN where an error is."""
    mean, a, b, S, N, x = np.broadcast_arrays(*(np.asarray(part, np.float64) for part in (*law, x)))
    wide = a >= b
    outer, inner = np.where(wide, a, b), np.where(wide, b, a)
    of_outer, of_inner = np.where(wide, S, N) - 1, np.where(wide, N, S) - 1
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.asarray(special.stdtr(of_outer, (x - mean) / outer))
    both = np.asarray(inner > 0)
    if both.any():
        away, outer, of_outer, inner, of_inner = (
            part[both][:, None] for part in (x - mean, outer, of_outer, inner, of_inner)
        )
        freedoms, place = np.unique(of_inner, return_inverse=True)
        quantiles = special.stdtrit(freedoms[:, None], SHARES)[place.ravel()]
        found[both] = special.stdtr(of_outer, (away - inner * quantiles) / outer) @ SHARE_WEIGHTS
    return np.where(np.isfinite(a + b) & (a + b > 0), found, np.nan)


def p_of_none(law: Law) -> Float64Array:
    """Two-sided p of no difference: one less the level at which the interval reaches 0."""
    return 2 * below(law._replace(mean=np.abs(law.mean)), 0.0)


def p_of_more(law: Law, rope: float) -> Float64Array:
    """One less the level at which the interval reaches out of +-rope; at most 1. Twice that of two one-sided tests."""
    return np.minimum(1, 2 * below(law._replace(mean=-np.abs(law.mean)), -rope))


def interval(law: Law, level: float = LEVEL) -> tuple[Float64Array, Float64Array]:
    """Equal-tailed, and so that of highest density: the law is symmetric about its one mode."""
    centred = law._replace(mean=0.0)
    quantiles = (special.stdtrit(np.asarray(n, np.float64) - 1, (1 + level) / 2) for n in (law.seeds, law.images))
    parts = [np.asarray(error) * q for error, q in zip((law.seed_error, law.image_error), quantiles, strict=True)]
    lower, upper = np.maximum(*parts), np.asarray(sum(parts))
    if np.any(lower < upper):
        for _ in range(BISECTIONS):
            middle = (lower + upper) / 2
            enough = below(centred, middle) >= (1 + level) / 2
            lower, upper = np.where(enough, lower, middle), np.where(enough, middle, upper)
    return np.asarray(law.mean - upper), np.asarray(law.mean + upper)


def draws(
    law: Law, shape: tuple[int, ...], generator: np.random.Generator
) -> tuple[Float64Array, Float64Array, Float64Array]:
    """Independent draws [*shape] of delta, of the mean over new seeds of these images, and of a seed's sd.

    Of one difference: numbers, not arrays. Given the sd, whose square is (S - 1) s^2 / chi-squared, the mean is normal.
    """
    S, N = int(law.seeds), int(law.images)
    error = law.seed_error * np.sqrt((S - 1) / generator.chisquare(S - 1, shape))
    theta = law.mean + error * generator.standard_normal(shape)
    image = np.zeros(shape) if law.image_error == 0 else law.image_error * generator.standard_t(N - 1, shape)
    return theta - image, theta, error * np.sqrt(S)
