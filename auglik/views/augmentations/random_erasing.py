"""Random erasing (Zhong et al. 2020): a rectangle of random size, ratio and position shows the background."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from torch import Tensor

from auglik.settings.fields import expect
from auglik.views.augmentation import Applied, Drawn, Parameters, Shape
from auglik.views.augmentations.common.background import check_background, draw_background
from auglik.views.augmentations.common.boxes import boxes, draw_sizes
from auglik.views.augmentations.common.erasing import erase, erased


@dataclass(frozen=True)
class RandomErasing:
    """With chance p, a rectangle of area U(min_area, area) of the image's and log-uniform ratio height/width.

    torchvision's distribution: a rectangle that is as high or wide as the image in ten tries leaves the image as it is.
    Raises InputError for settings out of range.
    """

    p: float = 0.5
    area: float = 0.33
    min_area: float = 0.02
    min_ratio: float = 0.3
    max_ratio: float = 3.3
    background: str = "zero"
    domain: ClassVar[Literal["standardized"]] = "standardized"

    def __post_init__(self) -> None:
        area, ratio = (self.min_area, self.area), (self.min_ratio, self.max_ratio)
        expect(0 <= self.p <= 1, "random-erasing p", "a probability in [0,1]", self.p)
        expect(0 <= area[0] <= area[1] <= 1, "random-erasing areas", "0 <= min_area <= area <= 1", area)
        expect(0 < ratio[0] <= ratio[1] < np.inf, "random-erasing ratios", "0 < min_ratio <= max_ratio", ratio)
        check_background("random-erasing background", self.background)

    @property
    def noisy(self) -> bool:
        return self.background == "pixel"

    def check(self, shape: Shape) -> None:
        """Where no rectangle fits, images stay as they are."""

    def draw(self, generator: np.random.Generator, count: int, shape: Shape) -> Parameters:
        """The boxes int32 [n,4], empty where nothing is erased, and what the background needs."""
        H, W = shape.height, shape.width
        chosen = generator.random(count) < self.p
        areas, ratios = (self.min_area, self.area), (self.min_ratio, self.max_ratio)
        h, w, found = draw_sizes(generator, count, H * W, areas, ratios, lambda h, w: (h < H) & (w < W))
        h, w = np.where(found & chosen, h, 0), np.where(found & chosen, w, 0)
        top, left = generator.integers(0, H - h, endpoint=True), generator.integers(0, W - w, endpoint=True)
        box = boxes(top, left, h, w)
        return {"box": box, **draw_background(self.background, generator, count, shape.channels)}

    def applied(self, parameters: Parameters, shape: Shape) -> Sequence[Applied]:
        return erased(parameters, shape)

    def render(self, images: Tensor, drawn: Drawn) -> Tensor:
        return erase(images, self.background, drawn)
