"""Aggregators on tables alone: order, bounds, limits, weights, reference biases, transforms and compilation."""

import math
import shutil
from collections.abc import Callable

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import integrate, special
from torch import Tensor

from auglik.objectives import (
    AGGREGATORS,
    LIKELIHOODS,
    Aggregator,
    Geometric,
    GeometricNormalized,
    InputError,
    Objective,
    PowerMean,
)
from tests.cases import AGGREGATOR_CASES, ALIKE, SAMPLED, Case, ordinary_views

JENSEN, LOG_MEAN, DURBIN_KOOPMAN = (AGGREGATORS[name] for name in ("jensen", "log-mean", "durbin-koopman"))
TABLES = arrays(np.float64, (4, 3, 5), elements=st.floats(-40, 0))
WEIGHTS = arrays(np.float64, (4, 3), elements=st.floats(0, 5))
WEIGHTED = [case for case in AGGREGATOR_CASES if case.name not in ALIKE]
FROM_PROPOSALS = [case for case in AGGREGATOR_CASES if case.name not in SAMPLED]
UNTEMPERED = [case for case in AGGREGATOR_CASES if case.parameters.get("T", 1.0) == 1.0]


@given(table=TABLES)
def test_four_bounds(table: np.ndarray) -> None:
    """jensen <= log-mean <= durbin-koopman <= log-mean + 1/2."""
    lower, middle, upper = (a.fold(torch.tensor(table)) for a in (JENSEN, LOG_MEAN, DURBIN_KOOPMAN))
    assert (lower <= middle + 1e-12).all()
    assert (middle <= upper).all()
    assert (upper <= middle + 0.5 + 1e-12).all()


@pytest.mark.parametrize("case", UNTEMPERED, ids=str)
@given(table=TABLES)
def test_equal_views_change_nothing(case: Case[Aggregator], table: np.ndarray) -> None:
    normalized = torch.tensor(table[:1]).log_softmax(-1)
    torch.testing.assert_close(case.instance.fold(normalized.expand(4, -1, -1)), normalized[0], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("case", FROM_PROPOSALS, ids=str)
@given(table=TABLES, order=st.permutations(range(4)))
def test_the_order_of_views_is_irrelevant(case: Case[Aggregator], table: np.ndarray, order: list[int]) -> None:
    views = torch.tensor(table)
    for fold in (case.instance.fold, case.instance.predictive):
        torch.testing.assert_close(fold(views[order]), fold(views), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("case", AGGREGATOR_CASES, ids=str)
def test_constants_of_views_move_nothing_where_likelihoods_have_no_power(case: Case[Aggregator]) -> None:
    generator = torch.Generator().manual_seed(3)
    table = torch.randn(4, 3, 5, generator=generator, dtype=torch.float64).requires_grad_()
    constant = torch.randn(4, 3, 1, generator=generator, dtype=torch.float64)
    plain, moved = (
        torch.autograd.grad(case.instance.fold(views)[:, 0].sum(), table)[0] for views in (table, table + constant)
    )
    power = case.instance.likelihood_power
    assert torch.allclose(plain, moved, rtol=1e-10, atol=1e-12) == (power == 0)
    if case.name in ("log-mean", "power-mean"):
        pull = plain[:, :, 0] / plain[:1, :, 0]
        torch.testing.assert_close(pull, ((table - table[:1])[:, :, 0] * power).exp().detach())


@given(table=TABLES)
def test_power_mean_runs_from_jensen_to_log_mean(table: np.ndarray) -> None:
    """The distance to jensen is rho/2 times the variance of the table at most to first order: 40^2/8 rho here."""
    views = torch.tensor(table)
    torch.testing.assert_close(PowerMean(rho=1.0).fold(views), LOG_MEAN.fold(views))
    for rho in (1e-4, -1e-4):
        assert (PowerMean(rho=rho).fold(views) - JENSEN.fold(views)).abs().max() <= abs(rho) * 40**2 / 8 + 1e-10
    between = PowerMean(rho=0.5).fold(views)
    assert (JENSEN.fold(views) <= between + 1e-12).all()
    assert (between <= LOG_MEAN.fold(views) + 1e-12).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("rho", [0.09, 0.05, -0.05, 1e-3])
@pytest.mark.parametrize(
    ("weight", "importance"),
    [
        ([0.0, 1.0, 1.0], [0.0, 0.0, 0.0]),
        ([1e-6, 1.0, 1.0], [0.0, 0.0, 0.0]),
        ([1.0, 1.0, 1.0], [-math.inf, 0.0, 0.5]),
        ([1.0, 2.0, 0.5], [-50.0, -60.0, -50.0]),
    ],
    ids=["uncounted", "hardly counted", "without importance", "of little importance"],
)
def test_power_mean_near_jensen_counts_views_that_stand_out_as_little_as_they_weigh(
    weight: list[float], importance: list[float], rho: float, dtype: torch.dtype
) -> None:
    """By the definition, in 50 digits; the first view exceeds the others by up to 2,000 nats."""
    for gap in (1e-3, 5.0, 400.0, 2000.0):
        values = torch.tensor([gap, -1.0, -2.0], dtype=dtype)
        table = values[:, None, None].clone().requires_grad_()
        value = PowerMean(rho).fold(
            table, torch.tensor(weight, dtype=dtype)[:, None], torch.tensor(importance, dtype=dtype)[:, None]
        )
        with mpmath.workdps(50):
            total = mpmath.fsum(weight)
            terms = [
                w / total * mpmath.exp(rho * mpmath.mpf(float(v)) + i) if w and i > -math.inf else mpmath.mpf(0)
                for w, i, v in zip(weight, importance, values, strict=True)
            ]
            exact = float(total / 3 * mpmath.log(mpmath.fsum(terms)) / rho)
        rounding = (
            torch.finfo(dtype).eps
            * 20
            * (abs(exact) + gap + max(1 - min(i for i in importance if i > -99), 1) / abs(rho))
        )
        assert float(value.detach()) == pytest.approx(exact, rel=0, abs=rounding)
        assert torch.autograd.grad(value.sum(), table)[0].isfinite().all()


@pytest.mark.parametrize("rho", [0.05, 0.09, -0.05])
@pytest.mark.parametrize("low", [1e2, 1e4, 1e8, 1e20])
def test_power_mean_near_jensen_is_exact_beside_a_view_that_is_far_off(low: float, rho: float) -> None:
    values = torch.tensor([-1.0] * 7 + [-low])
    with mpmath.workdps(60):
        exact = float(mpmath.log(mpmath.fsum(mpmath.exp(rho * mpmath.mpf(float(v))) for v in values) / 8) / rho)
    assert float(PowerMean(rho).fold(values[:, None, None])) == pytest.approx(exact, rel=2e-6)


@pytest.mark.parametrize(
    "made", [lambda v: Geometric(T=v), lambda v: GeometricNormalized(T=v), lambda v: PowerMean(rho=v)]
)
@pytest.mark.parametrize("value", [1e-40, 1e39])
def test_parameters_beyond_float32_are_refused(made: Callable[[float], Aggregator], value: float) -> None:
    with pytest.raises(InputError, match="float32 needs 1e-30 to 1e30"):
        made(value)


@given(table=TABLES, weight=WEIGHTS)
def test_geometric_at_temperature_one_is_jensen(table: np.ndarray, weight: np.ndarray) -> None:
    views, counts = torch.tensor(table), torch.tensor(weight)
    assert torch.equal(Geometric().fold(views, counts), JENSEN.fold(views, counts))
    torch.testing.assert_close(Geometric(T=0.25).fold(views), views.sum(0))


@given(table=TABLES)
def test_geometric_normalized_is_a_distribution_over_labels(table: np.ndarray) -> None:
    for temperature in ("", ":T=0.8"):
        case = next(case for case in AGGREGATOR_CASES if case.label == f"geometric-normalized{temperature}")
        total = case.instance.fold(torch.tensor(table)).exp().sum(-1)
        torch.testing.assert_close(total, torch.ones_like(total))


# Weights


@pytest.mark.parametrize("case", WEIGHTED, ids=str)
@given(table=TABLES)
def test_a_view_of_weight_zero_weighs_nothing(case: Case[Aggregator], table: np.ndarray) -> None:
    """Only through K, the number of views, does it still count: in the mean weight and in durbin-koopman's factor."""
    views = torch.tensor(table)
    weight = torch.ones(4, 3).double()
    weight[1] = 0
    moved = views.clone()
    moved[1] = -0.5
    torch.testing.assert_close(case.instance.fold(views, weight), case.instance.fold(moved, weight))
    if case.name != "durbin-koopman":
        torch.testing.assert_close(case.instance.fold(views, weight), 0.75 * case.instance.fold(views[[0, 2, 3]]))


@pytest.mark.parametrize("case", AGGREGATOR_CASES, ids=str)
@given(table=TABLES)
def test_equal_weights_multiply(case: Case[Aggregator], table: np.ndarray) -> None:
    """Weights of one are none, weights of 1.7 multiply by 1.7, and no weight at all is a value of zero."""
    views = torch.tensor(table)
    plain, ones = case.instance.fold(views), torch.ones(4, 3).double()
    torch.testing.assert_close(case.instance.fold(views, ones), plain)
    torch.testing.assert_close(case.instance.fold(views, 1.7 * ones), 1.7 * plain)
    leaf = views.clone().requires_grad_()
    nothing = case.instance.fold(leaf, 0 * ones)
    (gradient,) = torch.autograd.grad(nothing.sum(), leaf)
    assert (nothing == 0).all()
    assert (gradient == 0).all()


@pytest.mark.parametrize("case", WEIGHTED, ids=str)
@given(table=TABLES, weight=WEIGHTS)
def test_value_is_the_mean_weight_times_that_of_the_shares(
    case: Case[Aggregator], table: np.ndarray, weight: np.ndarray
) -> None:
    views, counts = torch.tensor(table), torch.tensor(weight) + 0.01
    shares = 4 * counts / counts.sum(0)
    expected = counts.mean(0)[:, None] * case.instance.fold(views, shares)
    torch.testing.assert_close(case.instance.fold(views, counts), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("case", FROM_PROPOSALS, ids=str)
@given(table=TABLES)
def test_importance_of_zero_nats_is_none(case: Case[Aggregator], table: np.ndarray) -> None:
    views = torch.tensor(table)
    zero = torch.zeros(4, 3).double()
    torch.testing.assert_close(case.instance.fold(views, None, zero), case.instance.fold(views))


def test_importance_undoes_the_proposal(rng: np.random.Generator) -> None:
    """Views from Beta(3,2), weighted to Beta(2,2): log-mean gives log 1/2, jensen E log p (4 standard errors)."""
    views = torch.tensor(np.log(rng.beta(3, 2, 100_000)))[:, None, None]
    log_ratio = math.log(special.beta(3, 2) / special.beta(2, 2)) - views[..., 0]
    ratio = log_ratio.exp()[:, 0]
    error = 2 * float((ratio * views.exp()[:, 0, 0]).std()) / math.sqrt(len(views))
    assert abs(float(LOG_MEAN.fold(views, None, log_ratio)) - math.log(0.5)) < 4 * error + 1e-12
    error = float((ratio * views[:, 0, 0]).std()) / math.sqrt(len(views))
    expected = special.digamma(2) - special.digamma(4)
    assert abs(float(JENSEN.fold(views, None, log_ratio)) - expected) < 4 * error


def test_jackknife_refuses_unequal_weights() -> None:
    with pytest.raises(InputError, match="expected equal weights of an image's views") as refusal:
        AGGREGATORS["jackknife"].fold(torch.zeros(2, 1, 3), torch.tensor([[1.0], [2.0]]))
    assert "\n" not in str(refusal.value)


# Bias


@pytest.mark.parametrize(
    ("name", "bias"), [("jensen", -0.140), ("log-mean", -0.027), ("durbin-koopman", 0.002), ("jackknife", 0.003)]
)
def test_reference_biases(name: str, bias: float, rng: np.random.Generator) -> None:
    """E of the estimate minus log E p = log 1/2 over Beta(2,2) views at K = 4; the reference has three decimals."""
    images = 400_000
    table = torch.tensor(np.log(rng.beta(2, 2, (4, images, 1))))
    estimate = AGGREGATORS[name].fold(table)
    standard_error = float(estimate.std()) / math.sqrt(images)
    assert abs(float(estimate.mean()) - math.log(0.5) - bias) < 0.0005 + 4 * standard_error


def test_closed_forms_of_beta_views(rng: np.random.Generator) -> None:
    """p ~ Beta(a,b): jensen estimates psi(a) - psi(a+b), log-mean of many views log a/(a+b)."""
    table = torch.tensor(np.log(rng.beta(2.0, 3.0, (100_000, 1, 1))))
    standard_error = float(table.std()) / math.sqrt(len(table))
    assert abs(float(JENSEN.fold(table)) - (special.digamma(2) - special.digamma(5))) < 4 * standard_error
    standard_error = float(table.exp().std() / table.exp().mean()) / math.sqrt(len(table))
    assert abs(float(LOG_MEAN.fold(table)) - math.log(2 / 5)) < 4 * standard_error


def test_compound_likelihood_of_gaussian_logits(rng: np.random.Generator) -> None:
    """log-mean of categorical over 10^5 logits N(1, 2^2) against the integral of the logistic function, in 4 s.e."""
    draws = 100_000
    logits = torch.zeros(draws, 1, 2, dtype=torch.float64)
    logits[..., 0] = torch.tensor(rng.normal(1, 2, (draws, 1)))
    value = Objective(LIKELIHOODS["categorical"], LOG_MEAN).fold(logits, torch.zeros(draws, 1).double())[0, 0]
    density = lambda x: special.expit(x) * math.exp(-((x - 1) ** 2) / 8) / math.sqrt(8 * math.pi)  # noqa: E731
    exact = math.log(integrate.quad(density, -20, 22)[0])
    p = torch.sigmoid(logits[:, 0, 0])
    assert abs(float(value) - exact) < 4 * float(p.std() / p.mean()) / math.sqrt(draws)


def test_jackknife_is_unbounded_above() -> None:
    """One good view among bad ones: the log-mean is at most 0, the jackknife grows without limit."""
    table = torch.tensor([[0.0], [-1000.0]])[..., None]
    assert float(AGGREGATORS["jackknife"].fold(table)) == pytest.approx(500 - 2 * math.log(2))
    assert float(LOG_MEAN.fold(table)) == pytest.approx(-math.log(2))


def test_durbin_koopman_gradient_weight(generator: torch.Generator) -> None:
    """r_k [1 + K/(K-1) (r_k - sum r^2)]."""
    table = (3 * torch.randn(4, 50, 1, generator=generator, dtype=torch.float64)).requires_grad_()
    (gradient,) = torch.autograd.grad(DURBIN_KOOPMAN.fold(table).sum(), table)
    r = table.softmax(0)
    torch.testing.assert_close(gradient, r * (1 + 4 / 3 * (r - (r**2).sum(0))))
    assert (gradient < 0).any()


# Transforms


@pytest.mark.parametrize("case", AGGREGATOR_CASES, ids=str)
def test_functional_grad_and_vmap(case: Case[Aggregator]) -> None:
    """Per-image gradients by torch.func are the rows of one backward, as no image moves another's value."""
    table = ordinary_views((4, 12, 10)).logits.log_softmax(-1)

    def of_one_image(views: Tensor) -> Tensor:
        return case.instance.fold(views[:, None])[0, 3]

    found = torch.func.vmap(torch.func.grad(of_one_image), in_dims=1, out_dims=1)(table)
    leaf = table.clone().requires_grad_()
    (expected,) = torch.autograd.grad(case.instance.fold(leaf)[:, 3].sum(), leaf)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("case", WEIGHTED, ids=str)
def test_folds_with_weights_vmap(case: Case[Aggregator]) -> None:
    views = ordinary_views((4, 12, 10), setting="weighted")
    table, fold = views.logits.log_softmax(-1), case.instance.fold

    def of_one_image(table: Tensor, weight: Tensor, log_importance: Tensor) -> Tensor:
        return fold(table[:, None], weight[:, None], log_importance[:, None])[0]

    assert views.weight is not None
    assert views.log_importance is not None
    found = torch.func.vmap(of_one_image, in_dims=1)(table, views.weight, views.log_importance)
    torch.testing.assert_close(found, fold(table, views.weight, views.log_importance))


@pytest.mark.skipif(
    not any(map(shutil.which, ("g++", "clang++"))), reason="torch.compile needs a C++ compiler on a CPU"
)
def test_compiled_equals_eager() -> None:
    objective = Objective(LIKELIHOODS["smoothed-normalized"], DURBIN_KOOPMAN)
    views = ordinary_views((4, 12, 10), setting="weighted").to(torch.float32)

    def value_and_gradient(fold: Callable[[Tensor, Tensor, Tensor | None], Tensor]) -> tuple[Tensor, Tensor]:
        logits = views.logits.clone().requires_grad_()
        folded = fold(logits, views.decay, views.weight)
        return folded, torch.autograd.grad(folded, logits, views.cotangent)[0]

    compiled = torch.compile(objective.fold, fullgraph=True)
    for found, expected in zip(value_and_gradient(compiled), value_and_gradient(objective.fold), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("size", [1.0, 1e3, 1e4])
def test_gradients_of_sumo_keep_their_digits_where_views_differ_much(size: float) -> None:
    generator = torch.Generator().manual_seed(0)
    table = -size * torch.rand(8, 12, 10, generator=generator).square()
    over = torch.rand(12, 10, generator=generator, dtype=torch.float64)

    def gradient(dtype: torch.dtype) -> Tensor:
        leaf = table.clone().to(dtype).requires_grad_()
        (gradient_of,) = torch.autograd.grad((AGGREGATORS["sumo"].fold(leaf) * over.to(dtype)).sum(), leaf)
        return gradient_of.double()

    expected = gradient(torch.float64)
    assert (gradient(torch.float32) - expected).abs().max() <= 1e-6 * expected.abs().max()
