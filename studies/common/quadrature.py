"""Quadrature rules in JAX float64, of which nothing of ours makes use."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import betaln


def graded_gauss_legendre(panels: int = 10, nodes: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights on [0,1], on panels that halve toward both ends: for e^(d a) with |d| up to 1000."""
    left = np.concatenate([[0.0], 2.0 ** np.arange(-panels, 0)])
    edges = np.concatenate([left, 1 - left[-2::-1]])
    x, w = np.polynomial.legendre.leggauss(nodes)
    half = np.diff(edges)[:, None] / 2
    return (edges[:-1, None] + half * (1 + x)).ravel(), (half * w).ravel()


def beta_rule(alpha: Array, beta: Array, step: float = 1 / 32, end: float = 4.5) -> tuple[Array, Array]:
    """Temperatures t and weights [M] for t ~ Beta(alpha, beta): the trapezoidal rule in x, t = 1/(1 + e^(-pi sinh x)).

    The double-exponential substitution of Takahasi & Mori 1974: powers of t and 1-t at the ends are
    harmless from alpha, beta = 0.1 on (1e-6 off there; below, mass beyond the last nodes is missed).
    """
    x = jnp.arange(-end, end + step / 2, step)
    t, rest = jax.nn.sigmoid(jnp.pi * jnp.sinh(x)), jax.nn.sigmoid(-jnp.pi * jnp.sinh(x))
    density_times_dt = t**alpha * rest**beta * jnp.pi * jnp.cosh(x) * step
    return t, density_times_dt * jnp.exp(-betaln(alpha, beta))
