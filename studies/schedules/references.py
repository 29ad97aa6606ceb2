"""The schedule from its definition, sharing no formula with torch's: JAX, SciPy's and NumPyro's Beta, mpmath.

Heinonen et al. 2025, Eq. 13: SNR(t) = cos(t pi/2)^2 / sin(t pi/2)^2, gamma = (1/(1+SNR))^k for noise; t^k for blur.
"""

import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import numpyro.distributions as dist
from jax import Array
from scipy import special

from auglik.objectives import ROLES, Schedule
from auglik.system.array_types import Float64Array

DIGITS = 25
SMOOTH, STEEP = (0, 0.5, 1), (0, 1e-6, 1e-3, 0.05, 1)
"""Where quadrature in t is broken up: e^(gamma d) falls within 1/|d| of an end, powers of gamma do not."""
BISECTIONS = 60


def snr(t: Array) -> Array:
    """The power of the image over that of the noise, standardized images having the power 1."""
    return (jnp.cos(t * jnp.pi / 2) / jnp.sin(t * jnp.pi / 2)) ** 2


@functools.partial(jax.jit, static_argnums=(0, 1))
def decay(schedule: Schedule, role: str, t: Array) -> Array:
    """gamma(role, t), elementwise."""
    noise, blur = (1 / (1 + snr(t))) ** schedule.k_noise, jnp.exp(schedule.k_blur * jnp.log(t))
    kept = {"clean": jnp.ones_like(t), "noise": 1 - noise, "blur": 1 - blur, "both": (1 - noise) * (1 - blur)}
    return 1 - kept[role]


def temperature_below(schedule: Schedule, t: Float64Array) -> Float64Array:
    """P(temperature <= t) under NumPyro's Beta distribution."""
    return np.asarray(dist.Beta(schedule.alpha, schedule.beta).cdf(jnp.asarray(t)))


def temperature_density(schedule: Schedule, t: Float64Array) -> Float64Array:
    """The density of the temperature, by JAX."""
    return np.asarray(jax.scipy.stats.beta.pdf(jnp.asarray(t), schedule.alpha, schedule.beta))


def decay_below(schedule: Schedule, role: str, gamma: Float64Array) -> Float64Array:
    """P(decay <= gamma) of a role but clean: of the temperature of gamma, by bisection, SciPy's betainc."""
    low, high = np.zeros_like(gamma), np.ones_like(gamma)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        above = np.asarray(decay(schedule, role, jnp.asarray(middle))) > gamma
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return special.betainc(schedule.alpha, schedule.beta, (low + high) / 2)


def decay_density(schedule: Schedule, role: str, t: Float64Array) -> Float64Array:
    """The density of the decay at gamma(role, t) by the change of variables: p(t) / gamma'(t), gamma' by JAX."""
    slope = jax.vmap(jax.grad(functools.partial(decay, schedule, role)))(jnp.asarray(t))
    return temperature_density(schedule, t) / np.asarray(slope)


def mixed_below(schedule: Schedule, gamma: Float64Array) -> Float64Array:
    """P(0 < decay <= gamma) over all roles: without the point mass of clean views at 0."""
    roles = [(role, share) for role, share in zip(ROLES, schedule.shares(), strict=True) if role != "clean" and share]
    return np.sum([share * decay_below(schedule, role, gamma) for role, share in roles], 0)


@functools.cache
def moment(schedule: Schedule, power: int) -> float:
    """E gamma^power over roles and temperatures, in 25 digits."""
    return float(_expected(schedule, lambda gamma: gamma**power, SMOOTH))


def log_mean_exponential(schedule: Schedule, d: float) -> float:
    """log E e^(gamma d) likewise."""
    return float(mpmath.log(_expected(schedule, lambda gamma: mpmath.exp(gamma * d), STEEP if d < -10 else SMOOTH)))


def log_hypergeometric(schedule: Schedule, d: float) -> float:
    """log 1F1(alpha; alpha+beta; d) = log E e^(t d), the closed form for gamma = t."""
    with mpmath.workdps(DIGITS):
        return float(mpmath.log(mpmath.hyp1f1(schedule.alpha, schedule.alpha + schedule.beta, d)))


def _expected(schedule: Schedule, of: Callable[[mpmath.mpf], mpmath.mpf], breaks: Sequence[float]) -> mpmath.mpf:
    with mpmath.workdps(DIGITS):
        a, b = mpmath.mpf(schedule.alpha), mpmath.mpf(schedule.beta)
        k_noise, k_blur = mpmath.mpf(schedule.k_noise), mpmath.mpf(schedule.k_blur)

        def gamma(role: str, t: mpmath.mpf) -> mpmath.mpf:
            noise = (1 / (1 + mpmath.cot(t * mpmath.pi / 2) ** 2)) ** k_noise if role != "blur" else mpmath.mpf(0)
            blur = t**k_blur if role != "noise" else mpmath.mpf(0)
            return noise + blur - noise * blur

        total = mpmath.mpf(0)
        for role, share in zip(ROLES, schedule.shares(), strict=True):
            if role == "clean":
                total += share * of(mpmath.mpf(0))
            elif share:
                mass = mpmath.quad(lambda t, role=role: t ** (a - 1) * (1 - t) ** (b - 1) * of(gamma(role, t)), breaks)
                total += share * mass / mpmath.beta(a, b)
        return total
