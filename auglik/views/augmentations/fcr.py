"""Flip, crop, rotation (the papers' FCR), each view with its own parameters, as one gather.

The three compose into one map from output pixel to source pixel; pixels from outside the image are black. It is
torchvision's horizontal_flip -> pad -> crop -> rotate (nearest) on uint8 images, but for sources between two pixels.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from auglik.objectives import InputError
from auglik.views.augmentation import OPERATIONS, Applied, Drawn, Parameters, Shape
from auglik.views.store import Gallery, packed, standardized, unpacked

LARGEST_PADDING = 4096
"""Pixels: far more than any image needs, few enough for offsets of 32 bits."""


@dataclass(frozen=True)
class FlipCropRotate:
    """Flip with probability `flip`, crop at a uniform offset within `padding` pixels, rotate by U(-degrees, degrees).

    Raises InputError for parameters out of range.
    """

    flip: float = 0.5
    padding: int = 4
    degrees: float = 15.0
    domain: ClassVar[Literal["levels"]] = "levels"
    gather: ClassVar[tuple[str, ...]] = ("flip", "top", "left", "cos", "sin")
    noisy: ClassVar[bool] = False
    dimensions: ClassVar[int] = 4

    def __post_init__(self) -> None:
        if not 0 <= self.flip <= 1:
            raise InputError(f"flip: expected a probability in [0,1], got {self.flip}")
        if not 0 <= self.padding <= LARGEST_PADDING:
            raise InputError(f"crop padding: expected pixels in 0..{LARGEST_PADDING}, got {self.padding}")
        if not (math.isfinite(self.degrees) and 0 <= self.degrees <= 180):
            raise InputError(f"rotation: expected degrees in [0,180], got {self.degrees}")

    def check(self, shape: Shape) -> None:
        """Every image can be flipped, cropped and rotated."""

    def draw(self, generator: np.random.Generator, count: int, shape: Shape) -> dict[str, NDArray[np.generic]]:
        """One view of each of `count` images: flip, top and left offsets in pixels, cos and sin of the angle."""
        flip = generator.random(count) < self.flip
        top, left = generator.integers(-self.padding, self.padding, (2, count), np.int32, endpoint=True)
        return {
            "flip": flip,
            "top": top,
            "left": left,
            **_turned(generator.uniform(-self.degrees, self.degrees, count)),
        }

    def place(self, uniforms: NDArray[np.float64], shape: Shape) -> dict[str, NDArray[np.generic]]:
        """The same from numbers [N,4]: of the flip, the two offsets and the angle."""
        offsets = np.floor(uniforms[:, 1:3] * (2 * self.padding + 1)).astype(np.int32) - self.padding
        turned = _turned((2 * uniforms[:, 3] - 1) * self.degrees)
        return {"flip": uniforms[:, 0] < self.flip, "top": offsets[:, 0], "left": offsets[:, 1], **turned}

    def applied(self, parameters: Parameters, shape: Shape) -> Sequence[Applied]:
        """Flip (1), crop (the share of the image that left the frame) and rotation (degrees), each where it is done."""
        flip, top, left = (np.asarray(parameters[name], np.float32) for name in ("flip", "top", "left"))
        seen = np.clip(1 - np.abs(top) / shape.height, 0, 1) * np.clip(1 - np.abs(left) / shape.width, 0, 1)
        degrees = np.degrees(np.arctan2(parameters["sin"], parameters["cos"])).astype(np.float32)
        positions = np.array([OPERATIONS.index(name) for name in ("flip", "crop", "rotate")], np.uint8)
        done = np.stack([flip != 0, seen < 1, degrees != 0], 1)
        return [
            Applied(
                share=np.ones(len(flip), np.float32),
                operation=np.where(done, positions, np.uint8(OPERATIONS.index("identity"))),
                magnitude=np.stack([flip, 1 - seen, degrees], 1),
                visibility=np.stack([np.ones_like(seen), seen, np.ones_like(seen)], 1),
            )
        ]

    def render(self, images: Tensor, drawn: Drawn) -> Tensor:
        """The views of levels [V,c,H,W]."""
        gallery = packed(images)
        index = torch.arange(len(images), device=images.device)
        return levels(gallery, index, *(drawn.device[name] for name in self.gather))


def _turned(degrees: NDArray[np.float64]) -> dict[str, NDArray[np.generic]]:
    """cos and sin, in float64 as in torchvision; here, as compiled code would take both of every pixel."""
    radians = np.deg2rad(degrees)
    return {"cos": np.cos(radians).astype(np.float32), "sin": np.sin(radians).astype(np.float32)}


def fetch(gallery: Gallery, index: Tensor, flip: Tensor, top: Tensor, left: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Standardized views [V,c,H,W] of the images `index` [V] under parameters [V] each."""
    return standardized(
        _gathered(gallery, index, flip, top, left, cos, sin), gallery.channels, gallery.scale, gallery.shift
    )


def levels(
    gallery: Gallery, index: Tensor, flip: Tensor, top: Tensor, left: Tensor, cos: Tensor, sin: Tensor
) -> Tensor:
    """The same views before they are standardized: uint8 [V,c,H,W]."""
    return unpacked(_gathered(gallery, index, flip, top, left, cos, sin), gallery.channels)


def _gathered(
    gallery: Gallery, index: Tensor, flip: Tensor, top: Tensor, left: Tensor, cos: Tensor, sin: Tensor
) -> Tensor:
    source, inside = sources(flip, top, left, cos, sin, gallery.height, gallery.width)
    pixels, view = gallery.pixels, index[:, None, None]
    if torch.compiler.is_compiling():  # a check of every pixel's place would double the time
        return torch.where(inside, torch.ops.aten._unsafe_index(pixels, [view, source]), 0)
    if isinstance(pixels, Tensor) and pixels.device.type == "cpu":
        images = pixels.index_select(0, index)  # each view of its own image: twice as fast as indexing in one step
        return images.gather(1, source.flatten(1).long()).view_as(source).mul_(inside)
    return torch.where(inside, pixels[view, source], 0)


def sources(
    flip: Tensor, top: Tensor, left: Tensor, cos: Tensor, sin: Tensor, height: int, width: int
) -> tuple[Tensor, Tensor]:
    """Where in the image every pixel of a view comes from, and whether from inside: [V] each -> int32, bool [V,H,W].

    Rotation, then crop, then flip of the *coordinates*: the last step first.
    """
    H, W = height, width
    flip, top, left, cos, sin = (values[:, None, None] for values in (flip, top, left, cos, sin))
    x = torch.arange(W, device=cos.device, dtype=torch.float32) - (W - 1) / 2
    y = (torch.arange(H, device=cos.device, dtype=torch.float32) - (H - 1) / 2)[:, None]
    # In torchvision's own order of operations (a grid on [-1,1]), so that most ties of the rounding fall alike.
    u = x * (cos / (W / 2)) - y * (sin / (W / 2))
    v = x * (sin / (H / 2)) + y * (cos / (H / 2))
    column = u.add_(1).mul_(W).sub_(1).div_(2).round_().to(torch.int32)
    row = v.add_(1).mul_(H).sub_(1).div_(2).round_().to(torch.int32)
    column.add_(left)
    row.add_(top)
    # Neither the pixel of the crop nor, before that, the rotated one lies outside.
    inside = (column >= left.clamp(min=0)) & (column < W + left.clamp(max=0))
    inside &= (row >= top.clamp(min=0)) & (row < H + top.clamp(max=0))
    return row.mul_(W).add_(torch.where(flip, W - 1 - column, column)).mul_(inside), inside
