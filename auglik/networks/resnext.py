"""`resnext-29`: aggregated residual transformations (Xie et al. 2017, arXiv:1611.05431), for small images."""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from auglik.networks.layers import Averaged, convolution
from auglik.networks.resnet import ResidualBlock, bottleneck
from auglik.objectives.errors import InputError

BLOCKS = 3
"""Blocks in each of the three stages at depth 29."""


@dataclass(frozen=True)
class Resnext:
    """Three stages of 256, 512 and 1024 channels; `cardinality` groups of `width` channels each in the first.

    8 x 64d is the paper's network of 34.4 million parameters; AugMix and what follows it use cardinality=4,width=32.
    Raises InputError for counts below 1.
    """

    cardinality: int = 8
    width: int = 64
    learning_rate: ClassVar[float] = 0.1
    warmup: ClassVar[float] = 0.0
    nesterov: ClassVar[bool] = True
    small: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if min(self.cardinality, self.width) < 1:
            raise InputError(
                f"resnext: expected a cardinality and a width of at least 1, got {self.cardinality} and {self.width}"
            )

    def build(self, channels: int, outputs: int) -> nn.Module:
        layers = convolution(channels, 64)
        inputs = 64
        for stage in range(3):
            width, stage_outputs = self.cardinality * self.width * 2**stage, 256 * 2**stage
            for block in range(BLOCKS):
                stride = 2 if stage > 0 and block == 0 else 1
                branch = bottleneck(inputs, width, stage_outputs, stride, self.cardinality)
                layers.append(ResidualBlock(inputs, branch, stage_outputs, stride))
                inputs = stage_outputs
        return Averaged(nn.Sequential(*layers), inputs, outputs)
