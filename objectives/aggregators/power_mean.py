"""The power mean of the views' likelihoods, between jensen and log-mean."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from auglik.objectives.aggregators.log_mean import log_mean_exp
from auglik.objectives.aggregators.weights import Shares, shares
from auglik.objectives.checks import in_float32
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
        if not in_float32(self.rho):
            raise InputError(
                f"power-mean: expected a finite rho other than 0 (its limit there is jensen), got {self.rho} (float32"
                " needs 1e-30 to 1e30 in size)"
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
        """The same as m + log1p(sum_k omega_k expm1(rho (l_k - m))) / rho with m = sum_k omega_k l_k, the jensen bound.

        Divided by a small rho, what logsumexp rounds off would be larger than the value; it is taken where some
        |rho (l_k - m)| > 1: there values themselves are rounded off by more. With importance, omega_k e^{i_k} are taken
        to their sum, whose logarithm over rho is added.
        """
        omega, log_omega = views.omega, views.log_omega
        more = torch.zeros_like(values[0])
        if views.log_importance is not None:
            more = _log_mean(views.log_importance, omega, log_omega)
            log_omega = log_omega + views.log_importance - more
            omega = torch.exp(log_omega)
        known = omega * values.isfinite()
        m = ((known * values.masked_fill(~values.isfinite(), 0.0)).sum(0) / known.sum(0).clamp_min(1e-30)).detach()
        if isinstance(omega, Tensor):
            values = values.where(omega > 0, m)  # of a view that does not count, whatever it is
        x = self.rho * (values - m)
        near = (x.abs() <= 1).all(0)
        small = m + (omega * torch.expm1(x.where(near, 0.0))).sum(0).log1p() / self.rho
        return torch.where(near, small, (log_omega + self.rho * values).logsumexp(0) / self.rho) + more / self.rho

    def predictive(self, log_probabilities: Tensor) -> Tensor:
        return log_mean_exp(log_probabilities)


def _log_mean(x: Tensor, omega: Tensor | float, log_omega: Tensor | float) -> Tensor:
    """log sum_k omega_k e^{x_k}, to the last digit of small x: [K,...] -> [...]."""
    near = (x.abs() <= 1).all(0)
    small = (omega * torch.expm1(x.where(near, 0.0))).sum(0).log1p()
    return torch.where(near, small, (log_omega + x).logsumexp(0))
