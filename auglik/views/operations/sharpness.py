"""Sharpness: an image blended with its smoothed version, all but the outermost pixels."""

import torch
from torch import Tensor
from torch.nn.functional import pad

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


def sharpened(images: Tensor, coefficients: Tensor) -> Tensor:
    """`sharpen` in a form of which compilers make one pass over pixels; on a CPU it takes three times as long."""
    H, W = images.shape[2:]
    if min(H, W) <= 2:
        return images
    levels = images.float()
    framed = pad(levels, (1, 1, 1, 1))
    box = torch.stack([framed[:, :, y : y + H, x : x + W] for y in range(3) for x in range(3)]).sum(0)
    smooth = ((box + 4 * levels) / 13).round()
    found = fused(smooth - levels, coefficients[:, 0, None, None, None], levels).clamp(0, 255).to(torch.uint8)
    row, column = torch.arange(H, device=images.device)[:, None], torch.arange(W, device=images.device)
    inner = (row > 0) & (row < H - 1) & (column > 0) & (column < W - 1)
    return torch.where(inner, found, images)


def sharpness(magnitude: Tensor, height: int, width: int) -> Tensor:
    return columns(magnitude, -magnitude)


SHARPNESS = Operation("factor minus one", (-1, 9), sharpen, sharpness)
