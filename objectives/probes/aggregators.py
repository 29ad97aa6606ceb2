"""Probes of an aggregator, on tables of log-probabilities."""

from collections.abc import Mapping

import torch
from torch import Tensor

from auglik.objectives.contracts import Aggregator, folds_label_by_label, reads_order
from auglik.objectives.errors import InputError
from auglik.objectives.likelihoods.categorical import Categorical
from auglik.objectives.objective import Objective
from auglik.objectives.probes.likelihoods import SCALES, drawn, not_finite
from auglik.objectives.probes.probing import (
    Probe,
    close,
    differences_agree,
    distance,
    expect,
    expect_count,
    expect_tensor,
    gradient_of,
)

B, C = 4, 12


def views_of(aggregator: Aggregator) -> int:
    """K: three, or what it needs."""
    return max(3, aggregator.minimum_views)


def table_of(aggregator: Aggregator, dtype: torch.dtype = torch.float64) -> Tensor:
    """Log-probabilities [K,B,C]."""
    return (2 * drawn(views_of(aggregator), B, C, dtype=dtype)).log_softmax(-1)


def refused(aggregator: Aggregator, weight: Tensor | None, log_importance: Tensor | None) -> bool:
    """Whether it takes no such weights of views, as it may say by InputError."""
    try:
        aggregator.fold(table_of(aggregator), weight, log_importance)
    except InputError:
        return True
    return False


def refuses_weights(aggregator: Aggregator, *, equal: bool) -> bool:
    """Whether it takes no weights that are equal in all views of an image, or none that differ."""
    table = table_of(aggregator)
    weight = torch.ones(table.shape[:2]).to(table)
    return refused(aggregator, weight if equal else weight.cumsum(0), None)


def refuses_importance(aggregator: Aggregator) -> bool:
    """Whether it takes no views from a proposal."""
    table = table_of(aggregator)
    return refused(aggregator, None, torch.zeros(table.shape[:2]).to(table))


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
    expect_tensor(aggregator.fold(table), (B, C), f"fold [B,C] of a table {list(table.shape)}")
    expect_tensor(aggregator.predictive(table), (B, C), f"predictive [B,C] of log-probabilities {list(table.shape)}")
    for given in ((torch.ones(table.shape[:2]), None), (None, torch.zeros(table.shape[:2]))):
        if not refused(aggregator, *given):
            expect_tensor(aggregator.fold(table, *given), (B, C), "fold [B,C] with weights of views")
    return f"{[B, C]} of {list(table.shape)}"


def uniform(aggregator: Aggregator) -> str:
    for classes in (2, 5, C):  # log C may be rounded off or not
        table = torch.zeros(views_of(aggregator), B, classes).log_softmax(-1)
        where, folded = f"uniform predictions of {classes} classes", aggregator.fold(table)
        expect(bool(folded.isfinite().all()), f"finite values at {where}", not_finite(folded))
        gradient = gradient_of(aggregator.fold, table, drawn(B, classes))
        expect(bool(gradient.isfinite().all()), f"finite gradients at {where}", not_finite(gradient))
    return f"value {float(folded.mean()):.4g}, gradients finite"


def depends(aggregator: Aggregator) -> str:
    gradient = gradient_of(aggregator.fold, table_of(aggregator, torch.float32), drawn(B, C)).abs()
    seen = int((gradient.amax((1, 2)) > 0).sum())
    expect(seen > 0, "a value that depends on the table", "a gradient of zero")
    return f"{seen} of {len(gradient)} views have a gradient"


def direction(aggregator: Aggregator) -> str:
    """A label that every view finds likelier, by a twentieth of a nat, gets a higher value, on average over images."""
    table, nats = table_of(aggregator), 0.05
    likelier = table.clone()
    likelier[..., 0] += nats
    rise = float((aggregator.fold(likelier) - aggregator.fold(table))[:, 0].mean()) / nats
    what = "a label that every view finds likelier to have a higher value"
    expect(rise > 0, what, f"{rise:.4g} more for a nat: is its sign wrong?")
    return f"{rise:.4g} more for a nat in every view"


def permuted_views(aggregator: Aggregator) -> str:
    if reads_order(aggregator):
        return "reads the order of the views, as it says"
    table = table_of(aggregator)
    order, unequal = torch.arange(len(table)).roll(1), drawn(*table.shape[:2])
    for name, made in (("fold", aggregator.fold), ("predictive", aggregator.predictive)):
        said = close(made(table[order]), made(table), f"{name} to be the same for views in another order")
    for weight, log_importance in ((unequal.exp(), None), (None, unequal)):
        if refused(aggregator, weight, log_importance):
            said += "; log importance is refused" if weight is None else "; unequal weights are refused"
            continue
        moved = [given if given is None else given[order] for given in (weight, log_importance)]
        expected = aggregator.fold(table, weight, log_importance)
        close(
            aggregator.fold(table[order], *moved), expected, "fold to be the same for weighted views in another order"
        )
    return said


def permuted_images(aggregator: Aggregator) -> str:
    table, some = table_of(aggregator), torch.tensor([3, 1])
    for name, made in (("fold", aggregator.fold), ("predictive", aggregator.predictive)):
        said = close(made(table[:, some]), made(table)[some], f"{name} of an image to be the same in another batch")
    return said


def permuted_classes(aggregator: Aggregator) -> str:
    table, order = table_of(aggregator), drawn(C).argsort()
    for name, made in (("fold", aggregator.fold), ("predictive", aggregator.predictive)):
        what = f"{name} to be the same for classes in another order"
        said = close(made(table[..., order]), made(table)[:, order], what)
    return said


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
    said = close(aggregator.fold(single), folded, "fold in float32 to be that in float64")
    slopes = [gradient_of(aggregator.fold, table, drawn(len(SCALES), C)) for table in (single, single.double())]
    close(slopes[0], slopes[1], "gradients in float32 to be those in float64")
    return said


def extremes(aggregator: Aggregator) -> str:
    table = (1e4 * drawn(views_of(aggregator), B, C, dtype=torch.float32).clamp(-1, 1)).log_softmax(-1)
    for name, made in (("fold", aggregator.fold), ("predictive", aggregator.predictive)):
        folded = made(table)
        expect(bool(folded.isfinite().all()), f"finite {name} at log-probabilities of -1e4", not_finite(folded))
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
        close(folded, alike[0], "fold to be the same for more equal views")
    said = close(
        aggregator.predictive(view.expand(fewest + 1, B, C)).log_softmax(-1),
        view[0],
        "equal views to predict as one does",
    )
    return f"fold of {fewest} to {fewest + 4} of them agree; predictions {said}"


def weights(aggregator: Aggregator) -> str:
    table = table_of(aggregator)
    plain, ones, said = aggregator.fold(table), torch.ones(table.shape[:2], dtype=table.dtype), []
    if refused(aggregator, ones, None):
        said.append("weights are refused")
    else:
        close(aggregator.fold(table, ones), plain, "weights of one to be as none")
        twice = "weights of two to be twice the value, or InputError for weights"
        said.append(close(aggregator.fold(table, 2 * ones), 2 * plain, twice))
    if refused(aggregator, None, 0 * ones):
        said.append("log importance is refused")
    else:
        said.append(close(aggregator.fold(table, None, 0 * ones), plain, "log importance of zero to be as none"))
        moved = aggregator.fold(table, None, drawn(*ones.shape))
        expect(distance(moved, plain) > 1e-6, "fold to depend on log importance", "the same value")
    return "; ".join(said)


def soft_labels(aggregator: Aggregator) -> str:
    objective, labels = Objective(Categorical(), aggregator), torch.arange(B) % C
    table = table_of(aggregator)
    one_hot = torch.nn.functional.one_hot(labels, C).double()
    decay = torch.zeros(table.shape[:2], dtype=table.dtype)
    return close(
        objective.log_likelihood(table, decay, one_hot),
        objective.log_likelihood(table, decay, labels),
        "one-hot soft labels to be as labels",
    )


def half_precision(aggregator: Aggregator) -> str:
    for dtype in (torch.bfloat16, torch.float16):
        half = table_of(aggregator, torch.float32).to(dtype)
        folded = aggregator.fold(half)
        expect(folded.dtype == torch.float32, f"float32 values of a {dtype} table", folded.dtype)
        said = close(folded, aggregator.fold(half.float()), "half-precision tables to be folded in float32")
    return said


def repeated(aggregator: Aggregator) -> str:
    table = table_of(aggregator, torch.float32)
    weight = drawn(*table.shape[:2], dtype=torch.float32).exp()
    given = [None if refused(aggregator, weight, None) else weight]
    before = table.clone(), weight.clone()
    for name, made in (
        ("fold", lambda: aggregator.fold(table, *given)),
        ("predictive", lambda: aggregator.predictive(table)),
    ):
        first, again = made().clone(), made()
        untouched = torch.equal(before[0], table) and torch.equal(before[1], weight)
        expect(untouched, f"{name} to leave its input as it was", "another input afterwards")
        expect(torch.equal(first, again), f"the same {name} at a second call", "another (random numbers, or state?)")
    return "the same bits twice, input untouched"


AGGREGATOR_PROBES: Mapping[str, Probe[Aggregator]] = {
    "facts": facts,
    "shapes": shapes,
    "uniform logits": uniform,
    "dependence": depends,
    "direction": direction,
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
    """The probes that training requires. Raises InputError for the first that fails."""
    for probe in (facts, shapes, uniform, depends, direction, label_by_label, weights):
        probe(aggregator)
