"""Checks of an augmentation's settings."""

from auglik.objectives import InputError


def expect(holds: bool, setting: str, expected: str, got: object) -> None:
    """Raises InputError unless the setting is as expected; comparisons with NaN do not hold."""
    if not holds:
        raise InputError(f"{setting}: expected {expected}, got {got}")
