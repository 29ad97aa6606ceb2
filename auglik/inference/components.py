"""Variance of a paired difference between two cells, its seeds crossed with the test images.

Per-image differences d[s,i] = mu + seed_s + image_i + residual_si, all effects random, independent and of mean zero.
Unbiased method of moments for the two-way layout without replication (Searle, Casella & McCulloch 1992, ch. 4).
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from auglik.objectives.errors import InputError
from auglik.scoring.intervals import ROUNDING
from auglik.system.array_types import Float64Array


@dataclass(frozen=True, kw_only=True, slots=True)
class Bounds:
    """An estimate with its interval: mean +- t_{degrees_of_freedom} standard_error.

    NaN where the data can't tell: nothing to take a spread from, or values without any.
    """

    mean: float
    standard_error: float
    degrees_of_freedom: float
    lower: float
    upper: float


class MeanSquares(NamedTuple):
    """E seeds = v_res + N v_seed, E images = v_res + S v_image, E residual = v_res; NaN where S = 1 or N = 1."""

    seeds: float
    images: float
    residual: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Components:
    """Mean and variances of one cell's paired difference; an estimate below zero is set to 0 and named in `clamped`.

    With one seed or one image all three variances are NaN: seeds, images and residual cannot be separated.
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

    Raises InputError for another shape.
    """
    d = np.asarray(differences, dtype=np.float64)
    if d.ndim != 2 or d.size == 0:
        raise InputError(
            f"expected differences [S,N] of S seeds and N test images, got shape {d.shape}: is it one row per seed?"
        )
    S, N = d.shape
    if not np.isfinite(d).all():
        nan = float("nan")
        return Components(
            mean=nan, seed_variance=nan, image_variance=nan, residual_variance=nan, clamped=(),
            mean_squares=MeanSquares(nan, nan, nan), seeds=S, images=N,
        )  # fmt: skip
    squares = MeanSquares(*map(float, mean_squares(d)))
    raw = {
        "seeds": (squares.seeds - squares.residual) / N,
        "images": (squares.images - squares.residual) / S,
    }
    clamped = tuple(name for name, variance in raw.items() if variance < 0)
    seed, image = (0.0 if name in clamped else variance for name, variance in raw.items())
    return Components(
        mean=float(d.mean()), seed_variance=seed, image_variance=image, residual_variance=squares.residual,
        clamped=clamped, mean_squares=squares, seeds=S, images=N,
    )  # fmt: skip


def new_seeds(found: Components, level: float = 0.95) -> Bounds:
    """These test images, new seeds: variance MS_seeds / (S N), S - 1 degrees of freedom (Student's t)."""
    S, N = found.seeds, found.images
    return _bounds(found.mean, found.mean_squares.seeds / (S * N), S - 1, level)


def new_images(found: Components, level: float = 0.95) -> Bounds:
    """These trained networks, new test images: variance MS_images / (S N), N - 1 degrees of freedom."""
    S, N = found.seeds, found.images
    return _bounds(found.mean, found.mean_squares.images / (S * N), N - 1, level)


def student_quantile(degrees_of_freedom: float, level: float) -> float:
    """Two-sided: P(|t| <= quantile) = level. Raises InputError for a level outside (0, 1)."""
    if not 0 < level < 1:
        raise InputError(f"expected a confidence level between 0 and 1, got {level}: 0.95 means 95%")
    return float(special.stdtrit(degrees_of_freedom, (1 + level) / 2))


def _bounds(mean: float, variance: float, degrees_of_freedom: float, level: float) -> Bounds:
    if degrees_of_freedom == 0 or not variance > (ROUNDING * mean) ** 2 or np.isinf(variance):
        nan = float("nan")
        return Bounds(mean=mean, standard_error=nan, degrees_of_freedom=nan, lower=nan, upper=nan)
    error = float(np.sqrt(variance))
    half_width = student_quantile(degrees_of_freedom, level) * error
    return Bounds(
        mean=mean, standard_error=error, degrees_of_freedom=degrees_of_freedom, lower=mean - half_width,
        upper=mean + half_width,
    )  # fmt: skip


def mean_squares(d: Float64Array) -> tuple[Float64Array, Float64Array, Float64Array]:
    """Those of seeds, images and residual of d [...,S,N]; NaN where S = 1 or N = 1 leaves none."""
    S, N = d.shape[-2:]
    over_images, over_seeds = d.mean(-1), d.mean(-2)
    of_seeds = over_images - over_images.mean(-1, keepdims=True)
    of_images = over_seeds - over_seeds.mean(-1, keepdims=True)
    seeds, images = N * np.square(of_seeds).sum(-1), S * np.square(of_images).sum(-1)
    both = np.square(d - over_images[..., None] - of_images[..., None, :]).sum((-2, -1))
    nothing = np.full(seeds.shape, np.nan)
    return (
        seeds / (S - 1) if S > 1 else nothing,
        images / (N - 1) if N > 1 else nothing,
        both / ((S - 1) * (N - 1)) if S > 1 and N > 1 else nothing,
    )
