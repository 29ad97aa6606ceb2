"""The delicate numerics of the objectives: tiny functions, each with its source, stable in value and gradient.

Everything is computed from log-probabilities in float32 or better; nothing exponentiates and then takes a log.
"""

import itertools
import math

import torch
from torch import Tensor


def at_least_float32(x: Tensor) -> Tensor:
    """`x` in float32 where it came in half precision, as under autocast; float32 and float64 stay."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def log_softmax(logits: Tensor) -> Tensor:
    """log f = log softmax(logits) over the last dimension, in float32 or better."""
    return torch.log_softmax(at_least_float32(logits), dim=-1)


# 2^(2n) B_2n / (2n (2n)!) for n = 1, 2, ...: the Taylor coefficients of log(sinh h / h) in h^2
# For |h| < 0.3 four terms leave less than 1e-10 in value and gradient, eight less than 1e-16.
_LOG_SINHC = (
    1 / 6,
    -1 / 180,
    1 / 2835,
    -1 / 37800,
    1 / 467775,
    -691 / 3831077250,
    2 / 127702575,
    -3617 / 2605132530000,
)


def _log_sinhc_series(h_squared: Tensor) -> Tensor:
    """log(sinh h / h) for |h| < 0.3 by its Taylor series, with as many terms as the dtype needs."""
    terms = 8 if h_squared.dtype == torch.float64 else 4
    total = torch.full_like(h_squared, _LOG_SINHC[terms - 1])
    for coefficient in reversed(_LOG_SINHC[: terms - 1]):
        total = total * h_squared + coefficient
    return total * h_squared


def log_logarithmic_mean(a: Tensor, b: Tensor) -> Tensor:
    """log L(e^a, e^b), elementwise, with L(u,v) = (u-v)/(log u - log v) the logarithmic mean, L(u,u) = u.

    With d = a - b and h = d/2 this is (a+b)/2 + log(sinh h / h). Far from a = b that sum cancels, so there it is
    written max(a,b) + log((1 - e^-|d|)/|d|); near a = b the gradient coth(h) - 1/h cancels, so there it is a series.
    Source: Carlson, "The logarithmic mean", Amer. Math. Monthly 79 (1972).
    """
    d = (a - b).abs()
    near = d < 0.6
    # Each branch sees a harmless value where it is not used: an inf or NaN there would reach the gradient as 0 * inf.
    h_squared = torch.where(near, 0.25 * d * d, 0.0)
    far = torch.where(near, 1.0, d)
    series = 0.5 * (a + b) + _log_sinhc_series(h_squared)
    direct = torch.maximum(a, b) + torch.log(-torch.expm1(-far) / far)
    return torch.where(near, series, direct)


def log_beta_of_smoothed_label(decay: Tensor, classes: int) -> Tensor:
    """log B(1+q), [K,B] -> [K,B], for the label q = (1-gamma) e_j + gamma/C (the same for every class j).

    log B(v) = sum_c lgamma(v_c) - lgamma(sum_c v_c), the normalizer of Dir(v). In float64: for many classes the
    two sums are thousands of nats and nearly equal views must not differ by their rounding.
    """
    gamma = decay.double()
    off = gamma / classes
    log_beta = torch.lgamma(2 - gamma + off) + (classes - 1) * torch.lgamma(1 + off) - math.lgamma(classes + 1)
    return log_beta.to(at_least_float32(decay).dtype)


def log_normal_density(x: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    """log N(x; mean, variance), elementwise."""
    return -0.5 * ((x - mean) ** 2 / variance + torch.log(2 * math.pi * variance))


def leave_one_out_logsumexp(terms: Tensor) -> Tensor:
    """logsumexp over all views but k, for every k: [K,...] -> [K,...], K >= 2.

    From running sums of both sides: log1p(-r_k) would lose every digit for a view that dominates.
    """
    views = terms.unbind(0)
    before = list(itertools.accumulate(views[:-1], torch.logaddexp))
    after = list(itertools.accumulate(reversed(views[1:]), torch.logaddexp))[::-1]
    between = [torch.logaddexp(left, right) for left, right in zip(before[:-1], after[1:], strict=True)]
    return torch.stack([after[0], *between, before[-1]])


def gauss_jacobi(count: int, left: float, right: float) -> tuple[Tensor, Tensor]:
    """Nodes and weights (summing to one) for v^left (1-v)^right on [0,1], left and right > -1; float64 [count].

    Golub & Welsch, "Calculation of Gauss quadrature rules", Math. Comp. 23 (1969): the nodes are the eigenvalues of
    the Jacobi matrix of the orthogonal polynomials, the weights the squared first components of its eigenvectors.
    """
    n = torch.arange(count, dtype=torch.float64)
    total = left + right
    # The recurrence of the Jacobi polynomials P_n^(right,left) on [-1,1] (DLMF 18.9.2).
    diagonal = (left**2 - right**2) / ((2 * n + total) * (2 * n + total + 2))
    diagonal[0] = (left - right) / (total + 2)
    n = n[1:]
    s = 2 * n + total
    squared = 4 * n * (n + left) * (n + right) * (n + total) / (s**2 * (s + 1) * (s - 1))
    # At n = 1 the factors (n + total) and (s - 1) are equal, and both vanish for total = -1.
    squared[:1] = 4 * (1 + left) * (1 + right) / ((2 + total) ** 2 * (3 + total))
    off = squared.sqrt()
    jacobi = torch.diag(diagonal) + torch.diag(off, 1) + torch.diag(off, -1)
    eigenvalues, vectors = torch.linalg.eigh(jacobi)
    return (1 + eigenvalues) / 2, vectors[0] ** 2
