"""`nasnet`: NASNet-A for small images (Zoph et al. 2018, arXiv:1707.07012), of timm's cells."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from auglik.networks.layers import Averaged, convolution
from auglik.networks.libraries import import_timm
from auglik.objectives.errors import InputError


@dataclass(frozen=True)
class Nasnet:
    """NASNet-A (cells @ features): three stages of normal cells with a reduction cell between two of them.

    6 @ 768 is the paper's CIFAR-10 network of 3.3 million parameters; without its auxiliary head and its scheduled drop
    path. Raises InputError for counts that make no network and where timm is missing.
    """

    cells: int = 6
    features: int = 768
    learning_rate: ClassVar[float] = 0.025
    warmup: ClassVar[float] = 0.0
    nesterov: ClassVar[bool] = False
    small: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.cells < 1:
            raise InputError(f"nasnet: expected at least 1 cell in a stage, got {self.cells}")
        if self.features < 24 or self.features % 24:
            raise InputError(f"nasnet: expected last features in multiples of 24, got {self.features}")

    def build(self, channels: int, outputs: int) -> nn.Module:
        import_timm("nasnet")
        return Averaged(NasnetBody(channels, self.cells, self.features // 24), self.features, outputs)


class NasnetBody(nn.Module):
    """[B,c,H,W] -> [B,24 filters,H/4,W/4]; every cell sees the two cells before it."""

    def __init__(self, channels: int, cells: int, filters: int) -> None:
        super().__init__()
        from timm.models.nasnet import FirstCell, NormalCell, ReductionCell0

        self.stem = nn.Sequential(*convolution(channels, 3 * filters, activation=nn.Identity()))
        self.cells = nn.ModuleList()
        before, inputs = 3 * filters, 3 * filters
        for stage in range(3):
            width = filters * 2**stage
            for cell in range(cells):
                if stage > 0 and cell == 0:
                    self.cells.append(ReductionCell0(before, width, inputs, width, pad_type="same"))
                    before, inputs = inputs, 4 * width
                    self.cells.append(FirstCell(before, width // 2, inputs, width, pad_type="same"))
                else:
                    self.cells.append(NormalCell(before, width, inputs, width, pad_type="same"))
                before, inputs = inputs, 6 * width

    def forward(self, images: Tensor) -> Tensor:
        before = x = self.stem(images)
        for cell in self.cells:
            before, x = x, cell(x, before)
        return x.relu()
