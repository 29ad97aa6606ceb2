"""Calibration errors and temperature scaling against their definitions, and the simulation of the bias."""

import numpy as np
import numpy.typing as npt
import pytest
from scipy import special

from auglik.inference.calibration import (
    bias_table,
    classwise,
    debiased,
    debiased_squared,
    plug_in,
    scaled,
    temperature_scaling,
)
from auglik.inference.calibration.bins import Outcomes, count, equal_mass, equal_width, outcomes
from auglik.inference.calibration.temperature import RANGE, fit
from auglik.objectives.errors import InputError
from auglik.scoring import metrics

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]
BINS = 15


def made(images: int, classes: int, T: float, seed: int) -> tuple[Floats, Labels]:
    """Logits over T of labels drawn from the softmax of the logits."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, 2, (images, classes))
    labels = (logits + generator.gumbel(size=logits.shape)).argmax(1)
    return special.log_softmax(logits / T, axis=1), labels


def from_probabilities(rows: list[list[float]], labels: list[int]) -> tuple[Floats, Labels]:
    with np.errstate(divide="ignore"):
        return np.log(np.array(rows)), np.array(labels)


CASES = {
    "calibrated": made(400, 10, 1.0, 0),
    "overconfident": made(300, 5, 0.3, 1),
    "one image": made(1, 3, 1.0, 2),
    "one class of labels": (made(50, 3, 1.0, 3)[0], np.full(50, 1)),
    "one class": (np.zeros((6, 1)), np.zeros(6, dtype=np.int64)),
    "certain": from_probabilities([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]], [0, 0, 0]),
    "on the edges": from_probabilities([[0.8, 0.2], [0.6, 0.4], [1.0, 0.0], [0.4, 0.6]], [0, 1, 0, 0]),
}
cases = pytest.mark.parametrize(("log_p", "labels"), CASES.values(), ids=CASES)


def residuals_by_bin(confidence: Floats, correct: Floats) -> list[Floats]:
    """correct - confidence of the images of every bin ((b-1)/15, b/15] that has any, by the definition."""
    found = []
    for b in range(BINS):
        inside = (confidence > b / BINS) & ((confidence <= (b + 1) / BINS) | (b == BINS - 1))
        if inside.any():
            found.append((correct - confidence)[inside])
    return found


@cases
def test_plug_in_is_that_of_the_metrics(log_p: Floats, labels: Labels) -> None:
    seen = outcomes(log_p, labels)
    ours = plug_in(count(seen.confidence, seen.correct, equal_width(BINS)))
    assert ours == pytest.approx(metrics.expected_calibration_error(log_p, labels, BINS), abs=1e-12)


@cases
def test_classwise_is_the_mean_over_classes(log_p: Floats, labels: Labels) -> None:
    p, C = np.exp(log_p), log_p.shape[1]
    errors = []
    for c in range(C):
        padded = np.concatenate([p[:, c], [0.0]])  # probability 0 lies in the first bin
        padded[padded == 0] = 1e-300
        gaps = residuals_by_bin(padded[:-1], (labels == c).astype(float))
        errors.append(sum(abs(gap.sum()) for gap in gaps) / len(labels))
    assert classwise(log_p, labels, BINS) == pytest.approx(float(np.mean(errors)), abs=1e-12)


@cases
def test_debiased_square_is_the_mean_over_pairs(log_p: Floats, labels: Labels) -> None:
    seen = outcomes(log_p, labels)
    total = 0.0
    for r in residuals_by_bin(seen.confidence, seen.correct):
        n = len(r)
        pairs = [r[i] * r[j] for i in range(n) for j in range(n) if i != j]
        total += n / len(labels) * (sum(pairs) / len(pairs) if pairs else 0.0)
    assert debiased_squared(seen, equal_width(BINS)) == pytest.approx(total, abs=1e-12)


@cases
def test_debiased_is_the_mean_over_fissions(log_p: Floats, labels: Labels) -> None:
    seen = outcomes(log_p, labels)
    noise = np.random.default_rng(0).normal(size=200_000)
    total, variance = 0.0, 0.0
    place = np.searchsorted(equal_width(BINS), seen.confidence)
    for b in np.unique(place):
        c, y = seen.confidence[place == b], seen.correct[place == b]
        d, s = (y - c).mean(), np.sqrt((c * (1 - c)).sum()) / len(c)
        split = np.sign(d + s * noise) * (d - s * noise) if s > 0 else np.full(2, abs(d))
        weight = len(c) / len(labels)
        total, variance = total + weight * split.mean(), variance + weight**2 * split.var() / len(split)
    # the bins share their noise, so that standard errors add up at worst
    assert debiased(seen, equal_width(BINS)) == pytest.approx(total, abs=5 * np.sqrt(BINS * variance) + 1e-12)


def test_log_odds_are_exact_where_the_confidence_rounds_to_one() -> None:
    seen = outcomes(special.log_softmax([[60.0, 0.0, 0.0]], axis=1), [0])
    assert seen.confidence[0] == 1
    assert seen.log_odds[0] == pytest.approx(60 - np.log(2), rel=1e-12)
    assert outcomes(*CASES["certain"]).log_odds.tolist() == [np.inf] * 3


def test_equal_mass_bins_hold_equally_many_and_keep_ties_together() -> None:
    values = np.random.default_rng(0).permutation(np.arange(60) / 60)
    ones = np.ones_like(values)
    assert count(values, ones, equal_mass(values, BINS)).images.tolist() == [4] * BINS
    assert sorted(count(ones, ones, equal_mass(ones, BINS)).images.tolist()) == [0] * (BINS - 1) + [60]


def test_bias_and_its_removal() -> None:
    calibrated, overconfident = bias_table(temperatures=(1.0, 0.5), images=(1000,), repeats=150)
    assert calibrated.plug_in.truth == pytest.approx(0, abs=2e-3)
    assert overconfident.plug_in.truth > 0.1
    assert calibrated.plug_in.mean > 0.02  # a calibrated model looks wrong by two points
    assert abs(calibrated.debiased.mean) < 4 * calibrated.debiased.standard_error + 2e-3
    for row in (calibrated, overconfident):
        low, high = row.debiased, row.plug_in
        assert low.mean - 4 * low.standard_error - 2e-3 < low.truth < high.mean + 4 * high.standard_error
        squared = row.squared_debiased
        assert abs(squared.mean - squared.truth) < 4 * squared.standard_error + 1e-5
        assert row.squared_plug_in.mean - squared.truth > 4 * row.squared_plug_in.standard_error


def test_temperature_undoes_a_scaling() -> None:
    log_p, labels = made(4000, 10, 0.5, 5)
    T = fit(log_p, labels)
    assert pytest.approx(2, abs=0.15) == T
    grid = np.linspace(1.5, 2.5, 201)
    best = grid[np.argmin([metrics.nll(special.log_softmax(log_p / t, axis=1), labels) for t in grid])]
    assert pytest.approx(best, abs=0.01) == T
    scaling = temperature_scaling((log_p, labels), made(3000, 10, 0.5, 6), BINS)
    assert scaling is not None
    assert not scaling.at_bound
    assert scaling.nll_after < scaling.nll_before
    assert scaling.ece_after < 0.3 * scaling.ece_before
    np.testing.assert_allclose(scaled(log_p, 2.0), special.log_softmax(log_p / 2, axis=1), atol=1e-12)


@pytest.mark.parametrize("margin", [3.0, 5.0, 10.0, 20.0, 200.0])
def test_a_temperature_of_images_that_are_all_right_is_at_the_bound(margin: float) -> None:
    """There the NLL is exactly 0 for all small T: where the search stops on that plateau is no temperature."""
    labels = np.arange(200) % 10
    log_p = special.log_softmax(margin * np.eye(10)[labels], axis=1)
    found = temperature_scaling((log_p, labels), (log_p, labels), BINS)
    assert found is not None
    assert found.at_bound
    assert found.temperature == RANGE[0]


def test_temperature_where_there_is_none_to_find() -> None:
    test = made(20, 3, 1.0, 0)
    assert temperature_scaling((np.empty((0, 3)), np.empty(0, dtype=np.int64)), test, BINS) is None
    assert fit(*CASES["certain"]) is None  # a label of probability zero
    right = temperature_scaling((test[0], test[0].argmax(1)), test, BINS)
    assert right is not None
    assert right.at_bound
    assert right.temperature == pytest.approx(RANGE[0], rel=1e-2)
    exact = from_probabilities([[1.0, 0.0], [0.7, 0.3], [0.3, 0.7]] * 9, [0, 0, 0] * 9)
    found = fit(*exact)
    assert found is not None
    assert np.isfinite(found)


def test_bad_input() -> None:
    with pytest.raises(InputError, match="bins >= 1"):
        equal_width(0)
    with pytest.raises(InputError, match="log_softmax"):
        outcomes([[3.0, 1.0]], [0])


def test_a_bin_of_one_certain_and_wrong_image_counts_in_full() -> None:
    seen = Outcomes(np.array([1.0]), np.array([np.inf]), np.array([0.0]))
    assert debiased(seen, equal_width(BINS)) == 1
