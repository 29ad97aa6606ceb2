"""The normalizer of the smoothed likelihood from its definition, by three routes that share no formula with torch's.

Z(f) = sum_j E_gamma prod_c f_c^{q_c(gamma, e_j)}, q(gamma, e_j) = (1-gamma) e_j + gamma/C: adaptive quadrature (scipy),
a Gauss-Legendre rule differentiated by JAX, and Monte Carlo (NumPyro). Gradients are in the logits.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import numpyro.distributions as dist
from jax import Array
from scipy import special
from scipy.integrate import quad_vec  # type: ignore[attr-defined]

from auglik.objectives import Schedule
from auglik.studies.common.compiling import quickly

BREAKS = (1e-9, 1e-6, 1e-4, 1e-3, 1e-2, 0.1, 0.5, 0.9, 0.99, 0.999)
"""Where adaptive quadrature on [0,1] starts: for integrands that fall within 1/1000 of an end."""


class Normalizer(NamedTuple):
    """log Z and its gradient in the logits [C]."""

    value: float
    gradient: np.ndarray


def level_quantile(schedule: Schedule, role: str) -> Callable[[float], float]:
    """The decay gamma at the quantile u of the temperature t ~ Beta(alpha, beta), for role noise or blur."""
    if role == "noise":
        return lambda u: (
            np.sin(special.betaincinv(schedule.alpha, schedule.beta, u) * np.pi / 2) ** (2 * schedule.k_noise)
        )
    return lambda u: special.betaincinv(schedule.alpha, schedule.beta, u) ** schedule.k_blur


def by_scipy(logits: np.ndarray, level: Callable[[float], float] = lambda u: u) -> Normalizer:
    """Adaptive quadrature over the quantile u of the level, uniform on [0,1] by default.

    With P_j = prod_c f_c^{q_c(gamma, e_j)}: d P_j / d logit_c = P_j (q_c(gamma, e_j) - f_c), as q sums to one.
    """
    x = logits - logits.max()
    log_f = x - np.log(np.exp(x).sum())
    f, C = np.exp(log_f), len(logits)

    def integrand(u: float) -> np.ndarray:
        gamma = level(u)
        P = np.exp((1 - gamma) * log_f + gamma / C * log_f.sum())
        return np.append((1 - gamma) * P + (gamma / C - f) * P.sum(), P.sum())

    result, _ = quad_vec(integrand, 0, 1, epsabs=1e-16, epsrel=1e-12, norm="max", points=BREAKS)
    return Normalizer(float(np.log(result[-1])), result[:-1] / result[-1])


def by_confluent_function(logits: np.ndarray, alpha: float, beta: float) -> Normalizer:
    """log sum_j f_j M_j for gamma = t ~ Beta(alpha, beta), with 30 digits; M_j = 1F1(alpha; alpha+beta; d_j), d_j =
    mean log f - log f_j, and M' = alpha/(alpha+beta) 1F1(alpha+1; alpha+beta+1; d)."""
    with mpmath.workdps(30):
        masses = [mpmath.exp(x) for x in logits.tolist()]
        f = [mass / mpmath.fsum(masses) for mass in masses]
        log_f = [mpmath.log(p) for p in f]
        d = [mpmath.fsum(log_f) / len(f) - value for value in log_f]
        M = [p * mpmath.hyp1f1(alpha, alpha + beta, x) for p, x in zip(f, d, strict=True)]
        slope = alpha / mpmath.mpf(alpha + beta)
        D = [p * slope * mpmath.hyp1f1(alpha + 1, alpha + beta + 1, x) for p, x in zip(f, d, strict=True)]
        Z, mean = mpmath.fsum(M), mpmath.fsum(D) / len(f)
        gradient = [(m + mean - n) / Z - p for m, n, p in zip(M, D, f, strict=True)]
        return Normalizer(float(mpmath.log(Z)), np.array(gradient, float))


def _end_graded_gauss_legendre(nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre in s with the level s^2 (3 - 2s), which crowds the nodes at both ends; on [0,1]."""
    x, w = np.polynomial.legendre.leggauss(nodes)
    s = (1 + x) / 2
    weights = w * s * (1 - s)
    return s * s * (3 - 2 * s), weights / weights.sum()


LEVELS, LEVEL_WEIGHTS = _end_graded_gauss_legendre(128)


def _log_normalizer(logits: Array) -> Array:
    log_f = jax.nn.log_softmax(logits)
    gamma = jnp.asarray(LEVELS)[:, None]
    mass = jnp.exp((1 - gamma) * log_f + gamma * log_f.mean()).sum(-1)
    return jnp.log(jnp.asarray(LEVEL_WEIGHTS) @ mass)


_value_and_gradient = quickly(jax.vmap(jax.value_and_grad(_log_normalizer)))


def by_jax(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """log Z [N] and its gradients [N,C] of logits [N,C], the level uniform; for |log f| up to a few hundred."""
    value, gradient = _value_and_gradient(jnp.asarray(logits))
    return np.asarray(value), np.asarray(gradient)


class Estimate(NamedTuple):
    """A Monte Carlo mean and its standard error, [N] each."""

    mean: np.ndarray
    standard_error: np.ndarray


@functools.partial(quickly, static_argnames="draws")
def _masses_at_drawn_levels(logits: Array, draws: int, key: Array) -> Array:
    """sum_j prod_c f_c^{q_c(level, e_j)}: [N,C] -> [draws,N]. NumPyro's Categorical to the power of the label."""
    level = dist.Uniform(0.0, 1.0).sample(key, (draws, 1, 1))
    log_f = dist.Categorical(logits=logits[:, None]).log_prob(jnp.arange(logits.shape[1]))
    return jnp.exp((1 - level) * log_f + level * log_f.mean(-1, keepdims=True)).sum(-1)


def by_numpyro(logits: np.ndarray, draws: int, key: Array) -> Estimate:
    """Z [N] of logits [N,C]: the mean over levels from NumPyro's Uniform(0,1), all labels enumerated."""
    masses = np.asarray(_masses_at_drawn_levels(jnp.asarray(logits), draws, key))
    return Estimate(masses.mean(0), masses.std(0, ddof=1) / draws**0.5)
