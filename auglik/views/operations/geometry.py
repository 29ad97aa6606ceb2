"""Operations that move pixels: affine maps of the frame, black beyond it, and the flip.

Coefficients a..f map an output pixel to its source, x' = a x + b y + c, y' = d x + e y + f, in pixels from the image's
center. Arithmetic is in torchvision's order (`affine`, `rotate`), so that ties fall alike where products are not fused.
"""

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import grid_sample

from auglik.views.operations.operation import Operation, columns


def shear_x(magnitude: Tensor, height: int, width: int) -> Tensor:
    """By the tangent of an angle, about the upper left corner."""
    m = by_angle(magnitude, math.tan)
    return columns(m, 1, m, m * (height / 2), 0, 1)


def shear_y(magnitude: Tensor, height: int, width: int) -> Tensor:
    """By the tangent of an angle, about the upper left corner."""
    m = by_angle(magnitude, lambda angle: math.sin(angle) / math.cos(angle))
    return columns(m, 1, 0, 0, m, 1, m * (width / 2) - height / 2 + height / 2)


def by_angle(magnitude: Tensor, tangent: Callable[[float], float]) -> Tensor:
    """The magnitudes, float64, by way of degrees, as torchvision has them: their last bits decide ties."""
    distinct, position = magnitude.double().unique(return_inverse=True)
    ways = [tangent(math.radians(math.degrees(math.atan(m)))) for m in distinct.tolist()]
    return torch.tensor(ways, dtype=torch.float64)[position]


def translate_x(magnitude: Tensor, height: int, width: int) -> Tensor:
    """To the right, by whole pixels."""
    return columns(magnitude, 1, 0, -magnitude.trunc(), 0, 1)


def translate_y(magnitude: Tensor, height: int, width: int) -> Tensor:
    """Down, by whole pixels."""
    return columns(magnitude, 1, 0, 0, 0, 1, -magnitude.trunc())


def rotate(magnitude: Tensor, height: int, width: int) -> Tensor:
    """Counterclockwise, about the center."""
    radians = torch.deg2rad(magnitude.double() % 360)
    cos, sin = radians.cos(), radians.sin()
    return columns(magnitude, cos, -sin, 0, sin, cos)


def sources(coefficients: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """x' and y' of every pixel on [-1,1], float32 [n,H,W] each."""
    H, W = height, width
    x = torch.arange(W, device=coefficients.device, dtype=torch.float32) - (W - 1) / 2
    y = (torch.arange(H, device=coefficients.device, dtype=torch.float32) - (H - 1) / 2)[:, None]
    a, b, c = (coefficients[:, :3, None, None] / (W / 2)).unbind(1)
    d, e, f = (coefficients[:, 3:, None, None] / (H / 2)).unbind(1)
    return x * a + y * b + c, x * d + y * e + f


def nearest(images: Tensor, coefficients: Tensor) -> Tensor:
    """Each pixel from the nearest to its source."""
    grid = torch.stack(sources(coefficients, *images.shape[2:]), -1)
    return grid_sample(images.float(), grid, mode="nearest", align_corners=False).to(torch.uint8)


def bilinear(images: Tensor, coefficients: Tensor) -> Tensor:
    """Each pixel interpolated between the four around its source."""
    grid = torch.stack(sources(coefficients, *images.shape[2:]), -1)
    return grid_sample(images.float(), grid, mode="bilinear", align_corners=False).round_().to(torch.uint8)


def flip(images: Tensor, coefficients: Tensor) -> Tensor:
    """Left and right exchanged where the first coefficient is 1."""
    return torch.where(coefficients[:, 0, None, None, None] >= 0.5, images.flip(3), images)


def whether(magnitude: Tensor, height: int, width: int) -> Tensor:
    """The magnitude itself."""
    return columns(magnitude, magnitude)


def unchanged(images: Tensor, coefficients: Tensor) -> Tensor:
    return images


def seen_along_x(magnitude: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """1 - |shift| / width."""
    return np.clip(1 - np.abs(np.trunc(magnitude)) / np.float32(width), 0, 1)


def seen_along_y(magnitude: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """1 - |shift| / height."""
    return np.clip(1 - np.abs(np.trunc(magnitude)) / np.float32(height), 0, 1)


GEOMETRIC: dict[str, Operation] = {
    "rotate": Operation("degrees", (-180, 180), nearest, rotate),
    "shear-x": Operation("tangent of the angle", (-10, 10), nearest, shear_x),
    "shear-y": Operation("tangent of the angle", (-10, 10), nearest, shear_y),
    "translate-x": Operation("pixels", (-10_000, 10_000), nearest, translate_x, visibility=seen_along_x, whole=True),
    "translate-y": Operation("pixels", (-10_000, 10_000), nearest, translate_y, visibility=seen_along_y, whole=True),
}
EXCHANGES: dict[str, Operation] = {
    "identity": Operation("none", (0, 0), unchanged),
    "flip": Operation("0 or 1", (0, 1), flip, whether),
}
