"""Smoothed curves of human vision, and of model accuracy where people were not measured."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from auglik.confidence.contract import within_chance_and_one
from auglik.confidence.polynomial import polynomial
from auglik.confidence.strength import OCCLUSIONS, lost_bits_above_two, strength, without_strength
from auglik.system.array_types import FloatArray


class Law(NamedTuple):
    """p = 1 - (1 - p_min) s^k."""

    k: float
    p_min: float


class Laws(NamedTuple):
    """For magnitudes >= 0 and < 0."""

    more: Law
    less: Law


UNCHANGED = Law(1, 1)
OCCLUSION = Law(4, 0.216)
TURNED = Law(1, 0.9315)

LAWS: Mapping[str, Laws] = {
    "brightness": Laws(Law(3, 0.86), Law(5, 0.32)),
    "contrast": Laws(Law(2, 0.976), Law(5, 0.32)),
    "color": Laws(UNCHANGED, Law(3, 0.95)),
    "sharpness": Laws(Law(1, 0.992), Law(4, 0.884)),
    "posterize": Laws(Law(10, 0.86), UNCHANGED),
    "solarize": Laws(Law(1.5, 0.512), UNCHANGED),
    **dict.fromkeys(("rotate", "shear-x", "shear-y"), Laws(TURNED, TURNED)),
    **dict.fromkeys(OCCLUSIONS, Laws(OCCLUSION, OCCLUSION)),
}
"""Figures of arXiv 2507.16427. It has a law for translations, which hide a part of the image; all operations that do
follow it. Those without a strength (flip, invert, equalize, ...) leave p = 1."""


@dataclass(frozen=True)
class Smoothed:
    """A polynomial of the strength for each operation and sign of its magnitude (arXiv 2507.16427)."""

    def confidence(self, operation: str, magnitude: FloatArray, visibility: FloatArray, classes: int) -> FloatArray:
        if operation == "posterize":
            s = np.clip(lost_bits_above_two(magnitude, visibility), 0, 1)
        else:
            s = strength(operation, magnitude, visibility)
        more, less = LAWS.get(operation, Laws(UNCHANGED, UNCHANGED))
        p = polynomial(s, *more)
        if less != more:
            p = np.where(magnitude < 0, polynomial(s, *less), p)
        return within_chance_and_one(p, classes)

    def lacking(self, operations: Iterable[str], class_names: Sequence[str]) -> list[str]:
        return without_strength(operations)

    def identity(self) -> str:
        return repr(self)
