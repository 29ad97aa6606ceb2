"""log Z = log sum_j L_j, the log of a sum of logarithmic means, with slopes in closed form."""

import math

import torch
from torch import Tensor

from auglik.objectives.numerics import degraded

# (e^d - 1 - d)/d^2 = sum_n d^n/(n+2)!: for |d| < 0.6 eight terms leave less than 1e-8, sixteen less than 1e-17.
_SECOND_REMAINDER = tuple(1 / math.factorial(n + 2) for n in range(16))


def _second_remainder(d: Tensor) -> Tensor:
    """(e^d - 1 - d)/d^2 for |d| < 0.6 by its Taylor series, with as many terms as the dtype needs."""
    terms = 16 if d.dtype == torch.float64 else 8
    # Terms in pairs, one operation each and one to add it: uncompiled, each is a pass over memory.
    odd, even = _SECOND_REMAINDER[1:terms:2], _SECOND_REMAINDER[:terms:2]
    square, total = d * d, torch.rsub(d, even[-1], alpha=-odd[-1])
    for n in range(len(odd) - 2, -1, -1):
        total = torch.addcmul(torch.rsub(d, even[n], alpha=-odd[n]), total, square)
    return total


def logarithmic_means(log_f: Tensor, log_g: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """L_j = L(g_j, f_j) = (g_j - f_j)/d_j and its derivative in log f_j, (L_j - f_j)/d_j: [...,C] -> twice [...,C].

    d_j = log g_j - log f_j, g_j the geometric mean of f if None; the derivative in log g_j is the rest of L_j. Both
    quotients cancel near d = 0, where L_j = f_j (1 + d rho) and its derivative is f_j rho, rho = (e^d - 1 - d)/d^2.
    Probabilities may underflow here without loss: the largest f_j is at least 1/C, and its L_j outweighs the rest.
    Source: Carlson, "The logarithmic mean", Amer. Math. Monthly 79 (1972).
    """
    log_mean = log_f.mean(-1, keepdim=True) if log_g is None else log_g
    f, d = log_f.exp(), log_mean - log_f
    # 1 or 0, between which lerp is exact: uncompiled on a CPU, masks and torch.where take over ten times as long.
    near = torch.rsub(d.detach().abs(), 0.6).sign_().clamp_min_(0)
    # Each branch sees a harmless value where it is not used: an inf or NaN there would reach the other's place.
    small, safe = d.clamp(-0.6, 0.6), torch.add(d, near, alpha=2)
    by_series = f * _second_remainder(small)
    quotient = (log_mean.exp() - f).div_(safe)
    slopes = torch.lerp((quotient - f).div_(safe), by_series, near)
    return torch.lerp(quotient, torch.addcmul(f, by_series, small), near), slopes


def _log_sum_and_slopes(log_f: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """log Z = log sum_j L_j and the derivative of Z in log f_j in two parts, of class j alone and the same for all.

    [...,C] -> [...], [...,C], [...,1]. The derivatives sum to Z: what is left of it, that in log fbar, falls on all
    classes alike.
    """
    means, own = logarithmic_means(log_f)
    Z = means.sum(-1, keepdim=True)
    return Z[..., 0].log(), own, (Z - own.sum(-1, keepdim=True)) / log_f.shape[-1]


_IN_CACHE = 65536
"""Numbers that are worked on at once on a CPU: larger temporaries cost more in fresh pages than in arithmetic."""


class _RowSums(torch.autograd.Function):
    """Of rows of log f [N,C]: log Z, mean log f and, of labels [N], log f_y: [N], [N], [N] as [3,N], or log Z alone.

    With the slopes of log Z: closed, they come with the value, and taken through the series they would cost many times
    as much. One gradient of all three: apart, each would be as large as the rows, and added to the others.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(log_f: Tensor, labels: Tensor | None) -> tuple[Tensor, ...]:
        count = max(1, _IN_CACHE // log_f.shape[-1])
        if torch.compiler.is_compiling() or log_f.device.type != "cpu" or len(log_f) <= count:
            log_z, own, rest = _log_sum_and_slopes(log_f)
        else:
            own, of_rows = torch.empty_like(log_f), []
            for rows, slopes in zip(log_f.split(count), own.split(count), strict=True):
                log_z, of_own, rest = _log_sum_and_slopes(rows)
                slopes.copy_(of_own)
                of_rows.append((log_z, rest))
            log_z, rest = map(torch.cat, zip(*of_rows, strict=True))
        if labels is None:
            return log_z[None], own, rest
        return torch.stack([log_z, log_f.mean(-1), log_f.gather(1, labels[:, None])[:, 0]]), own, rest

    @staticmethod
    def setup_context(
        ctx: torch.autograd.function.FunctionCtx, inputs: tuple[Tensor, Tensor | None], output: tuple[Tensor, ...]
    ) -> None:
        ctx.mark_non_differentiable(*output[1:])
        ctx.set_materialize_grads(False)  # zeros for those, as large as the rows
        ctx.save_for_backward(*inputs, *output)  # type: ignore[arg-type]  # it takes None too

    @staticmethod
    def backward(
        ctx: torch.autograd.function.FunctionCtx, gradient: Tensor | None, *_: None
    ) -> tuple[Tensor | None, None]:
        if gradient is None:
            return None, None
        log_f, labels, sums, own, rest = ctx.saved_tensors  # type: ignore[attr-defined]
        log_z = sums[0]
        if torch.is_grad_enabled():  # the gradient is to be differentiated in its turn
            log_z, own, rest = _log_sum_and_slopes(log_f)
        scale = (gradient[0] * torch.exp(-log_z))[:, None]
        # One operand is written out: of two to broadcast, torch makes a loop of single numbers on a CPU.
        slopes = torch.addcmul((scale * rest).expand_as(own).contiguous(), own, scale)
        if labels is not None:
            slopes.add_((gradient[1] / log_f.shape[-1])[:, None])
            slopes.scatter_add_(1, labels[:, None], gradient[2][:, None])
        return slopes, None


class _LogSumBetween(torch.autograd.Function):
    """The same of rows log f and log g [N,C], each class with a mean g_j of its own."""

    generate_vmap_rule = True

    @staticmethod
    def forward(log_f: Tensor, log_g: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        means, own = logarithmic_means(log_f, log_g)
        return means.sum(-1).log(), means, own

    @staticmethod
    def setup_context(
        ctx: torch.autograd.function.FunctionCtx, inputs: tuple[Tensor, Tensor], output: tuple[Tensor, ...]
    ) -> None:
        ctx.mark_non_differentiable(*output[1:])
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*inputs, *output)

    @staticmethod
    def backward(
        ctx: torch.autograd.function.FunctionCtx, gradient: Tensor | None, *_: None
    ) -> tuple[Tensor | None, Tensor | None]:
        if gradient is None:
            return None, None
        log_f, log_g, log_z, means, own = ctx.saved_tensors  # type: ignore[attr-defined]
        if torch.is_grad_enabled():  # the gradient is to be differentiated in its turn
            means, own = logarithmic_means(log_f, log_g)
            log_z = means.sum(-1).log()
        scale = (gradient * torch.exp(-log_z))[..., None]
        return own * scale, (means - own) * scale


def log_sum_of_logarithmic_means(log_f: Tensor, toward: Tensor | None = None) -> Tensor:
    """log sum_j L(g_j, f_j), log g_j = sum_c pi_jc log f_c, L the logarithmic mean: [...,C], pi [C,C] -> [...].

    None: pi is uniform. Twice differentiable in reverse mode (the backward is made of differentiable operations).
    """
    if toward is not None:
        rows = (part.reshape(-1, part.shape[-1]) for part in (log_f, degraded(log_f, toward)))
        between: Tensor = _LogSumBetween.apply(*rows)[0]
        return between.view(log_f.shape[:-1])
    sums: Tensor = _RowSums.apply(log_f.reshape(-1, log_f.shape[-1]), None)[0]
    return sums[0].view(log_f.shape[:-1])


def log_sum_mean_and_label(log_f: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """That log sum, the mean of log f and log f at the label: [K,B,C], [B] -> three [K,B,1], with one gradient."""
    K, B, C = log_f.shape
    sums: Tensor = _RowSums.apply(log_f.reshape(-1, C), labels.long().expand(K, B).reshape(-1))[0]
    log_sum, mean, own = sums.view(3, K, B, 1).unbind()
    return log_sum, mean, own
