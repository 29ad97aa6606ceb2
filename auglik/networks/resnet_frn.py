"""`resnet-20-frn`: a residual network whose images do not meet in a norm, as Bayesian deep learning samples it."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from torch import Tensor, nn

from auglik.networks.layers import Averaged
from auglik.networks.layers import convolution as with_batch_norm
from auglik.objectives.errors import InputError

convolution = partial(with_batch_norm, norm="frn")


@dataclass(frozen=True)
class ResnetFrn:
    """He et al. 2015's network for CIFAR-10, of depth 6n+2, with filter response norm and SiLU.

    A 3x3 stem, three stages of n basic blocks of width, 2 width and 4 width channels, average pooling; convolutions
    have biases. As in the code of Izmailov et al. 2021 (arXiv:2104.14421), the norm keeps its threshold before the
    SiLU; Wenzel et al. 2020 (arXiv:2002.02405) sample a ResNet-20 with this norm too. Raises InputError for another
    depth and a width below 1.
    """

    depth: int = 20
    width: int = 16
    learning_rate: ClassVar[float] = 0.1
    warmup: ClassVar[float] = 0.0
    nesterov: ClassVar[bool] = False
    small: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.depth < 8 or self.depth % 6 != 2:
            raise InputError(f"resnet-20-frn: expected a depth of 8, 14, 20, ... (6n+2), got {self.depth}")
        if self.width < 1:
            raise InputError(f"resnet-20-frn: expected a width of at least 1 channel, got {self.width}")

    def build(self, channels: int, outputs: int) -> nn.Module:
        layers, inputs = convolution(channels, self.width, activation=nn.SiLU(inplace=True)), self.width
        for stage in range(3):
            width = 2**stage * self.width
            for block in range((self.depth - 2) // 6):
                layers.append(FrnBlock(inputs, width, stride=2 if stage > 0 and block == 0 else 1))
                inputs = width
        return Averaged(nn.Sequential(*layers), inputs, outputs)


class FrnBlock(nn.Module):
    """y = silu(shortcut(x) + branch(x)), the shortcut a 1x1 convolution and norm where the shape changes."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        linear = nn.Identity()
        self.branch = nn.Sequential(
            *convolution(inputs, width, stride=stride, activation=nn.SiLU(inplace=True)),
            *convolution(width, width, activation=linear),
        )
        projection = convolution(inputs, width, kernel=1, stride=stride, activation=linear)
        self.shortcut = nn.Sequential(*projection) if stride > 1 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.silu(self.shortcut(x) + self.branch(x))
