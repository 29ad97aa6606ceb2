"""Exact expectations of the aggregators over K independent views, each by one integral over s.

With M(s) = E e^{-s p} the Laplace transform of a view's likelihood p, and S the sum of K of them,

    E log S = int_0^inf (e^-s - M(s)^K) ds/s            (Frullani)
    E 1/S^2 = int_0^inf s M(s)^K ds, so E sum_k r_k^2 = K int_0^inf s E[p^2 e^{-s p}] M(s)^(K-1) ds, r_k = p_k / S.

In x = log s both integrands are analytic in the strip |Im x| < pi/2 and vanish at both ends, so the trapezoidal rule
with step h errs by e^{-pi^2/h} alone. Nothing is shared with the objectives: no logsumexp, no draws, no expansion in
1/K. A view's law is a set of atoms: log p [...,m] and weights [m] that sum to one. All of it is differentiable in log
p, and the derivative of an expectation is the expected weight that the aggregator's gradient gives to each atom.
"""

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import gammaln

from auglik.studies.common.compiling import quickly

STEP = 0.25
LOWEST = -40.0
MOST_LEVELS = 8
"""Of multilevel here: up to 256 views."""
MARGIN = 6.0
"""Beyond the smallest atom's -log p: e^{-e^6} is nothing."""


class Transforms(NamedTuple):
    """Of p scaled by its largest atom: every aggregator here moves with a common factor of the views."""

    largest: Array
    """log of the largest atom [...], a constant to derivatives."""
    nodes: Array
    """s [S]."""
    first: Array
    """M(s) [...,S]."""
    second: Array
    """E[p^2 e^{-s p}] [...,S]."""


def transforms(log_p: Array, weights: Array, nodes: Array) -> Transforms:
    """[...,m], [m], [S]."""
    largest = jax.lax.stop_gradient(log_p.max(-1))
    p = jnp.exp(log_p - largest[..., None])
    decays = jnp.exp(-nodes[:, None] * p[..., None, :])
    return Transforms(largest, nodes, decays @ weights, jnp.einsum("...sm,...m->...s", decays, weights * p**2))


def log_mean(of: Transforms, K: Array) -> Array:
    """E log (1/K) sum_k p_k: [...]."""
    return of.largest + STEP * (jnp.exp(-of.nodes) - of.first**K).sum(-1) - jnp.log(K)


def squared_responsibilities(of: Transforms, K: Array) -> Array:
    """E sum_k r_k^2, r_k = p_k / sum p: [...]."""
    return K * STEP * (of.nodes**2 * of.second * of.first ** (K - 1)).sum(-1)


def durbin_koopman(of: Transforms, K: Array) -> Array:
    """E of the log-mean plus half the squared relative standard error of the mean likelihood; NaN at K = 1."""
    others = jnp.where(K > 1, K - 1, jnp.nan)
    return log_mean(of, K) + (K * squared_responsibilities(of, K) - 1) / (2 * others)


def jackknife(of: Transforms, K: Array) -> Array:
    """K E L_K - (K-1) E L_(K-1); NaN at K = 1."""
    return K * log_mean(of, K) - (K - 1) * log_mean(of, K - 1)


def sumo(of: Transforms, K: Array) -> Array:
    """K E L_K - sum_{k<K} E L_k; the sum of M^k over k is a geometric series, (M - M^K)/(1 - M)."""
    missing = 1 - of.first
    near = jnp.clip(missing, 1e-15, 0.01)
    by_logarithm = -jnp.expm1((K - 1) * jnp.log1p(-near)) / near
    direct = (1 - of.first ** (K - 1)) / jnp.maximum(missing, 0.01)
    series = of.first * jnp.where(missing < 0.01, by_logarithm, direct)
    fewer = (K - 1) * of.largest + STEP * ((K - 1) * jnp.exp(-of.nodes) - series).sum(-1) - gammaln(K + 1) + jnp.log(K)
    return K * log_mean(of, K) - fewer


def multilevel(of: Transforms, K: Array) -> Array:
    """E L_1 + sum_n 2^(3n/2) (E L_{2^n} - E L_{2^(n-1)}), n up to log2 K."""
    levels = [log_mean(of, jnp.asarray(2.0**n)) for n in range(MOST_LEVELS + 1)]
    value = levels[0]
    for n in range(1, MOST_LEVELS + 1):
        value = value + jnp.where(2**n <= K, 2 ** (1.5 * n), 0.0) * (levels[n] - levels[n - 1])
    return value


def thermodynamic(log_p: Array, weights: Array, nodes: Array, K: Array) -> Array:
    """sum_s (rho_{s+1} - rho_s) d/d rho E log mean_k p_k^rho at rho_s, the mean log p under p^rho."""
    rho = [0.0, *(0.025 ** (1 - s / 4) for s in range(5))]
    value = (rho[1] - rho[0]) * (log_p @ weights)
    for low, high in itertools.pairwise(rho[1:]):
        _, slope = jax.jvp(lambda power: log_mean(transforms(power * log_p, weights, nodes), K), (low,), (1.0,))
        value = value + (high - low) * slope
    return value


def _expectations(log_p: Array, weights: Array, nodes: Array, K: Array) -> dict[str, Array]:
    plain, rooted = transforms(log_p, weights, nodes), transforms(log_p / 2, weights, nodes)
    return {
        "jensen": log_p @ weights,
        "log-mean": log_mean(plain, K),
        "durbin-koopman": durbin_koopman(plain, K),
        "geometric": log_p @ weights,
        "power-mean": 2 * log_mean(rooted, K),
        "jackknife": jackknife(plain, K),
        "thermodynamic": thermodynamic(log_p, weights, nodes, K),
        "sumo": sumo(plain, K),
        "multilevel": multilevel(plain, K),
        "squared responsibilities": squared_responsibilities(plain, K),
    }


@quickly
def _by_views(log_p: Array, weights: Array, nodes: Array, views: Array) -> dict[str, Array]:
    return jax.lax.map(lambda K: _expectations(log_p, weights, nodes, K), views)


@quickly
def _two_by_views(log_p: Array, weights: Array, nodes: Array, views: Array) -> dict[str, Array]:
    of = transforms(log_p, weights, nodes)
    both = {"log-mean": log_mean, "durbin-koopman": durbin_koopman}
    return jax.lax.map(lambda K: {name: value(of, K) for name, value in both.items()}, views)


@quickly
def _weights_by_views(log_p: Array, weights: Array, nodes: Array, views: Array) -> dict[str, Array]:
    def of_one(K: Array) -> dict[str, Array]:
        expectations, pull = jax.vjp(lambda atoms: _expectations(atoms, weights, nodes, K), log_p)
        which = jnp.eye(len(expectations))
        ones = jnp.ones_like(log_p[..., 0])
        cotangents = {name: jnp.multiply.outer(row, ones) for name, row in zip(expectations, which, strict=True)}
        (pulled,) = jax.vmap(pull)(cotangents)
        return dict(zip(expectations, pulled, strict=True))

    return jax.lax.map(of_one, views)


def _arguments(log_p: np.ndarray, weights: np.ndarray, views: Sequence[int]) -> tuple[Array, Array, Array, Array]:
    spread = float(np.max(log_p.max(-1, keepdims=True) - log_p))
    count = 2 ** math.ceil(math.log2((spread + MARGIN - LOWEST) / STEP))  # few shapes to compile for
    nodes = jnp.exp(jnp.linspace(LOWEST, LOWEST + STEP * (count - 1), count))
    return jnp.asarray(log_p), jnp.asarray(weights), nodes, jnp.asarray([float(K) for K in views])


def expected(log_p: np.ndarray, weights: np.ndarray, views: Sequence[int]) -> dict[str, np.ndarray]:
    """The expectation of every aggregator at its default parameters, and of sum r^2: [...,m], [m], n -> [n,...] each.

    geometric-normalized mixes the labels and has no such integral. NaN where an aggregator takes no K = 1.
    """
    return {name: np.asarray(value) for name, value in _by_views(*_arguments(log_p, weights, views)).items()}


def expected_of_two(log_p: np.ndarray, weights: np.ndarray, views: Sequence[int]) -> dict[str, np.ndarray]:
    """As `expected`, of log-mean and durbin-koopman alone, which is compiled sooner."""
    return {name: np.asarray(value) for name, value in _two_by_views(*_arguments(log_p, weights, views)).items()}


def expected_weights(log_p: np.ndarray, weights: np.ndarray, views: Sequence[int]) -> dict[str, np.ndarray]:
    """What every aggregator's gradient gives to each atom, d expectation / d log p: [...,m], [m], n -> [n,...,m]."""
    return {name: np.asarray(value) for name, value in _weights_by_views(*_arguments(log_p, weights, views)).items()}
