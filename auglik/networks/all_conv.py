"""`all-conv`: striving for simplicity, the all convolutional net (Springenberg et al. 2015, arXiv:1412.6806)."""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from auglik.networks.layers import Averaged, convolution
from auglik.networks.randomness import check_rate, dropout


@dataclass(frozen=True)
class AllConv:
    """All-CNN-C: nine convolutions, of which two with stride 2 take the place of pooling.

    `dropout` follows these two and `input_dropout` comes first. Batch norms, which the paper lacks, let it train from
    uniform initial weights; the last 1x1 convolution is the head, as an average and a linear map commute. Raises
    InputError for rates outside of [0,1).
    """

    dropout: float = 0.5
    input_dropout: float = 0.2
    learning_rate: ClassVar[float] = 0.05
    warmup: ClassVar[float] = 0.0
    nesterov: ClassVar[bool] = False
    small: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_rate("all-conv", "dropout", self.dropout)
        check_rate("all-conv", "input dropout", self.input_dropout)

    def build(self, channels: int, outputs: int) -> nn.Module:
        body = nn.Sequential(
            *dropout(self.input_dropout),
            *convolution(channels, 96),
            *convolution(96, 96),
            *convolution(96, 96, stride=2),
            *dropout(self.dropout),
            *convolution(96, 192),
            *convolution(192, 192),
            *convolution(192, 192, stride=2),
            *dropout(self.dropout),
            *convolution(192, 192),
            *convolution(192, 192, kernel=1),
        )
        return Averaged(body, 192, outputs)
