"""The jackknifed log-mean: a reference for bias, for studies and evaluation."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from auglik.objectives.aggregators.log_mean import log_mean_exp
from auglik.objectives.aggregators.weights import equal_shares
from auglik.objectives.errors import InputError
from auglik.objectives.numerics import at_least_float32, leave_out_logsumexp

HIGHEST = 4


@dataclass(frozen=True)
class Jackknife:
    """sum_{j<=m} c_j mean L_{K-j}, over all choices of the K-j views; L the log-mean, m the order: bias O(1/K^(m+1)).

    c_j = (-1)^j (K-j)^m / (j! (m-j)!), so that the terms of the bias up to 1/K^m cancel; at order 1 it is
    K L_K - (K-1) mean_k L_{K-1} without view k. Equal weights only; K > m; it takes K!/(m! (K-m)!) log-means.
    Unbounded above when views disagree (leaving out the one good view costs without limit), so it is not for training.
    Raises InputError for an order outside 1..4, for unequal weights, and if an image has no more than m views with
    importance: without them nothing is left.
    """

    formula: ClassVar[str] = "sum_(j<=m) (-1)^j (K-j)^m / (j! (m-j)!) mean L_(K-j) over subsets, m the order"
    source: ClassVar[str] = "Quenouille 1956; for importance-weighted bounds Nowozin 2018"
    trains: ClassVar[bool] = False
    label_by_label: ClassVar[bool] = True
    likelihood_power: ClassVar[float] = 1.0
    remarks: ClassVar[tuple[str, ...]] = ()

    order: int = 1

    def __post_init__(self) -> None:
        if type(self.order) is not int or not 1 <= self.order <= HIGHEST:
            raise InputError(f"jackknife: expected a whole number from 1 to {HIGHEST} for order, got {self.order}")

    @property
    def minimum_views(self) -> int:
        return self.order + 1

    def fold(self, table: Tensor, weight: Tensor | None = None, log_importance: Tensor | None = None) -> Tensor:
        views = equal_shares("jackknife", weight, log_importance, len(table))
        if log_importance is not None:
            alive = (log_importance > -math.inf).sum(0)
            if bool(((alive > 0) & (alive <= self.order)).any()):
                least = ("two", "three", "four", "five")[self.order - 1]
                raise InputError(
                    f"jackknife: expected at least {least} views of an image with importance, got fewer; use log-mean"
                )
        K, m = len(table), self.order
        # Finite, so that sums of nothing but views without importance have derivatives; in float64, as the factors
        # multiply what is rounded off by up to K^m. They sum to one.
        terms = views.plus_log_importance(at_least_float32(table)).clamp_min(-1e30)
        top = terms.amax(0).detach().double()
        exact = terms.double() - top
        nothing = torch.zeros_like(exact)  # its logarithms of K - j round as those of equal views do, which cancel

        def mean_log_means(j: int) -> Tensor:
            return (leave_out_logsumexp(exact, j) - leave_out_logsumexp(nothing, j)).mean(0)

        whole = value = mean_log_means(0)
        for j in range(1, m + 1):
            factor = (-1) ** j * (K - j) ** m / (math.factorial(j) * math.factorial(m - j))
            value = value + factor * (mean_log_means(j) - whole)
        return views.times_mean_weight((top + value).to(terms.dtype))

    def predictive(self, log_probabilities: Tensor) -> Tensor:
        return log_mean_exp(log_probabilities)
