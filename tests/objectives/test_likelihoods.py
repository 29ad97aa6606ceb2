"""Likelihoods: tables and gradients against the twins, extremes, invariants, normalization, half precision."""

import math

import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import integrate, special, stats
from torch import Tensor

from auglik.objectives import LIKELIHOODS, Likelihood, NoisyDirichlet, Schedule, SmoothedNormalizedSchedule, errors
from auglik.objectives.contracts import column_of
from auglik.objectives.numerics import at_label
from auglik.studies import twins
from tests.cases import (
    DTYPES,
    EXTREME_SCALES,
    EXTREME_SHAPES,
    LIKELIHOOD_CASES,
    ONE_VIEW,
    SHAPES,
    Case,
    Views,
    extreme_views,
    ordinary_views,
    twin_table,
)

FAMILIES = [case for case in LIKELIHOOD_CASES if case.name != "categorical"]
SHIFTABLE = [case for case in LIKELIHOOD_CASES if case.name != "noisy-dirichlet"]


def matches_twin(case: Case[Likelihood], views: Views, dtype: torch.dtype) -> None:
    """Asserts table and gradient: to rounding at the magnitude of the terms, and what the instance's rule leaves."""
    rng = np.random.default_rng(0)
    cotangent = rng.normal(size=(*views.decay.shape, views.cotangent.shape[-1])).astype(np.float32).astype(np.float64)
    expected, expected_gradient = map(np.asarray, twin_table(case, views.logits, views.decay, jnp.asarray(cotangent)))

    logits = views.logits.to(dtype, copy=True).requires_grad_()
    table = case.instance.table(logits, views.decay.to(dtype))
    (gradient,) = torch.autograd.grad(table, logits, torch.tensor(cotangent, dtype=dtype))

    assert table.dtype == dtype
    assert table.isfinite().all()
    assert gradient.isfinite().all()
    rounding = 32 * torch.finfo(dtype).eps * (1 + np.abs(expected).max(-1, keepdims=True))
    scale = 1 + np.abs(expected_gradient).max(-1, keepdims=True)
    assert (np.abs(table.detach().double().numpy() - expected) <= rounding).all()
    assert (np.abs(gradient.double().numpy() - expected_gradient) <= rounding * scale).all()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [*SHAPES, ONE_VIEW], ids=str)
@pytest.mark.parametrize("case", LIKELIHOOD_CASES, ids=str)
def test_table_and_gradient_match_the_twin(
    case: Case[Likelihood], shape: tuple[int, int, int], dtype: torch.dtype
) -> None:
    views = ordinary_views(shape, extra_outputs=case.instance.extra_outputs, center=case.center)
    matches_twin(case, views, dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", EXTREME_SHAPES, ids=str)
@pytest.mark.parametrize("case", LIKELIHOOD_CASES, ids=str)
def test_uniform_and_extreme_logits_match_the_twin(
    case: Case[Likelihood], shape: tuple[int, int, int], dtype: torch.dtype
) -> None:
    matches_twin(case, extreme_views(shape, extra_outputs=case.instance.extra_outputs), dtype)


@pytest.mark.parametrize("case", LIKELIHOOD_CASES, ids=str)
def test_extremes_of_many_classes_are_finite(case: Case[Likelihood]) -> None:
    views = extreme_views((2, 24, 1000), extra_outputs=case.instance.extra_outputs).to(torch.float32)
    logits = views.logits.requires_grad_()
    table = case.instance.table(logits, views.decay)
    (gradient,) = torch.autograd.grad(table[..., :3].sum(), logits)
    assert table.isfinite().all()
    assert gradient.isfinite().all()


def test_twins_refuse_float32() -> None:
    with pytest.raises(TypeError, match="float64"):
        twins.LIKELIHOOD_TWINS["categorical"](jnp.zeros((1, 1, 2), jnp.float32), jnp.zeros((1, 1)))


def test_twins_normalizer_is_the_integral_of_the_definition() -> None:
    """Z = sum_j int prod_i f_i^{q_i(a, e_j)} da by adaptive quadrature with 30 digits, the exponents written out."""
    for logits in ([0.3, -1.2, 2.0], [190.0, -200.0, 3.0], [0.0, 0.0, 0.0]):
        with mpmath.workdps(30):
            masses = [mpmath.exp(x) for x in logits]
            f = [mass / sum(masses) for mass in masses]

            def term(j: int, a: mpmath.mpf, f: list[mpmath.mpf] = f) -> mpmath.mpf:
                return mpmath.fprod(f[i] ** ((1 - a) * (i == j) + a / 3) for i in range(3))

            Z = sum(mpmath.quad(lambda a, j=j: term(j, a), [0, 0.01, 0.1, 0.5, 0.9, 1]) for j in range(3))
            log_Z = float(mpmath.log(Z))
        arguments = jnp.asarray(logits)[None, None], jnp.zeros((1, 1))
        found = twins.LIKELIHOOD_TWINS["smoothed"](*arguments) - twins.LIKELIHOOD_TWINS["smoothed-normalized"](
            *arguments
        )
        assert np.abs(np.asarray(found) - log_Z).max() < 1e-12 * (1 + abs(log_Z))


def test_the_dirichlet_twin_keeps_the_last_digits(rng: np.random.Generator) -> None:
    """Uniform labels, whose log f are large and differ in sign from the constant, with 30 digits."""
    logits = 10 * rng.normal(size=(1, 24, 10))
    found = np.asarray(twins.LIKELIHOOD_TWINS["dirichlet"](jnp.asarray(logits), jnp.ones((1, 24))))[0]
    with mpmath.workdps(30):
        q = mpmath.mpf(1) / 10
        log_beta = 10 * mpmath.loggamma(1 + q) - mpmath.loggamma(11)
        for row, values in zip(found, logits[0], strict=True):
            log_mass = mpmath.log(sum(mpmath.exp(x) for x in values))
            exact = float(q * sum(x - log_mass for x in values) - log_beta)
            np.testing.assert_allclose(row, exact, rtol=0, atol=16 * np.finfo(float).eps * (1 + abs(exact)))


def test_dirichlet_agrees_with_scipy(rng: np.random.Generator) -> None:
    f, gamma = rng.dirichlet(np.ones(5)), 0.37
    table = LIKELIHOODS["dirichlet"].table(
        torch.tensor(np.log(f))[None, None], torch.tensor([[gamma]], dtype=torch.float64)
    )
    for j in range(5):
        q = (1 - gamma) * np.eye(5)[j] + gamma / 5
        assert float(table[0, 0, j]) == pytest.approx(stats.dirichlet(1 + q).logpdf(f), abs=1e-12)


# Invariants

LOGITS = arrays(np.float64, (2, 3, 5), elements=st.floats(-30, 30))
DECAYS = arrays(np.float64, (2, 3), elements=st.floats(0, 1))


@pytest.mark.parametrize("case", LIKELIHOOD_CASES, ids=str)
@given(logits=LOGITS)
def test_predictions_sum_to_one(case: Case[Likelihood], logits: np.ndarray) -> None:
    predicted = case.instance.log_probabilities(torch.tensor(logits))
    assert predicted.shape[-1] == 5 - case.instance.extra_outputs
    torch.testing.assert_close(predicted.exp().sum(-1), torch.ones(2, 3).double())


@pytest.mark.parametrize("case", FAMILIES, ids=str)
@given(logits=LOGITS)
def test_a_view_without_label_prefers_no_label(case: Case[Likelihood], logits: np.ndarray) -> None:
    """At gamma = 1 the table is the same for every label."""
    table = case.instance.table(torch.tensor(logits), torch.ones(2, 3).double())
    spread = table.amax(-1) - table.amin(-1)
    assert (spread <= 1e-12 * (1 + table.abs().amax(-1))).all()


@pytest.mark.parametrize("case", SHIFTABLE, ids=str)
@given(logits=LOGITS, decay=DECAYS, constant=st.floats(-50, 50))
def test_a_constant_added_to_the_logits_changes_nothing(
    case: Case[Likelihood], logits: np.ndarray, decay: np.ndarray, constant: float
) -> None:
    x, gamma = torch.tensor(logits), torch.tensor(decay)
    torch.testing.assert_close(
        case.instance.table(x + constant, gamma), case.instance.table(x, gamma), rtol=1e-12, atol=1e-10
    )


def test_a_constant_added_to_the_logits_changes_noisy_dirichlet() -> None:
    x, gamma = torch.zeros(1, 1, 3), torch.zeros(1, 1)
    assert (NoisyDirichlet().table(x + 1, gamma) - NoisyDirichlet().table(x, gamma)).abs().min() > 0.1


@given(logits=LOGITS, decay=DECAYS)
def test_tempered_normalized_is_a_distribution_over_labels(logits: np.ndarray, decay: np.ndarray) -> None:
    table = LIKELIHOODS["tempered-normalized"].table(torch.tensor(logits), torch.tensor(decay))
    torch.testing.assert_close(table.exp().sum(-1), torch.ones(2, 3).double())


@given(logits=LOGITS, decay=DECAYS)
def test_tempered_normalized_is_smoothed_normalized_over_labels(logits: np.ndarray, decay: np.ndarray) -> None:
    x, gamma = torch.tensor(logits), torch.tensor(decay)
    torch.testing.assert_close(
        LIKELIHOODS["tempered-normalized"].table(x, gamma), LIKELIHOODS["smoothed"].table(x, gamma).log_softmax(-1)
    )


@pytest.mark.parametrize("name", ["categorical", "tempered", "smoothed", "tempered-normalized"])
@given(logits=LOGITS)
def test_a_clean_view_is_categorical(name: str, logits: np.ndarray) -> None:
    x = torch.tensor(logits)
    torch.testing.assert_close(LIKELIHOODS[name].table(x, torch.zeros(2, 3).double()), x.log_softmax(-1))


# Normalization over labels and levels


@pytest.mark.parametrize("scale", [0.0, 1.0, 8.0])
def test_smoothed_normalized_integrates_to_one_over_labels_and_levels(scale: float, rng: np.random.Generator) -> None:
    logits = torch.tensor(scale * rng.normal(size=(1, 1, 7)))

    def mass(level: float) -> float:
        decay = torch.full((1, 1), level, dtype=torch.float64)
        return float(LIKELIHOODS["smoothed-normalized"].table(logits, decay).exp().sum())

    assert integrate.quad(mass, 0, 1)[0] == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize(
    "schedule", [Schedule(), Schedule(both=1, alpha=0.7, k_noise=0.5, k_blur=0.7), Schedule(clean=0, beta=1.0)]
)
def test_under_the_schedule_the_mass_has_mean_one(schedule: Schedule, rng: np.random.Generator) -> None:
    """The mean of sum_j exp(table_j) over decays as training draws them is one: 20,000 draws, 4 standard errors."""
    logits, draws = torch.tensor(4 * rng.normal(size=(1, 1, 10))), 20_000
    t = torch.tensor(rng.beta(schedule.alpha, schedule.beta, draws))
    roles = rng.choice(4, draws, p=schedule.shares())
    decay = torch.stack([schedule.decay(role, t) for role in ("clean", "noise", "blur", "both")])
    drawn = decay[torch.tensor(roles), torch.arange(draws)][None]
    mass = SmoothedNormalizedSchedule(schedule).table(logits.expand(1, draws, 10), drawn).exp().sum(-1)[0]
    assert abs(float(mass.mean()) - 1) < 4 * float(mass.std()) / math.sqrt(draws)


def test_uniform_logits_have_normalizer_one_and_no_others_more() -> None:
    smoothed, normalized = LIKELIHOODS["smoothed"], LIKELIHOODS["smoothed-normalized"]
    views = extreme_views((2, 24, 10))
    log_Z = (smoothed.table(views.logits, views.decay) - normalized.table(views.logits, views.decay))[..., 0]
    by_scale = log_Z.reshape(2, 3, len(EXTREME_SCALES))
    torch.testing.assert_close(by_scale[..., 0], torch.zeros(2, 3).double(), rtol=0, atol=1e-15)
    assert log_Z.max() < 1e-13
    assert by_scale[..., EXTREME_SCALES.index(20.0) :].max() < -0.1


def test_schedule_of_blur_alone_is_a_sum_of_hypergeometric_functions(rng: np.random.Generator) -> None:
    """For gamma = t: Z = sum_j f_j 1F1(alpha; alpha+beta; d_j)."""
    schedule = Schedule(clean=0, noise=0, alpha=1.5, beta=2.5)
    f = rng.dirichlet(np.ones(6))
    d = np.log(f).mean() - np.log(f)
    Z = (f * special.hyp1f1(1.5, 4.0, d)).sum()
    arguments = torch.tensor(np.log(f))[None, None], torch.zeros(1, 1).double()
    table = SmoothedNormalizedSchedule(schedule).table(*arguments)
    log_Z = LIKELIHOODS["smoothed"].table(*arguments) - table
    torch.testing.assert_close(log_Z, torch.full_like(log_Z, math.log(Z)), rtol=0, atol=1e-13)


def test_schedule_of_clean_views_alone_needs_no_normalizer() -> None:
    views = ordinary_views((4, 12, 10))
    clean = SmoothedNormalizedSchedule(Schedule(noise=0, blur=0)).table(views.logits, views.decay)
    torch.testing.assert_close(clean, LIKELIHOODS["smoothed"].table(views.logits, views.decay))


# Half precision


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("case", LIKELIHOOD_CASES, ids=str)
def test_half_precision_logits_are_cast_up_first(case: Case[Likelihood], dtype: torch.dtype) -> None:
    views = ordinary_views((2, 4, 100), extra_outputs=case.instance.extra_outputs, center=case.center).to(torch.float32)
    logits = views.logits.to(dtype)
    table = case.instance.table(logits, views.decay)
    assert table.dtype == torch.float32
    assert torch.equal(table, case.instance.table(logits.float(), views.decay))
    assert case.instance.log_probabilities(logits).dtype == torch.float32


@pytest.mark.parametrize("case", LIKELIHOOD_CASES, ids=str)
def test_autocast_changes_nothing(case: Case[Likelihood]) -> None:
    views = ordinary_views((2, 4, 100), extra_outputs=case.instance.extra_outputs, center=case.center).to(torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        table = case.instance.table(views.logits, views.decay)
    assert torch.equal(table, case.instance.table(views.logits, views.decay))


@pytest.mark.parametrize("end", [0.0, 1.0])
@pytest.mark.parametrize("case", LIKELIHOOD_CASES, ids=str)
def test_decays_have_the_gradient_at_their_ends_that_they_have_beside_them(case: Case[Likelihood], end: float) -> None:
    """Learned decays leave an end by it."""
    views = ordinary_views((2, 4, 10), extra_outputs=case.instance.extra_outputs, center=case.center)

    def slopes(level: float) -> Tensor:
        decay = torch.full_like(views.decay, level).requires_grad_()
        first = case.instance.table(views.logits, decay)[..., 0]
        return torch.autograd.grad((first + 0 * decay).sum(), decay)[0]  # which categorical leaves out

    torch.testing.assert_close(slopes(end), slopes(abs(end - 1e-9)), rtol=1e-6, atol=1e-6)


WITHOUT_MEAN = ("categorical", "tempered", "tempered-normalized", "sink", "label-relaxation")
"""Those in which a label gives nothing to other classes."""


@pytest.mark.parametrize("gamma", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("name", WITHOUT_MEAN)
@pytest.mark.parametrize("column", [False, True], ids=["table", "column"])
def test_a_masked_class_is_as_if_it_were_not_there(
    name: str, gamma: float, column: bool, generator: torch.Generator
) -> None:
    """Its logit is -inf: value and gradient are those of the other classes alone."""
    likelihood = LIKELIHOODS[name]
    C = 5 + likelihood.extra_outputs
    rest = torch.randn(2, 3, C, generator=generator, dtype=torch.float64).requires_grad_()
    masked = torch.cat([rest.detach()[..., :1], torch.full((2, 3, 1), -math.inf).double(), rest.detach()[..., 1:]], -1)
    masked.requires_grad_()
    decay, labels = torch.full((2, 3), gamma, dtype=torch.float64), torch.tensor([1, 3, 0])

    def at(logits: Tensor, labels: Tensor) -> Tensor:
        if column:
            return column_of(likelihood, logits, decay, labels)
        return at_label(likelihood.table(logits, decay), labels)

    found, expected = at(masked, labels + (labels > 0)), at(rest, labels)
    torch.testing.assert_close(found, expected)
    (slopes,) = torch.autograd.grad(found.sum(), masked)
    (others,) = torch.autograd.grad(expected.sum(), rest)
    torch.testing.assert_close(slopes, torch.cat([others[..., :1], torch.zeros(2, 3, 1), others[..., 1:]], -1))


def test_noisy_dirichlet_refuses_its_parameter() -> None:
    for value in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(errors.InputError, match=r"expected alpha_eps > 0") as refusal:
            NoisyDirichlet(alpha_eps=value)
        assert "\n" not in str(refusal.value)
