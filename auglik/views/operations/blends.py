"""Brightness, color and contrast: an image blended with black, its gray image or its mean gray level.

v' = (1 + m) v - m y, clamped to [0,255] and cut to a whole level.
"""

import torch
from torch import Tensor

from auglik.views.operations.operation import Operation, columns

RED, GREEN, BLUE = 2989, 5870, 1140
"""What they weigh in gray, in parts of WHOLE (ITU-R 601-2)."""
WHOLE = 10_000


def fused(x: Tensor, y: Tensor | float, z: Tensor) -> Tensor:
    """x y + z with one rounding, on every processor; torch's `z.add(x, alpha=y)` has one or two, and one y for all."""
    return (x.double() * y + z.double()).float()


def gray(images: Tensor) -> Tensor:
    """Gray levels, whole numbers: [n,c,H,W] -> float32 [n,H,W].

    Exact, by a sum of whole numbers below 2^22 that lies half a part from where levels change. In torchvision's floats
    three of all 2^24 colors come out a level lower.
    """
    red, *rest = images.float().unbind(1)
    if not rest:
        return red
    green, blue = rest
    return ((RED * red + GREEN * green + BLUE * blue + 0.5) / WHOLE).floor()


def blend(images: Tensor, coefficients: Tensor) -> Tensor:
    """Coefficients: 1 + m, -m, whether y is the gray image, whether it is its mean; neither: black."""
    factor, rest, by_gray, by_mean = (coefficients[:, position, None, None] for position in range(4))
    levels = gray(images)
    other = torch.where(by_gray > 0, levels, levels.mean((1, 2), keepdim=True) * by_mean)
    if images.shape[1] == 1:
        factor, rest = torch.where(by_gray > 0, 1, factor), torch.where(by_gray > 0, 0, rest)
    # Channel by channel: compiled in one loop, all share the gray image.
    planes = [fused(other, rest.double(), plane * factor).clamp(0, 255) for plane in images.unbind(1)]
    return torch.stack([plane.to(torch.uint8) for plane in planes], 1)


def brightness(magnitude: Tensor, height: int, width: int) -> Tensor:
    return columns(magnitude, 1 + magnitude, -magnitude)


def color(magnitude: Tensor, height: int, width: int) -> Tensor:
    return columns(magnitude, 1 + magnitude, -magnitude, 1)


def contrast(magnitude: Tensor, height: int, width: int) -> Tensor:
    return columns(magnitude, 1 + magnitude, -magnitude, 0, 1)


BLENDS: dict[str, Operation] = {
    "brightness": Operation("factor minus one", (-1, 9), blend, brightness),
    "color": Operation("factor minus one", (-1, 9), blend, color),
    "contrast": Operation("factor minus one", (-1, 9), blend, contrast),
}


def mixture(branches: Tensor, shares: Tensor) -> Tensor:
    """The sum of branches uint8 [n,R,c,H,W] times shares float32 [n,R], cut to whole levels: uint8 [n,c,H,W]."""
    mixed = shares[:, 0, None, None, None] * branches[:, 0]
    for branch in range(1, branches.shape[1]):
        mixed = mixed + shares[:, branch, None, None, None] * branches[:, branch]
    return mixed.to(torch.uint8)
