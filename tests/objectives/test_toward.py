"""Labels that degrade toward a distribution of their class: tables against the twins, the normalizer, closed forms."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor

from auglik.objectives import (
    LIKELIHOODS,
    InputError,
    Likelihood,
    Objective,
    Schedule,
    Smoothed,
    SmoothedNormalizedSchedule,
)
from auglik.objectives.aggregators.log_mean import LogMean
from auglik.objectives.likelihoods.smoothed import smoothed_table
from auglik.objectives.likelihoods.smoothed_normalized import log_normalizer
from auglik.objectives.likelihoods.smoothed_normalized_schedule import log_normalizer_under
from auglik.objectives.normalizer import log_sum_of_logarithmic_means
from auglik.objectives.probes import check_degrading, check_likelihood
from auglik.objectives.toward import at_chance, check_distributions, degrades, degrading, keeps_chance
from tests import tiny
from tests.cases import DTYPES, Case, Views, extreme_views, ordinary_views, twin_table

SPREADING = [name for name, likelihood in LIKELIHOODS.items() if degrades(likelihood)]
CENTERS = {"noisy-dirichlet": -7.0}
SHARES = arrays(np.float64, (5, 5), elements=st.floats(0, 1))


def distributions(classes: int, seed: int = 0) -> Tensor:
    """pi [C,C] with a zero, a row of its own label alone, and an uneven rest."""
    pi = np.random.default_rng(seed).dirichlet(np.full(classes, 0.5), classes)
    pi[0] = np.eye(classes)[0]
    if classes > 2:
        pi[1, 2] = 0
    return torch.tensor(pi / pi.sum(1, keepdims=True))


def matches_twin(name: str, likelihood: Likelihood, views: Views, dtype: torch.dtype, **parameters: object) -> None:
    pi = likelihood.toward  # type: ignore[attr-defined]
    case: Case[Likelihood] = Case(name, name, likelihood, {"toward": jnp.asarray(pi.numpy()), **parameters})  # type: ignore[dict-item]
    rng = np.random.default_rng(0)
    cotangent = rng.normal(size=views.logits.shape).astype(np.float32).astype(np.float64)
    expected, slope = map(np.asarray, twin_table(case, views.logits, views.decay, jnp.asarray(cotangent)))
    logits = views.logits.to(dtype, copy=True).requires_grad_()
    table = likelihood.table(logits, views.decay.to(dtype))
    (gradient,) = torch.autograd.grad(table, logits, torch.tensor(cotangent, dtype=dtype))
    assert table.dtype == dtype
    assert gradient.isfinite().all()
    rounding = 32 * torch.finfo(dtype).eps * (1 + math.lgamma(11) + np.abs(expected).max(-1, keepdims=True))
    scale = 1 + np.abs(slope).max(-1, keepdims=True)
    assert (np.abs(table.detach().double().numpy() - expected) <= rounding).all()
    assert (np.abs(gradient.double().numpy() - slope) <= rounding * scale).all()


@pytest.mark.parametrize("name", SPREADING)
def test_tables_and_gradients_match_the_twins(name: str) -> None:
    """Ordinary logits, and from exactly uniform to 200 with decays of 0 and 1, in both dtypes."""
    likelihood = degrading(LIKELIHOODS[name], distributions(10))
    for dtype in DTYPES:
        matches_twin(name, likelihood, ordinary_views((4, 12, 10), center=CENTERS.get(name, 0.0)), dtype)
        matches_twin(name, likelihood, extreme_views((2, 24, 10)), dtype)


@pytest.mark.parametrize("name", SPREADING)
def test_every_table_that_degrades_toward_distributions_passes_its_probe(name: str) -> None:
    check_degrading(LIKELIHOODS[name], name)


@dataclass(frozen=True)
class Deaf(Smoothed):
    """Label smoothing whose table asks for no distributions."""

    def table(self, logits: Tensor, decay: Tensor) -> Tensor:
        return smoothed_table(logits.log_softmax(-1), decay)


class Halfway(Smoothed):
    """Its columns alone ask for none."""

    def table(self, logits: Tensor, decay: Tensor) -> Tensor:
        return smoothed_table(logits.log_softmax(-1), decay, self.toward)

    def column(self, logits: Tensor, decay: Tensor, labels: Tensor | None = None) -> Tensor:
        return smoothed_table(logits.log_softmax(-1), decay, None, labels)


class Shifted(Smoothed):
    """Uniform distributions are not as none."""

    def column(self, logits: Tensor, decay: Tensor, labels: Tensor | None = None) -> Tensor:
        return super().column(logits, decay, labels) + (0.0 if self.toward is None else 1.0)


class Broken(Smoothed):
    def table(self, logits: Tensor, decay: Tensor) -> Tensor:
        return super().table(logits, decay) if self.toward is None else logits @ self.toward[:2]


@pytest.mark.parametrize(
    ("likelihood", "said"),
    [
        (Deaf(), "expected a table that depends on its field toward, got the same for any"),
        (Halfway(), "expected the gradient of a label's column to be the table's"),
        (Shifted(), "expected the table where labels degrade toward uniform distributions to be that without any"),
        (Broken(), "test_toward.py:"),
    ],
)
def test_a_likelihood_that_degrades_toward_no_distributions_is_refused_where_it_should(
    likelihood: Likelihood, said: str
) -> None:
    check_likelihood(likelihood)
    with pytest.raises(InputError, match=f"here: {said}"):
        check_degrading(likelihood, "here")


def test_a_plan_refuses_one_and_another_plan_takes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auglik.settings.foreign._IMPORTED", {})  # lest the tests count as a user's code from here on
    own = f"{Deaf.__module__}:Deaf"
    assert isinstance(tiny.run(likelihood=own).objective.likelihood, Deaf)
    with pytest.raises(InputError, match=f"degrade_toward: {own}: expected a table that depends on its field toward"):
        tiny.run(likelihood=own, degrade_toward="online")


def test_other_schedules_match_the_twin() -> None:
    shares = {"clean": 0.5, "noise": 1.0, "blur": 2.0, "both": 1.0}
    laws = {"alpha": 0.7, "beta": 2.5, "k_noise": 1.0, "k_blur": 2.0}
    likelihood = degrading(SmoothedNormalizedSchedule(Schedule(**shares, **laws)), distributions(10))
    views = ordinary_views((4, 12, 10))
    matches_twin("smoothed-normalized-schedule", likelihood, views, torch.float64, **shares, **laws)


@pytest.mark.parametrize("name", SPREADING)
def test_toward_the_uniform_is_the_default(name: str) -> None:
    views = ordinary_views((4, 12, 10))
    uniform = degrading(LIKELIHOODS[name], torch.full((10, 10), 0.1, dtype=torch.float64))
    expected = LIKELIHOODS[name].table(views.logits, views.decay)
    torch.testing.assert_close(uniform.table(views.logits, views.decay), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", SPREADING)
def test_classes_in_another_order(name: str) -> None:
    pi, order, views = distributions(10), torch.tensor([3, 0, 9, 1, 2, 4, 8, 7, 6, 5]), ordinary_views((4, 12, 10))
    moved = degrading(LIKELIHOODS[name], pi[order][:, order]).table(views.logits[..., order], views.decay)
    table = degrading(LIKELIHOODS[name], pi).table(views.logits, views.decay)
    torch.testing.assert_close(moved, table[..., order], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", SPREADING)
def test_half_precision_and_autocast_change_nothing(name: str) -> None:
    likelihood = degrading(LIKELIHOODS[name], distributions(10))
    views = ordinary_views((4, 12, 10)).to(torch.float32)
    half = views.logits.bfloat16()
    expected = likelihood.table(half.float(), views.decay)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(likelihood.table(half, views.decay), expected)
    assert expected.dtype == torch.float32


@pytest.mark.parametrize("name", SPREADING)
def test_whole_objectives_are_moved_and_transformed(name: str) -> None:
    """`to` takes pi along, and gradients of single images by torch.func are those of the batch."""
    objective = Objective(degrading(LIKELIHOODS[name], distributions(10)), LogMean()).to(torch.device("cpu"))
    views = ordinary_views((4, 12, 10))

    def of_one(logits: Tensor, decay: Tensor) -> Tensor:
        return objective.fold(logits[:, None], decay[:, None])[0, 3]

    found = torch.func.vmap(torch.func.grad(of_one), in_dims=1, out_dims=1)(views.logits, views.decay)
    leaf = views.logits.clone().requires_grad_()
    (expected,) = torch.autograd.grad(objective.fold(leaf, views.decay)[:, 3].sum(), leaf)
    torch.testing.assert_close(found, expected)


def test_distributions_of_another_number_of_classes_are_refused() -> None:
    objective = Objective(degrading(LIKELIHOODS["smoothed"], distributions(5)), LogMean())
    with pytest.raises(
        InputError, match=r"Smoothed degrades toward distributions \[5, 5\]: expected .* 5 classes, got 7"
    ):
        objective.loss(torch.zeros(2, 3, 7), torch.zeros(2, 3), torch.arange(3))


# The normalizer


def exact_log_normalizer(logits: Sequence[float], pi: np.ndarray) -> float:
    """The definition by adaptive quadrature with 50 digits, the exponents written out."""
    with mpmath.workdps(50):
        masses = [mpmath.exp(x) for x in logits]
        f = [mass / mpmath.fsum(masses) for mass in masses]

        def term(j: int, a: mpmath.mpf) -> mpmath.mpf:
            return mpmath.fprod(f[i] ** ((1 - a) * (i == j) + a * mpmath.mpf(float(pi[j, i]))) for i in range(len(f)))

        breaks = [0, 0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 1]
        Z = mpmath.fsum(mpmath.quad(lambda a, j=j: term(j, a), breaks) for j in range(len(f)))
        return float(mpmath.log(Z))


@pytest.mark.parametrize("logits", [[0.3, -1.2, 2.0], [60.0, -70.0, 3.0], [0.0, 0.0, 0.0], [1e-7, -1e-7, 0.0]])
def test_the_normalizer_is_the_integral_of_the_definition(logits: list[float]) -> None:
    pi = distributions(3)
    log_f = torch.tensor(logits, dtype=torch.float64).log_softmax(-1)
    exact = exact_log_normalizer(logits, pi.numpy())
    assert float(log_normalizer(log_f, pi)) == pytest.approx(exact, abs=1e-13 * (1 + abs(exact)))
    single = float(log_normalizer(log_f.float(), pi.float()))
    assert single == pytest.approx(exact, abs=4e-6 * (1 + abs(exact)))


def test_many_levels_of_a_schedule_are_the_uniform_level() -> None:
    """Under gamma = t ~ Beta(1,1) the schedule's normalizer is that of the uniform level."""
    log_f = torch.tensor(np.random.default_rng(1).normal(0, 4, (20, 5))).log_softmax(-1)
    measure = Schedule(clean=0, noise=0, alpha=1.0, beta=1.0).measure()
    pi = distributions(5)
    torch.testing.assert_close(log_normalizer_under(measure, log_f, pi), log_normalizer(log_f, pi), rtol=0, atol=1e-10)


def doubly_stochastic(classes: int) -> Tensor:
    """Rows and columns that sum to one, by Sinkhorn's iteration."""
    pi = torch.tensor(np.random.default_rng(2).random((classes, classes)) + 0.05)
    for _ in range(500):
        pi = pi / pi.sum(0, keepdim=True)
        pi = pi / pi.sum(1, keepdim=True)
    return pi


@given(logits=arrays(np.float64, (8, 5), elements=st.floats(-40, 40)))
def test_no_normalizer_exceeds_one_where_columns_sum_to_one(logits: np.ndarray) -> None:
    """By the inequality of the means: prod f_i^q_i <= sum_i q_i f_i, and sum_j q_i(a, e_j) is then 1."""
    log_f = torch.tensor(logits).log_softmax(-1)
    assert float(log_normalizer(log_f, doubly_stochastic(5)).max()) < 1e-12


@given(shares=SHARES)
def test_uniform_predictions_have_normalizer_one_whatever_pi(shares: np.ndarray) -> None:
    pi = torch.tensor(shares + 1e-3)
    pi = pi / pi.sum(1, keepdim=True)
    log_f = torch.zeros(1, 5).double().log_softmax(-1)
    assert abs(float(log_normalizer(log_f, pi))) < 1e-14


def test_where_columns_do_not_sum_to_one_the_normalizer_exceeds_one_beside_the_uniform() -> None:
    """Its slope in log f_i there is (1 + c_i) / 2C, c_i the sum of column i: not constant, hence uphill."""
    pi = distributions(5)
    log_f = torch.zeros(5).double().log_softmax(-1).requires_grad_()
    (slope,) = torch.autograd.grad(log_normalizer(log_f, pi), log_f)
    torch.testing.assert_close(slope, (1 + pi.sum(0)) / 10)
    uphill = (1e-3 * (pi.sum(0) - 1)).log_softmax(-1)
    assert float(log_normalizer(uphill, pi)) > 1e-5


def test_the_normalizer_is_twice_differentiable() -> None:
    pi = distributions(4)
    logits = torch.tensor(np.random.default_rng(3).normal(0, 2, (3, 4))).requires_grad_()
    value: Callable[[Tensor], Tensor] = lambda x: log_sum_of_logarithmic_means(x.log_softmax(-1), pi)  # noqa: E731
    assert torch.autograd.gradcheck(value, logits)
    assert torch.autograd.gradgradcheck(value, logits)


def test_smoothed_normalized_integrates_to_one_over_labels_and_levels() -> None:
    likelihood = degrading(LIKELIHOODS["smoothed-normalized"], distributions(7))
    nodes, weights = np.polynomial.legendre.leggauss(80)
    logits = torch.tensor(3 * np.random.default_rng(4).normal(size=(1, 1, 7))).expand(1, 80, 7)
    mass = likelihood.table(logits, torch.tensor((nodes + 1) / 2)[None]).exp().sum(-1)[0]
    assert float(mass.numpy() @ weights / 2) == pytest.approx(1, abs=1e-12)


# Distributions


@given(shares=SHARES)
def test_at_chance_no_label_falls_below_chance(shares: np.ndarray) -> None:
    """Rows are distributions that keep 1/C, in proportion to the shares elsewhere, whatever these are."""
    pi = at_chance(torch.tensor(shares))
    check_distributions(pi)
    assert keeps_chance(pi)
    assert (pi >= 0).all()
    for gamma in (0.0, 0.3, 1.0):
        label = (1 - gamma) * torch.eye(5) + gamma * pi
        assert (label.diagonal() >= 0.2 - 1e-12).all()
    off = torch.tensor(shares).fill_diagonal_(0)
    for row, given_shares in zip(pi, off, strict=True):
        if given_shares.max() > 1e-3:
            largest = int(given_shares.argmax())
            torch.testing.assert_close(
                row * given_shares[largest], _but_own(row, given_shares, largest), atol=1e-9, rtol=0
            )


def _but_own(row: Tensor, shares: Tensor, largest: int) -> Tensor:
    """Shares times the row's value where they are largest, but for the place of its own label, which they lack."""
    own = (shares == 0) & ((row - 0.2).abs() < 1e-12)
    return torch.where(own, row * shares[largest], shares * row[largest])


def test_what_spreads_no_mass_takes_no_distributions() -> None:
    assert set(LIKELIHOODS) - set(SPREADING) == {
        "categorical", "tempered", "tempered-normalized", "sink", "label-relaxation"
    }  # fmt: skip
    pi = distributions(3)
    for name in set(LIKELIHOODS) - set(SPREADING):
        with pytest.raises(InputError, match="spreads no label mass over classes"):
            degrading(LIKELIHOODS[name], pi)
    for bad, message in (
        (torch.ones(2, 3), "distributions [C,C]"),
        (torch.eye(3).long(), "distributions [C,C]"),
        (torch.full((3, 3), 0.5), "sum to one"),
        (torch.tensor([[1.5, -0.5], [0.0, 1.0]]), ">= 0"),
    ):
        with pytest.raises(InputError) as refusal:
            degrading(LIKELIHOODS["smoothed"], bad)
        assert message in str(refusal.value)
        assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", SPREADING)
def test_likelihoods_that_degrade_toward_other_distributions_are_others(name: str) -> None:
    uniform, pi, another = LIKELIHOODS[name], distributions(3), torch.eye(3).double()
    ours = Objective(degrading(uniform, pi), LogMean())
    again = Objective(degrading(uniform, pi.clone()), LogMean())
    others = [Objective(of, LogMean()) for of in (uniform, degrading(uniform, another))]
    assert ours == again
    assert hash(ours) == hash(again)
    assert repr(ours) == repr(again)
    assert "\n" not in repr(ours)
    assert len({ours, again, *others}) == 3
    assert len({repr(one) for one in (ours, again, *others)}) == 3
    assert degrading(uniform, distributions(4)) != ours.likelihood
    assert repr(others[0].likelihood) == repr(uniform)


@dataclasses.dataclass(frozen=True)
class Scaled(Smoothed):
    """A subclass of one's own, with a parameter more."""

    power: float = 0.9


@dataclasses.dataclass(frozen=True)
class Scheduled(SmoothedNormalizedSchedule):
    """One whose base has a parameter."""


class Plain(Smoothed):
    """One that is no dataclass of its own."""


@pytest.mark.parametrize("own", [Scaled(), Scaled(power=0.5), Scheduled(), Plain()], ids=repr)
def test_subclasses_tell_what_they_degrade_toward_apart_too(own: Likelihood) -> None:
    pi = distributions(3)
    degraded, again, other = degrading(own, pi), degrading(own, pi.clone()), degrading(own, torch.eye(3).double())
    assert degraded == again
    assert hash(degraded) == hash(again)
    assert len({own, degraded, again, other}) == 3
    assert len({repr(one) for one in (own, degraded, again, other)}) == 3
    assert repr(own).startswith(f"{type(own).__name__}(")
    assert degraded != degrading(Smoothed(), pi)


def test_parameters_of_subclasses_count_and_are_said() -> None:
    assert Scaled() != Scaled(power=0.5)
    assert repr(Scaled()) == "Scaled(power=0.9)"
    assert repr(degrading(Scaled(), torch.eye(3))).startswith("Scaled(power=0.9, toward=[3, 3] ")


def test_a_subclass_may_write_its_own_text() -> None:
    @dataclasses.dataclass(frozen=True)
    class Named(Smoothed):
        def __repr__(self) -> str:
            return "mine"

    class Under(Named):
        pass

    assert repr(degrading(Named(), torch.eye(3))) == repr(Under()) == "mine"
