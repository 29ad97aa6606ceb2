"""Russian roulette over the log-means of the first views: a random number of views, no bias."""

import itertools
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from auglik.objectives.aggregators.log_mean import log_mean_exp
from auglik.objectives.aggregators.weights import sampled_shares
from auglik.objectives.numerics import at_least_float32
from auglik.objectives.view_counts import REMARK


@dataclass(frozen=True)
class Sumo:
    """sum_{k<=K} k (L_k - L_{k-1}) = K L_K - sum_{k<K} L_k, L_k the log-mean of the first k views and L_0 = 0.

    K is drawn with P(K >= k) = 1/k, so that increments count k times: over K the mean is that of the log-mean of the
    largest number of views, at a cost that is only its harmonic number. An increment has variance O(1/k^2), hence no
    law of K without a cap has both a finite mean and a finite variance: P(K >= k) = k^-a needs a > 1 for the one and
    a < 1 for the other. Equal weights only, in the order of the views; a single value has no bound.
    """

    formula: ClassVar[str] = "K L_K - sum_(k<K) L_k, L_k the log-mean of the first k views; P(K >= k) = 1/k"
    source: ClassVar[str] = "Luo et al. 2020 (SUMO), capped at the views of a run"
    minimum_views: ClassVar[int] = 1
    trains: ClassVar[bool] = True
    label_by_label: ClassVar[bool] = True
    ordered: ClassVar[bool] = True
    likelihood_power: ClassVar[float] = 1.0
    remarks: ClassVar[tuple[str, ...]] = (REMARK,)

    def stops(self, most: int) -> tuple[int, ...]:
        return tuple(range(1, most + 1))

    def survival(self, views: int) -> float:
        return 1 / views

    def fold(self, table: Tensor, weight: Tensor | None = None, log_importance: Tensor | None = None) -> Tensor:
        views = sampled_shares("sumo", weight, log_importance, len(table))
        # The gradient of logcumsumexp is a difference of logarithms as large as the table, whose digits it loses.
        sums = torch.stack(list(itertools.accumulate(at_least_float32(table).unbind(0), torch.logaddexp)))
        counts = torch.arange(1, len(table) + 1, device=table.device, dtype=sums.dtype)[:, None, None]
        means = sums - counts.log()
        return views.times_mean_weight(len(table) * means[-1] - means[:-1].sum(0))

    def predictive(self, log_probabilities: Tensor) -> Tensor:
        return log_mean_exp(log_probabilities)
