"""The delicate numerics of the objectives: tiny functions, each with its source, stable in value and gradient.

Everything is computed from log-probabilities in float32 or better. Nothing exponentiates and then takes a log, but for
one sum whose largest term cannot underflow.
"""

import itertools
import math

import torch
from torch import Tensor

from auglik.objectives.errors import InputError


def at_least_float32(x: Tensor) -> Tensor:
    """`x` in float32 where it came in half precision, as under autocast; float32 and float64 stay."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def per_class(values: Tensor) -> Tensor:
    """Values of views, [K,B] -> [K,B,1], in float32 or better: decay to go with a table."""
    return at_least_float32(values)[..., None]


def at_label(values: Tensor, labels: Tensor | None) -> Tensor:
    """Of every class the observed one, [K,B,C], [B] -> [K,B,1]; all without labels, and what is the same for all."""
    if labels is None or values.shape[-1] == 1:
        return values
    return values.gather(2, labels.long()[None, :, None].expand(len(values), -1, -1))


def log_softmax(logits: Tensor) -> Tensor:
    """log f = log softmax(logits) over the last dimension, in float32 or better."""
    return torch.log_softmax(at_least_float32(logits), dim=-1)


def degraded(values: Tensor, toward: Tensor | None) -> Tensor:
    """sum_c pi_jc v_c, what a label j without its mass is given: [...,C], pi [C,C] -> [...,C]; None: the mean, [...,1].

    In the dtype of the values, under autocast too.
    """
    if toward is None:
        return values.mean(-1, keepdim=True)
    with torch.autocast(values.device.type, enabled=False):
        return values @ toward.to(values).mT


def log_beta_of_smoothed_label(decay: Tensor, classes: int) -> Tensor:
    """log B(1+q), [K,B] -> [K,B], for the label q = (1-gamma) e_j + gamma/C (the same for every class j).

    log B(v) = sum_c lgamma(v_c) - lgamma(sum_c v_c), the normalizer of Dir(v). In float64: for many classes the
    two sums are thousands of nats and nearly equal views must not differ by their rounding.
    """
    gamma = decay.double()
    off = gamma / classes
    log_beta = torch.lgamma(2 - gamma + off) + (classes - 1) * torch.lgamma(1 + off) - math.lgamma(classes + 1)
    return log_beta.to(at_least_float32(decay).dtype)


def log_beta_of_degraded_label(decay: Tensor, toward: Tensor) -> Tensor:
    """log B(1+q), [K,B], pi [C,C] -> [K,B,C], for the label q = (1-gamma) e_j + gamma pi_j of every class j."""
    gamma, pi = decay.double()[..., None], toward.double()
    off = torch.stack([torch.lgamma(1 + gamma * row).sum(-1) for row in pi], -1)
    own = gamma * pi.diagonal()
    log_beta = off - torch.lgamma(1 + own) + torch.lgamma(2 - gamma + own) - math.lgamma(len(pi) + 1)
    return log_beta.to(at_least_float32(decay).dtype)


def log_normal_density(x: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    """log N(x; mean, variance), elementwise."""
    return -0.5 * ((x - mean) ** 2 / variance + torch.log(2 * math.pi * variance))


def leave_out_logsumexp(terms: Tensor, count: int) -> Tensor:
    """logsumexp over all views but `count`, for every choice of them: [K,...] -> [K choose count,...], K > count.

    From running sums of both sides: log1p(-r_k) would lose every digit for a view that dominates.
    """
    if count == 0:
        return terms.logsumexp(0, keepdim=True)
    views = terms.unbind(0)
    before = list(itertools.accumulate(views[:-1], torch.logaddexp))
    if count == 1:
        after = list(itertools.accumulate(reversed(views[1:]), torch.logaddexp))[::-1]
        between = [torch.logaddexp(left, right) for left, right in zip(before[:-1], after[1:], strict=True)]
        return torch.stack([after[0], *between, before[-1]])
    # By the first view left out: those before it are kept, and of those after it one fewer is left out.
    parts = [leave_out_logsumexp(terms[1:], count - 1)]
    for first in range(1, len(views) - count):
        parts.append(torch.logaddexp(before[first - 1], leave_out_logsumexp(terms[first + 1 :], count - 1)))
    return torch.cat([*parts, before[-count][None]])


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


def beta_nodes(alpha: float, beta: float, m: int, steepest: float) -> tuple[Tensor, Tensor]:
    """Nodes v in [0,1] and weights (summing to one) of t = v^m ~ Beta(alpha, beta); float64 [N].

    They are for e^(gamma d), gamma at 0 between the powers 3/m and `steepest` of t, at 1 off by 1-t or its square.

    64 Gauss-Jacobi nodes for v^(m alpha - 1) (1-v)^(beta-1), times the rest ((1-v^m) / (1-v))^(beta-1), where that is
    so smooth that its mean is what the Beta function says. Else, for a narrow law, and where the mass at small v, far
    from the nodes, may count most: even steps in logit t where at most `MOST_STEPS` are needed, or panels, finer
    toward both ends, of 16 nodes each. Raises InputError for parameters whose law none resolves.
    """
    left, right = m * alpha - 1, beta - 1
    if left > -1 and right > -1:  # as numbers next to 0 do not leave it
        whole = _log_beta(alpha, beta)
        v, weight = gauss_jacobi(64, left, right)
        weight = weight * ((1 - v**m) / (1 - v)) ** right
        rounding = 1e-15 * math.lgamma(m * alpha + beta + 2)
        off = abs(float(weight.sum().log()) + _log_beta(m * alpha, beta) - (whole - math.log(m)))
        resolved = off < 1e-11 + rounding
        if not resolved or m * alpha > 24:
            at, log_weight = _even_steps(alpha, beta, m, steepest)
            if abs(float(log_weight.logsumexp(0)) - whole) > 1e-11 + rounding:
                at, log_weight = _panels(left, right, m)
                log_weight = log_weight + math.log(m)
            if abs(float(log_weight.logsumexp(0)) - whole) < 1e-7:
                return at, (log_weight - log_weight.logsumexp(0)).exp()
        if resolved:
            return v, weight / weight.sum()
    raise InputError(
        f"expected a temperature's distribution that can be integrated over, got Beta({alpha:g}, {beta:g}) with"
        f" t = v^{m}: alpha or beta is too large or too near 0, or an exponent k too small"
    )


MOST_STEPS = 640
"""Half as many as panels have nodes, about: more are not worth what they save."""


def _even_steps(alpha: float, beta: float, m: int, steepest: float) -> tuple[Tensor, Tensor]:
    """Nodes v and log weights of t = v^m by the trapezoidal rule in s = logit t; none where they would be many.

    t^alpha (1-t)^beta e^(gamma d) falls to 1e-17 of its peak within the range, for |d| up to 1e5. A step h leaves about
    e^(-2 pi^2 / (h^2 c)) of a peak of curvature c, that of t^alpha e^(-d t^p) being alpha p, and e^(-pi^2 / (h p)) of
    what is analytic for |Im s| < pi/2p, as e^(-d t^p) is.
    Source: Trefethen & Weideman, "The exponentially convergent trapezoidal rule", SIAM Review 56 (2014).
    """
    most, left_over = 1e5, 17 * math.log(10)
    low = m / 3 * min(0.0, math.log(alpha * m / (3 * most))) - left_over / alpha
    high = max(0.0, math.log(most * max(steepest, 1.0) / beta)) + left_over / beta
    curvature, steepest = max(alpha * max(steepest, 1.0), 2 * beta), max(steepest, 2.0)
    step = min(math.pi / math.sqrt(16 * curvature), math.pi**2 / (32 * steepest))
    if not -700 < low < high < 700 or (high - low) / step > MOST_STEPS:
        return torch.zeros(0, dtype=torch.float64), torch.zeros(0, dtype=torch.float64)
    s = torch.arange(low, high, step, dtype=torch.float64)
    log_t = torch.nn.functional.logsigmoid(s)
    return (log_t / m).exp(), alpha * log_t + beta * torch.nn.functional.logsigmoid(-s) + math.log(step)


def _panels(left: float, right: float, m: int) -> tuple[Tensor, Tensor]:
    """Nodes v and log weights of v^left (1-v^m)^right on [0,1]: 64 equal panels, that at 0 and that at 1 halved on."""
    nodes, weight = gauss_jacobi(16, 0.0, 0.0)
    ends = 2.0 ** -torch.arange(16, 6, -1, dtype=torch.float64)
    edges = torch.cat([ends, torch.arange(1, 64, dtype=torch.float64) / 64, 1 - ends.flip(0)])
    width = edges.diff()[:, None]
    inner = edges[:-1, None] + width * nodes
    at_0, weight_0 = gauss_jacobi(16, left, 0.0)
    to_1, weight_1 = gauss_jacobi(16, right, 0.0)
    at_0, to_1, end = ends[0] * at_0, ends[0] * to_1, math.log(ends[0])
    log_v = torch.cat([at_0.log(), inner.log().flatten(), (-to_1).log1p()])
    log_rest = (-(m * log_v).expm1()).log()  # log(1-v^m)
    log_weight = torch.cat(
        [
            weight_0.log() + (left + 1) * end - math.log(left + 1) + right * log_rest[:16],
            (weight * width).log().flatten() + left * log_v[16:-16] + right * log_rest[16:-16],
            weight_1.log() + (right + 1) * end - math.log(right + 1) + left * log_v[-16:]
            + right * (log_rest[-16:] - to_1.log()),
        ]
    )  # fmt: skip
    return log_v.exp(), log_weight


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
