"""How many of M views carry an image's marginal likelihood, and whether M views suffice: Pareto-smoothed weights.

The marginal likelihood of an image is the mean over views of p_m = p(label given view m), so the self-normalized
weights w_m = p_m / sum p are importance weights of views drawn from their prior. Smoothing replaces the greatest of
them by quantiles of a generalized Pareto distribution (Vehtari, Simpson, Gelman, Yao & Gabry 2024), fitted as Zhang &
Stephens (2009) do. As p <= 1 the variance is finite, yet k > 0.7 says that M views have not seen the tail.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from auglik.objectives.errors import InputError
from auglik.system.array_types import Float64Array

UNRELIABLE = 0.7
LEAST_TAIL = 5
EVEN = 2.0
"""Times their mean that weights may be where no tail can be fitted."""
IMAGES_AT_ONCE = 1000


class EffectiveViews(NamedTuple):
    """Per image [N], and over all images; k is as `without_tail` has it, and NaN where M < 25 leaves fewer than 5."""

    pareto_k: Float64Array
    effective: Float64Array
    """1 / sum of the squared smoothed weights."""
    mean_effective: float
    share_unreliable: float
    """Of the images, those with k > 0.7; NaN for M < 25."""


def effective_views(view_log_likelihoods: npt.ArrayLike) -> EffectiveViews:
    """Of log-likelihoods [M,N] of N images' labels under M views; N images take O(M N) work.

    Raises InputError for another shape, M = 1, NaN or inf, and an image that no view gives any likelihood.
    """
    log_p = np.asarray(view_log_likelihoods, dtype=np.float64)
    if log_p.ndim != 2 or log_p.shape[0] < 2 or log_p.shape[1] < 1:
        raise InputError(f"expected log-likelihoods [M,N] of M >= 2 views of N images, got shape {log_p.shape}")
    if not np.isfinite(log_p.max(0)).all():
        raise InputError("expected log-likelihoods of which every image has a finite one, got others: a diverged run?")
    parts = [
        smoothed_log_weights(log_p[:, start : start + IMAGES_AT_ONCE])
        for start in range(0, log_p.shape[1], IMAGES_AT_ONCE)
    ]
    k = np.concatenate([part[1] for part in parts])
    effective = np.concatenate([1 / np.exp(2 * part[0]).sum(0) for part in parts])
    share = float((k > UNRELIABLE).mean()) if tail_length(len(log_p)) >= LEAST_TAIL else float("nan")
    return EffectiveViews(k, effective, float(effective.mean()), share)


def tail_length(views: int) -> int:
    """min(M/5, 3 sqrt(M)), rounded down."""
    return int(min(views / 5, 3 * np.sqrt(views)))


def smoothed_log_weights(log_p: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Normalized log-weights [M,N], the greatest of each image smoothed, and Pareto k [N]."""
    M, N = log_p.shape
    log_w, tail = log_p - log_p.max(0), tail_length(M)
    k = np.full(N, np.nan)
    if tail >= LEAST_TAIL:
        k = without_tail(log_w - special.logsumexp(log_w, axis=0))
        order = np.argsort(log_w, axis=0, kind="stable")[-tail - 1 :]
        top = np.exp(np.take_along_axis(log_w, order, 0))
        excess = top[1:] - top[0]
        varied = has_tail(top)
        k[varied], sigma = pareto_fit(excess[:, varied])
        p = (np.arange(tail)[:, None] + 0.5) / tail
        quantiles = top[0, varied] + sigma * special.boxcox(1 / (1 - p), k[varied])
        log_w[order[1:, varied], np.flatnonzero(varied)] = np.minimum(np.log(quantiles), 0)
    return log_w - special.logsumexp(log_w, axis=0), k


def has_tail(top: Float64Array) -> npt.NDArray[np.bool_]:
    """Whether the greatest weights [n+1,N], ascending from the threshold, can be fitted.

    Where the lower quarter of them underflows or is tied, the fit returns its prior; where all of it is, there is none.
    """
    n = len(top) - 1
    return np.asarray(np.minimum(top[(n + 2) // 4] - top[0], top[-1] - top[1]) > np.finfo(np.float64).tiny)


def without_tail(log_weights: Float64Array) -> Float64Array:
    """Pareto k [N] of normalized log-weights [M,N] that have no tail: infinite, as in R's loo.

    Minus infinite where none is over EVEN times their mean, which asks for no tail.
    """
    return np.where(log_weights.max(0) <= np.log(EVEN / len(log_weights)), -np.inf, np.inf)


def pareto_fit(excess: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Shape k and scale sigma [N] of generalized Pareto variates [n,N] in ascending order.

    The mean of b = -k/sigma under its profile likelihood on a grid and Zhang & Stephens' prior; k is then drawn to 0.5
    as by ten further observations.
    """
    n = len(excess)
    grid = 30 + int(np.sqrt(n))
    j = np.arange(1, grid + 1)[:, None]
    b = 1 / excess[-1] + (1 - np.sqrt(grid / (j - 0.5))) / (3 * excess[(n + 2) // 4 - 1])
    k = np.log1p(-b[:, None] * excess).mean(1)
    posterior = special.softmax(n * (np.log(-b / k) - k - 1), axis=0)
    b_mean = (posterior * b).sum(0)
    k_mean = np.log1p(-b_mean * excess).mean(0)
    return (n * k_mean + 5) / (n + 10), -k_mean / b_mean
