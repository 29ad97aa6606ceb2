"""`googlenet`: going deeper with convolutions (Szegedy et al. 2015, arXiv:1409.4842), for small images."""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from auglik.networks.libraries import LibraryModule, keyed
from auglik.networks.randomness import check_rate


@dataclass(frozen=True)
class Googlenet:
    """torchvision's GoogLeNet with batch norms, behind a 3x3 stem: only the two poolings between the stages are left.

    Without the auxiliary heads; `dropout` is before the head (0.4 in the paper, 0.2 in torchvision). Raises InputError
    for a rate outside of [0,1).
    """

    dropout: float = 0.2
    learning_rate: ClassVar[float] = 0.1
    warmup: ClassVar[float] = 0.0
    nesterov: ClassVar[bool] = False
    small: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_rate("googlenet", "dropout", self.dropout)

    def build(self, channels: int, outputs: int) -> nn.Module:
        from torchvision.models.googlenet import BasicConv2d, GoogLeNet

        body = GoogLeNet(num_classes=1, aux_logits=False, init_weights=False, dropout=self.dropout)
        body.conv1 = BasicConv2d(channels, 64, kernel_size=3, padding=1)
        for name in ("maxpool1", "maxpool2", "fc"):
            body.set_submodule(name, nn.Identity())
        return LibraryModule(keyed(body), 1024, outputs)
