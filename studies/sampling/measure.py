"""Chains of the samplers that `auglik sample` runs, over the posteriors of the posterior study."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from auglik.sampling.contract import Sampler
from auglik.sampling.diagnostics import Temperature, temperature
from auglik.sampling.files import ChainFile
from auglik.sampling.langevin import Langevin
from auglik.sampling.priors.gaussian import Gaussian
from auglik.studies.posterior import torch as posterior_torch
from auglik.studies.posterior.problem import PRIOR, SIZE, Problem
from auglik.studies.posterior.sampler import Setting
from auglik.system.array_types import Float64Array
from auglik.system.keys import host_generator, stream_key

BATCHES = 40
"""So many at least are what a standard error is from: four chains of NUTS are too few."""


class Chains(NamedTuple):
    """What a sampler drew in S chains."""

    phi: Float64Array
    """[S,draw,P]"""
    kinetic: Temperature
    configurational: Temperature


class Length(NamedTuple):
    """Chains, their steps, and how many of these are not drawn from."""

    chains: int
    steps: int
    burn_in: int


class Target(NamedTuple):
    """A posterior under the prior N(0, prior^2)."""

    name: str
    size: int
    """P."""
    prior: float
    image_terms: Callable[[Problem, Tensor], Tensor]
    """The log-likelihood of every image at S weights: [S,P] -> [N,S]."""


def run(
    problem: Problem,
    setting: Setting,
    sampler: Sampler,
    step: float,
    length: Length,
    seed: int,
    batch: int | None = None,
) -> Chains:
    """Chains over a posterior of the posterior study; the likelihood's temperature is the setting's."""
    warm = Setting(setting.pair)  # the temperature is the optimizer's part
    target = Target(setting.name, SIZE, PRIOR, lambda seen, phi: posterior_torch.image_terms(seen, warm, phi))
    return chains_of(target, problem, sampler, step, length, seed, T=setting.T, batch=batch)


def chains_of(
    target: Target,
    problem: Problem,
    sampler: Sampler,
    step: float,
    length: Length,
    seed: int,
    *,
    T: float = 1.0,
    posterior_temperature: float = 1.0,
    batch: int | None = None,
) -> Chains:
    """Chains side by side, as one vector of weights, with `step` = learning rate / N; batches of `batch` images.

    T is the likelihood's temperature; they begin at draws of the prior.
    """
    N, generator = len(problem.labels), host_generator(seed, "sampling study", target.name)
    start = target.prior * generator.standard_normal((length.chains, target.size))
    phi = nn.Parameter(torch.from_numpy(start))
    optimizer = Langevin(
        [phi], sampler=sampler, prior=Gaussian(target.prior), images=N, temperature=posterior_temperature,
        likelihood_temperature=T, key=stream_key(seed, "sampling study", target.name),
    )  # fmt: skip
    optimizer.param_groups[0]["lr"] = step * N
    kept, temperatures = [], []
    for count in range(length.steps):
        seen = problem if batch is None else some(problem, generator.choice(N, batch, replace=False))
        optimizer.zero_grad()
        (-target.image_terms(seen, phi).mean(0).sum()).backward()
        optimizer.step()
        if count >= length.burn_in:
            kept.append(phi.detach().numpy().copy())
            assert optimizer.measured is not None
            temperatures.append(optimizer.measured.float().numpy())
    file = ChainFile(np.zeros((1, 1), np.float32), np.array(temperatures))
    return Chains(np.stack(kept, 1), temperature("kinetic", [file], 0), temperature("configurational", [file], 1))


def some(problem: Problem, images: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> Problem:
    """The problem with a part of its training images."""
    return problem._replace(
        views=problem.views[:, images], decay=problem.decay[:, images], labels=problem.labels[images]
    )


class Difference(NamedTuple):
    """Of a sample's moment from a reference's, in its standard deviations, and its standard error, both [P]."""

    value: Float64Array
    error: Float64Array


def apart(here: Float64Array, there: Float64Array) -> tuple[Difference, Difference]:
    """The means and the standard deviations of draws [chain,draw,P] against a reference's."""
    flat = there.reshape(-1, there.shape[-1])
    ours, reference = (_moments((draws - flat.mean(0)) / flat.std(0)) for draws in (here, there))
    means, deviations = (
        Difference(one.value - other.value, np.hypot(one.error, other.error))
        for one, other in zip(ours, reference, strict=True)
    )
    return means, deviations


def _moments(draws: Float64Array) -> tuple[Difference, Difference]:
    """From 0, with errors from how chains differ, or parts of them if they are few."""
    chains, count, size = draws.shape
    parts = math.ceil(BATCHES / chains)
    batches = draws[:, : count // parts * parts].reshape(chains * parts, -1, size)
    mean, deviation = draws.mean((0, 1)), draws.std((0, 1))
    scatter = (batches.mean(1), np.square(batches - mean).mean(1) / (2 * deviation))
    errors = [one.std(0, ddof=1) / math.sqrt(len(batches)) for one in scatter]
    return Difference(mean, errors[0]), Difference(deviation, errors[1])
