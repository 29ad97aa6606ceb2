"""Intervals, adjusted p-values, effective views, choice of a grid's value and power: without sampling a posterior."""

import itertools
import math

import numpy as np
import numpy.typing as npt
import pytest
from arviz_stats.base import array_stats  # type: ignore[attr-defined]
from scipy import integrate, special, stats
from scipy.stats import norm as normal  # type: ignore[attr-defined]
from scipy.stats import t as student  # type: ignore[attr-defined]

from auglik.inference.choose import choose
from auglik.inference.components import Components, components, new_images, new_seeds, new_seeds_and_images
from auglik.inference.effective_views import effective_views, smoothed_log_weights
from auglik.inference.model_data import image_covariance, model_data
from auglik.inference.pairing import pairs
from auglik.inference.power import half_width, seeds_needed
from auglik.inference.scored import image_nll, run_scores
from auglik.inference.simulate import Truth, coverage, simulate
from auglik.inference.simultaneous import shrunk_correlation, simultaneous
from auglik.metrics import scores
from auglik.predictions import Predictions
from auglik.statistics import paired_difference
from objectives import InputError

Floats = npt.NDArray[np.float64]


def prediction(rng: np.random.Generator, labels: npt.NDArray[np.int64], sharpness: float = 2.0) -> Predictions:
    """A run on labels [N] of 3 classes, with 2 folded and 6 evaluation views."""
    N = len(labels)

    def log_p(*shape: int) -> npt.NDArray[np.float32]:
        logits = rng.normal(size=(*shape, N, 3)) + sharpness * np.eye(3)[labels]
        return special.log_softmax(logits, axis=-1).astype(np.float32)

    views = np.take_along_axis(log_p(6), labels[None, :, None], 2)[..., 0]
    return Predictions(log_p(), labels, np.arange(N), log_p(), log_p(2), views, log_p()[:0], labels[:0], labels[:0])


# Components


def by_loops(d: Floats) -> tuple[float, float, float]:
    """Mean squares of seeds, images and residual from their definition."""
    S, N = d.shape
    grand = sum(d[s, i] for s in range(S) for i in range(N)) / (S * N)
    row = [sum(d[s, i] for i in range(N)) / N for s in range(S)]
    column = [sum(d[s, i] for s in range(S)) / S for i in range(N)]
    residual = sum((d[s, i] - row[s] - column[i] + grand) ** 2 for s in range(S) for i in range(N))
    return (
        N * sum((value - grand) ** 2 for value in row) / (S - 1),
        S * sum((value - grand) ** 2 for value in column) / (N - 1),
        residual / ((S - 1) * (N - 1)),
    )


def test_mean_squares_are_those_of_explicit_loops_and_add_up(rng: np.random.Generator) -> None:
    d = rng.normal(size=(4, 7)) + rng.normal(size=(4, 1)) + rng.normal(size=(1, 7))
    found = components(d)
    assert found.mean_squares == pytest.approx(by_loops(d), rel=1e-12)
    seeds, images, residual = found.mean_squares
    total = 3 * seeds + 6 * images + 18 * residual
    assert total == pytest.approx(np.square(d - d.mean()).sum())  # the sums of squares of the layout are orthogonal
    assert found.seed_variance == pytest.approx(max(0, (seeds - residual) / 7))
    assert found.image_variance == pytest.approx(max(0, (images - residual) / 4))


def test_components_are_unbiased() -> None:
    truth = Truth((0.0,), 0.5, 1.0, 0.8, 5, 40)
    generator = np.random.default_rng(0)
    squares = np.array([components(simulate(truth, generator).differences[0]).mean_squares for _ in range(3000)])
    seeds, images, residual = squares.T  # before anything is set to 0
    for estimates, variance in (((seeds - residual) / 40, 0.25), ((images - residual) / 5, 1.0), (residual, 0.64)):
        assert abs(estimates.mean() - variance) < 4 * stats.sem(estimates)


def test_negative_components_are_zero_and_named() -> None:
    """Residuals that cancel within every seed and image leave no mean square for either."""
    d = np.array([[1.0, -1.0], [-1.0, 1.0]])
    found = components(d)
    assert (found.seed_variance, found.image_variance, found.residual_variance) == (0, 0, 4)
    assert found.clamped == ("seeds", "images")
    assert new_seeds_and_images(found).standard_error == pytest.approx(1)  # sqrt(4 / 4)


def test_over_new_seeds_is_the_paired_t_test_over_seeds(rng: np.random.Generator) -> None:
    d = rng.normal(size=(5, 30)) + rng.normal(size=(5, 1))
    expected = paired_difference(d.mean(1), np.zeros(5))
    found = new_seeds(components(d))
    assert (found.mean, found.standard_error, found.lower, found.upper) == pytest.approx(expected[:4], rel=1e-9)
    assert found.degrees_of_freedom == 4


def test_over_new_images_is_the_t_test_over_images(rng: np.random.Generator) -> None:
    d = rng.normal(size=(3, 50)) + rng.normal(size=50)
    expected = stats.ttest_1samp(d.mean(0), 0).confidence_interval(0.9)
    found = new_images(components(d), 0.9)
    assert (found.lower, found.upper) == pytest.approx((expected.low, expected.high), rel=1e-9)


def test_satterthwaite_by_hand(rng: np.random.Generator) -> None:
    d = rng.normal(size=(6, 9)) + 2 * rng.normal(size=(6, 1)) + 2 * rng.normal(size=9)
    found = components(d)
    assert not found.clamped
    S, N, (a, b, e) = 6, 9, found.mean_squares
    variance = found.seed_variance / S + found.image_variance / N + found.residual_variance / (S * N)
    bounds = new_seeds_and_images(found)
    assert bounds.standard_error**2 == pytest.approx(variance)
    freedom = (a + b - e) ** 2 / (a**2 / 5 + b**2 / 8 + e**2 / 40)
    assert bounds.degrees_of_freedom == pytest.approx(freedom)
    assert bounds.upper - bounds.mean == pytest.approx(student.ppf(0.975, freedom) * math.sqrt(variance))


def test_one_seed_claims_nothing_about_other_seeds(rng: np.random.Generator) -> None:
    found = components(rng.normal(size=(1, 20)))
    assert math.isnan(found.seed_variance)
    assert math.isnan(new_seeds(found).lower)
    assert math.isnan(new_seeds_and_images(found).lower)
    assert new_images(found).standard_error > 0


def test_a_label_of_probability_zero_leaves_no_interval() -> None:
    found: Components = components([[0.0, math.inf], [0.1, 0.2]])
    assert all(math.isnan(bounds.lower) for bounds in (new_seeds(found), new_images(found)))


@pytest.mark.parametrize("shape", [(5,), (0, 3), (5, 1), (2, 3, 4)])
def test_components_refuse_other_shapes(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"expected differences \[S,N\]"):
        components(np.zeros(shape))


# Simultaneous intervals


def generator() -> np.random.Generator:
    return np.random.default_rng(5)


def test_one_cell_is_students_t(rng: np.random.Generator) -> None:
    d = rng.normal(0.4, 1, (5, 1))
    found, expected = simultaneous(d, generator=generator()), stats.ttest_1samp(d[:, 0], 0)
    interval = expected.confidence_interval()
    assert (found.lower[0], found.upper[0]) == pytest.approx((interval.low, interval.high), rel=1e-9)
    assert found.p_values[0] == pytest.approx(expected.pvalue, rel=1e-9)


def test_perfectly_correlated_cells_are_students_t(rng: np.random.Generator) -> None:
    """With many seeds; with few the shrinkage leaves the correlation below 1, which widens."""
    factors = np.array([1.0, -2.0, 0.5])
    found = simultaneous(rng.normal(size=(400, 1)) * factors, generator=generator())
    share = student.sf(found.critical[0], 399) * 2
    assert share == pytest.approx(0.05, abs=4 * math.sqrt(0.05 * 0.95 / 20_000))
    few = simultaneous(rng.normal(size=(5, 1)) * factors, generator=generator())
    assert student.ppf(0.975, 4) < few.critical[0] < student.ppf(1 - 0.025 / 3, 4)


def test_independent_cells_are_sidak() -> None:
    """Two seeds leave no correlation to estimate; the tails of C independent t are uniform."""
    d = np.random.default_rng(1).normal(size=(2, 10))
    found = simultaneous(d, generator=generator(), draws=40_000)
    tail = 2 * student.sf(found.critical, 1)
    joint = 1 - (1 - tail) ** 10
    assert joint == pytest.approx(np.full(10, 0.05), abs=4 * math.sqrt(0.05 * 0.95 / 40_000))


def test_many_seeds_are_dunnett() -> None:
    """With 300 seeds and one shared reference the critical value is that of scipy's integral of the normal maximum."""
    rng = np.random.default_rng(2)
    scores = rng.normal(size=(300, 6))
    found = simultaneous(scores[:, 1:] - scores[:, :1], generator=generator(), draws=40_000)

    def inside(q: float) -> float:
        def given(x: float) -> float:
            return float(normal.pdf(x) * (normal.cdf(math.sqrt(2) * q + x) - normal.cdf(-math.sqrt(2) * q + x)) ** 5)

        return float(integrate.quad(given, -8, 8)[0])

    assert inside(float(found.critical[0])) == pytest.approx(0.95, abs=0.006)
    assert found.shrinkage < 0.05


def test_p_values_agree_with_the_intervals_and_exceed_the_unadjusted() -> None:
    d = np.random.default_rng(3).normal(size=(5, 12)) + np.linspace(0, 6, 12)
    found = simultaneous(d, generator=generator())
    excludes = (found.lower > 0) | (found.upper < 0)
    assert excludes.any()
    assert not excludes.all()
    np.testing.assert_array_equal(excludes, found.p_values < 0.05)
    unadjusted = stats.ttest_1samp(d, 0).pvalue
    assert (found.p_values >= unadjusted).all()
    assert (found.p_values <= np.minimum(1, 12 * unadjusted) + 1e-12).all()


def test_cells_with_fewer_seeds_none_or_no_spread() -> None:
    d = np.random.default_rng(4).normal(size=(5, 5))
    d[3:, 1], d[1:, 2], d[:, 3], d[0, 4] = np.nan, np.nan, 0.25, np.inf
    found = simultaneous(d, generator=generator())
    assert found.critical[1] > found.critical[0]  # one degree of freedom
    assert found.mean[2] == d[0, 2]
    assert math.isnan(found.lower[2])
    assert (found.lower[3], found.upper[3], found.p_values[3]) == (0.25, 0.25, 0)
    assert math.isnan(found.lower[4])


def test_shrinkage_is_none_for_many_seeds_and_a_correlation_stays_one() -> None:
    z = np.random.default_rng(0).normal(size=(4000, 2))
    R, w = shrunk_correlation(z @ np.array([[1.0, 0.8], [0.0, 0.6]]))
    assert w < 0.01
    assert R[0, 1] == pytest.approx(0.8, abs=0.03)
    assert (np.linalg.eigvalsh(R) > 0).all()


def test_intervals_cover_at_their_rate() -> None:
    """A small simulation of all closed-form intervals; differences of 4 cells that share a reference."""
    for found in coverage(Truth((0.0, 0.01, -0.02, 0.05), 0.01, 0.3, 0.2, 5, 200), 300):
        allowed = 4 * max(found.standard_error, 0.005)
        assert abs(found.share - 0.95) < allowed, found


# Effective views


def test_weights_and_k_are_those_of_arviz(rng: np.random.Generator) -> None:
    log_p = np.concatenate([rng.normal(0, scale, (64, 20)) for scale in (0.3, 1.0, 4.0)], 1)
    log_p -= log_p.max(0) + 0.1
    weights, k = smoothed_log_weights(log_p)
    expected_weights, expected_k = array_stats.psislw(-log_p, axis=0)
    np.testing.assert_allclose(k, expected_k, rtol=1e-6)
    np.testing.assert_allclose(weights, np.asarray(expected_weights).T, rtol=1e-5, atol=1e-9)


def test_equal_views_are_all_effective_and_one_view_is_alone() -> None:
    log_p = np.full((64, 2), -0.5)
    log_p[:63, 1] = -800
    found = effective_views(log_p)
    assert found.effective == pytest.approx([64, 1])
    assert found.share_unreliable == 0


def test_a_heavy_tail_is_unreliable(rng: np.random.Generator) -> None:
    light = np.log(rng.uniform(0.5, 1, (200, 50)))
    heavy = np.log(np.minimum(1, 1e-6 * rng.pareto(0.5, (200, 50)) + 1e-9))
    assert effective_views(light).share_unreliable == 0
    found = effective_views(heavy)
    assert found.share_unreliable > 0.5
    assert found.mean_effective < 0.2 * 200


def test_few_views_have_no_k(rng: np.random.Generator) -> None:
    found = effective_views(np.log(rng.uniform(0.1, 1, (8, 3))))
    assert np.isnan(found.pareto_k).all()
    assert math.isnan(found.share_unreliable)
    assert (found.effective <= 8).all()


@pytest.mark.parametrize("log_p", [np.zeros(4), np.zeros((1, 4)), np.full((30, 2), -np.inf), np.full((30, 2), np.nan)])
def test_effective_views_refuse(log_p: Floats) -> None:
    with pytest.raises(InputError, match="expected log-likelihoods"):
        effective_views(log_p)


# Choice of a setting


def test_choice_is_the_least_mean_and_the_smaller_of_equals() -> None:
    choices, table = choose(
        {
            "a": {0.1: {7: 1.0, 8: 3.0}, 0.01: {7: 1.5, 8: 2.5}, 0.03: {7: 2.5, 8: 2.0}},
            "b": {0.1: {7: 0.5, 8: math.inf}, 0.01: {7: 9.0, 8: 9.0}, 0.03: {7: 1.0}},
        }
    )
    assert (choices["a"].value, choices["a"].mean_nll, choices["a"].at_edge) == (0.01, 2.0, True)
    assert choices["b"].value == 0.01  # the others lost a run
    assert [trial.failed for trial in table if trial.cell == "b"] == [(), (8,), (8,)]
    assert [trial.value for trial in table if trial.chosen] == [0.01, 0.01]
    assert not choose({"a": {0.1: {0: 2.0}, 0.2: {0: 1.0}, 0.3: {0: 2.0}}})[0]["a"].at_edge


@pytest.mark.parametrize("grid", [{}, {0.1: {}}, {0.1: {0: math.nan}, 0.2: {0: math.inf}}])
def test_no_finite_run_is_no_choice(grid: dict[float, dict[int, float]]) -> None:
    with pytest.raises(InputError, match="cell 'a'"):
        choose({"a": grid})


# Power


def test_half_width_of_equal_images_is_students() -> None:
    assert half_width(5, 4.0, 0.0) == pytest.approx(student.ppf(0.975, 4) * 2 / math.sqrt(5))
    assert half_width(5, 0.0, 4.0) == pytest.approx(1.959963985 * 2)


@pytest.mark.parametrize("image_variance", [0.0, 1e-6, 1e-5])
def test_seeds_needed_tell_in_four_of_five_experiments(image_variance: float) -> None:
    """New seeds on the same images, and the interval for new seeds and images that they would give."""
    variance, difference, experiments = 2e-4, 0.01, 20_000
    found = seeds_needed(difference, variance, image_variance, 5)
    assert found.seeds is not None
    S, rng = found.seeds, np.random.default_rng(1)
    means = rng.normal(difference, math.sqrt(variance / S), experiments)
    over_seeds = variance * rng.chisquare(S - 1, experiments) / (S - 1) / S
    total = over_seeds + image_variance
    widths = student.ppf(0.975, (S - 1) * (total / over_seeds) ** 2) * np.sqrt(total)
    assert 0.77 < (means > widths).mean() < 0.85  # the approximation is normal, and seeds are whole


def test_seeds_needed_are_the_least_and_said() -> None:
    found = seeds_needed(0.01, 2e-4, 1e-6, 5)
    assert found.seeds is not None
    margins = [0.8416212 * math.sqrt(2e-4 / count) for count in (found.seeds - 1, found.seeds)]
    before, now = (half_width(found.seeds - back, 2e-4, 1e-6) for back in (1, 0))
    assert now + margins[1] < 0.01 <= before + margins[0]
    assert found.more == found.seeds - 5
    assert f"{found.more} more seeds" in found.sentence
    assert "new test images" in found.sentence
    assert "test images alone" not in found.sentence
    assert "only more images reduce" in seeds_needed(0.01, 1e-5, 1e-5, 5).sentence


def test_images_or_the_cap_may_forbid() -> None:
    assert "more test images" in seeds_needed(0.01, 1e-4, 1e-4, 5).sentence
    capped = seeds_needed(0.001, 1e-4, 0.0, 5, cap=20)
    assert capped.seeds is None
    assert "more than 20 seeds" in capped.sentence
    assert "images" not in capped.sentence
    mostly_images = seeds_needed(0.0471, 0.0598**2, 0.0235**2, 5)
    assert mostly_images.seeds is None
    assert "more test images are needed" in mostly_images.sentence


# Pairing and the model's data


def test_pairs_leave_out_and_name_what_differs(rng: np.random.Generator) -> None:
    labels = rng.integers(0, 3, 30)
    same = {seed: prediction(rng, labels) for seed in range(4)}
    other = same | {1: prediction(rng, labels[::-1].copy()), 9: same[0]}
    del other[3]
    found, warnings = pairs({"ref": same, "a": other, "b": {8: same[0]}}, dict.fromkeys(("ref", "a", "b"), "ref"))
    assert [(pair.cell, pair.seeds) for pair in found] == [("a", (0, 2))]
    said = "\n".join(warnings)
    for part in ("seed 9 left out, as ref has", "seed 3 left out, as a has", "seed 1 left out, as the test images"):
        assert part in said
    assert "b is not compared with ref" in said


def test_a_cell_without_reference_is_refused(rng: np.random.Generator) -> None:
    with pytest.raises(InputError, match="reference among the cells for 'a'"):
        pairs({"a": {0: prediction(rng, np.zeros(3, np.int64))}}, {"a": "b"})


def test_scores_of_a_run(rng: np.random.Generator) -> None:
    run = prediction(rng, rng.integers(0, 3, 40))
    found = run_scores(run)
    assert found["clean_nll"] == pytest.approx(image_nll(run).mean())
    assert found["folded_ece"] == scores(run.folded_log_probabilities, run.labels).ece
    run.view_log_likelihoods[:, 3] = -np.inf
    assert math.isnan(run_scores(run)["marginal_log_likelihood_corrected"])


def test_image_covariance_is_unbiased() -> None:
    """Cells share half their image variance through the reference, whichever seeds they have."""
    truth = Truth((0.0, 0.0), 0.3, 1.0, 2.0, 4, 60)
    rng = np.random.default_rng(0)
    seeds = [(0, 1, 2, 3), (1, 2, 3)]
    found = []
    for _ in range(400):
        d = simulate(truth, rng).differences
        found.append(60 * image_covariance([d[0], d[1, 1:]], seeds))
    expected = np.array([[1.0, 0.5], [0.5, 1.0]])
    error = np.std(found, axis=0) / math.sqrt(len(found))
    assert (np.abs(np.mean(found, axis=0) - expected) < 4 * error).all()


def test_image_covariance_keeps_the_variances_of_the_components() -> None:
    """Among cells of very different spreads, where the unbiased estimate is not positive semidefinite."""
    rng = np.random.default_rng(1)
    d = [spread * (rng.normal(size=(5, 50)) + 0.3 * rng.normal(size=50)) for spread in (1.0, 30.0, 0.1, 2.0, 5.0)]
    V = image_covariance(d, [range(5)] * 5)
    np.testing.assert_allclose(np.diag(V), [components(cell).image_variance / 50 for cell in d], rtol=1e-9, atol=1e-15)
    assert np.linalg.eigvalsh(V).min() > -1e-12


def test_model_data_places_every_seed() -> None:
    d = [np.full((2, 5), 1.0), np.arange(15.0).reshape(3, 5)]
    data = model_data(d, [(3, 7), (1, 3, 7)], ["x", "w"])
    np.testing.assert_array_equal(data.there, [[False, True, True], [True, True, True]])
    np.testing.assert_array_equal(data.y[1], [2, 7, 12])
    np.testing.assert_array_equal(data.reference, [1, 0])


def test_simulated_differences_share_their_reference() -> None:
    found = simulate(Truth((1.0, 0.0), 1.0, 0.0, 0.0, 20_000, 2), np.random.default_rng(0))
    assert np.asarray(np.corrcoef(found.seed_effects))[0, 1] == pytest.approx(0.5, abs=4 / math.sqrt(20_000))
    assert found.seed_effects.std() == pytest.approx(1, abs=0.03)
    np.testing.assert_allclose(found.differences[0], 1 + np.repeat(found.seed_effects[0][:, None], 2, 1))


def test_levels_and_ropes_are_checked(rng: np.random.Generator) -> None:
    for level, interval in itertools.product((0.0, 1.0, 95.0), (new_seeds, new_images)):
        with pytest.raises(InputError, match="confidence level"):
            interval(components(rng.normal(size=(3, 4))), level)
