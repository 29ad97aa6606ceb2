"""Autocontrast: the levels of each channel stretched over [0,255]."""

import torch
from torch import Tensor

from auglik.views.operations.operation import Operation


def stretch(images: Tensor, coefficients: Tensor) -> Tensor:
    """(v - lowest) / ((highest - lowest) / 255), cut to a whole level; channels of one level stay."""
    levels = images.float()
    low, high = levels.amin((2, 3), keepdim=True), levels.amax((2, 3), keepdim=True)
    flat = low == high
    step = torch.where(flat, 1, (high - low) * (1 / 255))
    return ((levels - torch.where(flat, 0, low)) / step).clamp(0, 255).to(torch.uint8)


AUTOCONTRAST = Operation("none", (0, 0), stretch)
