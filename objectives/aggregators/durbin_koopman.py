"""The log-mean with its leading bias added back."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from auglik.objectives.aggregators.log_mean import log_mean_exp
from auglik.objectives.aggregators.weights import shares
from auglik.objectives.numerics import at_least_float32


@dataclass(frozen=True)
class DurbinKoopman:
    """log-mean + K/(2(K-1)) sum_k (r_k - omega_k)^2, r = softmax_k(log omega + l) the responsibilities.

    Half the squared relative standard error of the mean likelihood, in log space; between 0 and 1/2 for equal
    weights. Not monotone: the gradient r_k [1 + K/(K-1) (r_k - sum r^2)] of a view can be negative. K >= 2.
    """

    formula: ClassVar[str] = "log-mean + K/(2(K-1)) sum_k (r_k - omega_k)^2, r = softmax_k(log omega + l)"
    source: ClassVar[str] = "Durbin & Koopman 1997; Heinonen et al. 2025, Eq. 21-22 (Eq. 23 is a misprint)"
    minimum_views: ClassVar[int] = 2
    trains: ClassVar[bool] = True
    label_by_label: ClassVar[bool] = True
    likelihood_power: ClassVar[float] = 1.0
    remarks: ClassVar[tuple[str, ...]] = ()

    def fold(self, table: Tensor, weight: Tensor | None = None, log_importance: Tensor | None = None) -> Tensor:
        K = len(table)
        views = shares(weight, log_importance, K)
        terms = views.log_omega + views.plus_log_importance(at_least_float32(table))
        log_mean = terms.logsumexp(0)
        responsibilities = torch.exp(terms - log_mean)
        correction = K / (2 * (K - 1)) * ((responsibilities - views.omega) ** 2).sum(0)
        return views.times_mean_weight(log_mean + correction)

    def predictive(self, log_probabilities: Tensor) -> Tensor:
        return log_mean_exp(log_probabilities)
