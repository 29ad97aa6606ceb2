"""View weights and importance weights, as every aggregator uses them."""

import math
from typing import NamedTuple

import torch
from torch import Tensor


class Shares(NamedTuple):
    """omega_k = weight_k / sum weight, its log, and the mean weight: floats for equal weights, else [K,B,1], [B,1]."""

    omega: Tensor | float
    log_omega: Tensor | float
    mean_weight: Tensor | float


def shares(weight: Tensor | None, views: int) -> Shares:
    """The shares of K views from their weights [K,B]; no weights are equal weights of mean one.

    An image all of whose weights are zero counts nothing: its mean weight is zero and its shares are equal.
    """
    if weight is None:
        return Shares(1 / views, -math.log(views), 1.0)
    total = weight.sum(0, keepdim=True)
    omega = torch.where(total > 0, weight / torch.where(total > 0, total, 1.0), 1 / views)
    return Shares(omega[..., None], omega.log()[..., None], (total[0] / views)[..., None])


def plus_log_importance(terms: Tensor, log_importance: Tensor | None) -> Tensor:
    """terms_k + i_k: [K,B,C], [K,B] -> [K,B,C], for means of likelihoods."""
    return terms if log_importance is None else terms + log_importance[..., None]


def times_importance(terms: Tensor, log_importance: Tensor | None) -> Tensor:
    """e^{i_k} terms_k: [K,B,C], [K,B] -> [K,B,C], for means of log-likelihoods."""
    return terms if log_importance is None else terms * log_importance.exp()[..., None]
