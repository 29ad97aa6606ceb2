"""The nearest pixel in a form for compilers: an integer index map into pixels packed to one word.

Compiled, one gather a pixel serves all channels, twice as fast on a CPU as grid_sample, which it equals but at ties.
(Interpolating so is slower than grid_sample.)
"""

import torch
from torch import Tensor

from auglik.views.operations.geometry import sources


def gathered(images: Tensor, coefficients: Tensor) -> Tensor:
    """`geometry.nearest`."""
    n, c, H, W = images.shape
    x, y = sources(coefficients, H, W)
    # Compared as floats the positions took twice the time.
    column = (((x + 1) * W - 1) / 2).round().to(torch.int32)
    row = (((y + 1) * H - 1) / 2).round().to(torch.int32)
    inside = (column >= 0) & (column < W) & (row >= 0) & (row < H)
    position = torch.where(inside, row * W + column, 0)
    view = torch.arange(n, device=images.device)[:, None, None]
    # A check of every pixel's place would take as long as all else.
    words = torch.where(inside, torch.ops.aten._unsafe_index(_words(images).flatten(1), [view, position]), 0)
    return torch.stack([(words >> 8 * channel).to(torch.uint8) for channel in range(c)], 1)


def _words(images: Tensor) -> Tensor:
    """Up to four channels of a pixel in one word: int32 [n,H,W]."""
    levels = images.to(torch.int32)
    words = levels[:, 0]
    for channel in range(1, images.shape[1]):
        words = words | (levels[:, channel] << 8 * channel)
    return words
