import math

import numpy as np
import pytest
from scipy import stats

from auglik.objectives.errors import InputError
from auglik.scoring.intervals import Interval, paired_difference, standard_error, summary


@pytest.mark.parametrize("seeds", [2, 5, 30])
@pytest.mark.parametrize("level", [0.5, 0.95, 0.99])
def test_paired_difference_is_the_interval_of_the_paired_t_test(seeds: int, level: float) -> None:
    generator = np.random.default_rng(seeds)
    shared = generator.normal(size=seeds)
    values, reference = shared + generator.normal(0.3, 0.1, seeds), shared + generator.normal(0, 0.1, seeds)
    expected = stats.ttest_rel(values, reference).confidence_interval(level)
    result = paired_difference(values, reference, level)
    assert (result.lower, result.upper) == pytest.approx((expected.low, expected.high), rel=1e-9)
    assert result.mean == pytest.approx(values.mean() - reference.mean(), rel=1e-9)
    assert result.n == seeds


def test_pairing_removes_what_the_seeds_share() -> None:
    shared = np.random.default_rng(0).normal(size=5)
    assert paired_difference(shared + 0.25, shared).standard_error == pytest.approx(0, abs=1e-12)
    assert summary(shared + 0.25).standard_error > 0.1


def test_summary_by_hand() -> None:
    result = summary([1.0, 2.0, 3.0, 4.0])
    assert result.mean == 2.5
    assert result.standard_error == pytest.approx(math.sqrt(5 / 3 / 4))
    assert result.upper - result.mean == pytest.approx(3.182446305284263 * result.standard_error)  # t table, df = 3
    assert result.upper + result.lower == pytest.approx(5)


def test_the_95_percent_interval_covers_in_95_percent_of_experiments() -> None:
    experiments, seeds = 4000, 5
    draws = np.random.default_rng(3).normal(1.5, 2.0, (experiments, seeds))
    covered = sum(interval.lower <= 1.5 <= interval.upper for interval in map(summary, draws))
    assert covered / experiments == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / experiments))


@pytest.mark.parametrize("result", [summary([0.25]), paired_difference([0.5], [0.25])])
def test_one_seed_has_a_mean_and_no_interval(result: Interval) -> None:
    assert (result.mean, result.n) == (0.25, 1)
    assert all(math.isnan(bound) for bound in result[1:4])


@pytest.mark.parametrize("values", [[1.0, math.inf, 2.0], [1.0, math.nan, 2.0], [math.inf, -math.inf, 0.0]])
def test_a_diverged_seed_leaves_no_interval(values: list[float]) -> None:
    for result in (summary(values), paired_difference(values, [0.0, math.inf, 0.0])):
        assert not math.isfinite(result.mean)
        assert all(math.isnan(bound) for bound in result[1:4])


def test_standard_error_is_that_of_scipy() -> None:
    values = np.random.default_rng(1).gamma(2.0, size=50)
    assert standard_error(values) == pytest.approx(stats.sem(values))


@pytest.mark.parametrize(
    ("values", "reference", "level", "message"),
    [
        ([], [], 0.95, r"values \[S\].*shape \(0,\)"),
        ([[1.0]], [[1.0]], 0.95, r"shape \(1, 1\)"),
        (["a"], [1.0], 0.95, "got list"),
        ([1.0, 2.0], [1.0], 0.95, "got 2 and 1"),
        *(([1.0, 2.0], [1.0, 3.0], level, f"between 0 and 1, got {level}") for level in (95, 1.5, 1.0, 0.0)),
    ],
)
def test_bad_input_is_one_line(values: object, reference: object, level: float, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        paired_difference(values, reference, level)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
