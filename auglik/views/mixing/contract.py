"""Mixing of each image with another before views are made of it, by name.

Every image has its own partner, share and box (torchvision's MixUp and CutMix draw one share or box per batch
and take the neighbour in the batch as partner).
"""

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from auglik.views.augmentation import Parameters, Shape
from auglik.views.mixing.cutmix import CutMix
from auglik.views.mixing.mixup import MixUp
from auglik.views.store import Gallery


class Mixing(Protocol):
    """A frozen dataclass whose fields are its settings."""

    def draw(self, generator: np.random.Generator, count: int, shape: Shape) -> Parameters:
        """For each of all images: `partner` int64 [n], a permutation; `share` float32 [n], of its own label."""
        ...

    def mix(self, gallery: Gallery, index: Tensor, drawn: Mapping[str, Tensor]) -> Gallery:
        """The B mixed images of `index` [B], whose parameters are `drawn` [B,...]; packed as `gallery` is."""
        ...


MIXINGS: dict[str, Mixing] = {"mixup": MixUp(), "cutmix": CutMix()}


def soft_labels(labels: Tensor, partner_labels: Tensor, share: Tensor, classes: int) -> Tensor:
    """share e_label + (1 - share) e_partner: [B], [B], [B] -> [B,C], of the dtype of `share`."""
    both = torch.stack([labels, partner_labels], 1)
    shares = torch.stack([share, 1 - share], 1)
    return torch.zeros(len(share), classes, dtype=share.dtype, device=share.device).scatter_add_(1, both, shares)
