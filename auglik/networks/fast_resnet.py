"""`fast-resnet`: a few hundred thousand parameters that learn in few steps, for CIFAR-size images on a CPU."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from auglik.networks.layers import GridMaxima, convolution
from auglik.objectives.errors import InputError

FEATURE_SCALE = 0.2
"""On what the head sees: maxima are large; unscaled, 5,000 CIFAR-10 images x 4 epochs give 45% instead of 66%."""


@dataclass(frozen=True)
class FastResnet:
    """Whitening stem, 2x2 conv w - halved, conv 2w - halved, residual, conv 4w - halved, residual, 2x2 maxima, linear.

    Images of 8x8 and more. Raises InputError for a width below 1.
    """

    width: int = 32
    learning_rate: ClassVar[float] = 0.3
    warmup: ClassVar[float] = 0.2
    nesterov: ClassVar[bool] = True
    small: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.width < 1:
            raise InputError(f"fast-resnet: expected a width of at least 1 channel, got {self.width}")

    def build(self, channels: int, outputs: int) -> nn.Module:
        return FastResnetModule(channels, self.width, outputs)


class FastResnetModule(nn.Module):
    """[B,c,H,W] -> [B,outputs]."""

    def __init__(self, channels: int, width: int, outputs: int) -> None:
        super().__init__()
        stem = WhiteningStem(channels)
        self.body = nn.Sequential(
            stem,
            *convolution(stem.outputs, width, halved(), kernel=2, activation=nn.GELU()),
            *convolution(width, 2 * width, halved(), activation=nn.GELU()),
            Residual(2 * width),
            *convolution(2 * width, 4 * width, halved(), activation=nn.GELU()),
            Residual(4 * width),
            GridMaxima(2),
        )
        self.head = nn.Linear(4 * 4 * width, outputs)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(FEATURE_SCALE * self.body(images).flatten(1))


class WhiteningStem(nn.Module):
    """relu(z), relu(-z) of the normalized DCT coefficients z of every 3x3 patch, [B,c,H,W] -> [B,18c,H,W].

    The cosine basis nearly diagonalizes the covariance of natural images, so that scaling each coefficient to unit
    variance nearly whitens the patches. The whitening layer of Jordan 2024, arXiv:2404.00498, fits its basis to data.
    Images need no gradient, so that so rich a stem costs its forward pass alone.
    """

    filters: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        pixels, colours = dct_matrix(3), dct_matrix(channels)
        filters = torch.einsum("ac,uh,vw->auvchw", colours, pixels, pixels).reshape(-1, channels, 3, 3)
        self.register_buffer("filters", filters, persistent=False)
        self.norm = nn.BatchNorm2d(len(filters), affine=False)
        self.outputs = 2 * len(filters)

    def forward(self, images: Tensor) -> Tensor:
        coefficients = self.norm(conv2d(images, self.filters, padding=1))
        return torch.cat((coefficients, -coefficients), dim=1).relu_()


class Residual(nn.Module):
    """x + a convolution of x."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(*convolution(width, width, activation=nn.GELU()))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.branch(x)


def halved() -> nn.MaxPool2d:
    """Maxima of 2x2; a last odd row or column counts, as images of 8x8 would vanish otherwise."""
    return nn.MaxPool2d(2, ceil_mode=True)


def dct_matrix(n: int) -> Tensor:
    """The orthonormal DCT-II, [n,n], a frequency a row."""
    k = torch.arange(n)
    cosines = torch.cos(torch.pi * k[:, None] * (k + 0.5) / n)
    return cosines / cosines.norm(dim=1, keepdim=True)
