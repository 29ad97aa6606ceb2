"""The schedule of the decay: its measure against Monte Carlo and quadrature of many digits, and its refusals."""

import math

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from auglik.objectives import ROLES, InputError, Schedule

SCHEDULES = [
    Schedule(),
    Schedule(clean=0, noise=2, blur=1, both=1, alpha=2.0, beta=0.5, k_noise=0.5, k_blur=2.0),
    Schedule(clean=1, noise=0, blur=3, alpha=0.7, beta=2.5, k_blur=0.7),
]
ALONE = {role: {other: float(other == role) for other in ROLES} for role in ROLES}


def exact_log_mean(role: str, schedule: Schedule, d: float) -> float:
    """log E e^(gamma d), t ~ Beta(alpha, beta), with 25 digits."""
    with mpmath.workdps(25):
        a, b = mpmath.mpf(schedule.alpha), mpmath.mpf(schedule.beta)
        k_noise, k_blur = mpmath.mpf(schedule.k_noise), mpmath.mpf(schedule.k_blur)

        def decay(t: mpmath.mpf) -> mpmath.mpf:
            kept = mpmath.mpf(1)
            if role in ("noise", "both"):
                kept *= 1 - mpmath.sin(t * mpmath.pi / 2) ** (2 * k_noise)
            if role in ("blur", "both"):
                kept *= 1 - t**k_blur
            return 1 - kept

        mass = mpmath.quad(
            lambda t: t ** (a - 1) * (1 - t) ** (b - 1) * mpmath.exp(decay(t) * d),
            [0, 1e-10, 1e-6, 1e-4, 1e-2, 0.1, 0.5, 1],
        )
        return float(mpmath.log(mass / mpmath.beta(a, b)))


def log_mean(schedule: Schedule, d: float) -> float:
    levels, weights = schedule.measure()
    return float((levels * d + weights.log()).logsumexp(0))


@pytest.mark.parametrize(
    ("role", "k"),
    [("blur", 0.25), ("blur", 0.5), ("blur", 0.7), ("blur", 1), ("noise", 0.25), ("noise", 0.5), ("noise", 1)],
)
def test_measure_is_accurate_for_common_exponents(role: str, k: float) -> None:
    schedule = Schedule(**ALONE[role], k_noise=k, k_blur=k)
    for d in (-3.0, -50.0, -400.0):
        assert log_mean(schedule, d) == pytest.approx(exact_log_mean(role, schedule, d), rel=0, abs=1e-10)


@pytest.mark.parametrize(
    ("role", "schedule"),
    [
        ("blur", Schedule(**ALONE["blur"], k_blur=1.5, alpha=0.5, beta=0.5)),
        ("noise", Schedule(**ALONE["noise"], k_noise=0.7)),
        ("blur", Schedule(**ALONE["blur"], k_blur=0.7, alpha=0.7, beta=2.5)),
        ("both", Schedule(**ALONE["both"], k_noise=0.5, k_blur=1.5, alpha=0.7, beta=2.5)),
    ],
    ids=["blur-1.5", "noise-0.7", "blur-0.7", "both"],
)
def test_measure_is_accurate_for_fractional_exponents_and_any_beta(role: str, schedule: Schedule) -> None:
    for d in (-50.0, -400.0):
        assert log_mean(schedule, d) == pytest.approx(exact_log_mean(role, schedule, d), rel=0, abs=1e-10)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_weights_sum_to_one_and_levels_are_decays(schedule: Schedule) -> None:
    levels, weights = schedule.measure()
    assert levels.dtype == weights.dtype == torch.float64
    assert float(weights.sum()) == pytest.approx(1, abs=1e-13)
    assert (weights >= 0).all()
    assert (levels >= 0).all()
    assert (levels <= 1).all()
    assert float(weights[levels == 0].sum()) == pytest.approx(schedule.shares()[0], abs=1e-13)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_moments_of_the_decay_are_those_of_draws(schedule: Schedule, rng: np.random.Generator) -> None:
    """Mean and mean square against 10^5 draws of role and temperature, within 4 standard errors."""
    draws = 100_000
    t = torch.tensor(rng.beta(schedule.alpha, schedule.beta, draws))
    roles = torch.tensor(rng.choice(len(ROLES), draws, p=schedule.shares()))
    drawn = torch.stack([schedule.decay(role, t) for role in ROLES])[roles, torch.arange(draws)]
    levels, weights = schedule.measure()
    for power in (1, 2):
        standard_error = float((drawn**power).std()) / math.sqrt(draws)
        assert abs(float((drawn**power).mean()) - float((weights * levels**power).sum())) < 4 * standard_error


@pytest.mark.parametrize("k", [0.25, 0.5, 1.0, 2.0])
def test_mean_decay_in_closed_form(k: float) -> None:
    """Beta(1,2): E t^k = 2/((k+1)(k+2)); for k = 1 the mean of sin(t pi/2)^2 is 1/2 - 2/pi^2."""
    levels, weights = Schedule(clean=0, noise=0, k_blur=k).measure()
    assert float((weights * levels).sum()) == pytest.approx(2 / ((k + 1) * (k + 2)), abs=1e-12)
    levels, weights = Schedule(clean=0, blur=0).measure()
    assert float((weights * levels).sum()) == pytest.approx(0.5 - 2 / math.pi**2, abs=1e-13)


@given(t=st.floats(0, 1), k_noise=st.floats(0.1, 4), k_blur=st.floats(0.1, 4))
def test_decay_by_role(t: float, k_noise: float, k_blur: float) -> None:
    schedule = Schedule(both=1, k_noise=k_noise, k_blur=k_blur)
    gamma = {role: float(schedule.decay(role, torch.tensor(t, dtype=torch.float64))) for role in ROLES}
    signal, noise = math.cos(t * math.pi / 2) ** 2, math.sin(t * math.pi / 2) ** 2
    assert gamma["clean"] == 0
    assert gamma["noise"] == pytest.approx((noise / (signal + noise)) ** k_noise)
    assert gamma["blur"] == pytest.approx(t**k_blur)
    assert 1 - gamma["both"] == pytest.approx((1 - gamma["noise"]) * (1 - gamma["blur"]))


def test_shares_are_relative() -> None:
    assert Schedule(clean=2, noise=1, blur=1).shares() == (0.5, 0.25, 0.25, 0.0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"noise": -1.0}, "share of role noise .* got -1.0"),
        ({"clean": math.nan}, "share of role clean .* got nan"),
        ({"clean": 0.0, "noise": 0.0, "blur": 0.0}, "sum to a number > 0, got 0"),
        ({"clean": 1e308, "noise": 1e308}, "sum to a number > 0, got inf"),
        ({"alpha": 0.0}, "alpha must be a number > 0"),
        ({"beta": -2.0}, "beta must be a number > 0"),
        ({"k_noise": math.inf}, "k_noise must be a number > 0"),
        ({"k_blur": 0.0}, "k_blur must be a number > 0"),
    ],
)
def test_refused_settings(settings: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message) as refusal:
        Schedule(**settings)
    assert "\n" not in str(refusal.value)


def test_an_unknown_role_is_refused() -> None:
    with pytest.raises(InputError, match="expected a role of clean, noise, blur, both, got 'smear'"):
        Schedule().decay("smear", torch.zeros(1))


def log_mean_in_steps(role: str, schedule: Schedule, d: float) -> float:
    """By the trapezoidal rule in x with t = 1/(1+e^(-pi sinh x)), in logarithms."""
    x = np.arange(-8, 8, 1 / 4096)
    u = math.pi * np.sinh(x)
    log_t, log_rest = special.log_expit(u), special.log_expit(-u)
    log_law = schedule.alpha * log_t + schedule.beta * log_rest - special.betaln(schedule.alpha, schedule.beta)
    log_weight = log_law + np.log(math.pi * np.cosh(x) / 4096)
    assert special.logsumexp(log_weight) == pytest.approx(0, abs=1e-8)  # the Beta function of 10^5 is rounded too
    levels = schedule.decay(role, torch.from_numpy(np.exp(log_t))).numpy()
    return float(special.logsumexp(log_weight + d * levels))


@pytest.mark.parametrize(
    ("alpha", "beta", "k", "role"),
    [
        (0.05, 100, 0.25, "both"),
        (1, 50, 0.25, "blur"),
        (10, 2, 0.25, "blur"),
        (9, 2, 1, "blur"),
        (13, 2, 1, "noise"),
        (40, 40, 1, "noise"),
        (9, 2, 1, "both"),
        (9, 0.5, 1, "blur"),
        (20, 20, 1, "noise"),
        (300, 300, 1, "blur"),
        (500, 500, 0.5, "noise"),
        (5, 0.3, 0.25, "both"),
        (2, 2, 0.1, "blur"),
        (3000, 300, 0.3, "noise"),
        (1e5, 1e5, 2, "noise"),
    ],
)
def test_measure_is_accurate_for_narrow_laws_and_small_exponents(
    alpha: float, beta: float, k: float, role: str
) -> None:
    schedule = Schedule(**ALONE[role], alpha=alpha, beta=beta, k_noise=k, k_blur=k)
    for d in (-400.0, -50.0, -3.0, 3.0, 400.0):
        assert log_mean(schedule, d) == pytest.approx(log_mean_in_steps(role, schedule, d), rel=0, abs=1e-8)


@pytest.mark.parametrize(("alpha", "beta", "k"), [(40, 40, 8), (25, 20, 8), (30, 60, 3), (9, 2, 1)])
@pytest.mark.parametrize("d", [3e4, 1e5])
def test_measure_is_accurate_where_probabilities_are_extreme(alpha: float, beta: float, k: float, d: float) -> None:
    """e^(d t^k) has its peak next to t = 1, in k times less than t."""
    schedule = Schedule(**ALONE["blur"], alpha=alpha, beta=beta, k_blur=k)
    assert log_mean(schedule, d) == pytest.approx(log_mean_in_steps("blur", schedule, d), rel=1e-9)


@pytest.mark.parametrize("alpha", [9.0, 12.0, 13.0, 20.0])
def test_laws_far_from_clean_take_no_more_than_a_few_times_the_nodes(alpha: float) -> None:
    """Ordinary ones take 129; panels would be 1,344 for each role, and time is in proportion."""
    levels, _ = Schedule(alpha=alpha).measure()
    assert len(levels) < 5 * 129


@pytest.mark.parametrize(("alpha", "beta", "k"), [(1e7, 1e7, 0.5), (1, 1e-15, 1), (1, 1e-17, 1), (1e-20, 1e-10, 1)])
def test_a_temperature_that_cannot_be_integrated_over_is_refused(alpha: float, beta: float, k: float) -> None:
    with pytest.raises(InputError, match="alpha or beta is too large or too near 0, or an exponent k too small"):
        Schedule(clean=1, noise=0, blur=1, alpha=alpha, beta=beta, k_blur=k).measure()
