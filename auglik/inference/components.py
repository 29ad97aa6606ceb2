"""Variance of a paired difference between two cells, its seeds crossed with the test images.

Per-image differences d[s,i] = mu + seed_s + image_i + residual_si, all effects random, independent and of mean zero.
Unbiased method of moments for the two-way layout without replication (Searle, Casella & McCulloch 1992, ch. 4).
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from objectives.errors import InputError

Array = npt.NDArray[np.float64]


class Bounds(NamedTuple):
    """An estimate with its interval: mean +- t_{degrees_of_freedom} standard_error; NaN where the data can't tell."""

    mean: float
    standard_error: float
    degrees_of_freedom: float
    lower: float
    upper: float


class MeanSquares(NamedTuple):
    """E seeds = v_res + N v_seed, E images = v_res + S v_image, E residual = v_res; NaN where S = 1 leaves none."""

    seeds: float
    images: float
    residual: float


class Components(NamedTuple):
    """Mean and variances of one cell's paired difference; an estimate below zero is set to 0 and named in `clamped`.

    With one seed all three variances are NaN: seeds, images and residual can't be told apart.
    """

    mean: float
    seed_variance: float
    image_variance: float
    residual_variance: float
    clamped: tuple[str, ...]
    mean_squares: MeanSquares
    seeds: int
    images: int


def components(differences: npt.ArrayLike) -> Components:
    """Components of `differences` [S,N] per seed and image. A difference that is not finite leaves NaN everywhere.

    Raises InputError for another shape and for fewer than two images.
    """
    d = np.asarray(differences, dtype=np.float64)
    if d.ndim != 2 or d.shape[0] < 1 or d.shape[1] < 2:
        raise InputError(
            f"expected differences [S,N] of S >= 1 seeds and N >= 2 test images, got shape {d.shape}: "
            "is it one row a seed?"
        )
    S, N = d.shape
    if not np.isfinite(d).all():
        nan = float("nan")
        return Components(nan, nan, nan, nan, (), MeanSquares(nan, nan, nan), S, N)
    squares = _mean_squares(d)
    raw = {
        "seeds": (squares.seeds - squares.residual) / N,
        "images": (squares.images - squares.residual) / S,
    }
    clamped = tuple(name for name, variance in raw.items() if variance < 0)
    seed, image = (0.0 if name in clamped else variance for name, variance in raw.items())
    return Components(float(d.mean()), seed, image, squares.residual, clamped, squares, S, N)


def new_seeds(found: Components, level: float = 0.95) -> Bounds:
    """These test images, new seeds: variance MS_seeds / (S N), S - 1 degrees of freedom (Student's t)."""
    S, N = found.seeds, found.images
    return _bounds(found.mean, found.mean_squares.seeds / (S * N), S - 1, level)


def new_images(found: Components, level: float = 0.95) -> Bounds:
    """These trained networks, new test images: variance MS_images / (S N), N - 1 degrees of freedom."""
    S, N = found.seeds, found.images
    return _bounds(found.mean, found.mean_squares.images / (S * N), N - 1, level)


def new_seeds_and_images(found: Components, level: float = 0.95) -> Bounds:
    """New seeds and new test images: variance v_seed / S + v_image / N + v_res / (S N), components as clamped.

    That is (max(MS_s, MS_r) + max(MS_i, MS_r) - MS_r) / (S N), with Satterthwaite's degrees of freedom of these three
    terms: a clamped seed component still costs the degrees of freedom of S seeds.
    With few seeds it can be narrower than `new_seeds`: the images' part of the variance has many degrees of freedom.
    """
    S, N = found.seeds, found.images
    seeds, images, residual = found.mean_squares
    terms = np.array([max(seeds, residual), max(images, residual), -residual])
    freedom = np.array([S - 1, N - 1, (S - 1) * (N - 1)])
    total = float(terms.sum())
    if not total > 0 or S == 1:
        return _bounds(found.mean, total / (S * N), S - 1, level)
    satterthwaite = total**2 / float((np.square(terms) / freedom).sum())
    return _bounds(found.mean, total / (S * N), satterthwaite, level)


def student_quantile(degrees_of_freedom: float, level: float) -> float:
    """Two-sided: P(|t| <= quantile) = level. Raises InputError for a level outside (0, 1)."""
    if not 0 < level < 1:
        raise InputError(f"expected a confidence level between 0 and 1, got {level}: 0.95 stands for 95%")
    return float(special.stdtrit(degrees_of_freedom, (1 + level) / 2))


def _bounds(mean: float, variance: float, degrees_of_freedom: float, level: float) -> Bounds:
    if degrees_of_freedom == 0 or not np.isfinite(variance):
        return Bounds(mean, float("nan"), float("nan"), float("nan"), float("nan"))
    error = float(np.sqrt(variance))
    half_width = student_quantile(degrees_of_freedom, level) * error
    return Bounds(mean, error, degrees_of_freedom, mean - half_width, mean + half_width)


def _mean_squares(d: Array) -> MeanSquares:
    S, N = d.shape
    over_images, over_seeds, mean = d.mean(1), d.mean(0), d.mean()
    images = S * float(np.square(over_seeds - mean).sum()) / (N - 1)
    if S == 1:
        return MeanSquares(float("nan"), images, float("nan"))
    seeds = N * float(np.square(over_images - mean).sum()) / (S - 1)
    residual = float(np.square(d - over_images[:, None] - over_seeds + mean).sum()) / ((S - 1) * (N - 1))
    return MeanSquares(seeds, images, residual)
