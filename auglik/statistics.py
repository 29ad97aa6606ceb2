"""Means over seeds and paired differences, with Student's t intervals."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from objectives.errors import InputError

Vector = npt.NDArray[np.float64]


class Interval(NamedTuple):
    """A mean of n values, its standard error and the bounds of its interval (NaN where n = 1)."""

    mean: float
    standard_error: float
    lower: float
    upper: float
    n: int


def standard_error(values: Vector) -> float:
    """sd / sqrt(n) of `values` [n], with n - 1 degrees of freedom; NaN for n = 1 or where a value is not finite."""
    if values.size == 1 or not np.isfinite(values).all():
        return float("nan")
    return float(values.std(ddof=1) / np.sqrt(values.size))


def summary(values: npt.ArrayLike, level: float = 0.95) -> Interval:
    """The mean of `values` [S] over seeds, +- t_{S-1} sd / sqrt(S) at `level` (Student 1908).

    With S = 1, or where a value is not finite, the mean is given and the rest is NaN.
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
            "compare the seeds that both cells have finished"
        )
    with np.errstate(invalid="ignore"):  # inf - inf, of two diverged runs, is NaN and is reported as such
        return _interval(ours - theirs, level)


def _interval(values: Vector, level: float) -> Interval:
    if not 0 < level < 1:
        raise InputError(f"expected a confidence level between 0 and 1, got {level}: 0.95 stands for 95%")
    with np.errstate(invalid="ignore"):
        mean = float(values.mean())
    error = standard_error(values)
    half_width = float(special.stdtrit(values.size - 1, (1 + level) / 2)) * error  # scipy.stats.t.ppf
    return Interval(mean, error, mean - half_width, mean + half_width, values.size)


def _vector(name: str, values: npt.ArrayLike) -> Vector:
    try:
        vector = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, RuntimeError):
        raise InputError(f"expected {name} [S], one number per seed, got {type(values).__name__}") from None
    if vector.ndim != 1 or vector.size == 0:
        raise InputError(f"expected {name} [S], one number per seed, got shape {vector.shape}: is a seed missing?")
    return vector
