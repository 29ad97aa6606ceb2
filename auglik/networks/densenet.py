"""`densenet-*`: densely connected networks (Huang et al. 2017, arXiv:1608.06993), for small images."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from auglik.networks.layers import Averaged, normalized
from auglik.objectives.errors import InputError


@dataclass(frozen=True)
class Densenet:
    """Three dense blocks of equal depth, in which every layer adds `growth` channels to all that were before.

    bottleneck makes it the paper's DenseNet-BC: a 1x1 convolution before every 3x3, and transitions that halve the
    channels. With k = 12 the paper's table 2 gives depth 40 1.0, depth 100 7.0 and depth 100 as BC 0.8 million
    parameters. Raises InputError for a depth that three blocks cannot share and a growth below 1.
    """

    depth: int
    growth: int = 12
    bottleneck: bool = False
    learning_rate: ClassVar[float] = 0.1
    warmup: ClassVar[float] = 0.0
    nesterov: ClassVar[bool] = True
    small: ClassVar[bool] = False

    def __post_init__(self) -> None:
        period = 6 if self.bottleneck else 3
        if self.depth < period + 4 or self.depth % period != 4 % period:
            raise InputError(
                f"densenet: expected a depth of {period}n+4 {'with' if self.bottleneck else 'without'} bottlenecks, "
                f"got {self.depth}"
            )
        if self.growth < 1:
            raise InputError(f"densenet: expected a growth of at least 1 channel, got {self.growth}")

    def build(self, channels: int, outputs: int) -> nn.Module:
        features = 2 * self.growth if self.bottleneck else 16
        layers: list[nn.Module] = [nn.Conv2d(channels, features, 3, padding=1, bias=False)]
        for block in range(3):
            for _ in range((self.depth - 4) // (6 if self.bottleneck else 3)):
                layers.append(DenseLayer(dense_branch(features, self.growth, self.bottleneck)))
                features += self.growth
            if block < 2:
                kept = features // 2 if self.bottleneck else features
                layers += [*normalized(features), nn.Conv2d(features, kept, 1, bias=False), nn.AvgPool2d(2)]
                features = kept
        return Averaged(nn.Sequential(*layers, *normalized(features)), features, outputs)


class DenseLayer(nn.Module):
    """x followed by its branch, along the channels."""

    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((x, self.branch(x)), dim=1)


def dense_branch(inputs: int, growth: int, bottleneck: bool) -> nn.Sequential:
    """Norm, ReLU, 3x3, with a 1x1 to 4 growth channels before it in a bottleneck."""
    if not bottleneck:
        return nn.Sequential(*normalized(inputs), nn.Conv2d(inputs, growth, 3, padding=1, bias=False))
    return nn.Sequential(
        *normalized(inputs),
        nn.Conv2d(inputs, 4 * growth, 1, bias=False),
        *normalized(4 * growth),
        nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False),
    )
