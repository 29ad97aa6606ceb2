"""Patch Gaussian (Lopes et al. 2019): Gaussian noise on a square of the image."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from torch import Tensor

from auglik.settings.fields import expect
from auglik.views.augmentation import Applied, Drawn, Parameters, Shape
from auglik.views.augmentations.common.boxes import area_share, check_fits, covered, draw_squares
from auglik.views.augmentations.common.noise import add_noise, draw_strength, noised


@dataclass(frozen=True)
class PatchNoise:
    """With chance p, noise s eps, s ~ U(0, sigma), on a square of `size` pixels, placed and clipped as cutout's.

    On standardized images: unlike in the paper, nothing is clipped to the range of pixels. Raises InputError for
    settings out of range.
    """

    size: int = 25
    sigma: float = 0.5
    p: float = 1.0
    domain: ClassVar[Literal["standardized"]] = "standardized"
    noisy: ClassVar[bool] = True

    def __post_init__(self) -> None:
        expect(self.size >= 1, "patch-noise size", "pixels >= 1", self.size)
        expect(0 < self.sigma < math.inf, "patch-noise sigma", "a deviation > 0", self.sigma)
        expect(0 <= self.p <= 1, "patch-noise p", "a probability in [0,1]", self.p)

    def check(self, shape: Shape) -> None:
        check_fits("patch-noise", self.size, shape)

    def draw(self, generator: np.random.Generator, count: int, shape: Shape) -> Parameters:
        """The squares int32 [n,4] and the deviations float32 [n], 0 where there is no noise."""
        strength = draw_strength(generator, count, self.p, self.sigma)
        return {"strength": strength, "box": draw_squares(generator, count, self.size, shape)}

    def applied(self, parameters: Parameters, shape: Shape) -> Sequence[Applied]:
        return noised(parameters, self.sigma, area_share(parameters["box"].astype(np.int32, copy=False), shape))

    def render(self, images: Tensor, drawn: Drawn) -> Tensor:
        return add_noise(images, drawn, covered(drawn.device["box"], *images.shape[2:]))
