"""Stochastic-gradient Langevin dynamics."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor


@dataclass(frozen=True)
class Sgld:
    """theta - step U' + sqrt(2 step T) noise (Welling & Teh 2011, whose epsilon is 2 step), without a Metropolis test.

    Where U = theta^2 / 2 the variance is T / (1 - step / 2): too wide for long steps.
    """

    has_momenta: ClassVar[bool] = False

    def move(
        self,
        positions: Sequence[Tensor],
        momenta: Sequence[Tensor],
        slopes: Sequence[Tensor],
        noise: Sequence[Tensor],
        *,
        step: float,
        temperature: float,
    ) -> Tensor | None:
        for theta, slope, drawn in zip(positions, slopes, noise, strict=True):
            theta.sub_(slope, alpha=step).add_(drawn, alpha=math.sqrt(2 * step * temperature))
        return None
