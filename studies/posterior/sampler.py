"""NUTS over the posteriors, their densities made of the JAX twins. One compiled program samples all of them."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax import Array
from numpy.typing import NDArray
from numpyro.infer.util import ParamInfo
from scipy.optimize import minimize

from auglik.inference.chains import OVERDISPERSED, SOONER, compiled, one_by_one, whitened
from auglik.studies.posterior.problem import FEATURES, PAIRS, PRIOR, SIZE, Problem, contrasts
from auglik.studies.twins import AGGREGATOR_TWINS, LIKELIHOOD_TWINS, smoothed
from auglik.system.array_types import Float64Array
from auglik.system.keys import seed_sequence

STEP = 1e-4


class Setting(NamedTuple):
    """One posterior: p(phi) prod_b p(y_b given phi)^(1/T), of all images but those left out."""

    pair: int
    """Its place in PAIRS."""
    T: float = 1.0
    left_out: int | None = None

    @property
    def name(self) -> str:
        """E.g. `smoothed + jensen, T = 0.25`."""
        without = "" if self.left_out is None else f", without image {self.left_out}"
        return f"{PAIRS[self.pair]}, T = {self.T:.4g}{without}"


class Draws(NamedTuple):
    """What NUTS drew."""

    phi: Float64Array
    """[chain,draw,P]"""
    divergences: int
    steps: float
    """Leapfrog steps a draw."""


def smoothed_normalized(logits: Array, decay: Array) -> Array:
    """Smoothed less log Z with Z = sum_j f_j (e^{d_j} - 1) / d_j, d_j the mean of log f less log f_j.

    The integral over the smoothing level, done by hand: the twin's quadrature takes 40 times longer. The study compares
    the two at its draws.
    """
    log_f = jax.nn.log_softmax(logits)
    d = log_f.mean(-1, keepdims=True) - log_f
    near = jnp.abs(d) < 1e-5
    safe = jnp.where(near, 1.0, d)
    Z = (jnp.exp(log_f) * jnp.where(near, 1 + d / 2, jnp.expm1(safe) / safe)).sum(-1)
    return smoothed(logits, decay) - jnp.log(Z)[..., None]


def image_terms(problem: Problem) -> list[Callable[[Array], Array]]:
    """For every pair, the log-likelihood of each image: phi [P] -> [N]."""
    views, decay, A = jnp.asarray(problem.views), jnp.asarray(problem.decay), jnp.asarray(contrasts())
    labels = jnp.asarray(problem.labels)
    likelihoods = {**LIKELIHOOD_TWINS, "smoothed-normalized": smoothed_normalized}

    def terms(likelihood: Callable[[Array, Array], Array], aggregator: Callable[[Array], Array], phi: Array) -> Array:
        table = likelihood(views @ phi.reshape(FEATURES + 1, -1) @ A, decay)
        return jnp.take_along_axis(aggregator(table), labels[:, None], 1)[:, 0]

    return [partial(terms, likelihoods[pair.likelihood], AGGREGATOR_TWINS[pair.aggregator]) for pair in PAIRS]


class Sampler:
    """Samples any setting of a problem; compiles at the first."""

    def __init__(self, problem: Problem, chains: int, warmup: int, draws: int, seed: int) -> None:
        self.chains, self.seed = chains, seed
        self.images = len(problem.labels)
        terms = image_terms(problem)

        def log_density(phi: Array, pair: Array, T: Array, keep: Array) -> Array:
            log_prior = dist.Normal(0, PRIOR).log_prob(phi).sum()
            return log_prior + (keep * jax.lax.switch(pair, terms, phi)).sum() / T

        chain = whitened(log_density, "NUTS", warmup, draws)
        self._chain = compiled(chain, SOONER)
        self._gradients = compiled(jax.vmap(jax.value_and_grad(log_density), in_axes=(0, None, None, None)), SOONER)

    def sample(self, setting: Setting) -> Draws:
        """NUTS in coordinates in which the Laplace approximation is standard normal."""
        mode, covariance = self.laplace(setting)
        root = np.linalg.cholesky(covariance)
        key = jax.random.key(int(seed_sequence(self.seed, "nuts", setting.name).generate_state(1)[0]))
        begin, run = jax.random.split(key)
        z = OVERDISPERSED * jax.random.normal(begin, (self.chains, SIZE))
        keys = jax.random.split(run, self.chains)
        # The sampler would work it out itself, in a second copy of the gradient that takes seconds to compile.
        values, slopes = self.log_density(setting, mode + np.resize(z, (2 * SIZE + 1, SIZE)) @ root.T)
        posterior = *self._arguments(setting), jnp.asarray(mode), jnp.asarray(root)
        starts = (ParamInfo(*of_one) for of_one in zip(z, -values, -slopes @ root, strict=False))
        found = one_by_one(self._chain, keys, starts, *posterior)
        return Draws(mode + found.z @ root.T, int(found.diverging.sum()), float(found.n_steps.mean()))

    def log_density(self, setting: Setting, phi: Float64Array) -> tuple[Float64Array, Float64Array]:
        """The log-density, up to a constant, and its gradient: [2P+1,P] -> [2P+1], [2P+1,P]; compiled for that size."""
        return self._gradients(jnp.asarray(phi), *self._arguments(setting))

    def laplace(self, setting: Setting) -> tuple[Float64Array, Float64Array]:
        """The mode [P] and the inverse Hessian there [P,P], by central differences of the gradient."""
        moves = STEP * np.concatenate([np.zeros((1, SIZE)), np.eye(SIZE), -np.eye(SIZE)])

        def around(phi: Float64Array) -> tuple[float, Float64Array, Float64Array]:
            values, gradients = self.log_density(setting, phi + moves)
            hessian = (gradients[1 : SIZE + 1] - gradients[SIZE + 1 :]) / (2 * STEP)
            return -values[0], -gradients[0], -(hessian + hessian.T) / 2

        fit = minimize(
            lambda phi: around(phi)[:2], np.zeros(SIZE), jac=True, hess=lambda phi: around(phi)[2], method="trust-exact"
        )
        values, vectors = np.linalg.eigh(around(fit.x)[2])
        curvature = np.maximum(values, 0.5 / PRIOR**2)
        return fit.x, (vectors / curvature) @ vectors.T

    def _arguments(self, setting: Setting) -> tuple[Array, Array, Array]:
        keep: NDArray[np.float64] = np.ones(self.images)
        if setting.left_out is not None:
            keep[setting.left_out] = 0
        return jnp.asarray(setting.pair), jnp.asarray(setting.T), jnp.asarray(keep)
