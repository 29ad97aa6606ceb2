"""What draws of a posterior say of training images that are left out, and of a prior or likelihood of another power.

Pareto-smoothed importance sampling (Vehtari et al. 2017, arXiv:1507.04544; 2024, arXiv:1507.02646) with the powers of
exp(-U / T): without image i a draw has weight p(y_i)^(-1 / (T L)). Power scaling is Kallioinen et al. 2023's
(arXiv:2107.14054). ArviZ is imported where it is asked, as reports without chains would wait for it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from auglik.inference.effective_views import has_tail, without_tail
from auglik.objectives import InputError
from auglik.sampling.files import ChainFile, Densities
from auglik.scoring.columns import fixed
from auglik.system.array_types import Float64Array

FEWEST = 25
"""Draws of all chains, without which there is no tail to fit."""
MOST_K = 0.7
"""Pareto's k beyond which no number of draws helps (Vehtari et al. 2024)."""
MOST_FIFTH = 225
"""Draws up to which the tail is a fifth of them; of more, 3 sqrt(S) (Vehtari et al. 2024)."""
POWERS = (0.99, 1.01)
SENSITIVE = 0.05
"""Kallioinen et al.'s bound."""


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """What leaving out and power scaling say of several chains of one posterior."""

    draws: int
    """Of all chains."""
    elpd: float
    """The mean log-predictive of an image that is left out, in nats."""
    error: float
    """Its standard error over images."""
    optimism: float
    """The mean log-predictive of an image that is not, less that."""
    k: Float64Array
    """Pareto's k of every image [N]; infinite where its weights have no tail that could be fitted."""
    prior: float
    """Power-scaling sensitivity of the mean log-probability of clean test labels: to the prior,"""
    likelihood: float
    """and to the likelihood."""

    @property
    def most_k(self) -> float:
        """Beyond which the weights of as many draws are not to be trusted (Vehtari et al. 2024)."""
        return min(MOST_K, 1 - 1 / math.log10(self.draws))

    def said(self) -> list[str]:
        """In sentences."""
        return [
            f"PSIS-LOO: {fixed(self.elpd, 4)} ± {fixed(self.error, 4)} nats a training image left out,"
            f" {fixed(self.optimism, 4)} more if it is not; largest Pareto k {self.k.max():.2f}",
            f"power-scaling sensitivity of the test images' log-probability: {self.prior:.3f} to the prior,"
            f" {self.likelihood:.3f} to the likelihood (over {SENSITIVE:g} is sensitive)",
        ]

    def over(self, k: float) -> float:
        """The share of images whose Pareto k is larger, or no number."""
        return float(np.mean(~(self.k <= k)))

    def failures(self) -> list[str]:
        """Why leaving out and power scaling are not to be trusted, in clauses; none if nothing was found."""
        found = []
        if not math.isfinite(self.elpd):
            found.append("PSIS-LOO cannot be measured: a draw's log-probability of a training image is not finite")
        elif share := self.over(self.most_k):
            also = f" (over {MOST_K:g} for {self.over(MOST_K):.1%})" if self.most_k < MOST_K else ""
            found.append(
                f"PSIS-LOO is not reliable: Pareto k over {self.most_k:.2f} for {share:.1%} of the training"
                f" images{also}: {self.draws} draws do not say what the posterior is without them, and it is too"
                " optimistic"
            )
        if not math.isfinite(self.prior + self.likelihood):
            found.append(
                "power-scaling sensitivity cannot be measured: a draw's densities or predictions are not finite"
            )
        return found


def leave_out(
    chains: Sequence[Densities], files: Sequence[ChainFile], *, T: float, likelihood_temperature: float
) -> LeftOut:
    """Of chains at posterior temperature T, and what they left of the test images.

    Raises InputError as `check_draws` does.
    """
    draws = min(len(chain.log_prior) for chain in chains)
    check_draws(draws * len(chains))
    log_p = np.concatenate([chain.log_likelihood[:draws] for chain in chains])
    log_prior = np.stack([chain.log_prior[:draws] for chain in chains]) / T
    log_likelihood = np.stack([chain.log_likelihood[:draws].sum(1) for chain in chains]) / (T * likelihood_temperature)
    log_weight, k = smoothed(-log_p.T / (T * likelihood_temperature))
    left_out = logsumexp(log_weight + log_p.T, axis=-1)
    whole = logsumexp(log_p, axis=0) - math.log(len(log_p))
    moved = np.stack([file.draw_log_likelihoods[:draws].mean(1, dtype=np.float64) for file in files])
    return LeftOut(
        draws=len(log_p),
        elpd=float(left_out.mean()),
        error=float(left_out.std(ddof=1) / math.sqrt(len(left_out))),
        optimism=float((whole - left_out).mean()),
        k=k,
        prior=_sensitivity(moved, log_prior),
        likelihood=_sensitivity(moved, log_likelihood),
    )


def check_draws(draws: int) -> None:
    """Raises InputError for fewer than FEWEST draws of all chains."""
    if draws < FEWEST:
        raise InputError(f"draws: expected at least {FEWEST} of all chains where images are left out, got {draws}")


def smoothed(log_ratios: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Pareto-smoothed log-weights that sum to one [N,S], and Pareto's k [N].

    ArviZ exponentiates a tail. Where none can be fitted, weights are plain and k is as `without_tail` has it: minus
    infinite of images, say, to which most draws give probability 1.
    """
    from arviz_stats.base import array_stats  # type: ignore[attr-defined]

    with np.errstate(invalid="ignore"):  # of infinite ones, whose weights are NaN
        log_ratios = log_ratios - log_ratios.max(-1, keepdims=True)
    S = log_ratios.shape[-1]
    tail = int(3 * math.sqrt(S) if S > MOST_FIFTH else S / 5)
    largest = np.exp(np.sort(log_ratios, -1)[:, -tail - 1 :])
    fits = has_tail(largest.T)
    log_weights = log_ratios - logsumexp(log_ratios, -1, keepdims=True)
    k = without_tail(log_weights.T)
    if fits.any():
        log_weights[fits], k[fits] = array_stats.psislw(-log_ratios[fits], axis=-1)
    return log_weights, k


def _sensitivity(values: Float64Array, component: Float64Array) -> float:
    """To a power of a part of the density, of values [chain,draw]; 0 for values that are all the same.

    So near to a power of 1, weights need no smoothing. NaN if a number is not finite.
    """
    from arviz_stats.base import array_stats  # type: ignore[attr-defined]

    if not (np.isfinite(values).all() and np.isfinite(component).all()):
        return math.nan
    if np.ptp(values) == 0:
        return 0.0
    exponents = [(power - 1) * component for power in POWERS]
    lower, upper = (np.exp(exponent - exponent.max()) for exponent in exponents)
    return float(array_stats.power_scale_sense(values, lower, upper, *POWERS, chain_axis=0, draw_axis=1))
