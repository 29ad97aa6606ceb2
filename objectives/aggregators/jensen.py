"""The Jensen bound: the mean log-likelihood over views."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from auglik.objectives.aggregators.weights import shares
from auglik.objectives.numerics import at_least_float32


@dataclass(frozen=True)
class Jensen:
    """sum_k omega_k l_k, a lower bound of log E p, itself estimated without bias: a loss averaged over views."""

    formula: ClassVar[str] = "sum_k omega_k l_k"
    source: ClassVar[str] = "Jensen's inequality; cross-entropy on augmented images"
    minimum_views: ClassVar[int] = 1
    trains: ClassVar[bool] = True
    label_by_label: ClassVar[bool] = True
    likelihood_power: ClassVar[float] = 0.0
    remarks: ClassVar[tuple[str, ...]] = ()

    def fold(self, table: Tensor, weight: Tensor | None = None, log_importance: Tensor | None = None) -> Tensor:
        views = shares(weight, log_importance, len(table))
        return views.times_mean_weight((views.omega * views.times_importance(at_least_float32(table))).sum(0))

    def predictive(self, log_probabilities: Tensor) -> Tensor:
        return log_probabilities.mean(0)
