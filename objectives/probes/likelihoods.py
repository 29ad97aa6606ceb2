"""Probes of a likelihood."""

from collections.abc import Mapping

import torch
from torch import Tensor

from auglik.objectives.aggregators.jensen import Jensen
from auglik.objectives.contracts import Likelihood
from auglik.objectives.errors import InputError
from auglik.objectives.objective import Objective
from auglik.objectives.probes.probing import Probe, close, differences_agree, expect, expect_count, gradient_of

K, B, C = 3, 4, 5
SCALES = (0.0, 1e-6, 1e-3, 1.0, 20.0)
"""Of logits, from uniform predictions on: an image each."""


def drawn(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """Numbers of N(0,1), the same at each call, that float32 holds."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(7)).to(dtype)


def views(likelihood: Likelihood, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """Logits [K,B,C'] and decay [K,B] in (0,1)."""
    return 2 * drawn(K, B, C + likelihood.extra_outputs, dtype=dtype), drawn(K, B, dtype=dtype).sigmoid()


def facts(likelihood: Likelihood) -> str:
    for name in ("formula", "source"):
        expect(isinstance(getattr(likelihood, name), str), f"{name} as text", repr(getattr(likelihood, name)))
    expect(isinstance(likelihood.soft_labels, bool), "soft_labels True or False", repr(likelihood.soft_labels))
    expect_count(likelihood.extra_outputs, 0, "extra_outputs")
    expect(isinstance(likelihood.remarks, tuple), "remarks as a tuple", repr(likelihood.remarks))
    return f"{likelihood.formula} ({likelihood.source})"


def shapes(likelihood: Likelihood) -> str:
    for k, b, c in ((K, B, C), (1, 1, 2)):
        logits, decay = drawn(k, b, c + likelihood.extra_outputs, dtype=torch.float32), torch.zeros(k, b)
        table = likelihood.table(logits, decay)
        what = "floating" if table.is_floating_point() else str(table.dtype)
        expect(table.shape == (k, b, c), f"a table [K,B,C] = {[k, b, c]}", f"{what} {list(table.shape)}")
        expect(table.is_floating_point(), "a floating table", table.dtype)
        lost = likelihood.label_decay(decay)
        expect(lost.shape == decay.shape, f"label_decay [K,B] = {[k, b]}", list(lost.shape))
        predicted = likelihood.log_probabilities(logits)
        expect(predicted.shape == (k, b, c), f"log_probabilities [...,C] = {[k, b, c]}", list(predicted.shape))
        flat = likelihood.log_probabilities(logits[0])
        expect(flat.shape == (b, c), f"log_probabilities [...,C] = {[b, c]} of logits [B,C]", list(flat.shape))
    return f"table {[K, B, C]} of logits {[K, B, C + likelihood.extra_outputs]}"


def uniform(likelihood: Likelihood) -> str:
    logits, cotangent = torch.zeros(K, B, C + likelihood.extra_outputs), drawn(K, B, C)
    for decay in (0.0, 0.5, 1.0):
        at = torch.full((K, B), decay)
        table = likelihood.table(logits, at)
        expect(bool(table.isfinite().all()), f"a finite table at uniform logits and decay {decay:g}", not_finite(table))
        gradient = gradient_of(lambda x, at=at: likelihood.table(x, at), logits, cotangent)  # type: ignore[misc]
        what = f"a finite gradient at uniform logits and decay {decay:g}"
        expect(bool(gradient.isfinite().all()), what, not_finite(gradient))
    return f"value {float(table.mean()):.4g} at decay 1, gradients finite"


def depends(likelihood: Likelihood) -> str:
    logits, _ = views(likelihood, torch.float32)
    gradient = gradient_of(lambda x: likelihood.table(x, torch.zeros(K, B)), logits, drawn(K, B, C)).abs()
    largest = float(gradient.max())
    expect(largest > 0, "a table of clean views that depends on their logits", "a gradient of zero")
    return f"largest gradient of a clean view {largest:.3g}"


def predictions(likelihood: Likelihood) -> str:
    logits, _ = views(likelihood)
    return close(
        likelihood.log_probabilities(logits).logsumexp(-1), torch.zeros(K, B).double(), "log of the total mass 0"
    )


def permuted_views(likelihood: Likelihood) -> str:
    logits, decay = views(likelihood)
    table, order = likelihood.table(logits, decay), torch.tensor([2, 0, 1])
    return close(likelihood.table(logits[order], decay[order]), table[order], "tables of views in another order")


def permuted_images(likelihood: Likelihood) -> str:
    logits, decay = views(likelihood)
    table, some = likelihood.table(logits, decay), torch.tensor([3, 1])
    return close(likelihood.table(logits[:, some], decay[:, some]), table[:, some], "tables of images in another batch")


def permuted_classes(likelihood: Likelihood) -> str:
    logits, decay = views(likelihood)
    order = torch.tensor([3, 0, 4, 1, 2])
    whole = torch.cat([order, torch.arange(C, logits.shape[-1])])
    return close(
        likelihood.table(logits[..., whole], decay), likelihood.table(logits, decay)[..., order], "classes renumbered"
    )


def gradients(likelihood: Likelihood) -> str:
    logits, decay = views(likelihood)
    return differences_agree(lambda x: likelihood.table(x, decay), logits, drawn(K, B, C), "the table")


def precision(likelihood: Likelihood) -> str:
    logits = torch.tensor(SCALES)[:, None] * drawn(K, len(SCALES), C + likelihood.extra_outputs, dtype=torch.float32)
    decay, cotangent = drawn(K, len(SCALES), dtype=torch.float32).sigmoid(), drawn(K, len(SCALES), C)
    single, double = likelihood.table(logits, decay), likelihood.table(logits.double(), decay.double())
    expect(double.dtype == torch.float64, "float64 of float64 logits", double.dtype)
    said = close(single, double, "tables of float32 and float64 alike")
    slopes = [
        gradient_of(lambda x, at=at: likelihood.table(x, at), x, cotangent)  # type: ignore[misc]
        for x, at in ((logits, decay), (logits.double(), decay.double()))
    ]
    close(slopes[0], slopes[1], "gradients of float32 and float64 alike")
    return said


def extremes(likelihood: Likelihood) -> str:
    logits = 1e4 * drawn(K, B, C + likelihood.extra_outputs, dtype=torch.float32).clamp(-1, 1)
    for decay in (torch.zeros(K, B), torch.ones(K, B), torch.arange(K)[:, None] % 2 * torch.ones(K, B)):
        table = likelihood.table(logits, decay)
        expect(not bool(table.isnan().any()), "no NaN at logits of 1e4, decay 0 and 1", not_finite(table))
        expect(bool((table < torch.inf).all()), "a table below inf at logits of 1e4", not_finite(table))
        gradient = gradient_of(lambda x, at=decay: likelihood.table(x, at), logits, drawn(K, B, C))  # type: ignore[misc]
        expect(bool(gradient.isfinite().all()), "finite gradients at logits of 1e4", not_finite(gradient))
    return f"table from {float(table.min()):.3g} to {float(table.max()):.3g}"


def one_view(likelihood: Likelihood) -> str:
    logits, decay = views(likelihood)
    objective, labels = Objective(likelihood, Jensen()), torch.arange(B) % C
    each = torch.stack([objective.log_likelihood(logits[[k]], decay[[k]], labels) for k in range(K)])
    return close(objective.log_likelihood(logits, decay, labels), each.mean(0), "K = 3 as the mean of K = 1")


def equal_views(likelihood: Likelihood) -> str:
    logits, decay = views(likelihood)
    table = likelihood.table(logits[:1].expand(K, B, -1), decay[:1].expand(K, B))
    return close(table, likelihood.table(logits[:1], decay[:1]).expand(K, B, C), "equal tables of equal views")


def soft_labels(likelihood: Likelihood) -> str:
    logits, decay = views(likelihood)
    objective, labels = Objective(likelihood, Jensen()), torch.arange(B) % C
    one_hot = torch.nn.functional.one_hot(labels, C).double()
    if likelihood.soft_labels:
        return close(
            objective.log_likelihood(logits, decay, one_hot),
            objective.log_likelihood(logits, decay, labels),
            "one-hot soft labels as labels",
        )
    try:
        objective.log_likelihood(logits, decay, one_hot)
    except InputError:
        return "refused, as soft_labels says"
    raise InputError("expected soft labels to be refused, got a value")


def half_precision(likelihood: Likelihood) -> str:
    logits, decay = views(likelihood, torch.float32)
    for dtype in (torch.bfloat16, torch.float16):
        half = logits.to(dtype)
        table = likelihood.table(half, decay)
        expect(table.dtype == torch.float32, f"a float32 table of {dtype} logits", table.dtype)
        said = close(table, likelihood.table(half.float(), decay), "half-precision logits worked on in float32")
    return said


def repeated(likelihood: Likelihood) -> str:
    logits, decay = views(likelihood, torch.float32)
    given = logits.clone(), decay.clone()
    first, again = likelihood.table(logits, decay), likelihood.table(logits, decay)
    expect(torch.equal(first, again), "the same table at a second call", "another (random numbers, or state?)")
    expect(torch.equal(given[0], logits) and torch.equal(given[1], decay), "its input as it was", "it changed")
    lost = likelihood.label_decay(decay)
    expect(bool(((lost >= 0) & (lost <= 1)).all()), "label_decay in [0,1]", f"{lost.min():g} to {lost.max():g}")
    return "the same bits twice, input untouched"


def not_finite(values: Tensor) -> str:
    return f"{int((~values.isfinite()).sum())} of {values.numel()} values NaN or infinite"


LIKELIHOOD_PROBES: Mapping[str, Probe[Likelihood]] = {
    "facts": facts,
    "shapes": shapes,
    "uniform logits": uniform,
    "dependence": depends,
    "predictions": predictions,
    "permuted views": permuted_views,
    "permuted images": permuted_images,
    "permuted classes": permuted_classes,
    "gradients": gradients,
    "float32": precision,
    "extremes": extremes,
    "one view": one_view,
    "equal views": equal_views,
    "soft labels": soft_labels,
    "half precision": half_precision,
    "repetition": repeated,
}


def check_likelihood(likelihood: Likelihood) -> None:
    """The probes that training requires. Raises InputError for the first that fails."""
    for probe in (facts, shapes, uniform, depends, predictions):
        probe(likelihood)
