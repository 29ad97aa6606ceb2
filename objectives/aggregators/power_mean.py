"""The power mean of the views' likelihoods, between jensen and log-mean."""

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from auglik.objectives.aggregators.log_mean import log_mean_exp
from auglik.objectives.aggregators.weights import shares
from auglik.objectives.errors import InputError
from auglik.objectives.numerics import at_least_float32


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
        terms = views.log_omega + views.plus_log_importance(self.rho * at_least_float32(table))
        return views.times_mean_weight(terms.logsumexp(0) / self.rho)

    def predictive(self, log_probabilities: Tensor) -> Tensor:
        return log_mean_exp(log_probabilities)
