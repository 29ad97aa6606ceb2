"""The study of estimators holds, fails for a broken aggregator, and its integrals and importance weights are right."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import beta as beta_law  # type: ignore[attr-defined]
from torch import Tensor

from auglik.objectives import DurbinKoopman, LogMean, Multilevel, Sumo
from auglik.studies.common import exact
from auglik.studies.common.laws import beta, log_normal, two_point
from auglik.studies.estimators import budgets
from auglik.studies.estimators.claims import slope_of
from auglik.studies.estimators.measure import LAWS, controls
from auglik.studies.estimators.negative import random_views, ratio_bound, torch_gradients
from auglik.studies.estimators.study import estimators
from auglik.studies.study import Context, Findings
from auglik.views import couplings
from tests.drawn import inside


@pytest.fixture(scope="module")
def findings() -> Findings:
    return estimators(Context(True, 0, None, lambda share: None))


def test_the_study_holds(findings: Findings) -> None:
    assert [claim.line() for claim in findings.claims if not claim.holds] == []
    assert set(findings.figures) == {"estimators-bias", "estimators-rmse"}
    assert all(map(inside, findings.figures.values()))
    assert "thermodynamic" in findings.figures["estimators-rmse"].get_suptitle()
    assert set(findings.data.children) == {*LAWS, "negative-share", "budgets", "proposal", "allocation"}


def test_a_wrong_sign_in_durbin_koopman_fails_claims_that_name_it(monkeypatch: pytest.MonkeyPatch) -> None:
    log_mean, corrected = LogMean(), DurbinKoopman.fold

    def broken(self: DurbinKoopman, table: Tensor, weight: None = None, log_importance: None = None) -> Tensor:
        return 2 * log_mean.fold(table) - corrected(self, table)

    monkeypatch.setattr(DurbinKoopman, "fold", broken)
    failed = [claim.text for claim in estimators(Context(True, 0, None, lambda share: None)).claims if not claim.holds]
    assert len(failed) > 10
    assert all("durbin-koopman" in text for text in failed), failed


def test_couplings_that_change_the_law_of_a_view_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    inside = couplings._inside
    monkeypatch.setattr(couplings, "_inside", lambda words: 0.05 + 0.9 * inside(words))
    for name in couplings.COUPLINGS:
        numbers = budgets.coupled(name, 0, 1)
        log_p = np.log(beta_law.ppf(numbers[..., 1], budgets.ALPHA, budgets.BETA))
        assert not any(claim.holds for claim in budgets.coupling_claims(name, numbers, log_p))


@pytest.mark.parametrize("kind", [Sumo, Multilevel])
def test_a_law_of_views_that_the_weights_are_not_for_fails(
    kind: type[Sumo | Multilevel], monkeypatch: pytest.MonkeyPatch
) -> None:
    survival = kind.survival
    monkeypatch.setattr(kind, "survival", lambda self, views: 1.0 if views == 1 else 0.95 * survival(self, views))
    claims = budgets.drawn_claims(kind.__name__.lower(), 0)
    assert len(claims) == 1 + len(budgets.MOST)
    assert not any(claim.holds for claim in claims)


def test_expectations_of_two_views_are_sums_over_pairs(rng: np.random.Generator) -> None:
    log_p = np.log(rng.random((3, 4)))
    weights = np.array([0.1, 0.2, 0.3, 0.4])
    p, pairs = np.exp(log_p), np.outer(weights, weights)
    first, second = p[:, :, None], p[:, None, :]
    log_mean = np.log((first + second) / 2)
    squares = (first**2 + second**2) / (first + second) ** 2
    powers = 2 * np.log((np.sqrt(first) + np.sqrt(second)) / 2)
    definitions = {
        "jensen": np.log(first * second) / 2,
        "log-mean": log_mean,
        "durbin-koopman": log_mean + squares - 0.5,
        "power-mean": powers,
        "jackknife": 2 * log_mean - (np.log(first) + np.log(second)) / 2,
        "squared responsibilities": squares,
    }
    found = exact.expected(log_p, weights, [2])
    for name, values in definitions.items():
        np.testing.assert_allclose(found[name][0], (pairs * values).sum((1, 2)), rtol=0, atol=1e-12, err_msg=name)


def test_expected_weights_are_derivatives_and_sum_to_one(rng: np.random.Generator) -> None:
    log_p, weights, step = np.log(rng.random((2, 5))), np.full(5, 0.2), 1e-5
    found = exact.expected_weights(log_p, weights, [3])
    direction = rng.standard_normal(5)
    above, below = (exact.expected(log_p + sign * step * direction, weights, [3]) for sign in (1, -1))
    for name, gradient in found.items():
        difference = (above[name][0] - below[name][0]) / (2 * step)
        np.testing.assert_allclose(gradient[0] @ direction, difference, rtol=0, atol=1e-8, err_msg=name)
        total = 0 if name == "squared responsibilities" else 1
        np.testing.assert_allclose(gradient.sum(-1), total, rtol=0, atol=1e-12, err_msg=name)


def test_laws_agree_with_quadrature() -> None:
    mean, square = (quad(lambda p, k=k: p**k * beta_law.pdf(p, 2, 3), 0, 1)[0] for k in (1, 2))
    mean_log = quad(lambda p: np.log(p) * beta_law.pdf(p, 2, 3), 0, 1)[0]
    assert beta(2, 3).log_integral == pytest.approx(np.log(mean))
    assert beta(2, 3).relative_variance == pytest.approx(square / mean**2 - 1)
    assert beta(2, 3).mean_log == pytest.approx(mean_log)
    for law in (beta(2, 3), log_normal(-1, 0.5), two_point(0.2, 0.7, 0.4)):
        p = np.exp(law.atoms)
        assert np.log(law.weights @ p) == pytest.approx(law.log_integral, abs=1e-12)
        assert law.weights @ p**2 / (law.weights @ p) ** 2 - 1 == pytest.approx(law.relative_variance, abs=1e-12)
        assert law.weights @ law.atoms == pytest.approx(law.mean_log, abs=1e-12)
        assert np.sqrt(law.weights @ (law.atoms - law.mean_log) ** 2) == pytest.approx(law.deviation_log, abs=1e-12)


def test_control_variates_have_mean_zero() -> None:
    law = two_point(0.2, 0.9, 0.3)
    ratio = np.exp(law.atoms - law.log_integral)
    pairs = np.outer(law.weights, law.weights)
    views = np.stack(np.broadcast_arrays(ratio[:, None], ratio))
    for name, variate in controls(views, law.relative_variance).items():
        assert (pairs * variate).sum() == pytest.approx(0, abs=1e-14), name


def test_importance_weights_count_every_image_once(rng: np.random.Generator) -> None:
    """All views within h of the largest: the share of images so, by weights, against plain draws."""
    p, weights = random_views(rng, 3, 200_000)
    inside = (p[1:].sum(0) < ratio_bound(3) * p[0]) & (p[0] < 1)
    plain = rng.beta(2, 2, (3, 400_000))
    largest = plain.max(0)
    share = (plain.sum(0) - largest < ratio_bound(3) * largest).mean()
    assert (weights * inside).mean() == pytest.approx(share, abs=4 * np.sqrt(share / 400_000) + 1e-5)
    negative = (torch_gradients(plain[:, :50_000]) < 0).any(0)
    dominated = (plain.sum(0) - largest < ratio_bound(3) * largest)[:50_000]
    assert negative.sum() > 10
    assert not (negative & ~dominated).any()


def test_a_power_law_has_its_slope_and_noise_is_not_fitted() -> None:
    views = np.array([4, 8, 16, 32, 64])
    bias = -3.0 / views**2
    error = np.array([0, 0, 0, 0, 1.0]) * 1e-3
    slope = slope_of(views, bias, np.diag(error**2))
    assert slope.value == pytest.approx(-2)
    assert slope.standard_error == pytest.approx(0)
    np.testing.assert_array_equal(slope.fitted, [8, 16, 32])
    assert np.isnan(slope_of(views, bias, np.eye(5)).value)
