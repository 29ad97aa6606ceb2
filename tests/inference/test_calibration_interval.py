"""The interval of the calibration error against exact intervals, and where there is hardly anything to go by."""

import numpy as np
import numpy.typing as npt
import pytest
from scipy import optimize, special, stats

from auglik.inference.calibration import interval
from auglik.inference.calibration.bins import Outcomes, equal_width
from auglik.inference.calibration.interval import ErrorInterval, ece_interval

Floats = npt.NDArray[np.float64]
EDGES = equal_width(15)


def answers(confidence: npt.ArrayLike, correct: npt.ArrayLike) -> Outcomes:
    c, k = np.broadcast_arrays(np.asarray(confidence, float), np.asarray(correct, float))
    return Outcomes(c, special.logit(np.clip(c, 1e-9, 1 - 1e-9)), k)


def alike(confidence: float, right: int, images: int) -> Outcomes:
    """Images of one confidence, `right` of which are."""
    return answers(confidence, np.arange(images) < right)


def of(*runs: Outcomes, seed: int = 0) -> ErrorInterval:
    return ece_interval(runs, EDGES, np.random.default_rng(seed))


@pytest.fixture
def many_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interval, "DRAWS", 40_000)


def mid_p(right: int, images: int) -> tuple[float, float]:
    """Limits of the accuracy beyond which what was seen counts half (Lancaster 1961)."""

    def excess(p: float, least: int) -> float:
        return float(stats.binom.sf(least, images, p) + stats.binom.pmf(least, images, p) / 2) - 0.025  # type: ignore[attr-defined]

    wrong = images - right
    return (
        float(optimize.brentq(excess, 1e-9, right / images, (right,))),
        1 - float(optimize.brentq(excess, 1e-9, wrong / images, (wrong,))),
    )


@pytest.mark.usefixtures("many_draws")
@pytest.mark.parametrize(
    ("confidence", "right", "images"),
    [(0.95, 320, 400), (0.6, 360, 400), (0.99, 60, 80), (0.7, 190, 200), (0.999, 94, 100)],
)
def test_in_one_bin_it_is_wilsons_interval_of_the_accuracy_or_the_mid_p_one_where_that_is_longer(
    confidence: float, right: int, images: int
) -> None:
    wilson = stats.binomtest(right, images).proportion_ci(method="wilson")  # type: ignore[attr-defined]
    lower, upper = mid_p(right, images)
    exact = min(wilson.low, lower), max(wilson.high, upper)
    gaps = sorted(abs(limit - confidence) for limit in exact)
    found = of(alike(confidence, right, images))
    # the 2.5% point of 40,000 draws: standard error 0.0134 standard deviations, which are 0.255 of the interval
    assert found == pytest.approx(gaps, abs=5 * 0.0134 * 0.255 * (wilson.high - wilson.low))


@pytest.mark.usefixtures("many_draws")
def test_without_an_error_the_bins_that_images_fell_into_say_nothing_of_the_accuracy() -> None:
    spread, one = of(answers(np.linspace(0.5, 0.7, 100), np.ones(100))), of(alike(0.6, 100, 100))
    assert one.lower < 1 - 0.6 - 0.036  # the accuracy may be .964 (Clopper and Pearson)
    assert spread.lower == pytest.approx(one.lower, abs=0.02)
    several = of(*[answers(np.linspace(0.5, 0.7, 100), np.ones(100))] * 3)
    assert several.lower == pytest.approx(spread.lower, abs=0.005)


def test_answers_that_are_all_alike_leave_a_doubt() -> None:
    found = of(alike(1.0, 0, 50))
    assert found.lower == pytest.approx(0.025 ** (1 / 50), abs=0.01)
    assert found.upper == 1


@pytest.mark.parametrize(
    ("images", "networks", "accuracy", "low", "high"),
    [(100, 1, 0.99, 0.5, 0.7), (50, 1, 0.97, 0.4, 0.6), (200, 3, 0.99, 0.5, 0.9), (300, 1, 0.98, 0.6, 0.9)],
)
def test_timid_networks_that_are_hardly_ever_wrong_are_not_held_for_worse(
    images: int, networks: int, accuracy: float, low: float, high: float
) -> None:
    generator, error, repeats = np.random.default_rng(5), accuracy - (low + high) / 2, 200
    found = []
    for _ in range(repeats):
        right = generator.random(images) < accuracy
        found.append(of(*[answers(generator.uniform(low, high, images), right) for _ in range(networks)]))
    tolerance = 3.5 * np.sqrt(0.025 * 0.975 / repeats)
    assert np.mean([one.lower > error for one in found]) < 0.025 + tolerance
    assert np.mean([one.upper < error for one in found]) < 0.025 + tolerance


def test_the_same_answers_have_the_same_interval() -> None:
    generator = np.random.default_rng(6)
    runs = [answers(generator.uniform(0.3, 1, 400), generator.random(400) < 0.7) for _ in range(3)]
    assert of(*runs) == of(*runs)


@pytest.mark.usefixtures("many_draws")
def test_the_lower_limit_is_0_unless_a_test_of_calibration_refuses_it() -> None:
    images, confidence = 10_000, 0.8
    deviation = np.sqrt(images * confidence * (1 - confidence))
    refused = [of(alike(confidence, round(8000 - z * deviation), images)).lower > 0 for z in (0, 2.15, 2.33)]
    assert refused == [False, False, True]  # |z| > 2.24 has probability 2.5% if calibrated


@pytest.mark.parametrize("accuracy", [0.8, 0.9])
def test_limits_are_passed_as_often_however_few_draws_there_are(
    accuracy: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interval, "DRAWS", 39)  # the 2.5% point is the least draw
    generator, images, repeats, confidence = np.random.default_rng(7), 10_000, 1000, 0.8
    rights = generator.binomial(images, accuracy, repeats)
    found = [ece_interval([alike(confidence, right, images)], EDGES, generator) for right in rights]
    allowed, error = 0.025 + 3 * np.sqrt(0.025 * 0.975 / repeats), accuracy - confidence
    assert np.mean([one.lower > error + 1e-12 for one in found]) < allowed
    assert np.mean([one.upper < error - 1e-12 for one in found]) < allowed


def test_a_network_that_is_counted_twice_says_no_more() -> None:
    generator = np.random.default_rng(3)
    confidence = generator.uniform(0.3, 1, 1000)
    run = answers(confidence, generator.random(1000) < confidence**2)
    once, twice = of(run), of(run, run, run)
    assert twice == pytest.approx(once, abs=0.15 * (once.upper - once.lower))
    apart = [answers(confidence, generator.random(1000) < confidence**2) for _ in range(3)]
    independent = of(*apart)
    assert independent.upper - independent.lower < 0.75 * (once.upper - once.lower)


def test_neither_the_order_of_images_nor_of_networks_matters() -> None:
    generator = np.random.default_rng(4)
    confidence = generator.uniform(0.3, 1, (2, 400))
    runs = [answers(c, generator.random(400) < 0.7) for c in confidence]
    order = generator.permutation(400)
    shuffled = [Outcomes(*(column[order] for column in run)) for run in runs]
    assert of(*shuffled) == pytest.approx(of(*runs), rel=1e-6)
    assert of(*runs[::-1]) == pytest.approx(of(*runs), rel=0.1)


def test_it_shrinks_as_images_grow_in_number() -> None:
    small, large = of(alike(0.9, 80, 100)), of(alike(0.9, 8000, 10_000))
    assert small.lower < large.lower < 0.1 < large.upper < small.upper


@pytest.mark.parametrize("images", [1, 4, 60, 3000])
def test_without_an_error_the_upper_limit_is_clopper_and_pearsons(images: int) -> None:
    found = of(alike(0.999, images, images))
    assert found.lower == 0
    assert found.upper == pytest.approx(min(1 - 0.025 ** (1 / images) + 0.001, 1))


def test_what_can_only_be_miscalibrated_is() -> None:
    no_errors, no_right = of(alike(0.6, 500, 500)), of(alike(0.9, 0, 500))
    assert no_errors.lower > 0.35
    assert no_errors.upper == pytest.approx(0.4 + 1 - 0.025 ** (1 / 500))
    assert no_right.lower > 0.85
    assert no_right.upper == pytest.approx(0.9 + 1 - 0.025 ** (1 / 500))
    certain = of(alike(1.0, 400, 500))
    assert 0.15 < certain.lower < 0.2 < certain.upper < 0.25


EDGE_CASES = {
    "one image, wrong": [alike(0.9, 0, 1)],
    "one image, right, certain": [alike(1.0, 1, 1)],
    "two networks of one image": [alike(0.9, 1, 1), alike(0.8, 0, 1)],
    "certain and right": [alike(1.0, 100, 100)],
    "certain and wrong": [alike(1.0, 0, 100)],
    "one class": [answers(np.ones(6), np.ones(6))],
    "chance": [answers(np.full(50, 0.5), np.arange(50) % 2)],
    "beyond 1 by a rounding": [answers([1 + 1e-8, 0.9, 1.0], [1, 1, 0])],
    "probability 0": [answers([0.0, 0.0], [0, 1])],
    "networks in bins of their own": [alike(0.3, 10, 40), alike(0.9, 36, 40)],
}


@pytest.mark.parametrize("runs", EDGE_CASES.values(), ids=EDGE_CASES)
def test_the_smallest_sets_have_an_interval(runs: list[Outcomes]) -> None:
    found = of(*runs)
    assert 0 <= found.lower <= found.upper <= 1
    assert found.upper > 0


def test_networks_that_know_nothing_and_say_so_are_not_refused() -> None:
    assert of(answers(np.full(400, 0.1), np.arange(400) < 40)).lower == 0
