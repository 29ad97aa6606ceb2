"""Every aggregator's bias, standard deviation and RMSE, sampled or summed, and the exact bias."""

from typing import NamedTuple

import numpy as np
import torch
from scipy.stats import binom  # type: ignore[attr-defined]

from auglik.objectives import AGGREGATORS
from auglik.objectives.view_counts import DrawsViews
from auglik.studies.common import exact
from auglik.studies.common.laws import Law, beta, log_normal, two_point
from auglik.studies.study import Context
from auglik.system.keys import host_generator

VIEWS = np.array([1, 2, 4, 8, 16, 32, 64, 128, 256])
CONSISTENT = {"log-mean": -1, "durbin-koopman": -2, "jackknife": -2}
"""Those whose bias vanishes, with the power of K that it falls by."""
ROUND = 20_000
CHUNK = 2_000
"""Replicates folded at a time: 256 views of more leave the cache."""

LAWS = {"beta": beta(2, 2), "log-normal": log_normal(-1, 0.7), "two-point": two_point(0.3, 0.9, 0.7)}


class Measured(NamedTuple):
    """One aggregator under one law, by K [n]; standard_error is 0 where sums are exact."""

    bias: np.ndarray
    """With control variates for the consistent ones."""
    standard_error: np.ndarray
    covariance: np.ndarray
    """Of the biases, [n,n]: all K share the draws."""
    deviation: np.ndarray
    rmse: np.ndarray


FIXED = [name for name, aggregator in AGGREGATORS.items() if not isinstance(aggregator, DrawsViews)]
"""Those whose K is given; what the others are for given views means nothing but in the mean over K."""


def names_under(law: Law) -> list[str]:
    """Those that mean something: geometric-normalized needs the other label's likelihood, 1-p."""
    return [name for name in FIXED if law.probabilities or name != "geometric-normalized"]


def views_of(name: str) -> np.ndarray:
    """The numbers of views that an aggregator takes."""
    return VIEWS[AGGREGATORS[name].minimum_views <= VIEWS]


def fold(name: str, log_p: np.ndarray) -> np.ndarray:
    """torch's aggregator of views [K,R] -> [R]; geometric-normalized sees a second label of likelihood 1-p."""
    table = torch.from_numpy(log_p)[..., None]
    if name == "geometric-normalized":
        table = torch.cat([table, torch.log(-torch.expm1(table))], -1)
    return torch.cat([AGGREGATORS[name].fold(part)[:, 0] for part in table.split(CHUNK, 1)]).numpy()


def controls(ratio: np.ndarray, relative_variance: np.ndarray | float) -> dict[str, np.ndarray]:
    """Variates of mean zero for the consistent aggregators, from p/I [K,...] of variance V [...]: [...] each.

    log I_K - log I = u - u^2/2 + ..., u = I_K/I - 1, and the corrections add s^2/(2K), s^2 the sample variance of p/I.
    """
    K, u = len(ratio), ratio.mean(0) - 1
    plain = u - (u**2 - relative_variance / K) / 2
    if K == 1:
        return {"log-mean": plain}
    corrected = plain + (ratio.var(0, ddof=1) - relative_variance) / (2 * K)
    return {"log-mean": plain, "durbin-koopman": corrected, "jackknife": corrected}


def by_sampling(key: str, law: Law, context: Context, rounds: int) -> dict[str, Measured]:
    """Every aggregator on the same rounds x ROUND replicates of 256 views."""
    names = names_under(law)
    sums = {name: np.zeros((3, len(views_of(name)))) for name in names}
    products = {name: np.zeros((len(views_of(name)),) * 2) for name in names}
    for index in range(rounds):
        log_p = law.draw(host_generator(context.seed, "estimators", key, index), (int(VIEWS[-1]), ROUND))
        ratio = np.exp(log_p - law.log_integral)
        known = {K: controls(ratio[:K], law.relative_variance) for K in VIEWS}
        for name in names:
            error = np.stack([fold(name, log_p[:K]) - law.log_integral for K in views_of(name)])
            reduced = error
            if name in CONSISTENT:
                reduced = error - np.stack([known[K][name] for K in views_of(name)])
            sums[name] += np.stack([error.sum(1), (error**2).sum(1), reduced.sum(1)])
            products[name] += reduced @ reduced.T
        context.progress(0.9 * (list(LAWS).index(key) + (index + 1) / rounds) / len(LAWS))
    count = rounds * ROUND
    return {name: moments(sums[name] / count, products[name] / count, count) for name in names}


def moments(means: np.ndarray, products: np.ndarray, count: int) -> Measured:
    """From the means [3,n] of error, its square and the reduced error, and the reduced errors' products [n,n]."""
    mean, square, reduced = means
    covariance = (products - np.outer(reduced, reduced)) / count
    return Measured(
        bias=reduced, standard_error=np.sqrt(np.diag(covariance)), covariance=covariance,
        deviation=np.sqrt(square - mean**2), rmse=np.sqrt(square),
    )  # fmt: skip


def by_summing(law: Law) -> dict[str, Measured]:
    """Every aggregator under a two-point law, summed over the K+1 numbers of high views with binomial weights."""
    (low, high), share = law.atoms, law.weights[1]
    found = {}
    for name in names_under(law):
        rows = []
        for K in views_of(name):
            counts = np.arange(K + 1)
            error = fold(name, np.where(np.arange(K)[:, None] < counts, high, low)) - law.log_integral
            pmf = binom.pmf(counts, K, share)
            rows.append((pmf @ error, pmf @ error**2))
        mean, square = np.array(rows).T
        none = np.zeros_like(mean)
        found[name] = Measured(
            bias=mean, standard_error=none, covariance=np.diag(none), deviation=np.sqrt(square - mean**2),
            rmse=np.sqrt(square),
        )  # fmt: skip
    return found


def exact_biases(law: Law) -> dict[str, np.ndarray]:
    """By aggregator and K [n], from Laplace transforms, for those that mean something under the law."""
    found = exact.expected(law.atoms, law.weights, [int(K) for K in VIEWS])
    biases = {name: found[name][-len(views_of(name)) :] - law.log_integral for name in FIXED if name in found}
    return {**biases, "geometric-normalized": exact_geometric_normalized(law)} if law.probabilities else biases


def exact_geometric_normalized(law: Law) -> np.ndarray:
    """E log(g / (g + h)) - log I, g and h the geometric means of p and 1-p, by K.

    A sum over all counts of two atoms; for other laws over all pairs of atoms, K <= 2 only, and NaN beyond.
    """
    log_q = np.log(-np.expm1(law.atoms))
    values = np.full(len(VIEWS), np.nan)
    for place, K in enumerate(VIEWS):
        if len(law.atoms) == 2:
            share = np.arange(K + 1)[:, None] / K * [-1, 1] + [1, 0]
            weights = binom.pmf(np.arange(K + 1), K, law.weights[1])
            log_odds = share @ (law.atoms - log_q)
        elif K <= 2:
            weights = law.weights if K == 1 else np.outer(law.weights, law.weights)
            odds = law.atoms - log_q
            log_odds = odds if K == 1 else (odds[:, None] + odds) / 2
        else:
            continue
        values[place] = (weights * np.log(1 / (1 + np.exp(-log_odds)))).sum() - law.log_integral
    return values
