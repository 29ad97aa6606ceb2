"""TrivialAugment, wide space (Müller and Hutter 2021): one operation, one strength, both uniform."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal, Self

import numpy as np
from torch import Tensor

from auglik.settings.fields import expect
from auglik.views.augmentation import Applied, Drawn, Parameters, Shape
from auglik.views.operations import Run, as_is, compiled
from auglik.views.policies.space import Space, check_size, in_turn, reported

WIDE: dict[str, tuple[float, float]] = {
    "identity": (0, 0),
    "shear-x": (0, 0.99),
    "shear-y": (0, 0.99),
    "translate-x": (0, 32),
    "translate-y": (0, 32),
    "rotate": (0, 135),
    "brightness": (0, 0.99),
    "color": (0, 0.99),
    "contrast": (0, 0.99),
    "sharpness": (0, 0.99),
    "posterize": (8, 2),
    "solarize": (1, 0),
    "autocontrast": (0, 0),
    "equalize": (0, 0),
}
"""Weakest and strongest magnitude of each operation, for images of any size."""


@dataclass(frozen=True)
class TrivialAugmentWide:
    """An operation of the wide space at one of `bins` strengths; torchvision's distribution."""

    bins: int = 31
    bilinear: bool = False
    run: Run = field(default=as_is, repr=False)
    domain: ClassVar[Literal["levels"]] = "levels"
    noisy: ClassVar[bool] = False

    def __post_init__(self) -> None:
        expect(self.bins >= 2, "trivial-augment bins", "2 or more", self.bins)

    def compiled(self) -> Self:
        return replace(self, run=compiled)

    def check(self, shape: Shape) -> None:
        check_size("trivial-augment", shape)

    def draw(self, generator: np.random.Generator, count: int, shape: Shape) -> Parameters:
        """Operation and magnitude [n,1], coefficients [n,1,6]."""
        space = Space.of(WIDE, self.bins)
        which = generator.integers(len(WIDE), size=(count, 1), dtype=np.uint8)
        at = generator.integers(self.bins, size=(count, 1))
        return space.drawn(generator, which, at, shape)

    def applied(self, parameters: Parameters, shape: Shape) -> Sequence[Applied]:
        return reported(parameters, shape)

    def render(self, images: Tensor, drawn: Drawn) -> Tensor:
        return in_turn(images, drawn, self.bilinear, self.run)
