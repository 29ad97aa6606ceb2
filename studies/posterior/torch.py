"""The same posteriors from the objectives that training uses: densities, gradients, importance sampling."""

import math
from typing import NamedTuple

import numpy as np
import torch
from arviz_stats.base import array_stats  # type: ignore[attr-defined]
from torch import Tensor

from auglik.objectives import AGGREGATORS, LIKELIHOODS, Geometric, Objective
from auglik.studies.posterior.problem import FEATURES, PAIRS, PRIOR, SIZE, Pair, Problem, contrasts
from auglik.studies.posterior.sampler import Setting
from auglik.system.array_types import Float64Array
from auglik.system.keys import host_generator

FREEDOM = 8.0
"""Degrees of freedom of the proposals."""
WIDER = 1.15
"""Their scale against that of the draws that they are fitted to."""


class Sample(NamedTuple):
    """Weighted draws, the weights summing to one."""

    phi: Float64Array
    """[S,P]"""
    weight: Float64Array
    """[S]"""
    log_likelihood: Float64Array
    """Of all images, over T: [S]"""
    pareto_k: float
    """Of the weights."""


def objective(pair: Pair, T: float) -> tuple[Objective, float]:
    """The objective whose log-likelihood, divided by the number returned, is that of the pair at temperature T.

    Under jensen it is `geometric:T` itself.
    """
    likelihood = LIKELIHOODS[pair.likelihood]
    if pair.aggregator == "jensen":
        return Objective(likelihood, Geometric(T)), 1.0
    return Objective(likelihood, AGGREGATORS[pair.aggregator]), T


def logits(phi: Tensor, features: Float64Array) -> Tensor:
    """[S,P], [...,D+1] -> [...,S,C]."""
    weights = phi.reshape(len(phi), FEATURES + 1, -1) @ torch.as_tensor(contrasts(), dtype=phi.dtype)
    return torch.einsum("...d,sdc->...sc", torch.as_tensor(features, dtype=phi.dtype), weights)


def image_terms(problem: Problem, setting: Setting, phi: Tensor) -> Tensor:
    """The log-likelihood of every image over T: phi [S,P] -> [N,S], in the dtype of phi."""
    N, S = len(problem.labels), len(phi)
    log_likelihood, T = objective(PAIRS[setting.pair], setting.T)
    decay = torch.as_tensor(problem.decay, dtype=phi.dtype).repeat_interleave(S, 1)
    labels = torch.from_numpy(problem.labels).repeat_interleave(S)
    values = log_likelihood.log_likelihood(logits(phi, problem.views).flatten(1, 2), decay, labels) / T
    return values.reshape(N, S)


def log_prior(phi: Tensor) -> Tensor:
    """log N(phi; 0, PRIOR^2): [S,P] -> [S]."""
    return -(phi**2).sum(1) / (2 * PRIOR**2) - phi.shape[1] * math.log(PRIOR * math.sqrt(2 * math.pi))


def log_density(problem: Problem, setting: Setting, phi: Float64Array) -> tuple[Float64Array, Float64Array]:
    """The log-density, up to a constant, and its gradient: [S,P] -> [S], [S,P]."""
    at = torch.tensor(phi, requires_grad=True)
    values = log_prior(at) + image_terms(problem, setting, at).sum(0)
    (gradient,) = torch.autograd.grad(values.sum(), at)
    return values.detach().numpy(), gradient.numpy()


def log_predictive(problem: Problem, pair: Pair, phi: Float64Array) -> Float64Array:
    """The likelihood's log-probability of the labels of the test images: [S,P] -> [S,M]."""
    with torch.no_grad():
        log_f = LIKELIHOODS[pair.likelihood].log_probabilities(logits(torch.from_numpy(phi), problem.test))
        index = torch.from_numpy(problem.test_labels)[:, None, None].expand(-1, len(phi), 1)
        return log_f.gather(2, index)[..., 0].T.numpy()


def importance_sample(problem: Problem, setting: Setting, pilot: Float64Array, draws: int, seed: int) -> Sample:
    """Draws from a multivariate t with the moments of `pilot` [S,P], weighted by torch's density over its own.

    Right whatever the pilot, if k is small: only the density that training uses is asked. The weights are smoothed
    (Vehtari et al. 2024).
    """
    generator = host_generator(seed, "importance", setting.name)
    mean, root = pilot.mean(0), WIDER * np.linalg.cholesky(np.cov(pilot.T))
    normal = generator.standard_normal((draws, SIZE))
    scale = np.sqrt(FREEDOM / generator.chisquare(FREEDOM, draws))
    phi = mean + scale[:, None] * normal @ root.T
    log_proposal = -(FREEDOM + SIZE) / 2 * np.log1p(scale**2 * (normal**2).sum(1) / FREEDOM)
    with torch.no_grad():
        at = torch.from_numpy(phi)
        prior, likelihood = log_prior(at).numpy(), image_terms(problem, setting, at).sum(0).numpy()
    log_weight, pareto_k = array_stats.psislw(log_proposal - prior - likelihood, axis=-1)  # takes minus the log-ratio
    return Sample(phi, np.exp(log_weight), likelihood, float(pareto_k))
