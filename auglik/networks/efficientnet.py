"""`efficientnet-b0`: EfficientNet (Tan & Le 2019, arXiv:1905.11946), for small images."""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from auglik.networks.libraries import LibraryModule, keyed
from auglik.networks.randomness import check_rate


@dataclass(frozen=True)
class EfficientnetB0:
    """torchvision's efficientnet_b0 with stride 1 in its stem; for 224x224 there is `torchvision:efficientnet_b0`.

    `dropout` is before the head and `stochastic_depth` the last block's rate, to which the rates rise along a line.
    Raises InputError for rates outside of [0,1).
    """

    dropout: float = 0.2
    stochastic_depth: float = 0.2
    learning_rate: ClassVar[float] = 0.1
    warmup: ClassVar[float] = 0.0
    nesterov: ClassVar[bool] = False
    small: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_rate("efficientnet-b0", "dropout", self.dropout)
        check_rate("efficientnet-b0", "stochastic depth", self.stochastic_depth)

    def build(self, channels: int, outputs: int) -> nn.Module:
        from torchvision.models import efficientnet_b0

        body = efficientnet_b0(num_classes=1, dropout=self.dropout, stochastic_depth_prob=self.stochastic_depth)
        body.features[0][0] = nn.Conv2d(channels, 32, 3, padding=1, bias=False)
        body.classifier[1] = nn.Identity()
        return LibraryModule(keyed(body), 1280, outputs)
