"""Cutout (DeVries & Taylor 2017): a square anywhere, even partly outside, shows the background."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from torch import Tensor

from auglik.settings.fields import expect
from auglik.views.augmentation import Applied, Drawn, Parameters, Shape
from auglik.views.augmentations.common.background import check_background, draw_background
from auglik.views.augmentations.common.boxes import check_fits, draw_squares
from auglik.views.augmentations.common.erasing import erase, erased


@dataclass(frozen=True)
class Cutout:
    """With chance p, a square of `size` pixels, its centre uniform over the image's pixels, clipped at the borders.

    The paper's sizes: 16 for CIFAR-10, 8 for CIFAR-100, with p = 1. Visibility counts what is really hidden. Raises
    InputError for settings out of range.
    """

    size: int = 16
    p: float = 1.0
    background: str = "zero"
    domain: ClassVar[Literal["standardized"]] = "standardized"

    def __post_init__(self) -> None:
        expect(self.size >= 1, "cutout size", "pixels >= 1", self.size)
        expect(0 <= self.p <= 1, "cutout p", "a probability in [0,1]", self.p)
        check_background("cutout background", self.background)

    @property
    def noisy(self) -> bool:
        return self.background == "pixel"

    def check(self, shape: Shape) -> None:
        check_fits("cutout", self.size, shape)

    def draw(self, generator: np.random.Generator, count: int, shape: Shape) -> Parameters:
        """The boxes int32 [n,4], empty where nothing is erased, and what the background needs."""
        chosen = generator.random(count) < self.p
        box = draw_squares(generator, count, self.size, shape) * chosen[:, None]
        return {"box": box, **draw_background(self.background, generator, count, shape.channels)}

    def applied(self, parameters: Parameters, shape: Shape) -> Sequence[Applied]:
        return erased(parameters, shape)

    def render(self, images: Tensor, drawn: Drawn) -> Tensor:
        return erase(images, self.background, drawn)
