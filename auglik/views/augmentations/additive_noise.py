"""Gaussian noise on whole images, of a strength drawn for each view."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from torch import Tensor

from auglik.settings.fields import expect
from auglik.views.augmentation import Applied, Drawn, Parameters, Shape
from auglik.views.augmentations.common.noise import add_noise, draw_strength, noised


@dataclass(frozen=True)
class AdditiveNoise:
    """With chance p, x + s eps, s ~ U(0, sigma), eps standard normal, on standardized images.

    sigma = 0.5 is about 0.12 on CIFAR-10's pixels in [0,1]. Unlike mollification it leaves the image at full strength.
    Raises InputError for settings out of range.
    """

    sigma: float = 0.5
    p: float = 1.0
    domain: ClassVar[Literal["standardized"]] = "standardized"
    noisy: ClassVar[bool] = True

    def __post_init__(self) -> None:
        expect(0 < self.sigma < math.inf, "additive-noise sigma", "a deviation > 0", self.sigma)
        expect(0 <= self.p <= 1, "additive-noise p", "a probability in [0,1]", self.p)

    def check(self, shape: Shape) -> None:
        """Every image can be noised."""

    def draw(self, generator: np.random.Generator, count: int, shape: Shape) -> Parameters:
        """The deviations float32 [n], 0 where there is no noise."""
        return {"strength": draw_strength(generator, count, self.p, self.sigma)}

    def applied(self, parameters: Parameters, shape: Shape) -> Sequence[Applied]:
        return noised(parameters, self.sigma, np.ones(len(parameters["strength"])))

    def render(self, images: Tensor, drawn: Drawn) -> Tensor:
        return add_noise(images, drawn, None)
