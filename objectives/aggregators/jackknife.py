"""The jackknifed log-mean: a reference for bias, for studies and evaluation."""

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from auglik.objectives.aggregators.log_mean import log_mean_exp
from auglik.objectives.aggregators.weights import shares
from auglik.objectives.errors import InputError
from auglik.objectives.numerics import at_least_float32, leave_one_out_logsumexp


@dataclass(frozen=True)
class Jackknife:
    """K L_K - (K-1) mean_k L_{K-1} without view k, L the log-mean: bias O(1/K^2). Equal weights only; K >= 2.

    Unbounded above when views disagree (leaving out the one good view costs without limit), so it is not for training.
    Raises InputError for unequal weights, and if only one view of an image has importance: without it nothing is
    left.
    """

    formula: ClassVar[str] = "K L_K - (K-1) mean_k L_(K-1) without view k, L the log-mean"
    source: ClassVar[str] = "Quenouille 1956; for importance-weighted bounds Nowozin 2018"
    minimum_views: ClassVar[int] = 2
    trains: ClassVar[bool] = False
    label_by_label: ClassVar[bool] = True
    likelihood_power: ClassVar[float] = 1.0
    remarks: ClassVar[tuple[str, ...]] = ()

    def fold(self, table: Tensor, weight: Tensor | None = None, log_importance: Tensor | None = None) -> Tensor:
        if weight is not None and bool((weight != weight[:1]).any()):
            raise InputError("jackknife: expected equal weights of an image's views, got unequal ones; use log-mean")
        if log_importance is not None and bool(((log_importance > -math.inf).sum(0) == 1).any()):
            raise InputError(
                "jackknife: expected at least two views of an image with importance, got one; use log-mean"
            )
        K = len(table)
        views = shares(weight, log_importance, K)
        # Finite, so that sums of nothing but views without importance have derivatives.
        terms = views.plus_log_importance(at_least_float32(table)).clamp_min(-1e30)
        without_one = leave_one_out_logsumexp(terms).mean(0) - math.log(K - 1)
        return views.times_mean_weight(K * log_mean_exp(terms) - (K - 1) * without_one)

    def predictive(self, log_probabilities: Tensor) -> Tensor:
        return log_mean_exp(log_probabilities)
