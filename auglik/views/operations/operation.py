"""What one operation on levels is: a kernel over batches of views, and what it needs to know of each view."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from auglik.objectives import InputError
from auglik.system.devices import send

COEFFICIENTS = 6
"""Numbers that a kernel gets for each view."""

Kernel = Callable[[Tensor, Tensor], Tensor]
"""uint8 [n,c,H,W] and coefficients float32 [n,6] -> uint8 [n,c,H,W]; never waits for the device."""


class Coefficients(Protocol):
    """Magnitudes float32 [n] and the size of the images -> the kernel's float32 [n,6]; both on the host."""

    def __call__(self, magnitude: Tensor, height: int, width: int) -> Tensor: ...


class Visibility(Protocol):
    """Magnitudes [n] and the size of the images -> the share of the image that can still be seen, float32 [n]."""

    def __call__(self, magnitude: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]: ...


def columns(magnitude: Tensor, *values: Tensor | float) -> Tensor:
    """Up to six columns, numbers or [n] each, and zeros: float32 [n,6]."""
    found = torch.zeros(len(magnitude), COEFFICIENTS, dtype=torch.float64)
    for position, value in enumerate(values):
        found[:, position] = value
    return found.float()


def nothing(magnitude: Tensor, height: int, width: int) -> Tensor:
    """Of operations without a magnitude."""
    return columns(magnitude)


def everything(magnitude: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """Of operations that move nothing out of the frame: one."""
    return np.ones(len(magnitude), np.float32)


@dataclass(frozen=True)
class Operation:
    """One operation of the AutoAugment family; magnitudes mean what they mean in torchvision."""

    unit: str
    """Of the magnitude, in words."""
    limits: tuple[float, float]
    """Lowest and highest magnitude."""
    kernel: Kernel
    coefficients: Coefficients = nothing
    visibility: Visibility = everything
    whole: bool = False
    """Whether only the whole part of the magnitude acts."""

    def apply(self, images: Tensor, magnitude: Tensor) -> Tensor:
        """Views uint8 [V,c,H,W], each under its magnitude.

        These are float32 [V], on the host, and in the limits (see `check`); from another device, they are waited for.
        """
        H, W = images.shape[2:]
        coefficients = self.coefficients(magnitude.cpu(), H, W).numpy()
        return self.kernel(images, send(coefficients, images.device))

    def check(self, name: str, magnitude: NDArray[np.floating]) -> None:
        """Raises InputError if a magnitude is outside the limits or not a number."""
        low, high = self.limits
        wrong = magnitude[~((magnitude >= low) & (magnitude <= high))]
        if len(wrong):
            raise InputError(f"{name}: expected magnitudes in [{low:g},{high:g}] ({self.unit}), got {wrong[0]:g}")
