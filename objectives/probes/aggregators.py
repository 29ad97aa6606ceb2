"""Probes of an aggregator, on tables of log-probabilities."""

from collections.abc import Mapping

import torch
from torch import Tensor

from auglik.objectives.contracts import Aggregator, folds_label_by_label
from auglik.objectives.errors import InputError
from auglik.objectives.likelihoods.categorical import Categorical
from auglik.objectives.objective import Objective
from auglik.objectives.probes.likelihoods import SCALES, drawn, not_finite
from auglik.objectives.probes.probing import Probe, close, differences_agree, expect, expect_count, gradient_of

B, C = 4, 5


def views_of(aggregator: Aggregator) -> int:
    """K: three, or what it needs."""
    return max(3, aggregator.minimum_views)


def table_of(aggregator: Aggregator, dtype: torch.dtype = torch.float64) -> Tensor:
    """Log-probabilities [K,B,C]."""
    return (2 * drawn(views_of(aggregator), B, C, dtype=dtype)).log_softmax(-1)


def facts(aggregator: Aggregator) -> str:
    for name in ("formula", "source"):
        expect(isinstance(getattr(aggregator, name), str), f"{name} as text", repr(getattr(aggregator, name)))
    expect_count(aggregator.minimum_views, 1, "minimum_views")
    expect(isinstance(aggregator.trains, bool), "trains True or False", repr(aggregator.trains))
    power = aggregator.likelihood_power
    expect(isinstance(power, int | float), "likelihood_power as a number", repr(power))
    expect(isinstance(aggregator.remarks, tuple), "remarks as a tuple", repr(aggregator.remarks))
    return f"{aggregator.formula} ({aggregator.source})"


def shapes(aggregator: Aggregator) -> str:
    table = table_of(aggregator, torch.float32)
    for name, value in (("fold", aggregator.fold(table)), ("predictive", aggregator.predictive(table))):
        expect(value.shape == (B, C), f"{name} [B,C] = {[B, C]} of a table {list(table.shape)}", list(value.shape))
        expect(value.is_floating_point(), f"floating values of {name}", value.dtype)
    weighted = aggregator.fold(table, torch.ones(table.shape[:2]), torch.zeros(table.shape[:2]))
    expect(weighted.shape == (B, C), f"fold [B,C] = {[B, C]} with weights", list(weighted.shape))
    return f"{[B, C]} of {list(table.shape)}"


def uniform(aggregator: Aggregator) -> str:
    table = torch.zeros(views_of(aggregator), B, C).log_softmax(-1)
    folded = aggregator.fold(table)
    expect(bool(folded.isfinite().all()), "finite values at uniform predictions", not_finite(folded))
    gradient = gradient_of(aggregator.fold, table, drawn(B, C))
    expect(bool(gradient.isfinite().all()), "finite gradients at uniform predictions", not_finite(gradient))
    return f"value {float(folded.mean()):.4g}, gradients finite"


def depends(aggregator: Aggregator) -> str:
    gradient = gradient_of(aggregator.fold, table_of(aggregator, torch.float32), drawn(B, C)).abs()
    seen = int((gradient.amax((1, 2)) > 0).sum())
    expect(seen > 0, "a value that depends on the table", "a gradient of zero")
    return f"{seen} of {len(gradient)} views have a gradient"


def permuted_views(aggregator: Aggregator) -> str:
    table = table_of(aggregator)
    order = torch.arange(len(table)).roll(1)
    said = close(aggregator.fold(table[order]), aggregator.fold(table), "views in another order")
    weight = drawn(*table.shape[:2]).exp()
    try:
        expected = aggregator.fold(table, weight)
    except InputError:
        return f"{said}; unequal weights are refused"
    close(aggregator.fold(table[order], weight[order]), expected, "views and their weights in another order")
    close(aggregator.predictive(table[order]), aggregator.predictive(table), "predictions of views in another order")
    return said


def permuted_images(aggregator: Aggregator) -> str:
    table, some = table_of(aggregator), torch.tensor([3, 1])
    return close(aggregator.fold(table[:, some]), aggregator.fold(table)[some], "images in other company")


def permuted_classes(aggregator: Aggregator) -> str:
    table, order = table_of(aggregator), torch.tensor([3, 0, 4, 1, 2])
    return close(aggregator.fold(table[..., order]), aggregator.fold(table)[:, order], "classes renumbered")


def label_by_label(aggregator: Aggregator) -> str:
    if not folds_label_by_label(aggregator):
        return "not said of it: whole tables are folded"
    table = table_of(aggregator)
    alone = torch.cat([aggregator.fold(column) for column in table.split(1, dim=-1)], dim=-1)
    return close(alone, aggregator.fold(table), "the value of a label alone, as label_by_label says")


def gradients(aggregator: Aggregator) -> str:
    return differences_agree(aggregator.fold, table_of(aggregator), drawn(B, C), "the fold")


def precision(aggregator: Aggregator) -> str:
    logits = torch.tensor(SCALES)[:, None] * drawn(views_of(aggregator), len(SCALES), C, dtype=torch.float32)
    single = logits.log_softmax(-1)
    folded = aggregator.fold(single.double())
    expect(folded.dtype == torch.float64, "float64 of a float64 table", folded.dtype)
    said = close(aggregator.fold(single), folded, "float32 and float64 alike")
    slopes = [gradient_of(aggregator.fold, table, drawn(len(SCALES), C)) for table in (single, single.double())]
    close(slopes[0], slopes[1], "gradients of float32 and float64 alike")
    return said


def extremes(aggregator: Aggregator) -> str:
    table = (1e4 * drawn(views_of(aggregator), B, C, dtype=torch.float32).clamp(-1, 1)).log_softmax(-1)
    folded = aggregator.fold(table)
    expect(bool(folded.isfinite().all()), "finite values at log-probabilities of -1e4", not_finite(folded))
    gradient = gradient_of(aggregator.fold, table, drawn(B, C))
    expect(bool(gradient.isfinite().all()), "finite gradients at log-probabilities of -1e4", not_finite(gradient))
    return f"from {float(folded.min()):.3g} to {float(folded.max()):.3g}"


def one_view(aggregator: Aggregator) -> str:
    table = table_of(aggregator)[:1]
    if aggregator.minimum_views == 1:
        folded = aggregator.fold(table)
        expect(bool(folded.isfinite().all()), "finite values of one view", not_finite(folded))
        return f"value {float(folded.mean()):.4g}"
    try:
        Objective(Categorical(), aggregator).fold(table, torch.zeros(1, B))
    except InputError:
        return f"refused, as minimum_views = {aggregator.minimum_views} says"
    raise InputError("expected one view to be refused, got a value")


def equal_views(aggregator: Aggregator) -> str:
    view, fewest = table_of(aggregator)[:1], aggregator.minimum_views
    alike = [aggregator.fold(view.expand(count, B, C)) for count in (fewest, fewest + 1, fewest + 4)]
    for folded in alike[1:]:
        close(folded, alike[0], "the same value for more equal views")
    power = float((alike[0] / view[0]).mean())
    return "the view's own table" if abs(power - 1) < 1e-9 else f"{power:.4g} of the view's own table"


def weights(aggregator: Aggregator) -> str:
    table = table_of(aggregator)
    plain, ones = aggregator.fold(table), torch.ones(table.shape[:2], dtype=table.dtype)
    close(aggregator.fold(table, ones), plain, "weights of one as none")
    close(aggregator.fold(table, 2 * ones), 2 * plain, "weights of two as twice the value")
    return close(aggregator.fold(table, None, 0 * ones), plain, "log importance of zero as none")


def soft_labels(aggregator: Aggregator) -> str:
    objective, labels = Objective(Categorical(), aggregator), torch.arange(B) % C
    table = table_of(aggregator)
    one_hot = torch.nn.functional.one_hot(labels, C).double()
    decay = torch.zeros(table.shape[:2], dtype=table.dtype)
    return close(
        objective.log_likelihood(table, decay, one_hot),
        objective.log_likelihood(table, decay, labels),
        "one-hot soft labels as labels",
    )


def half_precision(aggregator: Aggregator) -> str:
    for dtype in (torch.bfloat16, torch.float16):
        half = table_of(aggregator, torch.float32).to(dtype)
        folded = aggregator.fold(half)
        expect(folded.dtype == torch.float32, f"float32 values of a {dtype} table", folded.dtype)
        said = close(folded, aggregator.fold(half.float()), "half-precision tables worked on in float32")
    return said


def repeated(aggregator: Aggregator) -> str:
    table = table_of(aggregator, torch.float32)
    given = table.clone()
    first, again = aggregator.fold(table), aggregator.fold(table)
    expect(torch.equal(first, again), "the same value at a second call", "another (random numbers, or state?)")
    expect(torch.equal(given, table), "its input as it was", "it changed")
    return "the same bits twice, input untouched"


AGGREGATOR_PROBES: Mapping[str, Probe[Aggregator]] = {
    "facts": facts,
    "shapes": shapes,
    "uniform logits": uniform,
    "dependence": depends,
    "permuted views": permuted_views,
    "permuted images": permuted_images,
    "permuted classes": permuted_classes,
    "label by label": label_by_label,
    "gradients": gradients,
    "float32": precision,
    "extremes": extremes,
    "one view": one_view,
    "equal views": equal_views,
    "weights": weights,
    "soft labels": soft_labels,
    "half precision": half_precision,
    "repetition": repeated,
}


def check_aggregator(aggregator: Aggregator) -> None:
    """The probes without which nothing can be trained. Raises InputError for the first that fails."""
    for probe in (facts, shapes, uniform, depends, label_by_label):
        probe(aggregator)
