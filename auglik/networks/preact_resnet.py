"""`preact-resnet-*`: identity mappings in residual networks (He et al. 2016, arXiv:1603.05027), for small images."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from auglik.networks.layers import Averaged, normalized
from auglik.objectives.errors import InputError

STAGES: dict[int, tuple[int, int, int, int]] = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
}
"""Blocks in each stage, by depth (He et al. 2015, table 1)."""


@dataclass(frozen=True)
class PreactResnet:
    """A 3x3 stem without max-pooling, stages of 64, 128, 256 and 512 channels with strides 1, 2, 2, 2, average pooling.

    Basic blocks at depths 18 and 34, bottlenecks at 50 and 101. Raises InputError for another depth.
    """

    depth: int
    learning_rate: ClassVar[float] = 0.01  # the mollification paper's, for depth 50
    warmup: ClassVar[float] = 0.0
    nesterov: ClassVar[bool] = False
    small: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.depth not in STAGES:
            raise InputError(f"preact-resnet: expected a depth of {', '.join(map(str, STAGES))}, got {self.depth}")

    def build(self, channels: int, outputs: int) -> nn.Module:
        expansion = 1 if self.depth < 50 else 4
        layers: list[nn.Module] = [nn.Conv2d(channels, 64, 3, padding=1, bias=False)]
        inputs = 64
        for stage, blocks in enumerate(STAGES[self.depth]):
            width = 64 * 2**stage
            for block in range(blocks):
                stride = 2 if stage > 0 and block == 0 else 1
                layers.append(PreactBlock(inputs, branch(inputs, width, expansion, stride), width * expansion, stride))
                inputs = width * expansion
        # No norm and ReLU before pooling: only without them does depth 101 have the published 42.50 million parameters.
        return Averaged(nn.Sequential(*layers), inputs, outputs)


class PreactBlock(nn.Module):
    """y = shortcut(a) + branch(a), a = relu(norm(x)), where the shape changes; else y = x + branch(a)."""

    def __init__(self, inputs: int, branch: nn.Module, outputs: int, stride: int) -> None:
        super().__init__()
        self.activate = nn.Sequential(*normalized(inputs))
        self.branch = branch
        changes = stride > 1 or inputs != outputs
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False) if changes else None

    def forward(self, x: Tensor) -> Tensor:
        activated = self.activate(x)
        carried = x if self.shortcut is None else self.shortcut(activated)
        return carried + self.branch(activated)


def branch(inputs: int, width: int, expansion: int, stride: int) -> nn.Sequential:
    """The convolutions of a block, after its first norm and ReLU: 3x3, 3x3, or 1x1, 3x3, 1x1 where expansion is 4."""
    if expansion == 1:
        return nn.Sequential(
            nn.Conv2d(inputs, width, 3, stride, padding=1, bias=False),
            *normalized(width),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
        )
    return nn.Sequential(
        nn.Conv2d(inputs, width, 1, bias=False),
        *normalized(width),
        nn.Conv2d(width, width, 3, stride, padding=1, bias=False),
        *normalized(width),
        nn.Conv2d(width, width * expansion, 1, bias=False),
    )
