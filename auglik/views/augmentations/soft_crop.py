"""The crop of Soft Augmentation (Liu et al. 2023, Eq. 7): the image shifted, often far, onto a background."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri
from torch import Tensor

from auglik.settings.fields import expect
from auglik.views.augmentation import Applied, Drawn, Parameters, Shape, one_operation
from auglik.views.augmentations.common.background import check_background, draw_background, fill


@dataclass(frozen=True)
class SoftCrop:
    """Pixel (y, x) of a view is pixel (y + ty, x + tx) of its image; ty, tx ~ N(0, sigma L) within +-L, rounded.

    L is the longer edge. Offsets are rounded to the nearest pixel (truncation, as in the published code, doubles the
    chance of no shift), and visibility is what they leave: (1 - |tx|/W)(1 - |ty|/H), not below 0, which is Eq. 7 for
    square images. Raises InputError for settings out of range.
    """

    sigma: float = 0.3
    background: str = "constant"
    domain: ClassVar[Literal["standardized"]] = "standardized"

    def __post_init__(self) -> None:
        expect(0 < self.sigma < math.inf, "soft-crop sigma", "a deviation > 0, in longer edges", self.sigma)
        check_background("soft-crop background", self.background)

    @property
    def noisy(self) -> bool:
        return self.background == "pixel"

    def check(self, shape: Shape) -> None:
        """Every image can be shifted."""

    def draw(self, generator: np.random.Generator, count: int, shape: Shape) -> Parameters:
        """Offsets (ty, tx) int32 [n,2] in pixels, and what the background needs."""
        L = max(shape.height, shape.width)
        low = ndtr(-1 / self.sigma)
        # Rejection beyond +-L leaves a truncated normal, drawn here by its quantiles.
        quantile = low + (1 - 2 * low) * generator.random((count, 2))
        offset = np.clip(np.rint(self.sigma * L * ndtri(quantile)), -L, L).astype(np.int32)
        return {"offset": offset, **draw_background(self.background, generator, count, shape.channels)}

    def applied(self, parameters: Parameters, shape: Shape) -> Sequence[Applied]:
        offset = np.abs(parameters["offset"])
        visibility = np.maximum(1 - offset / [shape.height, shape.width], 0).prod(1)
        return one_operation("crop", offset.max(1) > 0, 1 - visibility, visibility)

    def render(self, images: Tensor, drawn: Drawn) -> Tensor:
        views, outside = shifted(images, drawn.device["offset"])
        moved: NDArray[np.int64] = np.flatnonzero(drawn.host["offset"].any(1))
        return fill(views, outside, moved, self.background, drawn)


def shifted(images: Tensor, offset: Tensor) -> tuple[Tensor, Tensor]:
    """Images [V,c,H,W] moved by (ty, tx) [V,2], and which pixels come from outside: [V,c,H,W], bool [V,H,W]."""
    V, c, H, W = images.shape
    row = torch.arange(H, device=images.device) + offset[:, :1]
    column = torch.arange(W, device=images.device) + offset[:, 1:]
    inside = ((row >= 0) & (row < H))[:, :, None] & ((column >= 0) & (column < W))[:, None, :]
    source = row.clamp(0, H - 1)[:, :, None] * W + column.clamp(0, W - 1)[:, None, :]
    views = images.flatten(2).gather(2, source.view(V, 1, H * W).expand(V, c, H * W))
    return views.view(V, c, H, W), ~inside
