"""A posterior in closed form: the mean of Gaussian observations of variance 1 under a Gaussian prior."""

import math

import numpy as np
import torch

from auglik.sampling.contract import Sampler
from auglik.studies.posterior.problem import Problem
from auglik.studies.sampling.measure import Length, Target, chains_of
from auglik.system.keys import host_generator

PRIOR = 0.3
STEP = 0.05
"""h^2 times the curvature of U: so short that SGLD's variance is 1.3% too large."""
TEMPERATURES = ((1.0, 1.0), (0.1, 1.0), (1.0, 0.25))
"""Of the posterior and of the likelihood."""


def conjugate_apart(
    problem: Problem, sampler: Sampler, T: float, L: float, length: Length, seed: int
) -> tuple[float, float]:
    """A sampler's mean less the exact one, in exact standard deviations, and the ratio of its deviation to that.

    As many observations as the problem has images.
    """
    N = len(problem.labels)
    data = torch.from_numpy(0.3 + host_generator(seed, "sampling study", "observations").standard_normal(N))
    precision = N / L + 1 / PRIOR**2
    mean, deviation = float(data.sum()) / L / precision, math.sqrt(T / precision)
    target = Target("conjugate", 1, PRIOR, lambda _, phi: -((data[:, None] - phi[:, 0]) ** 2) / 2)
    found = chains_of(target, problem, sampler, STEP / precision, length, seed, T=L, posterior_temperature=T).phi
    return float(found.mean() - mean) / deviation, float(np.std(found)) / deviation
