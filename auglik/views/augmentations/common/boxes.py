"""Rectangles in images: a box is (top, left, height, width) in pixels, int32 [n,4]."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from auglik.objectives import InputError
from auglik.views.augmentation import Shape

Boxes = NDArray[np.int32]
Sizes = NDArray[np.int64]

TRIES = 10
"""As in torchvision's RandomErasing and RandomResizedCrop."""


def boxes(top: NDArray[np.integer], left: NDArray[np.integer], height: Sizes, width: Sizes) -> Boxes:
    """[n] each -> [n,4]."""
    return np.stack([top, left, height, width], 1).astype(np.int32)


def draw_sizes(
    generator: np.random.Generator,
    count: int,
    area: int,
    scale: tuple[float, float],
    ratio: tuple[float, float],
    fits: Callable[[Sizes, Sizes], NDArray[np.bool_]],
) -> tuple[Sizes, Sizes, NDArray[np.bool_]]:
    """Sides round(sqrt(s r area)) and round(sqrt(s area / r)), s ~ U(scale), log r ~ U(log ratio), and if they fit.

    Those that do not fit are drawn again, up to TRIES times: three arrays [n].
    """
    longer, shorter = np.zeros((2, count), np.int64)
    found = np.zeros(count, bool)
    low, high = np.log(ratio).tolist()
    for _ in range(TRIES):
        missing = np.flatnonzero(~found)
        chosen_area = area * generator.uniform(*scale, len(missing))
        root = np.exp(0.5 * generator.uniform(low, high, len(missing)))
        side = np.sqrt(chosen_area)
        longer[missing] = np.rint(side * root)
        shorter[missing] = np.rint(side / root)
        found[missing] = fits(longer[missing], shorter[missing])
    return longer, shorter, found


def draw_squares(generator: np.random.Generator, count: int, size: int, shape: Shape) -> Boxes:
    """Squares whose centre is uniform over the image's pixels, clipped at its borders.

    A square of even size has its centre below and right of its middle, as in the code of Cutout.
    """
    H, W = shape.height, shape.width
    top = generator.integers(0, H, count) - size // 2
    left = generator.integers(0, W, count) - size // 2
    first_row, first_column = np.maximum(top, 0), np.maximum(left, 0)
    return boxes(
        first_row,
        first_column,
        np.minimum(top + size, H) - first_row,
        np.minimum(left + size, W) - first_column,
    )


def check_fits(name: str, size: int, shape: Shape) -> None:
    """Raises InputError if a square of `size` pixels is larger than the image."""
    edge = min(shape.height, shape.width)
    if size > edge:
        raise InputError(
            f"{name}: expected images of at least {size} x {size} pixels, got {shape.height} x {shape.width};"
            f" give {name} a size of at most {edge}"
        )


def area_share(box: Boxes, shape: Shape) -> NDArray[np.float64]:
    """The boxes' share of the image, of boxes within it: [n,4] -> [n]."""
    return box[:, 2].astype(np.int64) * box[:, 3] / (shape.height * shape.width)


def covered(box: Tensor, height: int, width: int) -> Tensor:
    """Which pixels lie in the boxes: [V,4] -> bool [V,H,W]."""
    top, left, tall, wide = box[:, :, None].unbind(1)
    row = torch.arange(height, device=box.device)
    column = torch.arange(width, device=box.device)
    rows = (row >= top) & (row < top + tall)
    columns = (column >= left) & (column < left + wide)
    return rows[:, :, None] & columns[:, None, :]
