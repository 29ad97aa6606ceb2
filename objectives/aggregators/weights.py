"""View weights and importance weights, as every aggregator uses them."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from auglik.objectives.errors import InputError
from auglik.objectives.numerics import at_least_float32


class Shares(NamedTuple):
    """How much K views count, in float32 or better: omega_k = weight_k / sum weight, and log importance weights i_k."""

    omega: Tensor | float
    """A float for equal weights, else [K,B,1]."""
    log_omega: Tensor | float
    mean_weight: Tensor | float
    """A float for equal weights, else [B,1]."""
    log_importance: Tensor | None
    """[K,B,1]; zero in images that are `outside`."""
    outside: Tensor | None
    """bool [B,1]: images with weight but without a weighted view that has importance (all i_k = -inf)."""

    def plus_log_importance(self, terms: Tensor) -> Tensor:
        """terms_k + i_k, [K,B,C], for means of likelihoods."""
        return terms if self.log_importance is None else terms + self.log_importance

    def times_importance(self, terms: Tensor) -> Tensor:
        """e^{i_k} terms_k, [K,B,C], for means of log-likelihoods; 0 where e^{i_k} is, whatever the term."""
        if self.log_importance is None:
            return terms
        return terms.masked_fill(self.log_importance == -math.inf, 0.0) * self.log_importance.exp()

    def times_mean_weight(self, value: Tensor) -> Tensor:
        """The value of an image [B,C] from that of its shares; -inf, with gradient zero, for images `outside`.

        That is the log of no mass, and so it is the value of every mean: jensen's own limit, 0, would exceed log-mean.
        """
        value = self.mean_weight * value
        return value if self.outside is None else value.masked_fill(self.outside, -math.inf)


def shares(weight: Tensor | None, log_importance: Tensor | None, views: int) -> Shares:
    """The shares of K views from their weights and log importance weights [K,B]; None: weights of one, i_k = 0.

    An image whose weights are all zero does not count: its mean weight is zero and its shares are equal.
    """
    omega, log_omega, mean_weight = _omega(weight, views)
    if log_importance is None:
        return Shares(omega=omega, log_omega=log_omega, mean_weight=mean_weight, log_importance=None, outside=None)
    i = at_least_float32(log_importance)[..., None]
    without = (log_omega + i == -math.inf).all(0)
    outside = without if weight is None else without & (mean_weight > 0)
    return Shares(
        omega=omega, log_omega=log_omega, mean_weight=mean_weight, log_importance=i.masked_fill(without, 0.0),
        outside=outside,
    )  # fmt: skip


def equal_shares(name: str, weight: Tensor | None, log_importance: Tensor | None, views: int) -> Shares:
    """Of views that an aggregator `name` counts alike. Raises InputError for unequal weights of an image."""
    if weight is not None and bool((weight != weight[:1]).any()):
        raise InputError(f"{name}: expected equal weights of an image's views, got unequal ones; use log-mean")
    return shares(weight, log_importance, views)


def sampled_shares(name: str, weight: Tensor | None, log_importance: Tensor | None, views: int) -> Shares:
    """The shares for an estimator `name` that needs views drawn alike. Raises InputError for any that are not."""
    if log_importance is not None:
        raise InputError(f"{name}: expected views from their own distribution, got log importance; use log-mean")
    return equal_shares(name, weight, None, views)


def _omega(weight: Tensor | None, views: int) -> tuple[Tensor | float, Tensor | float, Tensor | float]:
    if weight is None:
        return 1 / views, -math.log(views), 1.0
    weight = at_least_float32(weight)
    total = weight.sum(0, keepdim=True)
    omega = torch.where(total > 0, weight / torch.where(total > 0, total, 1.0), 1 / views)
    return omega[..., None], omega.log()[..., None], (total[0] / views)[..., None]
