"""Probes of likelihoods and aggregators: what is built in passes, and each planted fault is caught by its probe."""

import dataclasses
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from auglik.objectives import AGGREGATORS, LIKELIHOODS, Aggregator, InputError, Jensen, Likelihood, LogMean, Smoothed
from auglik.objectives.numerics import at_least_float32
from auglik.objectives.probes import (
    AGGREGATOR_PROBES,
    LIKELIHOOD_PROBES,
    check_aggregator,
    check_likelihood,
    findings,
)
from auglik.objectives.probes.direction import sign
from auglik.settings.names import parse

LIKELIHOOD_NAMES = (*LIKELIHOODS, "noisy-dirichlet:alpha_eps=0.5", "focal:focus=0.5", "label-relaxation")
AGGREGATOR_NAMES = (
    *AGGREGATORS, "geometric:T=2", "power-mean:rho=-1", "power-mean:rho=1e-6", "power-mean:rho=-1e-6",
    "jackknife:order=4",
)  # fmt: skip


@pytest.mark.parametrize("name", LIKELIHOOD_NAMES)
def test_every_likelihood_passes(name: str) -> None:
    likelihood = parse("likelihood", name, LIKELIHOODS)
    check_likelihood(likelihood)
    assert [found for found in findings(likelihood, LIKELIHOOD_PROBES) if not found.passed] == []


@pytest.mark.parametrize("name", AGGREGATOR_NAMES)
def test_every_aggregator_passes(name: str) -> None:
    aggregator = parse("aggregator", name, AGGREGATORS)
    check_aggregator(aggregator)
    assert [found for found in findings(aggregator, AGGREGATOR_PROBES) if not found.passed] == []


Table = Callable[[Tensor, Tensor], Tensor]


def log_f(logits: Tensor) -> Tensor:
    return logits.float().log_softmax(-1) if logits.dtype in (torch.bfloat16, torch.float16) else logits.log_softmax(-1)


def smoothed(logits: Tensor, decay: Tensor) -> Tensor:
    return Smoothed().table(logits, decay)


def only_value(logits: Tensor, decay: Tensor) -> Tensor:
    """The right value, whose gradient misses a factor."""
    table = smoothed(logits, decay)
    return table.detach() + 0.5 * (table - table.detach())


def after_exponentials(logits: Tensor, decay: Tensor) -> Tensor:
    f = logits.exp() / logits.exp().sum(-1, keepdim=True)
    return (1 - decay[..., None]) * f.log()


def direct_logarithmic_mean(logits: Tensor, decay: Tensor) -> Tensor:
    """(u-v)/(log u - log v), which is 0/0 where predictions are uniform."""
    logs = log_f(logits)
    mean = logs.mean(-1, keepdim=True)
    normalizer = ((mean.exp() - logs.exp()) / (mean - logs)).sum(-1, keepdim=True)
    return smoothed(logits, decay) - normalizer.log()


def cancelling(logits: Tensor, decay: Tensor) -> Tensor:
    return smoothed(logits, decay) + 1e6 - 1e6


def first_class_favoured(logits: Tensor, decay: Tensor) -> Tensor:
    return smoothed(logits, decay) + torch.eye(logits.shape[-1], dtype=log_f(logits).dtype)[0]


def over_views(logits: Tensor, decay: Tensor) -> Tensor:
    return log_f(logits) - log_f(logits).amax(0, keepdim=True).detach() * decay[..., None] / len(logits)


def over_images(logits: Tensor, decay: Tensor) -> Tensor:
    return smoothed(logits, decay) - decay.mean(1, keepdim=True)[..., None]


def random(logits: Tensor, decay: Tensor) -> Tensor:
    return smoothed(logits, decay) * (1 + 0.1 * torch.rand(()))


def in_place(logits: Tensor, decay: Tensor) -> Tensor:
    found = smoothed(logits, decay)
    decay.mul_(0.5)
    return found


def in_place_of_what_gradients_need(logits: Tensor, decay: Tensor) -> Tensor:
    f = logits.exp()
    shares = f / f.sum(-1, keepdim=True)
    f.mul_(2)
    return shares.log() * (1 - decay[..., None])


def for_ten_classes(logits: Tensor, decay: Tensor) -> Tensor:
    return smoothed(logits, decay) + torch.where(torch.arange(logits.shape[-1]) < 10, 0.0, 1.0).to(logits.dtype)


def without_the_mean_over_views(logits: Tensor, decay: Tensor) -> Tensor:
    table = smoothed(logits, decay)
    return table - 0.1 * table.mean(0, keepdim=True)


def of_two_views(logits: Tensor, decay: Tensor) -> Tensor:
    table = smoothed(logits, decay)
    return table + 0 * table.std(0, keepdim=True) if len(logits) > 1 else table * torch.nan


def in_half_precision(logits: Tensor, decay: Tensor) -> Tensor:
    return (1 - decay[..., None]).to(logits.dtype) * logits.log_softmax(-1)


FAULTS: dict[str, tuple[Table, str]] = {
    "detached": (lambda logits, decay: smoothed(logits, decay).detach(), "dependence"),
    "of decay alone": (lambda logits, decay: decay[..., None] + 0 * logits, "dependence"),
    "half the gradient": (only_value, "gradients"),
    "the sign": (lambda logits, decay: -(1 - decay[..., None]) * log_f(logits), "direction"),
    "the same of every label": (
        lambda logits, decay: ((1 - decay[..., None]) * log_f(logits)).mean(-1, keepdim=True).expand_as(logits),
        "direction",
    ),
    "the log of exponentials": (after_exponentials, "extremes"),
    "0/0 at uniform logits": (direct_logarithmic_mean, "uniform logits"),
    "cancellation": (cancelling, "float32"),
    "a class favoured": (first_class_favoured, "permuted classes"),
    "views mixed": (over_views, "one view"),
    "images mixed": (over_images, "permuted images"),
    "random": (random, "repetition"),
    "its input changed": (in_place, "repetition"),
    "half precision kept": (in_half_precision, "half precision"),
    "transposed": (lambda logits, decay: smoothed(logits, decay).mT, "shapes"),
    "the first view's decay": (lambda logits, decay: smoothed(logits, decay[:1].expand_as(decay)), "permuted views"),
    "float16": (lambda logits, decay: smoothed(logits, decay).half(), "shapes"),
    "an array": (lambda logits, decay: smoothed(logits, decay).detach().numpy(), "shapes"),  # type: ignore[dict-item, return-value]
    "an in-place error": (in_place_of_what_gradients_need, "gradients"),
    "for ten classes": (for_ten_classes, "permuted classes"),
    "ten classes alone": (lambda logits, decay: smoothed(logits[..., :10], decay), "shapes"),
    "other views": (without_the_mean_over_views, "one view"),
    "no one view": (of_two_views, "one view"),
    "an error": (lambda logits, decay: smoothed(logits[..., 0], decay), "shapes"),
}


def likelihood_with(table: Table) -> Likelihood:
    made = dataclasses.make_dataclass(
        "Faulty", [], bases=(Smoothed,), frozen=True, namespace={"table": lambda self, *arguments: table(*arguments)}
    )()
    assert isinstance(made, Smoothed)
    return made


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_likelihood_fails_the_probe_that_should_find_it(fault: str) -> None:
    table, probe = FAULTS[fault]
    found = {item.probe: item for item in findings(likelihood_with(table), LIKELIHOOD_PROBES)}
    assert not found[probe].passed, found
    assert "\n" not in found[probe].seen


@pytest.mark.parametrize(
    "fault",
    [
        "detached",
        "of decay alone",
        "0/0 at uniform logits",
        "transposed",
        "float16",
        "an array",
        "no one view",
        "the sign",
        "the same of every label",
        "the log of exponentials",
    ],
)
def test_what_could_not_be_trained_is_refused_when_it_is_loaded(fault: str) -> None:
    likelihood = likelihood_with(FAULTS[fault][0])
    if fault == "the log of exponentials":
        return check_likelihood(likelihood)  # right where training begins; `auglik check` tells
    with pytest.raises(InputError, match="expected"):
        check_likelihood(likelihood)


@dataclasses.dataclass(frozen=True)
class OtherColumn(Smoothed):
    def column(self, logits: Tensor, decay: Tensor, labels: Tensor | None = None) -> Tensor:
        return super().column(logits, decay if labels is None else 0.9 * decay, labels)


def test_a_column_that_is_not_the_tables_is_refused() -> None:
    with pytest.raises(InputError, match="expected the gradient of a label's column to be the table's"):
        check_likelihood(OtherColumn())


@dataclasses.dataclass(frozen=True)
class Unnormalized(Smoothed):
    def log_probabilities(self, logits: Tensor) -> Tensor:
        return at_least_float32(logits)


@dataclasses.dataclass(frozen=True)
class SoftLabelsRefused(Smoothed):
    soft_labels = False  # and says so


def test_predictions_and_soft_labels_are_probed() -> None:
    found = {item.probe: item for item in findings(Unnormalized(), LIKELIHOOD_PROBES)}
    assert [name for name, item in found.items() if not item.passed] == ["predictions"]
    found = {item.probe: item for item in findings(SoftLabelsRefused(), LIKELIHOOD_PROBES)}
    assert found["soft labels"].passed
    assert "refused" in found["soft labels"].seen


def in_place_on(values: Tensor) -> Tensor:
    values.mul_(0.5)
    return values.log_softmax(-1)


PREDICTIONS: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "images mixed": (lambda logits: (logits - logits.mean(-2, keepdim=True)).log_softmax(-1), "permuted images"),
    "a class favoured": (
        lambda logits: (logits + torch.eye(logits.shape[-1], dtype=logits.dtype)[0]).log_softmax(-1),
        "permuted classes",
    ),
    "the log of exponentials": (lambda logits: (logits.exp() / logits.exp().sum(-1, keepdim=True)).log(), "extremes"),
    "float16": (lambda logits: logits.log_softmax(-1).half(), "shapes"),
    "half precision kept": (lambda logits: logits.log_softmax(-1), "half precision"),
    "of no logits": (lambda logits: (0 * logits).log_softmax(-1), "predictions"),
    "the least likely": (lambda logits: log_f(-logits), "direction"),
    "its input changed": (in_place_on, "repetition"),
}


@pytest.mark.parametrize("fault", PREDICTIONS)
def test_faulty_predictions_fail_the_probe_that_should_find_them(fault: str) -> None:
    predict, probe = PREDICTIONS[fault]
    made = dataclasses.make_dataclass(
        "Faulty", [], bases=(Smoothed,), frozen=True, namespace={"log_probabilities": lambda self, x: predict(x)}
    )()
    found = {item.probe: item for item in findings(made, LIKELIHOOD_PROBES)}
    assert not found[probe].passed, found


def test_what_has_the_wrong_shape_is_said_once() -> None:
    *_, last = findings(likelihood_with(FAULTS["transposed"][0]), LIKELIHOOD_PROBES)
    assert (last.probe, last.passed) == ("shapes", False)
    assert "expected a table [K,B,C] = float32 [3, 4, 12], got float32 [3, 12, 4]" in last.seen


def leaving(logits: Tensor, decay: Tensor) -> Tensor:
    raise SystemExit("enough")


def test_an_error_is_said_with_its_own_line_not_torch_s() -> None:
    *_, last = findings(likelihood_with(FAULTS["an error"][0]), LIKELIHOOD_PROBES)
    assert not last.passed
    *_, last = findings(likelihood_with(leaving), LIKELIHOOD_PROBES)
    assert last.seen.startswith("test_probes.py:") and "SystemExit: enough" in last.seen  # noqa: PT018


Fold = Callable[..., Tensor]


def best(table: Tensor, weight: Tensor | None = None, log_importance: Tensor | None = None) -> Tensor:
    return table.amax(0)


def refusing(table: Tensor, weight: Tensor | None = None, log_importance: Tensor | None = None) -> Tensor:
    if weight is not None or log_importance is not None:
        raise InputError("expected views of equal weight")
    return Jensen().fold(table)


FOLDS: dict[str, tuple[Fold, str]] = {
    "a sum": (lambda table, weight=None, log_importance=None: table.sum(0), "equal views"),
    "weights ignored": (best, "weights"),
    "the sign": (lambda table, weight=None, log_importance=None: -Jensen().fold(table), "direction"),
    "the first view": (
        lambda table, weight=None, log_importance=None: Jensen().fold(table) + 0.1 * table[0], "permuted views",
    ),
    "the log of exponentials": (
        lambda table, weight=None, log_importance=None: table.exp().mean(0).log(), "extremes",
    ),
    "detached": (lambda table, weight=None, log_importance=None: Jensen().fold(table).detach(), "dependence"),
    "images mixed": (
        lambda table, weight=None, log_importance=None: Jensen().fold(table) - table.mean((0, 1)), "permuted images",
    ),
    "weights refused": (refusing, ""),
    "importance ignored": (
        lambda table, weight=None, log_importance=None: Jensen().fold(table, weight), "weights",
    ),
    "float16": (lambda table, weight=None, log_importance=None: Jensen().fold(table).half(), "shapes"),
    "labels normalized": (
        lambda table, weight=None, log_importance=None: Jensen().fold(table).log_softmax(-1), "label by label",
    ),
    "views kept": (lambda table, weight=None, log_importance=None: table, "shapes"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FOLDS)
def test_an_aggregator_that_folds_wrongly_fails_the_probe_that_should_find_it(fault: str) -> None:
    fold, probe = FOLDS[fault]
    made = dataclasses.make_dataclass(
        "Faulty", [], bases=(Jensen,), frozen=True, namespace={"fold": lambda self, *arguments: fold(*arguments)}
    )()
    assert isinstance(made, Jensen)
    aggregator: Aggregator = made
    found = {item.probe: item for item in findings(aggregator, AGGREGATOR_PROBES)}
    if probe:
        assert not found[probe].passed, found
    else:
        check_aggregator(aggregator)
        assert all(item.passed for item in found.values()), found


def test_an_aggregator_of_the_wrong_sign_is_refused_when_it_is_loaded() -> None:
    fold, _ = FOLDS["the sign"]
    namespace = {"fold": lambda self, *arguments: fold(*arguments)}
    made = dataclasses.make_dataclass("Faulty", [], bases=(Jensen,), frozen=True, namespace=namespace)()
    with pytest.raises(InputError, match=r"likelier to have a higher value, got -1 more .* is its sign wrong"):
        check_aggregator(made)


def test_a_constant_says_nothing_of_an_aggregators_sign() -> None:
    def fold(table: Tensor, weight: Tensor | None = None, log_importance: Tensor | None = None) -> Tensor:
        return LogMean().fold(table, weight, log_importance) + math.log(1000)

    namespace = {"fold": lambda self, *arguments: fold(*arguments)}
    made = dataclasses.make_dataclass("Shifted", [], bases=(LogMean,), frozen=True, namespace=namespace)()
    assert AGGREGATOR_PROBES["direction"](made).startswith("1 more for a nat")


def test_a_loss_that_is_flat_where_labels_are_unlikely_is_loaded_but_not_praised() -> None:
    """The truncated L_q loss of Zhang & Sabuncu 2018 (arXiv:1805.07836), Eq. 9: constant below f = 1/2."""

    def table(logits: Tensor, decay: Tensor) -> Tensor:
        return -(1 - logits.softmax(-1).clamp_min(0.5) ** 0.7) / 0.7 + 0 * decay[..., None]

    namespace = {"table": lambda self, *arguments: table(*arguments)}
    made = dataclasses.make_dataclass("Truncated", [], bases=(Smoothed,), frozen=True, namespace=namespace)()
    sign(made)
    with pytest.raises(InputError, match="to rise most with its own logit"):
        LIKELIHOOD_PROBES["direction"](made)


MEANS: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "the first view": (lambda table: table[0], "permuted views"),
    "images mixed": (lambda table: table.mean(0) - table.mean((0, 1)), "permuted images"),
    "probabilities": (lambda table: table.exp().mean(0), "equal views"),
    "a sum": (lambda table: table.sum(0), "equal views"),
    "of no view": (lambda table: 0 * table.mean(0), "equal views"),
    "classes numbered": (lambda table: table.mean(0) + torch.arange(table.shape[-1]), "permuted classes"),
    "the log of exponentials": (lambda table: table.exp().mean(0).log(), "extremes"),
    "its input changed": (lambda table: table.sub_(1).mean(0), "repetition"),
    "views kept": (lambda table: table, "shapes"),
}


@pytest.mark.parametrize("fault", MEANS)
def test_a_faulty_mean_of_predictions_fails_the_probe_that_should_find_it(fault: str) -> None:
    predictive, probe = MEANS[fault]
    made = dataclasses.make_dataclass(
        "Faulty", [], bases=(Jensen,), frozen=True, namespace={"predictive": lambda self, x: predictive(x)}
    )()
    found = {item.probe: item for item in findings(made, AGGREGATOR_PROBES)}
    assert not found[probe].passed, found
