"""Stochastic gradient descent."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn


@dataclass(frozen=True)
class Sgd:
    """SGD with momentum; weight decay is added to the gradient."""

    learning_rate: ClassVar[float | None] = None
    weight_decay: ClassVar[float] = 5e-4
    takes_momentum: ClassVar[bool] = True

    def build(
        self, parameters: Iterable[nn.Parameter], *, weight_decay: float, momentum: float, nesterov: bool
    ) -> torch.optim.Optimizer:
        return torch.optim.SGD(
            parameters, lr=0.0, momentum=momentum, weight_decay=weight_decay, nesterov=nesterov, fused=True
        )
