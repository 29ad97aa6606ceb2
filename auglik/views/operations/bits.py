"""Posterize, solarize and invert: levels from a threshold up are inverted, then some of their bits kept."""

import torch
from torch import Tensor

from auglik.views.operations.operation import Operation, columns


def switch(images: Tensor, coefficients: Tensor) -> Tensor:
    """Coefficients, levels each: the threshold, the bits that are switched from there up, the bits that are kept."""
    threshold, switched, kept = (coefficients[:, position, None, None, None].to(torch.uint8) for position in range(3))
    return torch.where(images >= threshold, images ^ switched, images) & kept


def posterize(magnitude: Tensor, height: int, width: int) -> Tensor:
    """Keeps the highest bits."""
    return columns(magnitude, 0, 0, 256 - 2 ** (8 - magnitude.trunc()))


def solarize(magnitude: Tensor, height: int, width: int) -> Tensor:
    """Inverts levels >= 255 m, compared in float32."""
    return columns(magnitude, (255 * magnitude.double()).float().ceil(), 255, 255)


def invert(magnitude: Tensor, height: int, width: int) -> Tensor:
    return columns(magnitude, 0, 255, 255)


SWITCHES: dict[str, Operation] = {
    "posterize": Operation("bits", (0, 8), switch, posterize, whole=True),
    "solarize": Operation("threshold over 255", (0, 1), switch, solarize),
    "invert": Operation("none", (0, 0), switch, invert),
}
