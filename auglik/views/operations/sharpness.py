"""Sharpness: an image blended with its smoothed version, all but the outermost pixels."""

import torch
from torch import Tensor

from auglik.views.operations.blends import fused
from auglik.views.operations.operation import Operation, columns


def sharpen(images: Tensor, coefficients: Tensor) -> Tensor:
    """v' = v - m (s - v), s the mean of nine pixels, the middle one counted five times; coefficient: -m.

    13 s is a sum of whole numbers, so never near a tie of the rounding.
    """
    if min(images.shape[2:]) <= 2:
        return images
    levels = images.float()
    rows = levels[:, :, :-2] + levels[:, :, 1:-1] + levels[:, :, 2:]
    box = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]
    inner = levels[..., 1:-1, 1:-1]
    smooth = ((box + 4 * inner) / 13).round()
    found = fused(smooth - inner, coefficients[:, 0, None, None, None], inner).clamp(0, 255).to(torch.uint8)
    middle = torch.cat([images[:, :, 1:-1, :1], found, images[:, :, 1:-1, -1:]], 3)
    return torch.cat([images[:, :, :1], middle, images[:, :, -1:]], 2)


def sharpness(magnitude: Tensor, height: int, width: int) -> Tensor:
    return columns(magnitude, -magnitude)


SHARPNESS = Operation("factor minus one", (-1, 9), sharpen, sharpness)
