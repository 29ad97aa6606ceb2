"""`pyramidnet-272`: deep pyramidal residual networks (Han et al. 2017, arXiv:1610.02915) with ShakeDrop."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, pad

from auglik.networks.layers import normalized
from auglik.networks.randomness import Uniforms, check_rate
from auglik.objectives.errors import InputError


@dataclass(frozen=True)
class Pyramidnet:
    """Bottlenecks whose width grows by alpha/n in each of n blocks, from 16; three stages; shortcuts padded with zeros.

    shake_drop is the last block's rate, to which the rates rise along a line; 0 leaves ShakeDrop out. Raises InputError
    for a depth other than 9n+2 and values out of range.
    """

    depth: int = 272
    alpha: int = 200
    shake_drop: float = 0.5
    learning_rate: ClassVar[float] = 0.1
    warmup: ClassVar[float] = 0.0
    nesterov: ClassVar[bool] = True
    small: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.depth < 11 or self.depth % 9 != 2:
            raise InputError(f"pyramidnet: expected a depth of 11, 20, 29, ... (9n+2), got {self.depth}")
        if self.alpha < 1:
            raise InputError(f"pyramidnet: expected a widening alpha of at least 1 channel, got {self.alpha}")
        check_rate("pyramidnet", "ShakeDrop", self.shake_drop)

    def build(self, channels: int, outputs: int) -> nn.Module:
        return PyramidnetModule(channels, self.depth, self.alpha, self.shake_drop, outputs)


class PyramidnetModule(nn.Module):
    """[B,c,H,W] -> [B,outputs]."""

    def __init__(self, channels: int, depth: int, alpha: int, rate: float, outputs: int) -> None:
        super().__init__()
        stage_blocks = (depth - 2) // 9
        n = 3 * stage_blocks
        self.stem = nn.Sequential(nn.Conv2d(channels, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16))
        self.blocks = nn.ModuleList()
        inputs = 16
        for block in range(1, n + 1):
            width = 16 + alpha * block // n  # rounded to the nearest, depth 272 would exceed the published 26.0 million
            stride = 2 if block in (stage_blocks + 1, 2 * stage_blocks + 1) else 1
            self.blocks.append(PyramidBlock(inputs, width, stride, kept=1 - rate * block / n))
            inputs = 4 * width
        self.finish = nn.Sequential(*normalized(inputs))
        self.head = nn.Linear(inputs, outputs)
        self.uniforms = Uniforms() if rate > 0 else None

    def forward(self, images: Tensor) -> Tensor:
        x = self.stem(images)
        draws = None
        if self.training and self.uniforms is not None:
            draws = self.uniforms(len(images), len(self.blocks), 3)
        for block, module in enumerate(self.blocks):
            x = module(x, None if draws is None else draws[:, block])
        return self.head(self.finish(x).mean((2, 3)))


class PyramidBlock(nn.Module):
    """y = shortcut(x) + ShakeDrop(branch(x)), the shortcut averaged over 2x2 and padded with channels of zeros."""

    def __init__(self, inputs: int, width: int, stride: int, kept: float) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.Conv2d(inputs, width, 1, bias=False),
            *normalized(width),
            nn.Conv2d(width, width, 3, stride, padding=1, bias=False),
            *normalized(width),
            nn.Conv2d(width, 4 * width, 1, bias=False),
            nn.BatchNorm2d(4 * width),
        )
        self.stride, self.added, self.kept = stride, 4 * width - inputs, kept

    def forward(self, x: Tensor, draws: Tensor | None) -> Tensor:
        branch = self.branch(x)
        shaken = self.kept * branch if draws is None else shake_drop(branch, draws, self.kept)
        carried = avg_pool2d(x, 2, ceil_mode=True) if self.stride == 2 else x
        return pad(carried, (0, 0, 0, 0, 0, self.added)) + shaken


def shake_drop(x: Tensor, draws: Tensor, kept: float) -> Tensor:
    """(b + a - ba) x forward and (b + d - bd) times the gradient backward, from uniforms [B,3] for b, a and d.

    b ~ Bernoulli(kept), a ~ U(-1,1), d ~ U(0,1), one of each for an image (Yamada et al. 2019, arXiv:1802.02375; its
    PyTorch ports draw b once for the batch); in evaluation the factor is its mean, `kept`.
    """
    b = draws[:, 0] < kept
    forward = torch.where(b, 1.0, 2 * draws[:, 1] - 1).to(x.dtype).view(-1, 1, 1, 1)
    backward = torch.where(b, 1.0, draws[:, 2]).to(x.dtype).view(-1, 1, 1, 1)
    return backward * x + ((forward - backward) * x).detach()
