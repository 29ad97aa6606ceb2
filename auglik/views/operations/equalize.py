"""Histogram equalization of each channel, as Pillow defines it."""

import torch
from torch import Tensor
from torch.nn.functional import pad

from auglik.views.operations.operation import Operation


def flatten_histogram(images: Tensor, coefficients: Tensor) -> Tensor:
    """v' = (step/2 + pixels below v) / step in whole numbers, 255 step <= pixels that are not of the highest level.

    Channels whose step is 0 stay.
    """
    levels = images.flatten(2).long()
    one = torch.ones((), dtype=torch.int32, device=images.device).expand_as(levels)
    counts = torch.zeros(*levels.shape[:2], 256, dtype=torch.int32, device=images.device).scatter_add_(2, levels, one)
    up_to = counts.cumsum(2, dtype=torch.int32)
    highest = levels.amax(2, keepdim=True)
    step = (levels.shape[2] - counts.gather(2, highest)) // 255
    below = pad(up_to[..., :-1], (1, 0)) + step // 2
    # Floats divide faster than integers, and as exactly: channels have less than 2^24 pixels.
    table = (below.float() / step.clamp(min=1)).floor_().clamp_(max=255)
    same = torch.arange(256, dtype=torch.float32, device=images.device)
    table = torch.where(step == 0, same, table).to(torch.uint8)
    return table.gather(2, levels).view_as(images)


EQUALIZE = Operation("none", (0, 0), flatten_histogram)
