"""Multilevel Monte Carlo with antithetic coupling and a random highest level: no bias at finite cost and variance."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from auglik.objectives.aggregators.log_mean import log_mean_exp
from auglik.objectives.aggregators.weights import sampled_shares
from auglik.objectives.errors import InputError
from auglik.objectives.numerics import at_least_float32
from auglik.objectives.view_counts import REMARK


@dataclass(frozen=True)
class Multilevel:
    """A_0 + sum_{1<=n<=N} 2^(power n) (A_n - A_{n-1}), A_n the mean of the log-means of blocks of 2^n views.

    K = 2^N with P(N >= n) = 2^(-power n), so that levels count 2^(power n) times: over N the mean is that of the
    log-mean of the largest number of views. A block and its two halves share their views, so that A_n - A_{n-1} has
    variance O(4^-n): the variance is finite for power < 2, the mean number of views for power > 1, both without a cap.
    Raises InputError for any other power. Equal weights only, in the order of the views; a single value has no bound.
    """

    formula: ClassVar[str] = (
        "A_0 + sum_n 2^(power n) (A_n - A_(n-1)), A_n the mean log-mean of blocks of 2^n; P(K >= 2^n) = 2^(-power n)"
    )
    source: ClassVar[str] = "Goda et al. 2022; Shi & Cornish 2021 (levels as a coupled sum: Rhee & Glynn 2015)"
    minimum_views: ClassVar[int] = 1
    trains: ClassVar[bool] = True
    label_by_label: ClassVar[bool] = True
    ordered: ClassVar[bool] = True
    likelihood_power: ClassVar[float] = 1.0
    remarks: ClassVar[tuple[str, ...]] = (REMARK,)

    power: float = 1.5

    def __post_init__(self) -> None:
        if not 1 < self.power < 2:
            what = "the variance" if self.power >= 2 else "the mean number of views"
            raise InputError(f"multilevel: expected a power in (1,2), got {self.power}: {what} would be infinite")

    def stops(self, most: int) -> tuple[int, ...]:
        return tuple(2**n for n in range(most.bit_length()))

    def survival(self, views: int) -> float:
        return float(views**-self.power)

    def fold(self, table: Tensor, weight: Tensor | None = None, log_importance: Tensor | None = None) -> Tensor:
        views = sampled_shares("multilevel", weight, log_importance, len(table))
        of_blocks = at_least_float32(table)
        value = below = of_blocks.mean(0)
        for n in range(1, len(table).bit_length()):
            pairs = of_blocks[: len(of_blocks) // 2 * 2].unflatten(0, (-1, 2))
            of_blocks = log_mean_exp(pairs.transpose(0, 1))
            level = of_blocks.mean(0)
            value, below = value + 2 ** (self.power * n) * (level - below), level
        return views.times_mean_weight(value)

    def predictive(self, log_probabilities: Tensor) -> Tensor:
        return log_mean_exp(log_probabilities)
