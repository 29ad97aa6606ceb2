"""Checks of the parameters of priors."""

import math

from auglik.objectives import InputError


def check_positive(prior: str, **values: float) -> None:
    """Raises InputError for a value that is not a positive number."""
    for name, value in values.items():
        if not (0 < value < math.inf):
            raise InputError(f"{prior}: expected {name} > 0, got {value}")
