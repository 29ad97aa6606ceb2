"""`wide-resnet-*`: wide residual networks (Zagoruyko & Komodakis 2016, arXiv:1605.07146)."""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from auglik.networks.layers import Averaged, normalized
from auglik.networks.preact_resnet import PreactBlock
from auglik.networks.randomness import check_rate, dropout
from auglik.objectives.errors import InputError


@dataclass(frozen=True)
class WideResnet:
    """A 3x3 stem of 16 channels, stages of 16, 32 and 64 times `widen` channels, norm, ReLU and average pooling.

    dropout is the paper's, between the convolutions of a block (0.3 where it uses it on CIFAR). Raises InputError for
    a depth other than 6n+4 and for values out of range.
    """

    depth: int
    widen: int
    dropout: float = 0.0
    learning_rate: ClassVar[float] = 0.1
    warmup: ClassVar[float] = 0.0
    nesterov: ClassVar[bool] = True
    small: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.depth < 10 or self.depth % 6 != 4:
            raise InputError(f"wide-resnet: expected a depth of 10, 16, 22, 28, ... (6n+4), got {self.depth}")
        if self.widen < 1:
            raise InputError(f"wide-resnet: expected a widening of at least 1, got {self.widen}")
        check_rate("wide-resnet", "dropout", self.dropout)

    def build(self, channels: int, outputs: int) -> nn.Module:
        layers: list[nn.Module] = [nn.Conv2d(channels, 16, 3, padding=1, bias=False)]
        inputs = 16
        for stage in range(3):
            width = 16 * 2**stage * self.widen
            for block in range((self.depth - 4) // 6):
                stride = 2 if stage > 0 and block == 0 else 1
                layers.append(PreactBlock(inputs, wide_branch(inputs, width, stride, self.dropout), width, stride))
                inputs = width
        return Averaged(nn.Sequential(*layers, *normalized(inputs)), inputs, outputs)


def wide_branch(inputs: int, width: int, stride: int, rate: float) -> nn.Sequential:
    """The convolutions of a block, after its first norm and ReLU: 3x3, norm, ReLU, dropout, 3x3."""
    return nn.Sequential(
        nn.Conv2d(inputs, width, 3, stride, padding=1, bias=False),
        *normalized(width),
        *dropout(rate),
        nn.Conv2d(width, width, 3, padding=1, bias=False),
    )
