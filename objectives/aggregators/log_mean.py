"""The K-sample Monte Carlo estimate of the log marginal likelihood."""

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from auglik.objectives.aggregators.weights import shares
from auglik.objectives.numerics import at_least_float32


def log_mean_exp(terms: Tensor) -> Tensor:
    """log (1/K) sum_k e^{terms_k}: [K,...] -> [...]."""
    return terms.logsumexp(0) - math.log(len(terms))


@dataclass(frozen=True)
class LogMean:
    """logsumexp_k(log omega_k + l_k): underestimates log E p, by a bias that falls as 1/K."""

    formula: ClassVar[str] = "logsumexp_k(log omega_k + l_k)"
    source: ClassVar[str] = "Monte Carlo marginal likelihood; Heinonen et al. 2025, Appendix C"
    minimum_views: ClassVar[int] = 1
    trains: ClassVar[bool] = True
    label_by_label: ClassVar[bool] = True
    likelihood_power: ClassVar[float] = 1.0
    remarks: ClassVar[tuple[str, ...]] = ()

    def fold(self, table: Tensor, weight: Tensor | None = None, log_importance: Tensor | None = None) -> Tensor:
        views = shares(weight, log_importance, len(table))
        return views.times_mean_weight(
            (views.log_omega + views.plus_log_importance(at_least_float32(table))).logsumexp(0)
        )

    def predictive(self, log_probabilities: Tensor) -> Tensor:
        return log_mean_exp(log_probabilities)
