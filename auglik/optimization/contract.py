"""The contracts of optimizers and rate schedules."""

from collections.abc import Iterable
from typing import Protocol

import torch
from torch import nn


class Optimizer(Protocol):
    """A frozen dataclass whose fields are the optimizer's parameters, in addition to the settings that all share."""

    @property
    def learning_rate(self) -> float | None:
        """The default highest rate; None for the network's, which is for SGD."""
        ...

    @property
    def weight_decay(self) -> float:
        """The default."""
        ...

    @property
    def takes_momentum(self) -> bool:
        """Whether the settings momentum and nesterov are its own; others are built with 0 and False."""
        ...

    def build(
        self, parameters: Iterable[nn.Parameter], *, weight_decay: float, momentum: float, nesterov: bool
    ) -> torch.optim.Optimizer:
        """At rate 0: every step sets its own. Raises ValueError for values that it does not take."""
        ...


class RateSchedule(Protocol):
    """A frozen dataclass whose fields are the schedule's parameters."""

    @property
    def warms_up(self) -> bool:
        """Whether it begins after the warm-up of the settings; else it rises by itself, and takes none."""
        ...

    def factor(self, step: int, steps: int) -> float:
        """The share of the highest rate at a step in 0..steps, counted from the end of the warm-up."""
        ...
