"""The two models of one cell, with S seeds, B bins and G groups."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jax import Array

LEAST = 1e-6
"""Added to 1/kappa: seeds that differ by less than a thousandth of sqrt(p (1-p)) are taken as equal."""
LARGEST_LOGIT = 20.0
SEED_LINE_SPREAD = 0.1
"""Prior median of the standard deviation between seeds of a standardized intercept or slope."""


class ModelData(NamedTuple):
    """What `cell_data` found, of a cell or of all along a first axis.

    Counts are divided by 1 - rho, for the variance that seeds don't share.
    """

    images: Array
    """[S,B]"""
    correct: Array
    logit: Array
    """Of the mean confidence [S,B]."""
    luck: Array
    """[B]"""
    common_luck: Array
    curve_root: Array
    """[B,B]"""
    group_images: Array
    """[S,G]"""
    group_correct: Array
    group_logit: Array
    group_x: Array
    """The logit, standardized [S,G]."""
    luck_root: Array
    """[2,2]"""
    seed_line: Array
    """[S,2]"""
    own_variance: Array
    """[S,2]"""
    several: Array
    """1 if there are several seeds, else 0."""


def model(data: ModelData) -> None:
    """Both models; independent, as they share no parameter."""
    reliability(data)
    recalibration(data)


def reliability(data: ModelData) -> None:
    """The Beta-Binomial curve; sites in the order of the package's formula."""
    B = data.luck.size
    deviation = data.curve_root @ _normal("shape", B)
    luck = data.luck * _normal("luck", B) + data.common_luck * _normal("common_luck")
    kappa = 1 / (jnp.square(_positive("spread", 0.05)) * data.several + LEAST)
    mu = jax.nn.sigmoid(jnp.clip(data.logit + deviation + luck, -LARGEST_LOGIT, LARGEST_LOGIT))
    log_likelihood = beta_binomial(data.correct, data.images, mu, kappa)
    numpyro.factor("binned", log_likelihood.sum())
    for name, value in {"deviation": deviation, "concentration": kappa}.items():
        numpyro.deterministic(name, value)


def recalibration(data: ModelData) -> None:
    """The logistic recalibration: an intercept and a slope, both standardized and less those of the identity.

    Lines are sampled as deviates from what their prior and the seeds' own estimates say together, given the spread.
    That leaves the posterior as it is and makes it nearly normal whether or not the data tell seeds apart.
    """
    luck = data.luck_root @ _normal("line_luck", 2)
    spread = _positive("line_spread", SEED_LINE_SPREAD, 2)
    precision = 1 / (jnp.square(spread) + data.own_variance)
    estimate = (precision * (data.seed_line - luck)).sum(0) / (1 + precision.sum(0))
    line = _shifted("line", estimate, jax.lax.rsqrt(1 + precision.sum(0)), 0.0, 1.0)
    weight = jnp.square(spread) * precision
    nearer = line + weight * (data.seed_line - luck - line)
    seed_lines = _shifted("seed_line", nearer, spread * jnp.sqrt(1 - weight), line, spread)
    seed_lines = jnp.where(data.several > 0, seed_lines, line)
    observed = seed_lines + luck
    logit = data.group_logit + observed[:, :1] + observed[:, 1:] * data.group_x
    log_likelihood = data.group_correct * logit - data.group_images * jax.nn.softplus(logit)
    numpyro.factor("logistic", log_likelihood.sum())
    for name, value in {"cell_line": line, "line_deviation": data.several * spread, "seed_lines": seed_lines}.items():
        numpyro.deterministic(name, value)


def beta_binomial(k: Array, n: Array, mu: Array, kappa: Array) -> Array:
    """log B(kappa mu + k, kappa (1-mu) + n-k) / B(kappa mu, kappa (1-mu)), for any real 0 <= k <= n and kappa > 0.

    By Stirling's series of six log Gammas (DLMF 5.11.1), each at its argument + 7 and so some 1e-11 off; arguments
    are below 1e12. JAX's own and its derivative, which do not vectorize on a CPU, take most of the sampler's time.
    """
    a, b = kappa * mu, kappa * (1 - mu)
    above, below = (a + k, b + n - k, kappa), (a, b, kappa + n)
    parts = sum(map(_stirling, above)) - sum(map(_stirling, below))
    return parts - jnp.log(math.prod(map(_rising, above)) / math.prod(map(_rising, below)))


def _stirling(x: Array) -> Array:
    """log Gamma(x + 7), less log sqrt(2 pi)."""
    y = x + 7
    z = 1 / jnp.square(y)
    return (y - 0.5) * jnp.log(y) - y + (1 / 12 - z * (1 / 360 - z * (1 / 1260 - z / 1680))) / y


def _rising(x: Array) -> Array:
    """Gamma(x + 7) / Gamma(x) = x (x+1) ... (x+6), its ends paired."""
    u = x * (x + 6)
    return u * (u + 5) * (u + 8) * (x + 3)


def _normal(name: str, *shape: int) -> Array:
    return jnp.asarray(numpyro.sample(name, dist.Normal(0.0, 1.0).expand(shape)))


def _shifted(name: str, mean: Array, sd: Array, prior_mean: Array | float, prior_sd: Array | float) -> Array:
    """x ~ N(prior_mean, prior_sd), sampled as x = mean + sd * deviate."""
    deviate = _normal(name, *mean.shape)
    x = mean + sd * deviate
    standardized = (x - prior_mean) / prior_sd
    numpyro.factor(f"{name}_prior", (jnp.log(sd / prior_sd) + (deviate**2 - standardized**2) / 2).sum())
    return x


def _positive(name: str, median: float, *shape: int) -> Array:
    """Log-normal: 95% of it between median / 4 and 4 median."""
    return median * jnp.exp(0.7 * _normal(name, *shape))
