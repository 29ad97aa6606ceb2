"""Boxes in which nothing of the image is seen: parameters `box` [n,4], those of area 0 hide nothing."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from auglik.views.augmentation import Applied, Drawn, Parameters, Shape, one_operation
from auglik.views.augmentations.common.background import fill
from auglik.views.augmentations.common.boxes import area_share, covered


def erased(parameters: Parameters, shape: Shape) -> list[Applied]:
    """Of operation erase, with the hidden share of the image as its magnitude."""
    hidden = area_share(parameters["box"].astype(np.int32, copy=False), shape)
    return one_operation("erase", hidden > 0, hidden, 1 - hidden)


def erase(images: Tensor, background: str, drawn: Drawn) -> Tensor:
    """Images [V,c,H,W] with the background in their boxes."""
    H, W = images.shape[2:]
    which: NDArray[np.int64] = np.flatnonzero(drawn.host["box"][:, 2:].all(1))
    return fill(images, covered(drawn.device["box"], H, W), which, background, drawn)
