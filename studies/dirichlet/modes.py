"""Where a Dirichlet density on the simplex has its mode: found by ascent, by draws, and whether there is one.

The density is that with respect to the simplex's own measure. Ascent goes through softmax coordinates x without their
Jacobian, as the mode of log p(softmax(x)) over x is where p itself is greatest.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import torch
from jax import Array
from scipy import optimize, special

from auglik.objectives import Likelihood
from auglik.studies.common.compiling import quickly
from auglik.studies.study import Context

KINDS = ("one-hot", "tempered", "smoothed")
ASCENT = 1e-6
"""What ascent may leave of the way to a mode: at a vertex the gradient fades before it is reached."""
REACH = 20.0
"""How far softmax coordinates go: a vertex is reached to e^-40."""
MISSED = 12.0
"""A tolerance of draws is missed with a chance of e^-12, which is less than that of 4 standard errors."""


def label(kind: str, gamma: float, classes: int) -> np.ndarray:
    """q [C] of class 0: e, (1-gamma) e or (1-gamma) e + gamma/C."""
    left = np.eye(classes)[0] * (1.0 if kind == "one-hot" else 1 - gamma)
    return left + gamma / classes if kind == "smoothed" else left


def _minus_log_density(x: Array, concentration: Array) -> Array:
    return -dist.Dirichlet(concentration).log_prob(jax.nn.softmax(x))


_descent = quickly(jax.value_and_grad(_minus_log_density))
_curvature = quickly(jax.hessian(_minus_log_density))
_log_density = quickly(lambda f, concentration: dist.Dirichlet(concentration).log_prob(f))


def log_density(f: np.ndarray, concentration: np.ndarray) -> np.ndarray:
    """NumPyro's log Dir(f given concentration): [...,C], [C] -> [...]."""
    return np.asarray(_log_density(jnp.asarray(f), jnp.asarray(concentration)))


def ascend(slope: Callable[[np.ndarray], tuple[float, np.ndarray]], start: np.ndarray) -> np.ndarray:
    """f = softmax(x) where BFGS ends, going down `slope`, the value and gradient of what is least at the mode.

    x = REACH tanh(y / REACH), as x alone would run off where the mode is a vertex.
    """

    def bounded(y: np.ndarray) -> tuple[float, np.ndarray]:
        x = REACH * np.tanh(y / REACH)
        value, gradient = slope(x)
        return value, gradient * (1 - (x / REACH) ** 2)

    y = optimize.minimize(bounded, start, jac=True, method="BFGS", options={"gtol": 1e-9}).x
    x = REACH * np.tanh(y / REACH)
    f = np.exp(x - x.max())
    return np.asarray(f / f.sum())


def mode_by_numpyro(concentration: np.ndarray, start: np.ndarray, sign: float = 1.0) -> np.ndarray:
    """Where NumPyro's density is greatest, [C]; least for sign = -1."""

    def slope(x: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = _descent(jnp.asarray(x), jnp.asarray(concentration))
        return sign * float(value), sign * np.asarray(gradient)

    return ascend(slope, start)


def mode_by_torch(likelihood: Likelihood, gamma: float, start: np.ndarray) -> np.ndarray:
    """The class probabilities [C] that a likelihood's torch table likes best for a label of class 0."""
    decay = torch.tensor([[gamma]], dtype=torch.float64)

    def slope(x: np.ndarray) -> tuple[float, np.ndarray]:
        leaf = torch.tensor(x).requires_grad_()
        value = -likelihood.table(leaf[None, None], decay)[0, 0, 0]
        (gradient,) = torch.autograd.grad(value, leaf)
        return value.item(), gradient.numpy()

    return ascend(slope, start)


def lowest_curvature(f: np.ndarray, concentration: np.ndarray) -> float:
    """The least second derivative of log p at a stationary point f, over unit directions of x that move f.

    At a stationary point its sign does not depend on the chart: positive in every direction is a minimum.
    """
    second = -np.asarray(_curvature(jnp.log(jnp.asarray(f)), jnp.asarray(concentration)))
    # x + constant is the same f: that direction has eigenvalue 0 and is left out.
    basis = np.linalg.svd(np.ones((1, len(f))))[2][1:]
    return float(np.linalg.eigvalsh(basis @ second @ basis.T).min())


def draw(concentration: np.ndarray, context: Context, purpose: int) -> np.ndarray:
    """NumPyro draws of Dir(concentration), [N,C], from the study's seed and a number for what they are for."""
    key = jax.random.fold_in(jax.random.key(context.seed), purpose)
    draws = 30_000 if context.quick else 300_000
    return np.asarray(_sample(jnp.asarray(concentration), key, draws))


@functools.partial(jax.jit, static_argnames="draws")
def _sample(concentration: Array, key: Array, draws: int) -> Array:
    return dist.Dirichlet(concentration).sample(key, (draws,))


def densest(drawn: np.ndarray, concentration: np.ndarray) -> np.ndarray:
    """The draw [C] of the greatest density."""
    return np.asarray(drawn[np.argmax(log_density(drawn, concentration))])


def tolerance_of_densest(q: np.ndarray, draws: int) -> np.ndarray:
    """How far, by coordinate [3], the densest of `draws` draws of Dir(1+q), 3 classes, may be from the mode.

    The region of greater density than a level has mass m; all draws miss it with a chance of e^(-m draws), and m draws
    = MISSED. For a mode at the vertex the region is 1 - f_0 < width, and 1 - f_0 ~ Beta(2, 1+q_0). For one inside it
    is, next to the mode q, the ellipse log p > max - e with covariance diag(q) - q q^T, of mass 2 pi e sqrt(q_0 q_1
    q_2) max p.
    """
    mass = MISSED / draws
    if (q[1:] == 0).all():
        return np.full(3, special.betaincinv(2, 1 + q[0], mass))
    log_peak = special.xlogy(q, q).sum() + special.gammaln(4) - special.gammaln(1 + q).sum()
    level = mass / (2 * np.pi * np.sqrt(q.prod()) * np.exp(log_peak))
    return np.asarray(np.sqrt(2 * level * q * (1 - q)))


def rises_at_an_edge(concentration: np.ndarray) -> bool:
    """Whether NumPyro's log-density rises all the way, as one class's probability falls from 1e-4 to 1e-12."""
    C = len(concentration)
    rises = False
    for c in range(C):
        levels = np.geomspace(1e-4, 1e-12, 5)
        f = np.full((len(levels), C), 1.0) * ((1 - levels) / (C - 1))[:, None]
        f[:, c] = levels
        rises |= bool((np.diff(log_density(f, concentration)) > 1e-2).all())
    return rises
