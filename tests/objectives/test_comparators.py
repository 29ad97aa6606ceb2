"""Published comparators: label smoothing, focal loss, label relaxation, and online label smoothing."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import optimize, special
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torchvision.ops import sigmoid_focal_loss

from auglik.objectives import (
    AGGREGATORS,
    LIKELIHOODS,
    Focal,
    InputError,
    LabelRelaxation,
    LabelSmoothing,
    Likelihood,
    Objective,
)
from auglik.runs.online_labels import OnlineLabels
from auglik.settings.names import canonical, parameters, parse
from tests.cases import DTYPES, EXTREME_SHAPES, Case, extreme_views, ordinary_views
from tests.objectives.test_likelihoods import matches_twin

CPU = torch.device("cpu")
LOGITS = arrays(np.float64, (2, 3, 5), elements=st.floats(-30, 30))
DECAYS = arrays(np.float64, (2, 3), elements=st.floats(0, 1))


def case(text: str) -> Case[Likelihood]:
    likelihood = parse("likelihood", text, LIKELIHOODS)
    return Case(
        text,
        text.partition(":")[0],
        likelihood,
        {key: float(x) for key, x in parameters(likelihood).items() if not isinstance(x, tuple)},
    )


CASES = [
    case("label-smoothing:epsilon=0.4"),
    *(case(f"focal:focus={focus}") for focus in (0, 0.5, 5)),
    *(case(f"label-relaxation:alpha={alpha}") for alpha in (0, 0.5, 0.95)),
]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("chosen", CASES, ids=str)
def test_other_parameters_match_the_twins(chosen: Case[Likelihood], dtype: torch.dtype) -> None:
    matches_twin(chosen, ordinary_views((4, 12, 10)), dtype)
    for shape in EXTREME_SHAPES:
        matches_twin(chosen, extreme_views(shape), dtype)


def clean_loss(likelihood: Likelihood, logits: Tensor, labels: Tensor) -> Tensor:
    """The mean loss on clean images [B,C] of one view each."""
    return Objective(likelihood, AGGREGATORS["jensen"]).loss(logits[None], torch.zeros(1, len(labels)), labels)


# Label smoothing


def test_label_smoothing_of_clean_views_is_torch_s_own(generator: torch.Generator) -> None:
    logits = torch.randn(32, 10, generator=generator, dtype=torch.float64).requires_grad_()
    labels = torch.randint(10, (32,), generator=generator)
    ours = clean_loss(LabelSmoothing(0.3), logits, labels)
    theirs = torch.nn.functional.cross_entropy(logits, labels, label_smoothing=0.3)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(torch.autograd.grad(ours, logits), torch.autograd.grad(theirs, logits))


@given(logits=LOGITS, decay=DECAYS, epsilon=st.floats(0, 0.99))
def test_label_smoothing_composes_what_is_kept(logits: np.ndarray, decay: np.ndarray, epsilon: float) -> None:
    x, gamma = torch.tensor(logits), torch.tensor(decay)
    composed = LIKELIHOODS["smoothed"].table(x, 1 - (1 - gamma) * (1 - epsilon))
    torch.testing.assert_close(LabelSmoothing(epsilon).table(x, gamma), composed)


# Focal loss


@pytest.mark.parametrize("focus", [0.0, 1.0, 2.0, 5.0])
def test_the_focal_loss_of_two_classes_is_torchvision_s(focus: float, generator: torch.Generator) -> None:
    difference = 4 * torch.randn(64, generator=generator, dtype=torch.float64).requires_grad_()
    labels = torch.randint(2, (64,), generator=generator)
    ours = clean_loss(Focal(focus), torch.stack([torch.zeros(64).double(), difference], 1), labels)
    theirs = sigmoid_focal_loss(difference, labels.double(), alpha=-1, gamma=focus, reduction="mean")
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(torch.autograd.grad(ours, difference), torch.autograd.grad(theirs, difference))


@given(logits=LOGITS, decay=DECAYS)
def test_the_focal_loss_is_the_mean_of_its_terms_under_the_degraded_label(
    logits: np.ndarray, decay: np.ndarray
) -> None:
    f = special.softmax(logits, axis=-1)
    terms = (1 - f) ** 2 * special.log_softmax(logits, axis=-1)
    expected = np.empty_like(f)
    for j in range(5):
        q = (1 - decay[..., None]) * np.eye(5)[j] + decay[..., None] / 5
        expected[..., j] = (q * terms).sum(-1)
    found = Focal(2.0).table(torch.tensor(logits), torch.tensor(decay))
    torch.testing.assert_close(found, torch.tensor(expected), rtol=1e-10, atol=1e-12)


@given(logits=LOGITS, decay=DECAYS)
def test_without_focus_it_is_smoothed(logits: np.ndarray, decay: np.ndarray) -> None:
    x, gamma = torch.tensor(logits), torch.tensor(decay)
    torch.testing.assert_close(Focal(0.0).table(x, gamma), LIKELIHOODS["smoothed"].table(x, gamma))


def best_prediction(likelihood: Likelihood, labels: Sequence[float]) -> np.ndarray:
    """The f whose mean loss under a label distribution [C] is least, as a clean prediction [C]."""
    target = torch.tensor([labels], dtype=torch.float64)

    def loss(logits: np.ndarray) -> tuple[float, np.ndarray]:
        x = torch.tensor(logits)[None].requires_grad_()
        value = clean_loss(likelihood, x, target)
        return value.item(), torch.autograd.grad(value, x)[0][0].numpy()

    found = optimize.minimize(loss, np.zeros(len(labels)), jac=True, method="BFGS", options={"gtol": 1e-9})
    return np.asarray(special.softmax(found.x))


def test_the_focal_loss_is_not_proper_and_label_smoothing_moves_as_it_says() -> None:
    labels = np.array([0.7, 0.2, 0.1])
    np.testing.assert_allclose(best_prediction(Focal(0.0), labels.tolist()), labels, atol=1e-6)
    np.testing.assert_allclose(best_prediction(LabelSmoothing(0.3), labels.tolist()), 0.7 * labels + 0.3 / 3, atol=1e-6)
    focused = best_prediction(Focal(2.0), labels.tolist())
    assert 0.5 < focused[0] < 0.6
    assert (np.diff(focused) < 0).all()


def test_focal_and_relaxed_masses_over_labels_exceed_one() -> None:
    views = ordinary_views((4, 12, 10))
    assert Focal().table(views.logits, torch.zeros(4, 12).double()).exp().sum(-1).min() > 1.01
    assert LabelRelaxation().table(views.logits, views.decay).exp().sum(-1).min() > 1.01


# Label relaxation


def nearest_divergence(f: np.ndarray, label: int, bound: float) -> float:
    """min KL(p || f) over the distributions p with p_label >= bound, by a general optimizer."""
    start = np.full(len(f), (1 - bound) / 2 / (len(f) - 1))
    start[label] = 1 - start.sum() + start[label]
    found = optimize.minimize(
        lambda p: special.rel_entr(p, f).sum(), start, jac=lambda p: np.log(p / f) + 1, method="SLSQP", tol=1e-11,
        bounds=[(1e-12, 1)] * len(f),
        constraints=[
            {"type": "eq", "fun": lambda p: p.sum() - 1},
            {"type": "ineq", "fun": lambda p: p[label] - bound},
        ],
    )  # fmt: skip
    assert found.success
    return float(found.fun)


@pytest.mark.parametrize(("alpha", "decay"), [(0.1, 0.0), (0.3, 0.0), (0.1, 0.4)])
def test_the_relaxed_loss_is_the_least_divergence_from_the_set(
    alpha: float, decay: float, rng: np.random.Generator
) -> None:
    for f in rng.dirichlet(np.ones(4), 3):
        table = LabelRelaxation(alpha).table(torch.tensor(np.log(f))[None, None], torch.tensor([[decay]]).double())
        for label in range(4):
            expected = nearest_divergence(f, label, (1 - alpha) * (1 - decay))
            assert float(-table[0, 0, label]) == pytest.approx(expected, abs=1e-7)


def test_relaxed_gradients_are_those_with_the_nearest_distribution_held_fixed(generator: torch.Generator) -> None:
    """By the envelope theorem: whether published code lets gradients through the nearest p makes no difference."""
    x = torch.randn(1, 20, 6, generator=generator, dtype=torch.float64).requires_grad_()
    table = LabelRelaxation(0.2).table(x, torch.zeros(1, 20).double())
    (gradient,) = torch.autograd.grad(table[..., 2].sum(), x)
    f = x.softmax(-1)
    nearest = 0.2 * f / (1 - f[..., 2:3])
    nearest[..., 2] = 0.8
    held = -(nearest.detach() * (nearest.detach().log() - x.log_softmax(-1))).sum(-1)
    (expected,) = torch.autograd.grad(held[f[..., 2] < 0.8].sum(), x)
    torch.testing.assert_close(gradient, expected)


@given(logits=LOGITS, low=DECAYS, high=DECAYS)
def test_a_relaxed_label_costs_less_the_more_is_lost(logits: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:
    x, (less, more) = torch.tensor(logits), (torch.tensor(np.sort([low, high], axis=0)))
    likelihood = LabelRelaxation()
    assert (likelihood.table(x, more) >= likelihood.table(x, less) - 1e-12).all()
    assert (likelihood.table(x, torch.ones(2, 3).double()) == 0).all()


@given(logits=arrays(np.float64, (2, 3, 5), elements=st.floats(-10, 10)))
def test_an_unrelaxed_clean_label_is_categorical(logits: np.ndarray) -> None:
    x = torch.tensor(logits)
    torch.testing.assert_close(LabelRelaxation(0.0).table(x, torch.zeros(2, 3).double()), x.log_softmax(-1))


# Names and refusals


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("label-smoothing:epsilon=1", "expected epsilon in [0,1), got 1.0"),
        ("label-smoothing:epsilon=nan", "expected epsilon in [0,1)"),
        ("focal:focus=-1", "expected a number >= 0 for focus, got -1.0"),
        ("focal:focus=inf", "expected a number >= 0 for focus"),
        ("label-relaxation:alpha=1", "expected alpha in [0,1), got 1.0"),
        ("label-relaxation:alpha=-0.1", "expected alpha in [0,1)"),
    ],
)
def test_refused_parameters(text: str, message: str) -> None:
    with pytest.raises(InputError) as refusal:
        parse("likelihood", text, LIKELIHOODS)
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_published_settings_have_names() -> None:
    assert parse("likelihood", "focal:focus=5", LIKELIHOODS) == Focal(5.0)
    assert canonical("likelihood", "label-smoothing:epsilon=0.10", LIKELIHOODS) == "label-smoothing"
    assert canonical("likelihood", "label-relaxation:alpha=0.25", LIKELIHOODS) == "label-relaxation:alpha=0.25"


def test_label_relaxation_refuses_mixed_labels() -> None:
    objective = Objective(LIKELIHOODS["label-relaxation"], AGGREGATORS["jensen"])
    with pytest.raises(InputError, match=r"takes labels \[B\] only"):
        objective.log_likelihood(torch.zeros(1, 3, 4), torch.zeros(1, 3), torch.full((3, 4), 0.25))


# Online label smoothing


def drawn(views: int, images: int, classes: int, seed: int) -> tuple[Tensor, Tensor]:
    """Logits [K,B,C] and labels [B]; the last class is never predicted."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(views, images, classes, generator=generator)
    logits[..., -1] -= 100
    return logits, torch.randint(classes, (images,), generator=generator)


def test_soft_labels_are_the_mean_of_right_predictions() -> None:
    online = OnlineLabels.begin(4, CPU, alpha=0.6)
    torch.testing.assert_close(online.targets(), 0.6 * torch.eye(4) + 0.1)
    steps = [drawn(3, 50, 4, seed) for seed in range(4)]
    for logits, labels in steps:
        online.update(logits, labels)
        torch.testing.assert_close(online.targets(), 0.6 * torch.eye(4) + 0.1)
    online.end_epoch()
    for j in range(4):
        right = [
            logits[k, b].double().softmax(0)
            for logits, labels in steps
            for k in range(3)
            for b in range(50)
            if labels[b] == j and logits[k, b].argmax() == j
        ]
        own = torch.eye(4).double()[j]
        mean = torch.stack(right).mean(0) if right else torch.full((4,), 0.25).double()
        assert bool(right) == (j < 3)
        torch.testing.assert_close(online.targets()[j].double(), 0.6 * own + 0.4 * mean, rtol=1e-6, atol=1e-7)


def test_a_class_without_right_predictions_keeps_its_soft_label() -> None:
    online = OnlineLabels.begin(3, CPU)
    online.update(torch.tensor([[0.0, 1.0, 3.0]]), torch.tensor([2]))
    online.end_epoch()
    before = online.targets()
    online.update(torch.tensor([[9.0, 0.0, 0.0], [9.0, 0.0, 0.0]]), torch.tensor([2, 0]))
    online.end_epoch()
    after = online.targets()
    assert torch.equal(after[2], before[2])
    assert after[2, 1] > after[2, 0]
    assert not torch.equal(after[0], before[0])
    torch.testing.assert_close(after.sum(1), torch.ones(3))


def test_each_epoch_forgets_the_one_before() -> None:
    (logits, labels), other = drawn(2, 60, 4, 1), drawn(2, 60, 4, 2)
    once, twice = OnlineLabels.begin(4, CPU), OnlineLabels.begin(4, CPU)
    twice.update(*other)
    twice.end_epoch()
    for online in (once, twice):
        online.update(logits, labels)
        online.end_epoch()
    assert torch.equal(once.targets()[:3], twice.targets()[:3])


def test_it_goes_on_from_a_checkpoint_in_the_middle_of_an_epoch() -> None:
    straight = OnlineLabels.begin(4, CPU)
    straight.update(*drawn(2, 30, 4, 1))
    resumed = OnlineLabels.begin(4, CPU)
    resumed.restore({name: values.clone() for name, values in straight.state().items()})
    for online in (straight, resumed):
        online.update(*drawn(2, 30, 4, 2))
        online.end_epoch()
    assert torch.equal(straight.targets(), resumed.targets())


def test_half_precision_under_autocast_counts_in_float64() -> None:
    logits, labels = drawn(2, 30, 4, 1)
    rounded = logits.bfloat16()
    plain, cast = OnlineLabels.begin(4, CPU), OnlineLabels.begin(4, CPU)
    plain.update(rounded.float(), labels)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast.update(rounded, labels)
    assert torch.equal(plain.sums, cast.sums)
    assert cast.sums.dtype == torch.float64


class Looks(TorchDispatchMode):
    """Notes the operations that make the host wait for a device."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        if any(name in str(func) for name in ("_local_scalar_dense", "nonzero", "masked_select", "equal.default")):
            self.seen.append(str(func))
        return func(*args, **(kwargs or {}))


def test_nothing_waits_for_the_device() -> None:
    online, (logits, labels) = OnlineLabels.begin(4, CPU), drawn(2, 30, 4, 1)
    with Looks() as looks:
        online.update(logits, labels)
        online.end_epoch()
        soft = online.targets()[labels]
    assert looks.seen == []
    with looks:
        float(soft[0, 0])
    assert len(looks.seen) == 1


def test_its_targets_train_a_likelihood_with_soft_labels() -> None:
    """The loss is alpha times that of the label plus 1-alpha times that of its class's soft label."""
    online, (logits, labels) = OnlineLabels.begin(4, CPU, alpha=0.3), drawn(2, 30, 4, 1)
    online.update(logits, labels)
    online.end_epoch()
    objective, decay = Objective(LIKELIHOODS["smoothed"], AGGREGATORS["jensen"]), torch.full((2, 30), 0.2)
    found = objective.loss(logits, decay, online.targets()[labels])
    hard = objective.loss(logits, decay, labels)
    soft = objective.loss(logits, decay, online.soft.float()[labels])
    torch.testing.assert_close(found, 0.3 * hard + 0.7 * soft)


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (torch.zeros(2, 3, 5), torch.zeros(3).long(), "expected logits [K,B,C] or [B,C] of B, C = [3, 4]"),
        (torch.zeros(3, 2, 4), torch.zeros(3).long(), "got [3, 2, 4]"),
        (torch.zeros(1, 2, 3, 4), torch.zeros(3).long(), "got [1, 2, 3, 4]"),
        (torch.zeros(2, 3, 4), torch.full((3, 4), 0.25), "train without mixing"),
    ],
)
def test_refused_steps(logits: Tensor, labels: Tensor, message: str) -> None:
    with pytest.raises(InputError) as refusal:
        OnlineLabels.begin(4, CPU).update(logits, labels)
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_refused_settings_and_states() -> None:
    for alpha in (0.0, 1.0):
        assert OnlineLabels.begin(2, CPU, alpha).alpha == alpha
    for alpha in (-0.1, 1.1, math.nan):
        with pytest.raises(InputError, match=r"expected alpha in \[0,1\]"):
            OnlineLabels.begin(4, CPU, alpha)
    with pytest.raises(InputError, match="at least 2 classes"):
        OnlineLabels.begin(1, CPU)
    with pytest.raises(InputError, match=r"expected soft \[4, 4\], got \[3, 3\]"):
        OnlineLabels.begin(4, CPU).restore(OnlineLabels.begin(3, CPU).state())
    with pytest.raises(InputError, match="got none"):
        OnlineLabels.begin(4, CPU).restore({})
