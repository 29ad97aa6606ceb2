"""Relative strengths: how far, in [0,1], an operation went of the way that confidence maps are drawn over.

Adaptive label smoothing (arXiv 2507.16427) and soft augmentation (Liu et al. 2023).
"""

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from auglik.system.array_types import FloatArray

Strength = Callable[[FloatArray, FloatArray], FloatArray]
"""magnitude [n], visibility [n] -> s [n], not yet clamped to [0,1]."""

WIDEST_FACTOR = 0.99
"""Magnitude of shears and of the factors 1 + magnitude at which the strength is 1."""
WIDEST_ANGLE = 135.0
"""Degrees."""


def none(magnitude: FloatArray, visibility: FloatArray) -> FloatArray:
    """For operations that are there or not: they leave the label as it is."""
    return np.zeros_like(magnitude)


def hidden(magnitude: FloatArray, visibility: FloatArray) -> FloatArray:
    """1 - v: 0 for an erased rectangle that did not fit, as it erased nothing."""
    return 1 - visibility


def factor(magnitude: FloatArray, visibility: FloatArray) -> FloatArray:
    """|magnitude| / 0.99."""
    return np.abs(magnitude) / WIDEST_FACTOR


def angle(magnitude: FloatArray, visibility: FloatArray) -> FloatArray:
    """|degrees| / 135."""
    return np.abs(magnitude) / WIDEST_ANGLE


def lost_bits(magnitude: FloatArray, visibility: FloatArray) -> FloatArray:
    """1 - bits/8: the polynomial map's."""
    return 1 - magnitude / 8


def lost_bits_above_two(magnitude: FloatArray, visibility: FloatArray) -> FloatArray:
    """1 - (bits - 2)/6: the smoothed map's."""
    return 1 - (magnitude - 2) / 6


def below_threshold(magnitude: FloatArray, visibility: FloatArray) -> FloatArray:
    """1 - threshold, the threshold in units of the brightest level."""
    return 1 - magnitude


STRENGTHS: Mapping[str, Strength] = {
    "identity": none,
    "flip": none,
    "autocontrast": none,
    "equalize": none,
    "invert": none,
    "crop": hidden,
    "translate-x": hidden,
    "translate-y": hidden,
    "erase": hidden,
    "noise": hidden,
    "rotate": angle,
    "shear-x": factor,
    "shear-y": factor,
    "brightness": factor,
    "color": factor,
    "contrast": factor,
    "sharpness": factor,
    "posterize": lost_bits,
    "solarize": below_threshold,
}

OCCLUSIONS = tuple(name for name, strength in STRENGTHS.items() if strength is hidden)
"""Operations whose strength is how much of the image they hide."""


def strength(operation: str, magnitude: FloatArray, visibility: FloatArray) -> FloatArray:
    """s [n] of an operation, in [0,1]."""
    return np.clip(STRENGTHS[operation](magnitude, visibility), 0, 1)


def without_strength(operations: Iterable[str]) -> list[str]:
    """Those of `operations` that no strength is defined for."""
    return [name for name in operations if name not in STRENGTHS]
