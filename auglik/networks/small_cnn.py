"""`small-cnn`: three convolutions for small grey images, whose head sees a 2x2 grid of the image."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from auglik.networks.layers import NORMS, GridMaxima, convolution
from auglik.objectives.errors import InputError
from auglik.settings.names import look_up


@dataclass(frozen=True)
class SmallCnn:
    """conv w - conv w, halved - conv 2w, maximum over a 2x2 grid - linear.

    Images of 4x4 and more. `norm` is batch, frn or none. Raises InputError for another, and for a width below 1.
    """

    width: int = 16
    norm: str = "batch"
    learning_rate: ClassVar[float] = 0.1
    warmup: ClassVar[float] = 0.0
    nesterov: ClassVar[bool] = False
    small: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.width < 1:
            raise InputError(f"small-cnn: expected a width of at least 1 channel, got {self.width}")
        look_up("norm", self.norm, NORMS)

    def build(self, channels: int, outputs: int) -> nn.Module:
        return SmallCnnModule(channels, self.width, outputs, self.norm)


class SmallCnnModule(nn.Module):
    """[B,c,H,W] -> [B,outputs]."""

    def __init__(self, channels: int, width: int, outputs: int, norm: str) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *convolution(channels, width, norm=norm),
            *convolution(width, width, nn.MaxPool2d(2), norm=norm),
            *convolution(width, 2 * width, GridMaxima(2), norm=norm),
        )
        self.head = nn.Linear(4 * 2 * width, outputs)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.body(images).flatten(1))
