"""A posterior in closed form: the mean of Gaussian observations of variance 1 under a Gaussian prior.

Under a quadratic U of curvature c and h^2 = step / c, SGLD's draws theta - step/c U' + sqrt(2 step/c T) noise have the
variance T/c / (1 - step/2) (an autoregression of coefficient 1 - step), those of BAOAB's positions T/c (Leimkuhler &
Matthews 2013); E theta U' is c times that.
"""

import math
from typing import NamedTuple

import numpy as np
import torch

from auglik.sampling.contract import Sampler
from auglik.studies.posterior.problem import Problem
from auglik.studies.sampling.measure import Length, Target, chains_of
from auglik.studies.study import Claim, at_most, equal
from auglik.system.keys import host_generator

PRIOR = 0.3
CHAINS = 500
ERRORS = 4.0


class Condition(NamedTuple):
    """Temperatures of the posterior and of the likelihood, and the step: h^2 times the curvature of U."""

    T: float
    L: float
    step: float

    def __str__(self) -> str:
        return f"T = {self.T:g}, L = {self.L:g}, h^2 U'' = {self.step:.2g}"


CONDITIONS = (Condition(1, 1, 1 / 3), Condition(0.1, 1, 0.05), Condition(1, 0.25, 0.05))
"""A third is what the posteriors' largest curvature makes of the study's step."""


class Moments(NamedTuple):
    """Of chains, beside those of the posterior, and their standard errors between chains."""

    mean: float
    """Less the exact one, in exact standard deviations."""
    mean_error: float
    variance: float
    """Over the exact one."""
    temperature: float
    """The configurational one over T, as it would be if the mean were the exact one."""
    variance_error: float
    """Of both."""


def conjugate(problem: Problem, sampler: Sampler, of: Condition, length: Length, seed: int) -> Moments:
    """A sampler's moments, with as many observations as the problem has images."""
    N = len(problem.labels)
    data = torch.from_numpy(0.3 + host_generator(seed, "sampling study", "observations").standard_normal(N))
    precision = N / of.L + 1 / PRIOR**2
    mean, variance = float(data.sum()) / of.L / precision, of.T / precision
    target = Target(f"conjugate, {of}", 1, PRIOR, lambda _, phi: -((data[:, None] - phi[:, 0]) ** 2) / 2)
    found = chains_of(target, problem, sampler, of.step / precision, length, seed, T=of.L, posterior_temperature=of.T)
    away = found.phi[..., 0] - mean
    squares = (away**2).mean(1) / variance
    count = math.sqrt(length.chains)
    return Moments(
        mean=float(away.mean()) / math.sqrt(variance),
        mean_error=float(away.mean(1).std(ddof=1)) / math.sqrt(variance) / count,
        variance=float(squares.mean()),
        temperature=(found.configurational.mean - precision * mean * float(away.mean())) / of.T,
        variance_error=float(squares.std(ddof=1)) / count,
    )


def conjugate_claims(
    name: str, sampler: Sampler, problem: Problem, length: Length, seed: int, *, too_wide: bool
) -> list[Claim]:
    """Of one sampler under every condition; `too_wide` if its variance is that of SGLD."""
    found = {of: conjugate(problem, sampler, of, length, seed) for of in CONDITIONS}
    off = max(abs(one.mean) / one.mean_error for one in found.values())
    claims = [at_most(f"{name}: means of a conjugate posterior, the furthest off, in standard errors", off, ERRORS)]
    for of, one in found.items():
        expected, allowed = 1 / (1 - of.step / 2) if too_wide else 1.0, ERRORS * one.variance_error
        claims += [
            equal(f"{name}, conjugate posterior, {of}: standard deviation over the posterior's, against theory",
                  np.sqrt(one.variance), np.sqrt(expected), allowed / (2 * np.sqrt(expected))),
            equal(f"{name}, conjugate posterior, {of}: configurational temperature over T, against theory",
                  one.temperature, expected, allowed),
        ]  # fmt: skip
    return claims
