"""`resnet-*`: deep residual learning (He et al. 2015, arXiv:1512.03385), for small images."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from auglik.networks.layers import Averaged, convolution
from auglik.networks.preact_resnet import STAGES
from auglik.objectives.errors import InputError


@dataclass(frozen=True)
class Resnet:
    """A 3x3 stem without max-pooling, stages of 64, 128, 256 and 512 channels with strides 1, 2, 2, 2, average pooling.

    Basic blocks at depths 18 and 34, bottlenecks at 50 and 101, which halve the image in their 3x3 convolution, as
    torchvision's do. Raises InputError for another depth.
    """

    depth: int
    learning_rate: ClassVar[float] = 0.1
    warmup: ClassVar[float] = 0.0
    nesterov: ClassVar[bool] = False
    small: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.depth not in STAGES:
            raise InputError(f"resnet: expected a depth of {', '.join(map(str, STAGES))}, got {self.depth}")

    def build(self, channels: int, outputs: int) -> nn.Module:
        expansion = 1 if self.depth < 50 else 4
        layers = convolution(channels, 64)
        inputs = 64
        for stage, blocks in enumerate(STAGES[self.depth]):
            width = 64 * 2**stage
            for block in range(blocks):
                stride = 2 if stage > 0 and block == 0 else 1
                branch = (
                    basic(inputs, width, stride) if expansion == 1 else bottleneck(inputs, width, 4 * width, stride)
                )
                layers.append(ResidualBlock(inputs, branch, expansion * width, stride))
                inputs = expansion * width
        return Averaged(nn.Sequential(*layers), inputs, outputs)


class ResidualBlock(nn.Module):
    """y = relu(shortcut(x) + branch(x)), the shortcut a 1x1 convolution where the shape changes."""

    def __init__(self, inputs: int, branch: nn.Module, outputs: int, stride: int) -> None:
        super().__init__()
        projection = convolution(inputs, outputs, kernel=1, stride=stride, activation=nn.Identity())
        self.branch = branch
        self.shortcut = nn.Sequential(*projection) if stride > 1 or inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return (self.shortcut(x) + self.branch(x)).relu()


def basic(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """3x3, 3x3; the block itself ends in a ReLU."""
    return nn.Sequential(
        *convolution(inputs, outputs, stride=stride), *convolution(outputs, outputs, activation=nn.Identity())
    )


def bottleneck(inputs: int, width: int, outputs: int, stride: int, groups: int = 1) -> nn.Sequential:
    """1x1, 3x3 in groups, 1x1; the block itself ends in a ReLU."""
    return nn.Sequential(
        *convolution(inputs, width, kernel=1),
        *convolution(width, width, stride=stride, groups=groups),
        *convolution(width, outputs, kernel=1, activation=nn.Identity()),
    )
