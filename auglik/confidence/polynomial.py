"""Confidence as a polynomial of the strength."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from auglik.confidence.contract import within_chance_and_one
from auglik.confidence.strength import strength, without_strength
from auglik.objectives import InputError
from auglik.system.array_types import FloatArray


def polynomial(s: FloatArray, k: float, p_min: float) -> FloatArray:
    """p = 1 - (1 - p_min) s^k."""
    return 1 - (1 - p_min) * s**k


@dataclass(frozen=True)
class Polynomial:
    """p = 1 - (1 - p_min) s^k, p_min at least chance (0: chance). Liu et al. 2023, Eq. 7, with s = 1 - v.

    Raises InputError for parameters out of range.
    """

    k: float = 2.0
    p_min: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.k < float("inf"):
            raise InputError(f"polynomial: expected an exponent k > 0, got {self.k}")
        if not 0 <= self.p_min <= 1:
            raise InputError(f"polynomial: expected a confidence p_min in [0,1] (0: chance), got {self.p_min}")

    def confidence(self, operation: str, magnitude: FloatArray, visibility: FloatArray, classes: int) -> FloatArray:
        s = strength(operation, magnitude, visibility)
        return within_chance_and_one(polynomial(s, self.k, max(self.p_min, 1 / classes)), classes)

    def lacking(self, operations: Iterable[str], class_names: Sequence[str]) -> list[str]:
        return without_strength(operations)

    def identity(self) -> str:
        return repr(self)
