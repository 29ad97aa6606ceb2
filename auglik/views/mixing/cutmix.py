"""CutMix (Yun et al. 2019)."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from auglik.settings.fields import expect
from auglik.views.augmentation import Parameters, Shape
from auglik.views.augmentations.common.boxes import Boxes, area_share, boxes, covered
from auglik.views.store import Gallery


@dataclass(frozen=True)
class CutMix:
    """A box of the partner in each image: 1 - lambda of its area before it is clipped, lambda ~ Beta(alpha, alpha).

    The image's share is that of the pixels it keeps. Raises InputError for settings out of range.
    """

    alpha: float = 1.0

    def __post_init__(self) -> None:
        expect(0 < self.alpha < math.inf, "cutmix alpha", "a number > 0", self.alpha)

    def draw(self, generator: np.random.Generator, count: int, shape: Shape) -> Parameters:
        """Partner int64 [n], share float32 [n] and box int32 [n,4]."""
        partner = generator.permutation(count)
        box = self._draw_boxes(generator, count, shape)
        return {"partner": partner, "share": (1 - area_share(box, shape)).astype(np.float32), "box": box}

    def _draw_boxes(self, generator: np.random.Generator, count: int, shape: Shape) -> Boxes:
        """Centre uniform over the pixels, half sides floor(sqrt(1 - lambda) / 2 times the image's), clipped: [n,4]."""
        size = np.array([[shape.height], [shape.width]])
        centre = generator.integers(0, size, (2, count))
        half = (0.5 * np.sqrt(1 - generator.beta(self.alpha, self.alpha, count)) * size).astype(np.int64)
        first, last = np.maximum(centre - half, 0), np.minimum(centre + half, size)
        return boxes(*first, *(last - first))

    def mix(self, gallery: Gallery, index: Tensor, drawn: Mapping[str, Tensor]) -> Gallery:
        inside = covered(drawn["box"], gallery.height, gallery.width).flatten(1)
        mixed = torch.where(inside, gallery.pixels[drawn["partner"]], gallery.pixels[index])
        return dataclasses.replace(gallery, pixels=mixed)
