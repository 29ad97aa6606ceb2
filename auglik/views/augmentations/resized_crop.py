"""A crop of random size, ratio and position, resized to the image's own size: ImageNet's, and its soft form."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import grid_sample

from auglik.settings.fields import expect
from auglik.system.notices import say_once
from auglik.views.augmentation import Applied, Drawn, Parameters, Shape, one_operation
from auglik.views.augmentations.common.background import check_background, draw_background, fill
from auglik.views.augmentations.common.boxes import TRIES, Boxes, Sizes, boxes, draw_sizes

COUNTED = 2000
MANY = 0.05
"""The share of central crops from which on it is said, of COUNTED ones."""


@dataclass(frozen=True)
class ResizedCrop:
    """A box of area U(min_scale, max_scale) of the image's and log-uniform ratio width/height, resized bilinearly.

    With `outside` = 0 it is torchvision's RandomResizedCrop to the image's own size; so a box that fits in none of ten
    tries is the central one, which is said where it is often so, as in oblong images. With more the box's sides may lie
    beyond the image's by up to that share of the box, where the background is seen; visibility is the share of the
    view's pixels that come from within the image, so that crops within it are not softened.
    Raises InputError for settings out of range.
    """

    min_scale: float = 0.08
    max_scale: float = 1.0
    min_ratio: float = 3 / 4
    max_ratio: float = 4 / 3
    outside: float = 0.0
    background: str = "constant"
    domain: ClassVar[Literal["standardized"]] = "standardized"

    def __post_init__(self) -> None:
        scale, ratio = self._ranges
        expect(0 < scale[0] <= scale[1] <= 1, "resized-crop scales", "0 < min_scale <= max_scale <= 1", scale)
        expect(0 < ratio[0] <= ratio[1] < np.inf, "resized-crop ratios", "0 < min_ratio <= max_ratio", ratio)
        expect(0 <= self.outside <= 1, "resized-crop outside", "a share of the crop in [0,1]", self.outside)
        check_background("resized-crop background", self.background)

    @property
    def _ranges(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Of the scale and of the ratio."""
        return (self.min_scale, self.max_scale), (self.min_ratio, self.max_ratio)

    @property
    def noisy(self) -> bool:
        return self.outside > 0 and self.background == "pixel"

    def check(self, shape: Shape) -> None:
        """Every image can be cropped."""
        say_central(shape.height, shape.width, *self._ranges)

    def draw(self, generator: np.random.Generator, count: int, shape: Shape) -> Parameters:
        """The boxes int32 [n,4], and what the background needs."""
        box = draw_boxes(generator, count, shape.height, shape.width, *self._ranges, self.outside)
        background = self.background if self.outside else "zero"
        return {"box": box, **draw_background(background, generator, count, shape.channels)}

    def applied(self, parameters: Parameters, shape: Shape) -> Sequence[Applied]:
        box = _box(parameters)
        whole = (box == (0, 0, shape.height, shape.width)).all(1)
        visibility = share_seen(box, shape.height, shape.width)
        return one_operation("crop", ~whole, 1 - visibility, visibility)

    def render(self, images: Tensor, drawn: Drawn) -> Tensor:
        H, W = images.shape[2:]
        views, outside = resample(images, drawn.device["box"])
        cut: NDArray[np.int64] = np.flatnonzero(share_seen(_box(drawn.host), H, W) < 1)
        return fill(views, outside, cut, self.background, drawn)


def _box(parameters: Parameters) -> Boxes:
    return parameters["box"].astype(np.int32, copy=False)


def draw_boxes(
    generator: np.random.Generator,
    count: int,
    height: int,
    width: int,
    scale: tuple[float, float],
    ratio: tuple[float, float],
    outside: float = 0.0,
) -> Boxes:
    """Boxes int32 [n,4] as ResizedCrop has them; those that fit in no try are central, as in torchvision."""
    w, h, found = _draw_fitting(generator, count, height, width, scale, ratio)
    central_h, central_w = _central_size(height, width, ratio)
    h, w = np.where(found, h, central_h), np.where(found, w, central_w)
    beyond = np.floor([outside * h, outside * w]).astype(np.int64)
    top = generator.integers(-beyond[0], height - h + beyond[0], endpoint=True)
    left = generator.integers(-beyond[1], width - w + beyond[1], endpoint=True)
    middle_top, middle_left = (height - central_h) // 2, (width - central_w) // 2
    return boxes(np.where(found, top, middle_top), np.where(found, left, middle_left), h, w)


def say_central(height: int, width: int, scale: tuple[float, float], ratio: tuple[float, float]) -> None:
    """Says how many boxes are central as they fit in no try, where it is at least the share MANY."""
    *_, found = _draw_fitting(np.random.default_rng(0), COUNTED, height, width, scale, ratio)
    if (share := 1 - found.mean()) >= MANY:
        say_once(
            f"random crops: of images of {height} x {width} pixels {share:.0%} fit in none of {TRIES} tries and are the"
            " same central one, as in torchvision: smaller crops, or other ratios, fit more often"
        )


def _draw_fitting(
    generator: np.random.Generator,
    count: int,
    height: int,
    width: int,
    scale: tuple[float, float],
    ratio: tuple[float, float],
) -> tuple[Sizes, Sizes, NDArray[np.bool_]]:
    """Widths and heights [n], and which of them lie within the image."""
    return draw_sizes(
        generator, count, height * width, scale, ratio, lambda w, h: (w > 0) & (w <= width) & (h > 0) & (h <= height)
    )


def _central_size(height: int, width: int, ratio: tuple[float, float]) -> tuple[int, int]:
    """The largest box (height, width) whose width/height is within `ratio`."""
    if width / height < ratio[0]:
        return round(width / ratio[0]), width
    if width / height > ratio[1]:
        return height, round(height * ratio[1])
    return height, width


def share_seen(box: Boxes, height: int, width: int) -> NDArray[np.float64]:
    """Which share of the pixels of the resized boxes comes from within the image: [n,4] -> [n]."""
    top, left, h, w = box.T.astype(np.int64)
    return _seen(top, h, height) * _seen(left, w, width) / (height * width)


def _seen(start: Sizes, extent: Sizes, length: int) -> Sizes:
    """How many of the `length` pixels along one axis come from within: those that `_positions` does not say it of."""
    first, end = (-((extent - 2 * length * (edge - start)) // (2 * extent)) for edge in (0, length))
    return np.clip(end, 0, length) - np.clip(first, 0, length)


def resample(images: Tensor, box: Tensor) -> tuple[Tensor, Tensor]:
    """Boxes [V,4] of images [V,c,H,W], each resized to H x W, and which pixels lie outside: [V,c,H,W], bool [V,H,W].

    Equal to torchvision's resized_crop (bilinear; antialiasing changes nothing, as no box is larger than the image) to
    float32 rounding. Outside, the nearest pixel of the image.
    """
    H, W = images.shape[2:]
    y, above = _positions(box[:, 0:1], box[:, 2:3], H)
    x, aside = _positions(box[:, 1:2], box[:, 3:4], W)
    grid = torch.stack([x[:, None, :].expand(-1, H, W), y[:, :, None].expand(-1, H, W)], 3)
    views = grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return views, above[:, :, None] | aside[:, None, :]


def _positions(start: Tensor, extent: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """Where along one axis the `length` pixels of a view come from, on grid_sample's [-1,1], and if from outside.

    [V,1], [V,1] -> [V,length] each, clamped to the crop's own pixels, as the crop is made before it is resized.
    """
    position = torch.arange(length, device=start.device)
    # (i + 1/2) extent/length + start in units of 1/(2 length): whole numbers, so that borders are the same everywhere.
    exact = (2 * position + 1) * extent + 2 * length * start
    outside = (exact < 0) | (exact >= 2 * length**2)
    point = (position.float() + 0.5) * (extent / length)
    pixel = (point - 0.5).clamp(min=0).minimum(extent - 1) + start
    return (2 * pixel + 1) / length - 1, outside
