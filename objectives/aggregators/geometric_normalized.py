"""The tempered product of the views' likelihoods, normalized over labels."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from auglik.objectives.aggregators.geometric import check_temperature
from auglik.objectives.aggregators.jensen import Jensen
from auglik.objectives.aggregators.weights import shares
from auglik.objectives.numerics import at_least_float32

_MEAN = Jensen()


@dataclass(frozen=True)
class GeometricNormalized:
    """log_softmax_c of (1/T) sum_k omega_k l_k: a distribution over labels, the proper counterpart of `geometric`."""

    formula: ClassVar[str] = "log_softmax_c((1/T) sum_k omega_k l_k)"
    source: ClassVar[str] = "Kapoor et al. 2022 (Heinonen et al. 2025, Eq. 24), normalized over labels"
    minimum_views: ClassVar[int] = 1
    trains: ClassVar[bool] = True
    likelihood_power: ClassVar[float] = 0.0
    remarks: ClassVar[tuple[str, ...]] = ()

    T: float = 1.0

    def __post_init__(self) -> None:
        check_temperature("geometric-normalized", self.T)

    def fold(self, table: Tensor, weight: Tensor | None = None, log_importance: Tensor | None = None) -> Tensor:
        views = shares(weight, log_importance, len(table))
        mean = (views.omega * views.times_importance(at_least_float32(table))).sum(0)
        return views.times_mean_weight((mean / self.T).log_softmax(-1))

    def predictive(self, log_probabilities: Tensor) -> Tensor:
        return _MEAN.predictive(log_probabilities)
