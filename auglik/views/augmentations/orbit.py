"""A finite set of views, each of them seen in every epoch: shifts, and mirror images of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from torch import Tensor

from auglik.settings.fields import expect
from auglik.views.augmentation import Applied, Drawn, Parameters, Shape
from auglik.views.augmentations.fcr import FlipCropRotate

STILL = FlipCropRotate()
"""It renders any flip and shift; its own settings have no part in that."""


@dataclass(frozen=True)
class Orbit:
    """Every shift by up to `shifts` pixels down and right, as they are and then, with `flips`, mirrored.

    The finite orbit of Nabarro et al. 2022 (arXiv:2106.05586), whose mean is exact. A shift brings in black pixels, as
    the crop of `fcr` does, so the transformations are no group. Raises InputError for fewer than no shifts.
    """

    shifts: int = 1
    flips: bool = False
    domain: ClassVar[Literal["levels"]] = "levels"
    gather: ClassVar[tuple[str, ...]] = STILL.gather
    noisy: ClassVar[bool] = False

    def __post_init__(self) -> None:
        expect(self.shifts >= 0, "orbit shifts", "pixels >= 0", self.shifts)

    @property
    def size(self) -> int:
        """K."""
        return (1 + self.flips) * (2 * self.shifts + 1) ** 2

    def element(self, view: int, count: int) -> Parameters:
        """Flip, top and left of the view with that number, the same for each of `count` images.

        Raises InputError for a view that there is not.
        """
        expect(view < self.size, "views", f"at most the {self.size} of {self}", view + 1)
        return self._elements(np.full(count, view))

    def check(self, shape: Shape) -> None:
        expect(self.shifts < min(shape.height, shape.width), "orbit shifts",
               f"pixels below the {min(shape.height, shape.width)} of an image's side", self.shifts)  # fmt: skip

    def draw(self, generator: np.random.Generator, count: int, shape: Shape) -> Parameters:
        """A view at random for each of `count` images; pipelines take `element` instead."""
        return self._elements(generator.integers(self.size, size=count))

    def applied(self, parameters: Parameters, shape: Shape) -> Sequence[Applied]:
        return STILL.applied(parameters, shape)

    def render(self, images: Tensor, drawn: Drawn) -> Tensor:
        return STILL.render(images, drawn)

    def _elements(self, views: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> Parameters:
        side = 2 * self.shifts + 1
        flip, top, left = np.unravel_index(views, (1 + self.flips, side, side))
        return {
            "flip": flip == 1,
            "top": (top - self.shifts).astype(np.int32),
            "left": (left - self.shifts).astype(np.int32),
            "cos": np.ones(len(views), np.float32),
            "sin": np.zeros(len(views), np.float32),
        }
