"""Means over seeds and paired differences: Student's t intervals, p-values, and Holm's for a family of them."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from auglik.objectives.errors import InputError

Vector = npt.NDArray[np.float64]


class Interval(NamedTuple):
    """A mean of n values, its standard error and the bounds of its interval (NaN where n = 1, or all values agree)."""

    mean: float
    standard_error: float
    lower: float
    upper: float
    n: int


ROUNDING = 1e-12
"""Share of the largest value: smaller differences count as none."""
FAMILY_WISE = 0.05
"""The chance of any false verdict in a family."""


def standard_error(values: Vector) -> float:
    """sd / sqrt(n) of `values` [n], with n - 1 degrees of freedom; NaN for n = 1 or where a value is not finite."""
    if values.size == 1 or not np.isfinite(values).all():
        return float("nan")
    return float(values.std(ddof=1) / np.sqrt(values.size))


def standard_errors(values: Vector) -> Vector:
    """Of means over the last axis [...,S], to test with: NaN also where all S values are equal but not 0.

    Such seeds say nothing about how others differ: their agreement, e.g. of a rounded score, is luck.
    """
    S = values.shape[-1]
    if S == 1:
        return np.full(values.shape[:-1], np.nan)
    with np.errstate(invalid="ignore"):
        spread, largest = np.ptp(values, axis=-1), np.abs(values).max(-1)
        error = values.std(-1, ddof=1) / np.sqrt(S)
        return np.where((spread > ROUNDING * largest) & np.isfinite(error), error, np.nan)


def p_of(interval: Interval) -> float:
    """Two-sided, of Student's t test that the mean is 0; NaN where the interval has no bounds."""
    if np.isnan(interval.lower):
        return float("nan")
    return float(2 * special.stdtr(interval.n - 1, -abs(interval.mean / interval.standard_error)))


def holm(p_values: npt.ArrayLike) -> Vector:
    """Holm's adjusted p-values of families along the last axis [...,m], valid whatever depends on what (Holm 1979).

    NaN stays NaN and counts as one of the m: a family is named before the results.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, axis=-1)  # NaN last
    steps = np.arange(p.shape[-1], 0, -1) * np.take_along_axis(p, order, -1)
    adjusted = np.empty_like(p)
    np.put_along_axis(adjusted, order, np.minimum(1, np.maximum.accumulate(steps, -1)), -1)
    return adjusted


def summary(values: npt.ArrayLike, level: float = 0.95) -> Interval:
    """The mean of `values` [S] over seeds, +- t_{S-1} sd / sqrt(S) at `level` (Student 1908).

    With S = 1, or a value that is not finite, the mean is given and the rest is NaN; so are bounds of equal values.
    Raises InputError for S = 0, for values that are not [S] numbers and for a level outside (0, 1).
    """
    return _interval(_vector("values", values), level)


def paired_difference(values: npt.ArrayLike, reference: npt.ArrayLike, level: float = 0.95) -> Interval:
    """`summary` of values - reference, both [S] and paired by seed.

    Raises InputError as `summary` does, and for different lengths.
    """
    ours, theirs = _vector("values", values), _vector("reference", reference)
    if ours.size != theirs.size:
        raise InputError(
            f"expected values and reference paired by seed, got {ours.size} and {theirs.size}: "
            "compare only the seeds that both cells have finished"
        )
    with np.errstate(invalid="ignore"):  # inf - inf, of two diverged runs, is NaN and is reported as such
        return _interval(ours - theirs, level)


def _interval(values: Vector, level: float) -> Interval:
    if not isinstance(level, int | float) or not 0 < level < 1:  # type: ignore[redundant-expr]
        raise InputError(f"expected a confidence level between 0 and 1, got {level!r}: 0.95 means 95%")
    with np.errstate(invalid="ignore"):
        mean = float(values.mean())
    half_width = float(special.stdtrit(values.size - 1, (1 + level) / 2) * standard_errors(values))
    return Interval(
        mean=mean, standard_error=standard_error(values), lower=mean - half_width, upper=mean + half_width,
        n=values.size,
    )  # fmt: skip


def _vector(name: str, values: npt.ArrayLike) -> Vector:
    try:
        vector = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, RuntimeError):
        raise InputError(f"expected {name} [S], one number per seed, got {type(values).__name__}") from None
    if vector.ndim != 1 or vector.size == 0:
        raise InputError(f"expected {name} [S], one number per seed, got shape {vector.shape}: is a seed missing?")
    return vector
