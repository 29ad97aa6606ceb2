"""Rendering of policies with one branch."""

from torch import Tensor

from auglik.views.augmentation import Drawn
from auglik.views.operations import Run, operate
from auglik.views.policies.space import GROUPINGS, operations_of


def in_turn(images: Tensor, drawn: Drawn, bilinear: bool, run: Run) -> Tensor:
    """Views of levels [V,c,H,W] under their operations [V,S], one after the other."""
    operation, _ = operations_of(drawn.host)
    for step in range(operation.shape[1]):
        coefficients = drawn.device["coefficients"][:, step]
        images = operate(images, operation[:, step], coefficients, GROUPINGS[bilinear], run)
    return images
