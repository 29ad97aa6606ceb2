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
from numpyro.infer.hmc import HMCState, hmc
from scipy.optimize import minimize

from auglik.studies.posterior.problem import FEATURES, PAIRS, PRIOR, SIZE, Floats, Problem, contrasts
from auglik.studies.twins import AGGREGATOR_TWINS, LIKELIHOOD_TWINS, smoothed
from auglik.system.keys import seed_sequence

OVERDISPERSED = 1.5
"""Chains start that many posterior standard deviations (of the Laplace approximation) from the mode."""
STEP = 1e-4
COMPILER = {"xla_llvm_disable_expensive_passes": "True"}  # compiles in 2/3 of the time, runs as fast


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

    phi: Floats
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
        self.chains, self.warmup, self.draws, self.seed = chains, warmup, draws, seed
        self.images = len(problem.labels)
        terms = image_terms(problem)

        def log_density(phi: Array, pair: Array, T: Array, keep: Array) -> Array:
            log_prior = dist.Normal(0, PRIOR).log_prob(phi).sum()
            return log_prior + (keep * jax.lax.switch(pair, terms, phi)).sum() / T

        def potential(pair: Array, T: Array, keep: Array, mode: Array, root: Array) -> Callable[[Array], Array]:
            return lambda z: -log_density(mode + root @ z, pair, T, keep)

        start, step = hmc(potential_fn_gen=potential, algo="NUTS")

        def chain(key: Array, z: Array, *posterior: Array) -> tuple[Array, Array, Array]:
            state = start(z, warmup, step_size=0.5, adapt_mass_matrix=False, model_args=posterior, rng_key=key)

            def advance(state: HMCState, _: None) -> tuple[HMCState, tuple[Array, Array, Array]]:
                state = step(state, posterior)
                return state, (state.z, state.diverging, state.num_steps)

            return jax.lax.scan(advance, state, None, length=warmup + draws)[1]

        chains_ = jax.vmap(chain, in_axes=(0, 0, None, None, None, None, None))
        gradients = jax.vmap(jax.value_and_grad(log_density), in_axes=(0, None, None, None))
        self._chains = jax.jit(chains_, compiler_options=COMPILER)
        self._gradients = jax.jit(gradients, compiler_options=COMPILER)

    def sample(self, setting: Setting) -> Draws:
        """NUTS in coordinates in which the Laplace approximation is standard normal."""
        mode, covariance = self.laplace(setting)
        root = np.linalg.cholesky(covariance)
        key = jax.random.key(int(seed_sequence(self.seed, "nuts", setting.name).generate_state(1)[0]))
        begin, run = jax.random.split(key)
        z = OVERDISPERSED * jax.random.normal(begin, (self.chains, SIZE))
        keys = jax.random.split(run, self.chains)
        posterior = (*self._arguments(setting), jnp.asarray(mode), jnp.asarray(root))
        with jax.numpy_dtype_promotion("standard"):  # NumPyro divides floats by integers
            z, diverging, steps = self._chains(keys, z, *posterior)
        kept = np.asarray(z)[:, self.warmup :]
        return Draws(
            mode + kept @ root.T,
            int(np.asarray(diverging)[:, self.warmup :].sum()),
            float(np.asarray(steps)[:, self.warmup :].mean()),
        )

    def log_density(self, setting: Setting, phi: Floats) -> tuple[Floats, Floats]:
        """The log-density, up to a constant, and its gradient: [2P+1,P] -> [2P+1], [2P+1,P]; compiled for that size."""
        values, gradients = self._gradients(jnp.asarray(phi), *self._arguments(setting))
        return np.asarray(values), np.asarray(gradients)

    def laplace(self, setting: Setting) -> tuple[Floats, Floats]:
        """The mode [P] and the inverse Hessian there [P,P], by central differences of the gradient."""
        moves = STEP * np.concatenate([np.zeros((1, SIZE)), np.eye(SIZE), -np.eye(SIZE)])

        def around(phi: Floats) -> tuple[float, Floats, Floats]:
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
