"""Chains of the samplers that `auglik sample` runs, over the posteriors of the posterior study."""

from typing import NamedTuple

import numpy as np
import torch
from torch import nn

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


def run(
    problem: Problem,
    setting: Setting,
    sampler: Sampler,
    step: float,
    length: Length,
    seed: int,
    batch: int | None = None,
) -> Chains:
    """Chains side by side, as one vector of weights, with `step` = learning rate / N; batches of `batch` images.

    The likelihood's temperature is the setting's; they begin at draws of the prior.
    """
    N, generator = len(problem.labels), host_generator(seed, "sampling study", setting.name)
    phi = nn.Parameter(torch.from_numpy(PRIOR * generator.standard_normal((length.chains, SIZE))))
    optimizer = Langevin(
        [phi], sampler=sampler, prior=Gaussian(PRIOR), images=N, likelihood_temperature=setting.T,
        key=stream_key(seed, "sampling study", setting.name),
    )  # fmt: skip
    optimizer.param_groups[0]["lr"] = step * N
    warm = Setting(setting.pair)  # the temperature is the optimizer's part
    kept, temperatures = [], []
    for count in range(length.steps):
        seen = problem if batch is None else some(problem, generator.choice(N, batch, replace=False))
        optimizer.zero_grad()
        (-posterior_torch.image_terms(seen, warm, phi).mean(0).sum()).backward()
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


def apart(here: Float64Array, there: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Of draws [chain,draw,P]: means less a reference's, in its standard deviations, and ratios of deviations, [P]."""
    ours, reference = (draws.reshape(-1, draws.shape[-1]) for draws in (here, there))
    return (ours.mean(0) - reference.mean(0)) / reference.std(0), ours.std(0) / reference.std(0)
