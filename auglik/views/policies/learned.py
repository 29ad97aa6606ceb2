"""The pairs of operations that AutoAugment learned, as its paper's appendix and torchvision list them.

A step is written as operation, chance and strength (an index among ten bins); 0 where an operation has no strength.
"""

from typing import NamedTuple


class Step(NamedTuple):
    """One operation of a pair."""

    operation: str
    chance: float
    strength: int


def _pairs(text: str) -> tuple[tuple[Step, Step], ...]:
    """One pair a line, its steps separated by a comma."""
    return tuple(
        (_step(first), _step(second)) for first, _, second in (line.partition(",") for line in text.split("\n"))
    )


def _step(text: str) -> Step:
    operation, chance, strength = text.split()
    return Step(operation, float(chance), int(strength))


LEARNED: dict[str, tuple[tuple[Step, Step], ...]] = {
    "cifar10": _pairs(
        """invert 0.1 0, contrast 0.2 6
        rotate 0.7 2, translate-x 0.3 9
        sharpness 0.8 1, sharpness 0.9 3
        shear-y 0.5 8, translate-y 0.7 9
        autocontrast 0.5 0, equalize 0.9 0
        shear-y 0.2 7, posterize 0.3 7
        color 0.4 3, brightness 0.6 7
        sharpness 0.3 9, brightness 0.7 9
        equalize 0.6 0, equalize 0.5 0
        contrast 0.6 7, sharpness 0.6 5
        color 0.7 7, translate-x 0.5 8
        equalize 0.3 0, autocontrast 0.4 0
        translate-y 0.4 3, sharpness 0.2 6
        brightness 0.9 6, color 0.2 8
        solarize 0.5 2, invert 0.0 0
        equalize 0.2 0, autocontrast 0.6 0
        equalize 0.2 0, equalize 0.6 0
        color 0.9 9, equalize 0.6 0
        autocontrast 0.8 0, solarize 0.2 8
        brightness 0.1 3, color 0.7 0
        solarize 0.4 5, autocontrast 0.9 0
        translate-y 0.9 9, translate-y 0.7 9
        autocontrast 0.9 0, solarize 0.8 3
        equalize 0.8 0, invert 0.1 0
        translate-y 0.7 9, autocontrast 0.9 0"""
    ),
    "imagenet": _pairs(
        """posterize 0.4 8, rotate 0.6 9
        solarize 0.6 5, autocontrast 0.6 0
        equalize 0.8 0, equalize 0.6 0
        posterize 0.6 7, posterize 0.6 6
        equalize 0.4 0, solarize 0.2 4
        equalize 0.4 0, rotate 0.8 8
        solarize 0.6 3, equalize 0.6 0
        posterize 0.8 5, equalize 1.0 0
        rotate 0.2 3, solarize 0.6 8
        equalize 0.6 0, posterize 0.4 6
        rotate 0.8 8, color 0.4 0
        rotate 0.4 9, equalize 0.6 0
        equalize 0.0 0, equalize 0.8 0
        invert 0.6 0, equalize 1.0 0
        color 0.6 4, contrast 1.0 8
        rotate 0.8 8, color 1.0 2
        color 0.8 8, solarize 0.8 7
        sharpness 0.4 7, invert 0.6 0
        shear-x 0.6 5, equalize 1.0 0
        color 0.4 0, equalize 0.6 0
        equalize 0.4 0, solarize 0.2 4
        solarize 0.6 5, autocontrast 0.6 0
        invert 0.6 0, equalize 1.0 0
        color 0.6 4, contrast 1.0 8
        equalize 0.8 0, equalize 0.6 0"""
    ),
    "svhn": _pairs(
        """shear-x 0.9 4, invert 0.2 0
        shear-y 0.9 8, invert 0.7 0
        equalize 0.6 0, solarize 0.6 6
        invert 0.9 0, equalize 0.6 0
        equalize 0.6 0, rotate 0.9 3
        shear-x 0.9 4, autocontrast 0.8 0
        shear-y 0.9 8, invert 0.4 0
        shear-y 0.9 5, solarize 0.2 6
        invert 0.9 0, autocontrast 0.8 0
        equalize 0.6 0, rotate 0.9 3
        shear-x 0.9 4, solarize 0.3 3
        shear-y 0.8 8, invert 0.7 0
        equalize 0.9 0, translate-y 0.6 6
        invert 0.9 0, equalize 0.6 0
        contrast 0.3 3, rotate 0.8 4
        invert 0.8 0, translate-y 0.0 2
        shear-y 0.7 6, solarize 0.4 8
        invert 0.6 0, rotate 0.8 4
        shear-y 0.3 7, translate-x 0.9 3
        shear-x 0.1 6, invert 0.6 0
        solarize 0.7 2, translate-y 0.6 7
        shear-y 0.8 4, invert 0.8 0
        shear-x 0.7 9, translate-y 0.8 3
        shear-y 0.8 5, autocontrast 0.7 0
        shear-x 0.7 2, invert 0.1 0"""
    ),
}
