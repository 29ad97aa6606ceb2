"""The study of the normalizer: it holds, broken code fails the claims that name it, and its references are right."""

from collections.abc import Callable

import mpmath
import numpy as np
import pytest
import torch
import xarray
from torch import Tensor

import auglik.objectives.likelihoods.smoothed_normalized as uniform
import auglik.objectives.likelihoods.smoothed_normalized_schedule as scheduled
from auglik.objectives import Schedule, normalizer
from auglik.studies.normalizer import draws as normalizer_draws
from auglik.studies.normalizer import study as module
from auglik.studies.normalizer.direct import direct_log_normalizer, our_log_normalizer
from auglik.studies.normalizer.rays import asymptote
from auglik.studies.normalizer.references import (
    LEVEL_WEIGHTS,
    LEVELS,
    by_confluent_function,
    by_jax,
    by_scipy,
    level_quantile,
)
from auglik.studies.study import Context, Findings

CONTEXT = Context(True, 0, None, lambda share: None)


@pytest.fixture(scope="module")
def findings() -> Findings:
    return module.normalizer(CONTEXT)


def failing(findings: Findings) -> list[str]:
    return [claim.text for claim in findings.claims if not claim.holds]


@pytest.fixture
def rerun(findings: Findings, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """The study again on the draws of the first run, which do not depend on the code under test."""
    drawn = xarray.DataTree.from_dict({"posterior": findings.data["draws"].to_dataset()})
    monkeypatch.setattr(normalizer_draws, "sample", lambda seed, draws: drawn)
    return lambda: failing(module.normalizer(CONTEXT))


def test_it_holds(findings: Findings) -> None:
    assert failing(findings) == []
    assert len(findings.remarks) == 2


def test_a_wrong_sign_in_the_uniform_normalizer_is_named(
    rerun: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """f (1 - d rho) for f (1 + d rho), in value and gradient."""
    right = normalizer.logarithmic_means

    def broken(log_f: Tensor, log_g: Tensor | None = None) -> tuple[Tensor, Tensor]:
        means, slopes = right(log_f, log_g)
        return 2 * log_f.exp() - means, log_f.exp() * 2 - slopes

    monkeypatch.setattr(normalizer, "logarithmic_means", broken)
    texts = rerun()
    assert any(text.startswith("log Z (uniform level), C = 10, float64: value, against scipy") for text in texts)
    assert any(text.startswith("log Z (uniform level), C = 10, float32: gradient, against JAX") for text in texts)
    assert "smoothed-normalized: integrates to one over labels and levels" in texts
    assert not any("schedule" in text for text in texts)


def test_a_wrong_sign_in_its_gradient_alone_is_named(
    rerun: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    right = normalizer.logarithmic_means
    monkeypatch.setattr(normalizer, "logarithmic_means", lambda *logs: (right(*logs)[0], -right(*logs)[1]))
    texts = rerun()
    assert any(text.startswith("log Z (uniform level), C = 2, float64: gradient, against scipy") for text in texts)
    assert all("gradient" in text for text in texts)


def test_a_normalizer_that_is_added_fails_the_density(
    rerun: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    right = uniform.log_normalizer
    monkeypatch.setattr(uniform, "log_normalizer", lambda *given: -right(*given))
    texts = rerun()
    assert "smoothed-normalized: integrates to one over labels and levels" in texts
    assert any(text.startswith("smoothed-normalized: share of label") for text in texts)
    assert any(text.startswith("loss of smoothed-normalized falls without bound") for text in texts)


def test_a_wrong_sign_in_the_schedule_s_normalizer_is_named(
    rerun: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    right = scheduled.log_normalizer_under

    def broken(measure: tuple[Tensor, Tensor], log_f: Tensor, toward: Tensor | None = None) -> Tensor:
        return right((-measure[0], measure[1]), log_f, toward)

    monkeypatch.setattr(scheduled, "log_normalizer_under", broken)
    monkeypatch.setattr(module, "log_normalizer_under", broken)
    texts = rerun()
    assert any(text.startswith("log Z (schedule, gamma = t ~ Beta(1,2)), C = 10, float64: value") for text in texts)
    assert any(text.startswith("log Z (schedule, gamma = sin^2), C = 10, float32: gradient") for text in texts)
    assert "smoothed-normalized-schedule: integrates to one over labels and levels" in texts
    assert not any("uniform level" in text for text in texts)


def test_the_published_form_in_place_of_ours_fails(
    rerun: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "our_log_normalizer", direct_log_normalizer)
    texts = rerun()
    assert any(text.startswith("log Z (uniform level), C = 2, float32: 0 at uniform logits") for text in texts)


# The references


def exact_log_normalizer(logits: list[float], schedule: Schedule | None = None) -> float:
    """The definition with 25 digits, the exponents written out; gamma = sin(t pi/2)^(2k) under a schedule."""
    with mpmath.workdps(25):
        masses = [mpmath.exp(x) for x in logits]
        f = [mass / mpmath.fsum(masses) for mass in masses]

        def mass(gamma: mpmath.mpf) -> mpmath.mpf:
            C = len(f)
            return mpmath.fsum(
                mpmath.fprod(f[c] ** ((1 - gamma) * (c == j) + gamma / C) for c in range(C)) for j in range(C)
            )

        breaks = [0, 0.001, 0.01, 0.1, 0.5, 0.9, 1]
        if schedule is None:
            return float(mpmath.log(mpmath.quad(mass, breaks)))
        alpha, beta = schedule.alpha, schedule.beta

        def weighted(t: mpmath.mpf) -> mpmath.mpf:
            density = t ** (alpha - 1) * (1 - t) ** (beta - 1) / mpmath.beta(alpha, beta)
            return density * mass(mpmath.sin(t * mpmath.pi / 2) ** (2 * schedule.k_noise))

        return float(mpmath.log(mpmath.quad(weighted, breaks)))


@pytest.mark.parametrize("logits", [[0.0, 0.0, 0.0], [0.3, -1.2, 2.0], [40.0, -30.0, 3.0]])
def test_references_are_the_definition(logits: list[float]) -> None:
    exact = exact_log_normalizer(logits)
    assert by_scipy(np.array(logits)).value == pytest.approx(exact, abs=1e-13)
    assert by_jax(np.array([logits]))[0][0] == pytest.approx(exact, abs=1e-13)
    noise = Schedule(alpha=2.0, beta=1.5, k_noise=0.5)
    found = by_scipy(np.array(logits), level_quantile(noise, "noise")).value
    assert found == pytest.approx(exact_log_normalizer(logits, noise), abs=1e-11)


def test_gradients_of_references_agree_with_differences() -> None:
    logits, step = np.array([0.3, -1.2, 2.0, 5.0]), 1e-5
    for reference in (by_scipy, lambda x: by_confluent_function(x, 1.0, 2.0)):
        for c, slope in enumerate(reference(logits).gradient):
            moved = step * np.eye(4)[c]
            difference = reference(logits + moved).value - reference(logits - moved).value
            assert difference / (2 * step) == pytest.approx(slope, abs=1e-9)


def test_level_nodes_integrate_steep_exponentials() -> None:
    for d in (1.0, 30.0, 400.0):
        for falling in (LEVELS, 1 - LEVELS):
            assert LEVEL_WEIGHTS @ np.exp(-d * falling) == pytest.approx(-np.expm1(-d) / d, rel=1e-13)


def test_the_direct_form_is_right_where_no_classes_tie() -> None:
    logits = torch.tensor([4.0, -3.0, 1.0], dtype=torch.float64)
    assert float(direct_log_normalizer(logits)) == pytest.approx(float(our_log_normalizer(logits)), abs=1e-14)
    assert direct_log_normalizer(torch.zeros(2)).isnan()


def test_asymptotes_fall_at_their_rates() -> None:
    s = np.array([1e3, 1e6])
    fall = {"smoothed-normalized": 1.0, "noise alone": 0.5, "blur alone": 1.0}
    for name, rate in fall.items():
        low, high = asymptote(name, s)
        assert (low - high) / np.log(1e3) == pytest.approx(rate)
