"""Checks of the parameters of priors."""

import math

import numpy as np

from auglik.objectives import InputError

MOST = float(np.finfo(np.float32).max)
"""The largest number of float32."""


def check_positive(prior: str, **values: float) -> None:
    """Raises InputError for a value that is not a positive number."""
    for name, value in values.items():
        if not (0 < value < math.inf):
            raise InputError(f"{prior}: expected {name} > 0, got {value}")


def check_scale(prior: str, scale: float) -> None:
    """Raises InputError for a scale that is not a positive number, and one whose square float32 cannot divide by."""
    check_positive(prior, scale=scale)
    if not 1 / MOST <= scale * scale <= MOST:
        raise InputError(
            f"{prior}: expected scale in {MOST**-0.5:.2g}..{MOST**0.5:.2g}, whose square float32 divides by,"
            f" got {scale}"
        )
