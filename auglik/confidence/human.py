"""Curves of human vision, as measured."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from auglik.confidence.contract import within_chance_and_one
from auglik.confidence.smoothed import Smoothed
from auglik.confidence.strength import OCCLUSIONS
from auglik.system.array_types import FloatArray


class Curve(NamedTuple):
    """p at x, piecewise linear, constant beyond its ends."""

    argument: Callable[[FloatArray, FloatArray], FloatArray]
    """x from magnitude and visibility."""
    x: tuple[float, ...]
    p: tuple[float, ...]


OCCLUSION = Curve(
    lambda magnitude, visibility: visibility,
    (0, 0.0333, 0.0667, 0.1, 0.1333, 0.1667, 0.2, 0.2333, 0.2667, 0.3, 0.3333, 1.0),
    (0.216, 0.388, 0.511, 0.584, 0.653, 0.685, 0.68, 0.727, 0.755, 0.764, 0.776, 1.0),
)
ROTATION = Curve(
    lambda magnitude, visibility: np.abs(magnitude),
    (0, 90, 117, 121.5, 135),
    (1.0, 0.97, 0.934, 0.9315, 0.945),
)
CONTRAST = Curve(
    lambda magnitude, visibility: 1 + magnitude,
    (0, 0.0333, 0.0667, 0.1, 0.9667, 1.0),
    (0.32, 0.32, 0.643, 0.966, 1.0, 1.0),
)

CURVES: Mapping[str, Curve] = {
    "rotate": ROTATION,
    "contrast": CONTRAST,
    **dict.fromkeys(OCCLUSIONS, OCCLUSION),
}
"""Figures of arXiv 2507.16427: over the visible share, the degrees, and the share of the contrast that is kept."""


@dataclass(frozen=True)
class Human:
    """How often people name the object, for occlusions, rotation and contrast; other operations as `Smoothed` has it.

    More contrast than the image's own leaves p = 1.
    """

    def confidence(self, operation: str, magnitude: FloatArray, visibility: FloatArray, classes: int) -> FloatArray:
        if operation not in CURVES:
            return Smoothed().confidence(operation, magnitude, visibility, classes)
        argument, x, p = CURVES[operation]
        return within_chance_and_one(np.interp(argument(magnitude, visibility), x, p), classes)

    def lacking(self, operations: Iterable[str], class_names: Sequence[str]) -> list[str]:
        return Smoothed().lacking(operations, class_names)

    def identity(self) -> str:
        return repr(self)
