"""The aggregators of `twins`, written from their definitions in JAX float64: table [K,B,C] -> [B,C]."""

import itertools
import math
from collections.abc import Callable

import jax.numpy as jnp
from jax import Array
from jax.scipy.special import gammaln


def _omega(table: Array, weight: Array | None) -> tuple[Array, Array]:
    """Shares of the views [K,B,1], equal where an image has no weight, and the mean weight [B,1]."""
    weight = jnp.ones(table.shape[:2]) if weight is None else weight
    total = weight.sum(0)
    omega = jnp.where(total > 0, weight / jnp.where(total > 0, total, 1.0), 1 / len(weight))
    return omega[..., None], weight.mean(0)[:, None]


def _views(
    table: Array, weight: Array | None, log_importance: Array | None
) -> tuple[Array, Array, Callable[[Array], Array]]:
    """Shares omega [K,B,1], density ratios e^{i_k} [K,B,1], and what makes the value of an image of that of its views.

    The mean weight times it; log 0 where sum_k omega_k e^{i_k} = 0, but for images without weight, which are 0.
    """
    omega, mean_weight = _omega(table, weight)
    ratio = jnp.ones(omega.shape) if log_importance is None else jnp.exp(log_importance)[..., None]
    mass = (omega * ratio).sum(0)
    of_nothing = jnp.where(mean_weight > 0, -jnp.inf, 0.0)
    # Ratios of one where there are none: derivatives of what is not chosen must be numbers.
    ratio = jnp.where(mass > 0, ratio, 1.0)
    return omega, ratio, lambda value: jnp.where(mass > 0, mean_weight * value, of_nothing)


def jensen(table: Array, weight: Array | None = None, log_importance: Array | None = None) -> Array:
    """sum_k omega_k e^{i_k} log p_k."""
    omega, ratio, of_image = _views(table, weight, log_importance)
    return of_image((omega * ratio * table).sum(0))


def log_mean(table: Array, weight: Array | None = None, log_importance: Array | None = None) -> Array:
    """log sum_k omega_k e^{i_k} p_k."""
    omega, ratio, of_image = _views(table, weight, log_importance)
    return of_image(jnp.log((omega * ratio * jnp.exp(table)).sum(0)))


def durbin_koopman(table: Array, weight: Array | None = None, log_importance: Array | None = None) -> Array:
    """log m + var(m) / (2 m^2), m = sum omega p and var(m) = K/(K-1) sum omega^2 (p - m)^2.

    For equal weights var(m) = s^2/K, s^2 the sample variance of p: Heinonen et al. 2025, Eq. 21-22.
    """
    omega, ratio, of_image = _views(table, weight, log_importance)
    K, p = len(table), ratio * jnp.exp(table)
    m = (omega * p).sum(0)
    inverse = jnp.exp(-jnp.log(m))  # the derivative of p / m would divide by m^2, which underflows in half the domain
    relative_variance = K / (K - 1) * (omega**2 * (p * inverse - 1) ** 2).sum(0)
    return of_image(jnp.log(m) + relative_variance / 2)


def geometric(
    table: Array, weight: Array | None = None, log_importance: Array | None = None, *, T: float = 1.0
) -> Array:
    """log (prod_k p_k^{omega_k e^{i_k}})^(1/T). Kapoor et al. 2022; Heinonen et al. 2025, Eq. 24."""
    omega, ratio, of_image = _views(table, weight, log_importance)
    return of_image((omega * ratio / T * table).sum(0))


def geometric_normalized(
    table: Array, weight: Array | None = None, log_importance: Array | None = None, *, T: float = 1.0
) -> Array:
    """log of g_c / sum_c g_c, g = prod_k p_k^{omega_k e^{i_k} / T}."""
    omega, ratio, of_image = _views(table, weight, log_importance)
    g = jnp.exp((omega * ratio / T * table).sum(0))
    return of_image(jnp.log(g) - jnp.log(g.sum(-1, keepdims=True)))


def power_mean(
    table: Array, weight: Array | None = None, log_importance: Array | None = None, *, rho: float = 0.5
) -> Array:
    """log (sum_k omega_k e^{i_k} p_k^rho)^(1/rho)."""
    omega, ratio, of_image = _views(table, weight, log_importance)
    return of_image(jnp.log((omega * ratio * jnp.exp(rho * table)).sum(0)) / rho)


def jackknife(
    table: Array, weight: Array | None = None, log_importance: Array | None = None, *, order: float = 1
) -> Array:
    """sum_j (-1)^j (K-j)^m / (j! (m-j)!) times the mean of log (sum of p / (K-j)) over all subsets of K-j views.

    At order m = 1, K L_K - (K-1)/K sum_k L without view k. Equal weights of an image's views. Nowozin 2018.
    """
    _, ratio, of_image = _views(table, weight, log_importance)
    K, p, value = len(table), ratio * jnp.exp(table), jnp.zeros(table.shape[1:])
    for j in range(min(K, 5)):
        kept = jnp.array(list(itertools.combinations(range(K), K - j)))
        # Beyond the order 1 for the sums: some are of no view with importance, and what is not used must be a number.
        sums = jnp.where(j <= order, p[kept].sum(1), 1.0)
        factor = (-1) ** j * (K - j) ** jnp.asarray(order, jnp.float64) / math.factorial(j)
        rest = jnp.exp(gammaln(jnp.maximum(order - j, 0) + 1.0))
        value = value + jnp.where(j <= order, factor / rest, 0.0) * jnp.log(sums / (K - j)).mean(0)
    return of_image(value)


def thermodynamic(
    table: Array,
    weight: Array | None = None,
    log_importance: Array | None = None,
    *,
    points: float = 5,
    first: float = 0.025,
) -> Array:
    """log M + sum_s (rho_{s+1} - rho_s) E_s[log p], E_s the mean of views weighted by omega_k e^{i_k} p_k^rho_s.

    M = sum_k omega_k e^{i_k}. Masrani et al. 2019, Eq. 9.
    """
    omega, ratio, of_image = _views(table, weight, log_importance)
    s = jnp.arange(33.0)
    inner = first ** (1 - (s - 1) / jnp.maximum(points - 1, 1))
    rho = jnp.where(s == 0, 0.0, jnp.where(s >= points, 1.0, inner))
    mass = omega * ratio * jnp.exp(rho[:-1, None, None, None] * table)
    means = (mass * table).sum(1) / mass.sum(1)
    return of_image(jnp.log((omega * ratio).sum(0)) + jnp.tensordot(jnp.diff(rho), means, 1))


def _log_mean_of(p: Array) -> Array:
    """log of the mean over views: [k,B,C] -> [B,C]."""
    return jnp.log(p.mean(0))


def sumo(table: Array, weight: Array | None = None, log_importance: Array | None = None) -> Array:
    """sum_k (L_k - L_{k-1}) / P(K >= k), P = 1/k, L_k the log of the mean of the first k likelihoods, L_0 = 0."""
    _, _, of_image = _views(table, weight, log_importance)
    p = jnp.exp(table)
    increments = [_log_mean_of(p[:1])]
    increments += [_log_mean_of(p[: k + 1]) - _log_mean_of(p[:k]) for k in range(1, len(p))]
    return of_image(jnp.stack([increment * k for k, increment in enumerate(increments, 1)]).sum(0))


def multilevel(
    table: Array, weight: Array | None = None, log_importance: Array | None = None, *, power: float = 1.5
) -> Array:
    """The mean of log p, and over levels n the mean over blocks of 2^n views of L less its halves', over P(N >= n).

    Where K is no power of two, means are over the blocks that are whole. Goda et al. 2022.
    """
    _, _, of_image = _views(table, weight, log_importance)
    p = jnp.exp(table)

    def level(n: int) -> Array:
        blocks = [_log_mean_of(p[start : start + 2**n]) for start in range(0, len(p) - 2**n + 1, 2**n)]
        return jnp.stack(blocks).mean(0)

    levels = [level(n) for n in range(int(math.log2(len(p))) + 1)]
    return of_image(levels[0] + sum((2**n) ** power * (levels[n] - levels[n - 1]) for n in range(1, len(levels))))
