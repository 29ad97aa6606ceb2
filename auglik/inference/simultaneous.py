"""Intervals that hold for all cells at once: max-t over the cells' paired differences.

The statistics t_c = mean_c / (sd_c / sqrt(S_c)) share seeds and a reference, so they are correlated. Their joint null
distribution is simulated: normal differences with the cells' correlation, every cell studentized by its own sd
(multivariate normal differences over seeds are the one assumption). Five seeds don't suffice for resampling: 5 signs
flip in 32 ways, which leaves no two-sided p below 1/16. They don't suffice for the raw correlation either, which looks
stronger than it is, so it is shrunk to independence (Schaefer & Strimmer 2005), where the critical value is largest.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from auglik.inference.components import student_quantile
from objectives.errors import InputError

Array = npt.NDArray[np.float64]

DRAWS = 20_000
CHUNK = 1000


class Simultaneous(NamedTuple):
    """Intervals [C] that jointly hold at the level, and max-t adjusted p-values [C]; NaN for a cell of one seed."""

    mean: Array
    standard_error: Array
    lower: Array
    upper: Array
    p_values: Array
    critical: Array
    """What the standard errors are multiplied by [C]; one value where all cells have equally many seeds."""
    shrinkage: float
    """Of the correlation: 0 keeps the estimated one, 1 is independence."""


def simultaneous(
    differences: npt.ArrayLike, *, generator: np.random.Generator, level: float = 0.95, draws: int = DRAWS
) -> Simultaneous:
    """Max-t intervals of `differences` [S,C], paired by seed, NaN where a cell lacks a seed.

    The family is the cells with two seeds or more and a spread; one without spread gets its mean for an interval.
    Raises InputError for another shape.
    """
    d = np.asarray(differences, dtype=np.float64)
    if d.ndim != 2 or d.size == 0:
        raise InputError(f"expected differences [S,C] of S seeds and C cells, got shape {d.shape}")
    there = ~np.isnan(d)
    count = there.sum(0)
    centre = np.where(there, d, 0).sum(0) / np.maximum(count, 1)
    mean = np.where(count > 0, centre, np.nan)
    error = _standard_error(d, there)
    family = np.flatnonzero(error > 0)
    critical, p_values = np.full(d.shape[1], np.nan), np.where(error == 0, (mean == 0).astype(float), np.nan)
    shrinkage = 0.0
    if family.size:
        correlation, shrinkage = shrunk_correlation(d[:, family])
        freedom = (count[family] - 1).astype(np.float64)
        smallest = _smallest_tails(correlation, there[:, family], freedom, generator, draws)
        bonferroni, student = (1 - level) / family.size, 1 - level
        tail = np.clip(np.quantile(smallest, 1 - level), bonferroni, student)  # leaves them only by chance
        critical[family] = [student_quantile(one, 1 - tail) for one in freedom]
        own_tail = 2 * special.stdtr(freedom, -np.abs(mean[family] / error[family]))
        adjusted = (1 + (smallest[:, None] <= own_tail).sum(0)) / (1 + draws)
        p_values[family] = np.clip(adjusted, own_tail, np.minimum(1, family.size * own_tail))
    half_width = np.where(error == 0, 0, critical * error)
    return Simultaneous(mean, error, mean - half_width, mean + half_width, p_values, critical, shrinkage)


def shrunk_correlation(differences: Array) -> tuple[Array, float]:
    """(1 - w) R + w I of the seeds [S,C] that all cells share, and w = sum var(r_ij) / sum r_ij^2 over i != j.

    With fewer than three such seeds w = 1.
    """
    shared = differences[~np.isnan(differences).any(1)]
    S, C = shared.shape
    if C == 1:
        return np.eye(1), 0.0
    spread = shared.std(0, ddof=1) if S > 2 else np.zeros(C)
    if (spread == 0).any():
        return np.eye(C), 1.0
    z = (shared - shared.mean(0)) / spread
    products = z[:, :, None] * z[:, None, :]
    R = products.sum(0) / (S - 1)
    variance = S / (S - 1) ** 3 * np.square(products - products.mean(0)).sum(0)
    other = ~np.eye(C, dtype=bool)
    w = float(np.clip(variance[other].sum() / np.square(R[other]).sum(), 0, 1))
    return (1 - w) * R + w * np.eye(C), w


def _standard_error(d: Array, there: npt.NDArray[np.bool_]) -> Array:
    """sd / sqrt(n) of each column's values; NaN for one value or one that is not finite."""
    error = np.full(d.shape[1], np.nan)
    for cell, kept in enumerate(there.T):
        values = d[kept, cell]
        if values.size > 1 and np.isfinite(values).all():
            error[cell] = 0.0 if np.ptp(values) == 0 else values.std(ddof=1) / np.sqrt(values.size)
    return error


def _smallest_tails(
    correlation: Array, there: npt.NDArray[np.bool_], freedom: Array, generator: np.random.Generator, draws: int
) -> Array:
    """Null draws [draws] of the least over cells of P(|t| > |t_c|), that of max |t| where all have S seeds."""
    eigenvalues, vectors = np.linalg.eigh(correlation)
    root = vectors * np.sqrt(np.maximum(eigenvalues, 0))
    smallest = []
    for start in range(0, draws, CHUNK):
        z = generator.standard_normal((min(CHUNK, draws - start), *there.shape)) @ root.T
        mean = np.where(there, z, 0).sum(1) / (freedom + 1)
        squares = np.square(np.where(there, z - mean[:, None], 0)).sum(1)
        t = mean / np.sqrt(squares / freedom / (freedom + 1))
        smallest.append(2 * special.stdtr(freedom, -np.abs(t)).min(1))
    return np.concatenate(smallest)
