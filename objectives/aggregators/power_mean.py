"""The power mean of the views' likelihoods, between jensen and log-mean."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from auglik.objectives.aggregators.log_mean import log_mean_exp
from auglik.objectives.aggregators.weights import Shares, shares
from auglik.objectives.errors import InputError
from auglik.objectives.numerics import at_least_float32

NEAR_ZERO = 0.1
"""|rho| below which sums are taken of differences."""


@dataclass(frozen=True)
class PowerMean:
    """(1/rho) logsumexp_k(log omega_k + rho l_k): rho -> 0 is jensen, rho = 1 log-mean. rho is not 0."""

    formula: ClassVar[str] = "(1/rho) logsumexp_k(log omega_k + rho l_k)"
    source: ClassVar[str] = "power mean (Hardy, Littlewood & Polya 1934); auglik"
    minimum_views: ClassVar[int] = 1
    trains: ClassVar[bool] = True
    label_by_label: ClassVar[bool] = True
    remarks: ClassVar[tuple[str, ...]] = ()

    rho: float = 0.5

    def __post_init__(self) -> None:
        if not math.isfinite(self.rho) or self.rho == 0:
            raise InputError(
                f"power-mean: expected a finite rho other than 0 (its limit there is jensen), got {self.rho}"
            )

    @property
    def likelihood_power(self) -> float:
        return self.rho

    def fold(self, table: Tensor, weight: Tensor | None = None, log_importance: Tensor | None = None) -> Tensor:
        views = shares(weight, log_importance, len(table))
        values = at_least_float32(table)
        if abs(self.rho) < NEAR_ZERO:
            return views.times_mean_weight(self._near_jensen(values, views))
        terms = views.log_omega + views.plus_log_importance(self.rho * values)
        return views.times_mean_weight(terms.logsumexp(0) / self.rho)

    def _near_jensen(self, values: Tensor, views: Shares) -> Tensor:
        """The same as m + log1p(sum_k omega_k expm1(rho (l_k - m))) / rho, m the view that exponentiates to most.

        Divided by a small rho, what logsumexp rounds off would be larger than the value. With importance, omega_k
        e^{i_k} are taken to their sum, whose logarithm over rho is added.
        """
        omega, more = views.omega, torch.zeros_like(values[0])
        if views.log_importance is not None:
            more = (omega * torch.expm1(views.log_importance)).sum(0).log1p()
            omega = omega * torch.exp(views.log_importance - more)
        m = (values.amax(0) if self.rho > 0 else values.amin(0)).detach()
        m = torch.where(m.isfinite(), m, 0.0)
        return m + ((omega * torch.expm1(self.rho * (values - m))).sum(0).log1p() + more) / self.rho

    def predictive(self, log_probabilities: Tensor) -> Tensor:
        return log_mean_exp(log_probabilities)
