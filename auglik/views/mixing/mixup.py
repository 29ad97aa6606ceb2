"""MixUp (Zhang et al. 2018)."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from auglik.settings.fields import expect
from auglik.views.augmentation import Parameters, Shape
from auglik.views.store import Gallery


@dataclass(frozen=True)
class MixUp:
    """share * own + (1 - share) * partner, share ~ Beta(alpha, alpha), rounded to a level of the pixel, half to even.

    Raises InputError for settings out of range.
    """

    alpha: float = 1.0

    def __post_init__(self) -> None:
        expect(0 < self.alpha < math.inf, "mixup alpha", "a number > 0", self.alpha)

    def draw(self, generator: np.random.Generator, count: int, shape: Shape) -> Parameters:
        """Partner int64 [n] and share float32 [n]."""
        partner = generator.permutation(count)
        return {"partner": partner, "share": generator.beta(self.alpha, self.alpha, count).astype(np.float32)}

    def mix(self, gallery: Gallery, index: Tensor, drawn: Mapping[str, Tensor]) -> Gallery:
        # Bytes of packed pixels, the unused fourth of three-channel ones too: it stays 0.
        own, partner = (gallery.pixels[which].view(torch.uint8).float() for which in (index, drawn["partner"]))
        levels = torch.lerp(partner, own, drawn["share"][:, None]).round_().to(torch.uint8)
        return dataclasses.replace(gallery, pixels=levels.view(gallery.pixels.dtype))
