"""The thermodynamic bound: the log-mean as an integral over powers of the likelihood, by a left Riemann sum."""

import itertools
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from auglik.objectives.aggregators.log_mean import log_mean_exp
from auglik.objectives.aggregators.weights import shares
from auglik.objectives.errors import InputError
from auglik.objectives.numerics import at_least_float32

MOST_POINTS = 32


@dataclass(frozen=True)
class Thermodynamic:
    """sum_s (rho_{s+1} - rho_s) sum_k r_k(rho_s) l_k, r(rho) = softmax_k(log omega + rho l), rho from 0 to 1.

    The integral over rho is the log-mean of the views, as sum_k r_k(rho) l_k is the slope of log sum_k omega_k e^(rho
    l_k), which rises: the sum is at most log-mean. The points are 0, `first` and up to 1 by equal ratios. Without log
    importance it is at least jensen, its value for one point; with it the path begins at the log of the weights' mean
    and omega holds them, where jensen adds their logs to l_k: it may be the larger or the smaller.
    Raises InputError for less than one point or more than 32, and for `first` outside (0,1).
    """

    formula: ClassVar[str] = "sum_s (rho_(s+1) - rho_s) sum_k r_k(rho_s) l_k, r(rho) = softmax_k(log omega + rho l)"
    source: ClassVar[str] = (
        "Masrani et al. 2019, Eq. 9; a single rho is power-mean, the Rényi bound of Li & Turner 2016"
    )
    minimum_views: ClassVar[int] = 1
    trains: ClassVar[bool] = True
    label_by_label: ClassVar[bool] = True

    points: int = 5
    first: float = 0.025

    def __post_init__(self) -> None:
        if type(self.points) is not int or not 1 <= self.points <= MOST_POINTS:
            raise InputError(
                f"thermodynamic: expected a whole number from 1 to {MOST_POINTS} for points, got {self.points}"
            )
        if not 0 < self.first < 1:
            raise InputError(f"thermodynamic: expected first in (0,1), got {self.first}")

    @property
    def likelihood_power(self) -> float:
        return self.powers()[-2]

    @property
    def remarks(self) -> tuple[str, ...]:
        return (
            ("thermodynamic with one point is jensen, unless views come from a proposal",) if self.points == 1 else ()
        )

    def powers(self) -> list[float]:
        """rho_0 = 0 to rho_points = 1."""
        steps = self.points - 1
        return [0.0, *(self.first ** (1 - s / steps) for s in range(steps)), 1.0]

    def fold(self, table: Tensor, weight: Tensor | None = None, log_importance: Tensor | None = None) -> Tensor:
        views = shares(weight, log_importance, len(table))
        table = at_least_float32(table)
        start = views.log_omega + views.plus_log_importance(torch.zeros_like(table))
        powers = self.powers()
        value = start.logsumexp(0)
        for rho, above in itertools.pairwise(powers):
            value = value + (above - rho) * ((start + rho * table).softmax(0) * table).sum(0)
        return views.times_mean_weight(value)

    def predictive(self, log_probabilities: Tensor) -> Tensor:
        return log_mean_exp(log_probabilities)
