"""AdamW."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from auglik.objectives import InputError


@dataclass(frozen=True)
class AdamW:
    """Adam whose weight decay is decoupled: w <- w - rate * decay * w (Loshchilov & Hutter 2019, arXiv:1711.05101).

    Raises InputError unless there are two betas in [0,1) and eps > 0.
    """

    betas: tuple[float, ...] = (0.9, 0.999)
    eps: float = 1e-8
    learning_rate: ClassVar[float | None] = 1e-3
    weight_decay: ClassVar[float] = 0.01
    takes_momentum: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise InputError(f"adamw: expected two betas in [0,1), got {'/'.join(map(str, self.betas))}")
        if not 0 < self.eps < float("inf"):
            raise InputError(f"adamw: expected eps > 0, got {self.eps}")

    def build(
        self, parameters: Iterable[nn.Parameter], *, weight_decay: float, momentum: float, nesterov: bool
    ) -> torch.optim.Optimizer:
        beta1, beta2 = self.betas
        return torch.optim.AdamW(
            parameters, lr=0.0, betas=(beta1, beta2), eps=self.eps, weight_decay=weight_decay, fused=True
        )
