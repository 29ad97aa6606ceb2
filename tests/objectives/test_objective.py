"""Objectives: every likelihood with every aggregator against the twins, labels, views' gradients and refusals."""

import math
import re
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
import pytest
import torch
from torch import Tensor

from auglik.objectives import (
    AGGREGATORS,
    LIKELIHOODS,
    Aggregator,
    InputError,
    Likelihood,
    Objective,
    negative_share,
    view_gradients,
)
from auglik.objectives.aggregators.log_mean import LogMean
from auglik.objectives.likelihoods.smoothed import Smoothed
from auglik.studies.twins import AGGREGATOR_TWINS, LIKELIHOOD_TWINS
from tests.cases import (
    AGGREGATOR_CASES,
    ALIKE,
    DTYPES,
    EXTREME_SHAPES,
    HALVES,
    LIKELIHOOD_CASES,
    ONE_VIEW,
    SAMPLED,
    SETTINGS,
    SHAPES,
    Case,
    Views,
    amplification,
    extreme_views,
    images_in_domain,
    ordinary_views,
    twin_objective,
)

ONE_VIEW_AGGREGATORS = [case for case in AGGREGATOR_CASES if case.instance.minimum_views == 1]


def test_every_entry_has_a_twin_and_a_case() -> None:
    assert LIKELIHOODS.keys() == LIKELIHOOD_TWINS.keys() == {case.name for case in LIKELIHOOD_CASES}
    assert AGGREGATORS.keys() == AGGREGATOR_TWINS.keys() == {case.name for case in AGGREGATOR_CASES}
    assert len(LIKELIHOODS) == 12
    assert len(AGGREGATORS) == 10


@pytest.mark.parametrize("entry", [*LIKELIHOODS.values(), *AGGREGATORS.values()], ids=lambda e: type(e).__name__)
def test_every_entry_states_formula_and_source(entry: Likelihood | Aggregator) -> None:
    assert entry.formula
    assert entry.source


# Values and gradients over the product


def matches_twins(
    likelihood: Case[Likelihood], aggregator: Case[Aggregator], views: Views, *, whole_domain: bool
) -> None:
    """Asserts fold and gradient in both dtypes, to rounding at the magnitude of the image's table."""
    reference = twin_objective(likelihood, aggregator, views)
    held = images_in_domain(aggregator, reference.table)
    assert held.all() if whole_domain else held.sum() >= len(held) / 3
    magnitude = 1 + np.abs(reference.table).max((0, 2))
    gradient_magnitude = 1 + np.abs(reference.gradient).max((0, 2))
    for dtype in DTYPES:
        seen = views.to(dtype)
        logits = seen.logits.clone().requires_grad_()
        folded = Objective(likelihood.instance, aggregator.instance).fold(
            logits, seen.decay, seen.weight, seen.log_importance
        )
        (gradient,) = torch.autograd.grad(folded, logits, seen.cotangent)
        assert folded.dtype == dtype
        assert gradient.isfinite().all()
        found, outside = folded.detach().double().numpy(), np.isneginf(reference.folded) & held[:, None]
        assert np.array_equal(~np.isfinite(found), outside)
        assert (found[outside] == -math.inf).all()
        error = np.abs(np.where(outside, 0, found) - np.where(outside, 0, reference.folded)).max(1)
        gradient_error = np.abs(gradient.double().numpy() - reference.gradient).max((0, 2))
        allowed = 32 * torch.finfo(dtype).eps * magnitude * amplification(aggregator, reference.table)
        assert (error <= allowed)[held].all()
        assert (gradient_error <= allowed * gradient_magnitude)[held].all()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("aggregator", AGGREGATOR_CASES, ids=str)
@pytest.mark.parametrize("likelihood", LIKELIHOOD_CASES, ids=str)
def test_values_and_gradients_match_the_twins(
    likelihood: Case[Likelihood], aggregator: Case[Aggregator], shape: tuple[int, int, int]
) -> None:
    for setting in SETTINGS if aggregator.name not in SAMPLED else SETTINGS[:1]:
        views = ordinary_views(
            shape,
            extra_outputs=likelihood.instance.extra_outputs,
            center=likelihood.center,
            setting=setting,
            equal_weights=aggregator.name in ALIKE,
        )
        matches_twins(likelihood, aggregator, views, whole_domain=True)


@pytest.mark.parametrize("aggregator", AGGREGATOR_CASES, ids=str)
@pytest.mark.parametrize("likelihood", LIKELIHOOD_CASES, ids=str)
def test_half_precision_beside_logits_is_cast_up_first(
    likelihood: Case[Likelihood], aggregator: Case[Aggregator]
) -> None:
    """Decay, weight and importance in half precision, and tables: values and gradients are those of float32."""
    views = ordinary_views(
        (4, 12, 10),
        extra_outputs=likelihood.instance.extra_outputs,
        center=likelihood.center,
        setting="plain" if aggregator.name in SAMPLED else "outside",
        equal_weights=aggregator.name in ALIKE,
    )
    whole = Objective(likelihood.instance, aggregator.instance)

    def value_and_gradient(beside: Views) -> tuple[Tensor, Tensor]:
        logits = views.logits.float().requires_grad_()
        folded = whole.fold(logits, beside.decay, beside.weight, beside.log_importance)
        return folded, torch.autograd.grad(folded, logits, views.cotangent.float())[0]

    for beside in map(views.to, HALVES):
        up = beside.to(torch.float32)
        for found, expected in zip(value_and_gradient(beside), value_and_gradient(up), strict=True):
            assert found.dtype == torch.float32
            assert torch.equal(found, expected)
        table = likelihood.instance.table(beside.logits, beside.decay)
        assert torch.equal(table, likelihood.instance.table(up.logits, up.decay))
        folded = aggregator.instance.fold(table.to(beside.decay.dtype), beside.weight, beside.log_importance)
        upper = table.to(beside.decay.dtype).float()
        assert torch.equal(folded, aggregator.instance.fold(upper, up.weight, up.log_importance))


@pytest.mark.parametrize("aggregator", [case for case in AGGREGATOR_CASES if case.name not in SAMPLED], ids=str)
def test_images_without_importance_are_at_minus_infinity_and_move_nothing(aggregator: Case[Aggregator]) -> None:
    """The derivatives in the table and in the importance are numbers."""
    views = ordinary_views((4, 12, 10), setting="outside", equal_weights=aggregator.name == "jackknife")
    assert views.weight is not None
    assert views.log_importance is not None
    leaves = [x.clone().requires_grad_() for x in (views.logits.log_softmax(-1), views.log_importance)]
    value = aggregator.instance.fold(leaves[0], views.weight, leaves[1])
    assert (value[0] == 0).all()
    assert (value[[1, 3]] == -math.inf).all()
    assert value[[2, *range(4, 12)]].isfinite().all()
    table, importance = torch.autograd.grad(value, leaves, views.cotangent)
    assert (table[:, [0, 1, 3]] == 0).all()
    assert table.isfinite().all()
    assert (table[-2:, 2] != 0).all()
    assert (importance[:, [0, 1, 3]] == 0).all()
    assert importance.isfinite().all()
    plain = aggregator.instance.fold(leaves[0][:, 1:2], None, leaves[1][:, 1:2])
    assert (plain == -math.inf).all()


@pytest.mark.parametrize("aggregator", ONE_VIEW_AGGREGATORS, ids=str)
@pytest.mark.parametrize("likelihood", LIKELIHOOD_CASES, ids=str)
def test_one_view_matches_the_twins(likelihood: Case[Likelihood], aggregator: Case[Aggregator]) -> None:
    views = ordinary_views(ONE_VIEW, extra_outputs=likelihood.instance.extra_outputs, center=likelihood.center)
    matches_twins(likelihood, aggregator, views, whole_domain=True)


@pytest.mark.parametrize("shape", EXTREME_SHAPES, ids=str)
@pytest.mark.parametrize("aggregator", AGGREGATOR_CASES, ids=str)
@pytest.mark.parametrize("likelihood", LIKELIHOOD_CASES, ids=str)
def test_extremes_match_the_twins_and_are_finite(
    likelihood: Case[Likelihood], aggregator: Case[Aggregator], shape: tuple[int, int, int]
) -> None:
    """Uniform logits exactly, logits of 1e-6 to 200, decays of exactly 0 and 1."""
    views = extreme_views(shape, extra_outputs=likelihood.instance.extra_outputs)
    matches_twins(likelihood, aggregator, views, whole_domain=False)


@pytest.mark.parametrize("aggregator", AGGREGATOR_CASES, ids=str)
@pytest.mark.parametrize("likelihood", LIKELIHOOD_CASES, ids=str)
def test_log_likelihood_looks_the_label_up_in_the_fold(
    likelihood: Case[Likelihood], aggregator: Case[Aggregator], generator: torch.Generator
) -> None:
    objective = Objective(likelihood.instance, aggregator.instance)
    views = ordinary_views((4, 12, 10), extra_outputs=likelihood.instance.extra_outputs, center=likelihood.center)
    labels = torch.randint(10, (12,), generator=generator)
    found = objective.log_likelihood(views.logits, views.decay, labels)
    folded = objective.fold(views.logits, views.decay)
    torch.testing.assert_close(found, torch.stack([folded[b, labels[b]] for b in range(12)]), rtol=1e-14, atol=1e-14)
    for integers in (torch.uint8, torch.int32):
        assert torch.equal(objective.log_likelihood(views.logits, views.decay, labels.to(integers)), found)
    if aggregator.instance.trains:
        assert float(objective.loss(views.logits, views.decay, labels)) == pytest.approx(-float(found.mean()))
    predicted = objective.predict(views.logits)
    assert predicted.shape == (12, 10)
    torch.testing.assert_close(predicted.exp().sum(1), torch.ones(12).double())


@dataclass(frozen=True)
class TwiceSmoothed(Smoothed):
    """Its table is another than that whose column it inherits."""

    def table(self, logits: Tensor, decay: Tensor) -> Tensor:
        return 2 * super().table(logits, decay)


def test_a_table_of_its_own_is_read_whatever_column_a_class_inherits(generator: torch.Generator) -> None:
    logits, decay = torch.randn(3, 5, 4, generator=generator), torch.rand(3, 5, generator=generator)
    labels, both = torch.arange(5) % 4, (Smoothed(), TwiceSmoothed())
    once, twice = (Objective(one, LogMean()).log_likelihood(logits, decay, labels) for one in both)
    folded = Objective(TwiceSmoothed(), LogMean()).fold(logits, decay).gather(1, labels[:, None])[:, 0]
    torch.testing.assert_close(twice, folded)
    assert not torch.allclose(twice, once)


def test_remarks_do_not_say_where_scores_are() -> None:
    """They are printed beneath the tables by one command and above them by another."""
    of_likelihoods = [remark.text for one in LIKELIHOODS.values() for remark in one.remarks]
    of_aggregators = [remark for one in AGGREGATORS.values() for remark in one.remarks]
    assert not [text for text in of_likelihoods + of_aggregators if re.search("below|above|beneath|following", text)]


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_loss_under_bfloat16_and_autocast_is_that_of_float32(name: str) -> None:
    objective = Objective(LIKELIHOODS[name], AGGREGATORS["log-mean"])
    views = ordinary_views((4, 12, 10), extra_outputs=LIKELIHOODS[name].extra_outputs).to(torch.float32)
    labels, logits = torch.arange(12) % 10, views.logits.bfloat16()
    expected = objective.loss(logits.float(), views.decay, labels)
    assert expected.dtype == torch.float32
    assert torch.equal(objective.loss(logits, views.decay, labels), expected)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(objective.loss(logits, views.decay, labels), expected)


def test_dirichlet_under_jensen_has_the_gradient_of_smoothed() -> None:
    views = ordinary_views((4, 12, 10))
    gradients = []
    for name in ("dirichlet", "smoothed"):
        logits = views.logits.clone().requires_grad_()
        Objective(LIKELIHOODS[name], AGGREGATORS["jensen"]).loss(logits, views.decay, torch.arange(12) % 10).backward()
        assert logits.grad is not None
        gradients.append(logits.grad)
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-14, atol=1e-16)


def test_dirichlet_under_log_mean_weighs_views_of_unequal_decay_differently() -> None:
    views = ordinary_views((4, 12, 10))
    labels = torch.arange(12) % 10
    dirichlet, smoothed = (
        view_gradients(Objective(LIKELIHOODS[name], AGGREGATORS["log-mean"]), views.logits, views.decay, labels)
        for name in ("dirichlet", "smoothed")
    )
    assert (dirichlet - smoothed).abs().max() > 0.1


# Soft labels


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("likelihood", [case for case in LIKELIHOOD_CASES if case.instance.soft_labels], ids=str)
def test_soft_labels_are_a_weighted_sum(likelihood: Case[Likelihood], setting: str, generator: torch.Generator) -> None:
    objective = Objective(likelihood.instance, AGGREGATORS["durbin-koopman"])
    views = ordinary_views((4, 12, 10), extra_outputs=likelihood.instance.extra_outputs, setting=setting)
    arguments = views.weight, views.log_importance
    soft = torch.rand(12, 10, generator=generator, dtype=torch.float64).softmax(1)
    by_class = torch.stack(
        [objective.log_likelihood(views.logits, views.decay, torch.full((12,), c), *arguments) for c in range(10)],
        dim=1,
    )
    found = objective.log_likelihood(views.logits, views.decay, soft, *arguments)
    torch.testing.assert_close(found, (soft * by_class).sum(1))
    hard = torch.arange(12) % 10
    one_hot = torch.nn.functional.one_hot(hard, 10).double()
    torch.testing.assert_close(
        objective.log_likelihood(views.logits, views.decay, one_hot, *arguments),
        objective.log_likelihood(views.logits, views.decay, hard, *arguments),
    )


# The gradients of views


@pytest.mark.parametrize(("views", "low", "high"), [(2, 0.085, 0.095), (3, 0.0005, 0.0015), (4, 0.0, 0.0001)])
def test_share_of_negative_gradients_of_durbin_koopman(
    views: int, low: float, high: float, rng: np.random.Generator
) -> None:
    """Beta(2,2) views: about 9% of images at K = 2, hardly one at K = 4; none under jensen and log-mean."""
    p = torch.tensor(rng.beta(2, 2, (views, 100_000)))
    logits = torch.stack([p.log(), (-p).log1p()], dim=-1)
    decay, labels = torch.zeros_like(p), torch.zeros(100_000, dtype=torch.int64)
    shares = {
        name: float(
            negative_share(
                view_gradients(Objective(LIKELIHOODS["categorical"], AGGREGATORS[name]), logits, decay, labels)
            )
        )
        for name in ("durbin-koopman", "jensen", "log-mean")
    }
    assert low <= shares["durbin-koopman"] < high
    assert shares["jensen"] == shares["log-mean"] == 0


def test_view_gradients_are_the_derivatives_at_the_label() -> None:
    views = ordinary_views((4, 12, 10), setting="weighted")
    objective = Objective(LIKELIHOODS["smoothed"], AGGREGATORS["durbin-koopman"])
    labels = torch.arange(12) % 10
    found = view_gradients(objective, views.logits, views.decay, labels, views.weight, views.log_importance)
    table, step = LIKELIHOODS["smoothed"].table(views.logits, views.decay), 1e-6
    for k in range(4):
        moved = [table.clone(), table.clone()]
        for sign, copy in zip((1, -1), moved, strict=True):
            copy[k] += sign * step
        up, down = (AGGREGATORS["durbin-koopman"].fold(copy, views.weight, views.log_importance) for copy in moved)
        slope = ((up - down) / (2 * step))[torch.arange(12), labels]
        torch.testing.assert_close(found[k], slope, rtol=0, atol=1e-8)
    one_hot = torch.nn.functional.one_hot(labels, 10).double()
    with torch.no_grad():
        soft = view_gradients(objective, views.logits, views.decay, one_hot, views.weight, views.log_importance)
    torch.testing.assert_close(soft, found)


# Refusals


class Given(TypedDict, total=False):
    """Arguments of log_likelihood that differ from good ones of K=2 views, B=3 images, C=4 classes."""

    logits: Tensor
    decay: Tensor
    labels: Tensor
    weight: Tensor
    log_importance: Tensor


def call(objective: Objective, given: Given) -> Tensor:
    return objective.log_likelihood(
        given.get("logits", torch.zeros(2, 3, 4)),
        given.get("decay", torch.zeros(2, 3)),
        given.get("labels", torch.tensor([0, 1, 3])),
        given.get("weight"),
        given.get("log_importance"),
    )


def objective_of(likelihood: str = "smoothed", aggregator: str = "log-mean") -> Objective:
    return Objective(LIKELIHOODS[likelihood], AGGREGATORS[aggregator])


def refused(objective: Objective, given: Given, message: str) -> None:
    with pytest.raises(InputError) as refusal:
        call(objective, given)
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


REFUSALS: list[tuple[Given, str]] = [
    ({"logits": torch.zeros(3, 4)}, "got float32 [3, 4]; add the dimension of views with logits[None]"),
    ({"logits": torch.zeros(2, 3, 4, dtype=torch.int64)}, "expected floating logits [K,B,C]"),
    ({"logits": torch.zeros(0, 3, 4)}, "expected at least one view"),
    ({"logits": torch.zeros(2, 3, 1)}, "expected at least 2 outputs"),
    ({"decay": torch.zeros(3, 2)}, "images and views look swapped"),
    ({"decay": torch.zeros(3)}, "one value per view and image is needed"),
    ({"decay": torch.zeros(2, 3, dtype=torch.int64)}, "expected floating decay [K,B] = [2, 3], got int64 [2, 3]"),
    ({"decay": torch.full((2, 3), 1.5)}, "expected decay in [0,1], got values from 1.5 to 1.5"),
    ({"decay": torch.full((2, 3), math.nan)}, "expected decay in [0,1]"),
    ({"weight": torch.ones(3, 2)}, "expected floating weight [K,B] = [2, 3], got float32 [3, 2]"),
    ({"weight": torch.ones(2, 3, 1)}, "expected floating weight"),
    ({"weight": -torch.ones(2, 3)}, "expected finite weights >= 0, got values from -1 to -1"),
    ({"weight": torch.full((2, 3), math.inf)}, "expected finite weights >= 0, got values from inf to inf"),
    ({"log_importance": torch.full((2, 3), math.inf)}, "expected log_importance below inf (-inf: no importance), got"),
    ({"log_importance": torch.full((2, 3), math.nan)}, "expected log_importance below inf (-inf: no importance), got"),
    ({"log_importance": torch.ones(2)}, "expected floating log_importance"),
    ({"labels": torch.tensor([0, 1, 4])}, "expected labels in 0..3 for 4 classes, got values from 0 to 4"),
    ({"labels": torch.tensor([-1, 1, 2])}, "got values from -1 to 2"),
    ({"labels": torch.tensor([0, 1])}, "expected integer labels [B] = [3]"),
    ({"labels": torch.tensor([0.0, 1.0, 2.0])}, "got float32 [3]"),
    ({"labels": torch.zeros(3, 4, dtype=torch.int64)}, "got int64 [3, 4]"),
    ({"labels": torch.full((3, 5), 0.2)}, "expected soft labels [B,C] = [3, 4]"),
    ({"labels": torch.full((3, 4), 0.5)}, "sum to one"),
    ({"labels": torch.tensor([[1.5, -0.5, 0.0, 0.0]]).expand(3, 4)}, "expected soft labels that are >= 0"),
]


@pytest.mark.parametrize(("given", "message"), REFUSALS, ids=[message for _, message in REFUSALS])
def test_refused_tensors(given: Given, message: str) -> None:
    refused(objective_of(), given, message)


def test_the_good_tensors_are_not_refused() -> None:
    assert call(objective_of(), {}).shape == (3,)


def test_the_sink_needs_an_output_more() -> None:
    refused(objective_of("sink"), {"logits": torch.zeros(2, 3, 2)}, "at least 3 outputs (classes and the sink)")
    refused(objective_of("sink"), {}, "expected labels in 0..2 for 3 classes")


@pytest.mark.parametrize("name", [name for name, entry in LIKELIHOODS.items() if not entry.soft_labels])
def test_refused_soft_labels(name: str) -> None:
    refused(objective_of(name), {"labels": torch.full((3, 4), 0.25)}, "its constants depend on the label being one-hot")


def test_exactly_the_likelihoods_with_one_hot_constants_refuse_soft_labels() -> None:
    assert {name for name, entry in LIKELIHOODS.items() if not entry.soft_labels} == {
        "dirichlet",
        "label-relaxation",
        "noisy-dirichlet",
        "smoothed-normalized",
        "smoothed-normalized-schedule",
    }


@pytest.mark.parametrize("name", ["durbin-koopman", "jackknife"])
def test_one_view_is_refused(name: str) -> None:
    one: Given = {"logits": torch.zeros(1, 3, 4), "decay": torch.zeros(1, 3)}
    refused(objective_of(aggregator=name), one, "needs at least 2 views of each image, got K = 1")


def test_training_with_the_jackknife_is_refused() -> None:
    with pytest.raises(InputError, match="unbounded above") as refusal:
        objective_of(aggregator="jackknife").loss(torch.zeros(2, 3, 4), torch.zeros(2, 3), torch.zeros(3).long())
    assert "\n" not in str(refusal.value)


def test_the_jackknife_refuses_unequal_weights() -> None:
    refused(objective_of(aggregator="jackknife"), {"weight": torch.arange(6.0).reshape(2, 3)}, "expected equal weights")


def test_the_jackknife_refuses_a_single_view_with_importance() -> None:
    one = torch.tensor([[0.0, 0.0, 0.0], [-math.inf, 0.0, 0.0]])
    refused(
        objective_of(aggregator="jackknife"), {"log_importance": one}, "expected at least two views of an image with"
    )


def test_predict_checks_its_logits() -> None:
    with pytest.raises(InputError, match=r"add the dimension of views") as refusal:
        objective_of().predict(torch.zeros(3, 4))
    assert "\n" not in str(refusal.value)


K_B_C = 4, 3, 5


@pytest.mark.parametrize(
    ("labels", "decay", "weight"),
    [
        (torch.tensor([[0], [4], [2]]), None, None),
        (torch.tensor([0, 4]), None, None),
        (torch.tensor([0.7, 1.0, 2.0]), None, None),
        (torch.full((3, 5), 2.0), None, None),
        (torch.tensor([0, 4, 5]), None, None),
        (None, torch.full((4, 3), 50.0), None),
        (None, torch.zeros(3), None),
        (None, None, -torch.ones(4, 3)),
    ],
)
def test_the_loss_refuses_what_the_log_likelihood_does(
    labels: torch.Tensor | None, decay: torch.Tensor | None, weight: torch.Tensor | None
) -> None:
    objective = Objective(LIKELIHOODS["smoothed"], AGGREGATORS["jensen"])
    K, B, C = K_B_C
    given = (
        torch.zeros(K, B, C), decay if decay is not None else torch.zeros(K, B),
        labels if labels is not None else torch.arange(B), weight,
    )  # fmt: skip
    for entry in (objective.loss, objective.log_likelihood):
        with pytest.raises(InputError, match="expected"):
            entry(*given)


def test_the_loss_refuses_soft_labels_of_a_likelihood_that_takes_none() -> None:
    objective = Objective(LIKELIHOODS["dirichlet"], AGGREGATORS["log-mean"])
    with pytest.raises(InputError, match="takes labels"):
        objective.loss(torch.zeros(2, 3, 5), torch.zeros(2, 3), torch.full((3, 5), 0.2))


@pytest.mark.parametrize(
    ("likelihood", "aggregator", "said"),
    [
        ("smoothed", AGGREGATORS["jensen"], "expected a likelihood, got its name: give LIKELIHOODS['smoothed']"),
        (LIKELIHOODS["smoothed"], "jensen", "expected an aggregator, got its name: give AGGREGATORS['jensen']"),
        (
            LIKELIHOODS["smoothed"],
            LogMean,
            "expected an aggregator, got the class LogMean: give an instance, LogMean()",
        ),
        (AGGREGATORS["jensen"], LIKELIHOODS["smoothed"], "expected a likelihood, which has 'table', got Jensen()"),
    ],
)
def test_what_is_no_objective_is_refused_where_it_is_made(likelihood: object, aggregator: object, said: str) -> None:
    with pytest.raises(InputError) as refusal:
        Objective(likelihood, aggregator)  # type: ignore[arg-type]
    assert str(refusal.value) == said


@pytest.mark.parametrize(
    "given",
    [
        {"labels": torch.tensor([[0], [1], [3]])}, {"labels": torch.zeros(3)}, {"labels": torch.tensor([-1, 0, 1])},
        {"decay": torch.zeros(2, 1)}, {"decay": torch.zeros(3)}, {"decay": torch.full((2, 3), 2.0)},
        {"weight": -torch.ones(2, 3)}, {"weight": torch.ones(3)},
    ],
    ids=str,
)  # fmt: skip
def test_view_gradients_refuse_what_the_loss_does(given: Given) -> None:
    with pytest.raises(InputError, match="expected"):
        view_gradients(
            objective_of(), torch.zeros(2, 3, 4), given.get("decay", torch.zeros(2, 3)),
            given.get("labels", torch.arange(3)), given.get("weight"),
        )  # fmt: skip
    with pytest.raises(InputError, match="takes labels"):
        view_gradients(objective_of("dirichlet"), torch.zeros(2, 3, 4), torch.zeros(2, 3), torch.full((3, 4), 0.25))
    with pytest.raises(InputError, match=r"expected gradients of views \[K,B\], got \[3\]"):
        negative_share(torch.zeros(3))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"logits": np.zeros((2, 3, 4))}, "as a tensor, got numpy.ndarray"),
        ({"decay": 0.2}, "expected floating decay [K,B] = [2, 3] as a tensor, got float"),
        ({"decay": None}, "got NoneType"),
        ({"labels": np.arange(3)}, "as a tensor, got numpy.ndarray: make one with torch.as_tensor"),
        ({"labels": [0, 1, 2]}, "as a tensor, got list"),
    ],
    ids=str,
)
def test_what_is_no_tensor_is_refused(given: Given, said: str) -> None:
    refused(objective_of(), given, said)


def test_gradients_of_single_images_by_torch_func_are_those_of_the_batch(generator: torch.Generator) -> None:
    objective = objective_of()
    logits, decay, labels = torch.randn(3, 5, 4, generator=generator), torch.rand(3, 5), torch.arange(5) % 4

    def of_one(logits: Tensor, decay: Tensor, label: Tensor) -> Tensor:
        return objective.log_likelihood(logits[:, None], decay[:, None], label[None])[0]

    found = torch.func.vmap(torch.func.grad(of_one), in_dims=(1, 1, 0), out_dims=1)(logits, decay, labels)
    leaf = logits.clone().requires_grad_()
    (expected,) = torch.autograd.grad(objective.log_likelihood(leaf, decay, labels).sum(), leaf)
    torch.testing.assert_close(found, expected)
