"""Probes of a likelihood."""

import itertools
from collections.abc import Mapping

import torch
from torch import Tensor

from auglik.objectives.aggregators.jensen import Jensen
from auglik.objectives.contracts import Likelihood, column_of, has_own_column
from auglik.objectives.errors import InputError
from auglik.objectives.numerics import at_label
from auglik.objectives.objective import Objective
from auglik.objectives.probes.direction import C, direction, outputs, sign
from auglik.objectives.probes.probing import (
    Probe,
    close,
    differences_agree,
    distance,
    expect,
    expect_count,
    expect_tensor,
    findings,
    gradient_of,
)
from auglik.objectives.toward import degrades, degrading

K, B = 3, 4
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
    for k, b, c in ((K, B, C), (2, 1, 2)):
        logits, decay = drawn(k, b, c + likelihood.extra_outputs, dtype=torch.float32), torch.zeros(k, b)
        expect_tensor(likelihood.table(logits, decay), (k, b, c), "a table [K,B,C]")
        expect_tensor(likelihood.label_decay(decay), (k, b), "label_decay [K,B]")
        expect_tensor(likelihood.log_probabilities(logits), (k, b, c), "log_probabilities [...,C] of logits [K,B,C]")
        expect_tensor(likelihood.log_probabilities(logits[0]), (b, c), "log_probabilities [...,C] of logits [B,C]")
    return f"table {[K, B, C]} of logits {[K, B, C + likelihood.extra_outputs]}"


def uniform(likelihood: Likelihood) -> str:
    for classes, decay in itertools.product((2, 5, C), (0.0, 0.5, 1.0)):  # log C may be rounded off or not
        logits, at = torch.zeros(K, B, classes + likelihood.extra_outputs), torch.full((K, B), decay)
        where, table = f"uniform logits of {classes} classes, decay {decay:g}", likelihood.table(logits, at)
        expect(bool(table.isfinite().all()), f"a finite table at {where}", not_finite(table))
        gradient = gradient_of(lambda x, at=at: likelihood.table(x, at), logits, drawn(K, B, classes))  # type: ignore[misc]
        expect(bool(gradient.isfinite().all()), f"a finite gradient at {where}", not_finite(gradient))
    return f"value {float(table.mean()):.4g} at decay 1, gradients finite"


def depends(likelihood: Likelihood) -> str:
    logits, _ = views(likelihood, torch.float32)
    gradient = gradient_of(lambda x: likelihood.table(x, torch.zeros(K, B)), logits, drawn(K, B, C)).abs()
    largest = float(gradient.max())
    expect(largest > 0, "a table of clean views that depends on their logits", "a gradient of zero")
    return f"largest gradient of a clean view {largest:.3g}"


def column(likelihood: Likelihood) -> str:
    if not has_own_column(likelihood):
        return "none: the table is read"
    logits, decay = views(likelihood)
    labels, cotangent = torch.arange(B) % C, drawn(K, B, 1)
    found, expected = (
        lambda x: column_of(likelihood, x, decay, labels),
        lambda x: at_label(likelihood.table(x, decay), labels),
    )
    slopes = [gradient_of(one, logits, cotangent) for one in (found, expected)]
    close(slopes[0], slopes[1], "the gradient of a label's column to be the table's")
    return close(found(logits), expected(logits), "the column of a label to be the table's")


def toward(likelihood: Likelihood) -> str:
    if not degrades(likelihood):
        return "no field toward, so labels degrade toward no distributions"
    logits, decay = views(likelihood)
    uniform_rows = torch.full((C, C), 1 / C, dtype=torch.float64)
    even, uneven = (degrading(likelihood, pi) for pi in (uniform_rows, drawn(C, C).softmax(1)))
    apart = distance(uneven.table(logits, decay), even.table(logits, decay))
    expect(apart > 1e-6, "a table that depends on its field toward", "the same for any (does its code ignore it?)")
    column(uneven)
    what = "the table where labels degrade toward uniform distributions to be that without any"
    return close(even.table(logits, decay), likelihood.table(logits, decay), what)


def predictions(likelihood: Likelihood) -> str:
    logits, _ = views(likelihood)
    predicted = likelihood.log_probabilities(logits)
    close(likelihood.log_probabilities(logits[0]), predicted[0], "an image's prediction to be that of its view")
    said = close(predicted.logsumexp(-1), torch.zeros(K, B).double(), "the log of the predicted mass to be 0")
    gradient = gradient_of(likelihood.log_probabilities, logits, drawn(K, B, C))
    expect(float(gradient.abs().max()) > 0, "predictions that depend on the logits", "a gradient of zero")
    return said


def permuted_views(likelihood: Likelihood) -> str:
    logits, decay = views(likelihood)
    table, order = likelihood.table(logits, decay), torch.tensor([2, 0, 1])
    return close(
        likelihood.table(logits[order], decay[order]), table[order], "a view's table to be the same at any place"
    )


def permuted_images(likelihood: Likelihood) -> str:
    logits, decay = views(likelihood)
    some = torch.tensor([3, 1])
    for name, made in outputs(likelihood).items():
        what = f"{name} of an image to be the same in another batch"
        said = close(made(logits[:, some], decay[:, some]), made(logits, decay)[:, some], what)
    return said


def permuted_classes(likelihood: Likelihood) -> str:
    logits, decay = views(likelihood)
    order = drawn(C).argsort()
    whole = torch.cat([order, torch.arange(C, logits.shape[-1])])
    for name, made in outputs(likelihood).items():
        what = f"{name} to be the same for classes in another order"
        said = close(made(logits[..., whole], decay), made(logits, decay)[..., order], what)
    return said


def gradients(likelihood: Likelihood) -> str:
    logits, decay = views(likelihood)
    return differences_agree(lambda x: likelihood.table(x, decay), logits, drawn(K, B, C), "the table")


def precision(likelihood: Likelihood) -> str:
    logits = torch.tensor(SCALES)[:, None] * drawn(K, len(SCALES), C + likelihood.extra_outputs, dtype=torch.float32)
    decay, cotangent = drawn(K, len(SCALES), dtype=torch.float32).sigmoid(), drawn(K, len(SCALES), C)
    single, double = likelihood.table(logits, decay), likelihood.table(logits.double(), decay.double())
    expect(double.dtype == torch.float64, "float64 of float64 logits", double.dtype)
    said = close(single, double, "the table in float32 to be that in float64")
    slopes = [
        gradient_of(lambda x, at=at: likelihood.table(x, at), x, cotangent)  # type: ignore[misc]
        for x, at in ((logits, decay), (logits.double(), decay.double()))
    ]
    close(slopes[0], slopes[1], "gradients in float32 to be those in float64")
    return said


def extremes(likelihood: Likelihood) -> str:
    logits = 1e4 * drawn(K, B, C + likelihood.extra_outputs, dtype=torch.float32).clamp(-1, 1)
    for decay in (torch.zeros(K, B), torch.ones(K, B), torch.arange(K)[:, None] % 2 * torch.ones(K, B)):
        for name, made in outputs(likelihood).items():
            values = made(logits, decay)
            below = bool((values < torch.inf).all())  # as NaN is not
            expect(below, f"{name} below inf and not NaN at logits of 1e4, decay 0 and 1", not_finite(values))
        gradient = gradient_of(lambda x, at=decay: likelihood.table(x, at), logits, drawn(K, B, C))  # type: ignore[misc]
        expect(bool(gradient.isfinite().all()), "finite gradients at logits of 1e4", not_finite(gradient))
    table = likelihood.table(logits, decay)
    return f"table from {float(table.min()):.3g} to {float(table.max()):.3g}"


def one_view(likelihood: Likelihood) -> str:
    logits, decay = views(likelihood)
    each = torch.cat([likelihood.table(logits[[k]], decay[[k]]) for k in range(K)])
    return close(each, likelihood.table(logits, decay), "a view's table to be the same without the other views")


def equal_views(likelihood: Likelihood) -> str:
    logits, decay = views(likelihood)
    table = likelihood.table(logits[:1].repeat(K, 1, 1), decay[:1].repeat(K, 1))
    return close(table, likelihood.table(logits[:1], decay[:1]).repeat(K, 1, 1), "equal views to have equal tables")


def soft_labels(likelihood: Likelihood) -> str:
    logits, decay = views(likelihood)
    objective, labels = Objective(likelihood, Jensen()), torch.arange(B) % C
    one_hot = torch.nn.functional.one_hot(labels, C).double()
    if likelihood.soft_labels:
        return close(
            objective.log_likelihood(logits, decay, one_hot),
            objective.log_likelihood(logits, decay, labels),
            "one-hot soft labels to be as labels",
        )
    try:
        objective.log_likelihood(logits, decay, one_hot)
    except InputError:
        return "refused, as soft_labels says"
    raise InputError("expected soft labels to be refused, got a value")


def half_precision(likelihood: Likelihood) -> str:
    logits, decay = views(likelihood, torch.float32)
    for dtype in (torch.bfloat16, torch.float16):
        for name, made in outputs(likelihood).items():
            values, half = made(logits.to(dtype).float(), decay), made(logits.to(dtype), decay)
            expect(half.dtype == torch.float32, f"float32 {name} of {dtype} logits", half.dtype)
            said = close(half, values, f"{name} of half-precision logits to be computed in float32")
    return said


def repeated(likelihood: Likelihood) -> str:
    logits, decay = views(likelihood, torch.float32)
    given = logits.clone(), decay.clone()
    for name, made in (*outputs(likelihood).items(), ("label_decay", lambda _, at: likelihood.label_decay(at))):
        first, again = made(logits, decay).clone(), made(logits, decay)
        untouched = torch.equal(given[0], logits) and torch.equal(given[1], decay)
        expect(untouched, f"{name} to leave its input as it was", "another input afterwards")
        expect(torch.equal(first, again), f"the same {name} at a second call", "another (random numbers, or state?)")
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
    "direction": direction,
    "column": column,
    "toward": toward,
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
    for probe in (facts, shapes, uniform, depends, sign, column, predictions, one_view):
        probe(likelihood)


def check_degrading(likelihood: Likelihood, where: str) -> None:
    """The probe that labels which degrade toward distributions require. Raises InputError if it fails."""
    (found,) = findings(likelihood, {"toward": toward})
    if not found.passed:
        raise InputError(f"{where}: {found.seen}")
