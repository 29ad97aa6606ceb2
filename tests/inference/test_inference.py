"""The law of a difference, the rule that decides, effective views, choice of a grid's value and seeds needed."""

import itertools
import math

import numpy as np
import numpy.typing as npt
import pytest
from arviz_stats.base import array_stats  # type: ignore[attr-defined]
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, special, stats
from scipy.stats import chi2, nct  # type: ignore[attr-defined]
from scipy.stats import t as student  # type: ignore[attr-defined]

from auglik.inference.choose import choose
from auglik.inference.components import Components, components, mean_squares, new_images, new_seeds
from auglik.inference.differences.pairing import pairs
from auglik.inference.differences.power import chance, seeds_needed
from auglik.inference.differences.scored import image_nll, run_scores
from auglik.inference.effective_views import effective_views, smoothed_log_weights
from auglik.inference.law import Law, below, draws, interval, law_of, p_of_more, p_of_none
from auglik.inference.rule import decide, outcome
from auglik.objectives import InputError
from auglik.scoring.intervals import holm, paired_difference
from auglik.scoring.metrics import scores
from auglik.scoring.predictions import Predictions
from auglik.studies.verdicts.worlds import World

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
    world = World("one cell", 0.3, (0.4,), image_sd=0.8, residual_sd=0.5, images=40)
    d = world.differences(np.random.default_rng(0), 3000, 5, np.zeros(1))[:, 0]
    seeds, images, residual = mean_squares(d)  # before anything is set to 0
    for estimates, variance in (((seeds - residual) / 40, 0.25), ((images - residual) / 5, 1.28), (residual, 0.5)):
        assert abs(estimates.mean() - variance) < 4 * stats.sem(estimates)


def test_negative_components_are_zero_and_named() -> None:
    """Residuals that cancel within every seed and image leave no mean square for either."""
    d = np.array([[1.0, -1.0], [-1.0, 1.0]])
    found = components(d)
    assert (found.seed_variance, found.image_variance, found.residual_variance) == (0, 0, 4)
    assert found.clamped == ("seeds", "images")


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


def test_one_seed_claims_nothing_about_other_seeds(rng: np.random.Generator) -> None:
    found = components(rng.normal(size=(1, 20)))
    assert math.isnan(found.seed_variance)
    assert math.isnan(new_seeds(found).lower)
    assert new_images(found).standard_error > 0


def test_one_image_claims_nothing_about_other_images() -> None:
    found = components([[0.1], [0.2], [0.4]])
    assert math.isnan(found.image_variance)
    assert math.isnan(new_images(found).lower)
    assert new_seeds(found).standard_error == pytest.approx(stats.sem([0.1, 0.2, 0.4]))


def test_a_label_of_probability_zero_leaves_no_interval() -> None:
    found: Components = components([[0.0, math.inf], [0.1, 0.2]])
    assert all(math.isnan(bounds.lower) for bounds in (new_seeds(found), new_images(found)))


@pytest.mark.parametrize("shape", [(5,), (0, 3), (5, 0), (2, 3, 4)])
def test_components_refuse_other_shapes(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"expected differences \[S,N\]"):
        components(np.zeros(shape))


# The law of a difference


def convolved(law: Law, x: float) -> float:
    """P(delta < x) by adaptive quadrature of the two densities."""
    a, b, S, N = (float(np.asarray(part)) for part in law[1:])

    def integrand(u: float) -> float:
        return float(student.pdf(u, N - 1) * student.cdf((x - float(np.asarray(law.mean)) + b * u) / a, S - 1))

    return float(integrate.quad(integrand, -np.inf, np.inf, epsabs=1e-12, limit=400)[0])


@pytest.mark.parametrize(
    ("seed_error", "image_error", "seeds", "images"),
    [(1.0, 0.5, 5, 300), (0.5, 1.0, 3, 50), (1.0, 1.0, 2, 40), (0.05, 1.0, 10, 20), (1.0, 0.02, 2, 10)],
)
def test_the_law_is_the_convolution_of_two_students(
    seed_error: float, image_error: float, seeds: int, images: int
) -> None:
    law = Law(0.3, seed_error, image_error, seeds, images)
    for x in (-9.0, -2.0, 0.0, 0.4, 4.0):
        assert float(below(law, x)) == pytest.approx(convolved(law, x), abs=2e-4, rel=2e-3)
    lower, upper = interval(law)
    assert convolved(law, float(upper)) - convolved(law, float(lower)) == pytest.approx(0.95, abs=3e-4)
    assert upper - 0.3 >= student.ppf(0.975, seeds - 1) * seed_error * (1 - 1e-9)


def test_without_an_image_part_the_law_is_students_t_test(rng: np.random.Generator) -> None:
    d = np.repeat(rng.normal(0.4, 1, (3, 5, 1)), 2, -1)
    law, expected = law_of(d), stats.ttest_1samp(d[..., 0], 0, axis=1)
    np.testing.assert_allclose(p_of_none(law), expected.pvalue, rtol=1e-9)
    for bounds, of_scipy in zip(interval(law), expected.confidence_interval(), strict=True):
        np.testing.assert_allclose(bounds, of_scipy, rtol=1e-9)


def test_the_image_error_is_that_of_the_components(rng: np.random.Generator) -> None:
    d = rng.normal(size=(6, 9)) + 2 * rng.normal(size=(6, 1)) + 2 * rng.normal(size=9)
    law, found = law_of(d), components(d)
    assert float(law.image_error) ** 2 == pytest.approx(found.image_variance / 9)
    assert float(law.seed_error) == pytest.approx(new_seeds(found).standard_error)


def test_equivalence_is_two_one_sided_tests_at_half_the_level(rng: np.random.Generator) -> None:
    d = np.repeat(rng.normal(0.1, 0.3, (5, 1)), 2, -1)
    one_sided = [
        stats.ttest_1samp(d[:, 0], -0.6, alternative="greater").pvalue,
        stats.ttest_1samp(d[:, 0], 0.6, alternative="less").pvalue,
    ]
    assert float(p_of_more(law_of(d), 0.6)) == pytest.approx(2 * max(one_sided), rel=1e-9)
    assert float(p_of_more(law_of(d + 3), 0.6)) == 1


def test_draws_follow_the_law(rng: np.random.Generator) -> None:
    law = Law(0.3, 0.5, 0.4, 4, 30)
    delta, theta, sd = draws(law, (4, 20_000), rng)
    for x in (-1.0, 0.0, 0.8):
        allowed = 4 * np.sqrt(0.25 / delta.size)
        assert (delta < x).mean() == pytest.approx(float(below(law, x)), abs=allowed)
        assert (theta < x).mean() == pytest.approx(student.cdf((x - 0.3) / 0.5, 3), abs=allowed)
    assert (sd > 1.0).mean() == pytest.approx(chi2.cdf(3, 3), abs=4 * np.sqrt(0.25 / sd.size))  # s = 1


def test_what_is_not_known_is_nan() -> None:
    one_seed, one_image = law_of(np.ones((1, 5))), law_of(np.array([[0.1], [0.2], [0.4]]))
    agreeing = law_of(np.full((3, 4), 0.1 + 0.2))
    for law in (one_seed, one_image, agreeing):
        assert all(np.isnan(part).all() for part in (p_of_none(law), p_of_more(law, 1.0), *interval(law)))
    assert float(one_image.seed_error) == pytest.approx(stats.sem([0.1, 0.2, 0.4]))


# Holm, and the rule


def test_holm_by_hand() -> None:
    """(m - k + 1) p_(k), never falling, at most 1."""
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([[0.5, 0.9], [0.02, 0.01]]).ravel().tolist() == pytest.approx([1, 1, 0.02, 0.02])


def test_a_cell_without_a_verdict_is_of_the_family_all_the_same() -> None:
    np.testing.assert_allclose(holm(np.array([0.02, np.nan, 0.03])), np.array([0.06, np.nan, 0.06]))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_is_between_the_p_value_and_bonferronis(p: list[float]) -> None:
    adjusted = holm(p)
    assert (adjusted >= np.array(p)).all()
    assert (adjusted <= np.minimum(1, len(p) * np.array(p)) + 1e-15).all()
    assert adjusted.min() == pytest.approx(min(1, len(p) * min(p)))


@given(
    st.lists(st.tuples(st.floats(-2, 2), st.floats(0.01, 1), st.floats(0, 1)), min_size=1, max_size=6),
    st.integers(2, 12),
)
@settings(max_examples=30, deadline=None)
def test_a_word_never_contradicts_the_interval(cells: list[tuple[float, float, float]], seeds: int) -> None:
    mean, seed_error, image_error = (np.array(part) for part in zip(*cells, strict=True))
    law, rope = Law(mean, seed_error, image_error, seeds, 50), 0.5
    decision, (lower, upper) = decide(law, rope), interval(law)
    assert not (decision.decided & (lower < 0) & (upper > 0)).any()
    assert ((lower >= -rope) & (upper <= rope))[decision.equal].all()


def test_equal_is_said_before_better() -> None:
    assert outcome(0.01, 0.01, -1.0) == "equal"
    assert [outcome(0.01, 1.0, mean) for mean in (-1.0, 1.0)] == ["better", "worse"]
    assert outcome(0.06, 0.06, 1.0) == "undecided"
    assert outcome(float("nan"), float("nan"), 1.0) == "unknown"


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
    assert found.pareto_k.tolist() == [-math.inf, math.inf]
    assert found.share_unreliable == 0.5


@pytest.mark.parametrize("scale", 10.0 ** np.arange(0, 4.5, 0.5))
def test_views_of_which_one_has_all_weight_are_never_called_sufficient(rng: np.random.Generator, scale: float) -> None:
    """As of a diverged run, whose tails underflow in part or altogether."""
    log_p = -np.abs(scale * rng.standard_normal((64, 300)))
    with np.errstate(all="raise", under="ignore"):
        found = effective_views(log_p)
    weights = special.softmax(log_p, axis=0)
    assert (found.pareto_k[weights.max(0) > 0.99] > 0.7).all()
    assert found.share_unreliable >= (weights.max(0) > 0.99).mean()


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


# Seeds needed


def test_the_chance_of_a_decision_is_that_of_the_noncentral_t() -> None:
    for n, effect in ((3, 1.0), (5, 2.0), (20, 0.7)):
        critical = student.ppf(1 - 0.05 / 16, n - 1)
        noncentral = nct(n - 1, effect * math.sqrt(n))
        expected = noncentral.sf(critical) + noncentral.cdf(-critical)
        found = chance(n, np.array([2 * effect]), np.array([2.0]), 0.0, 1 - 0.05 / 8)
        assert float(found[0]) == pytest.approx(expected, abs=0.01)


def test_the_chance_of_a_decision_with_image_noise_is_that_of_experiments() -> None:
    """New seeds of the same images, decided by the law of each experiment."""
    rng, n, sd, image_error, theta, images = np.random.default_rng(1), 6, 0.02, 0.01, 0.05, 400
    y = rng.normal(theta, sd, (4000, n))
    p = p_of_none(Law(y.mean(1), y.std(1, ddof=1) / math.sqrt(n), np.full(len(y), image_error), n, images))
    width = float(student.ppf(0.975, images - 1)) * image_error
    found = float(chance(n, np.array([theta]), np.array([sd]), width, 0.95)[0])
    assert found == pytest.approx((p < 0.05).mean(), abs=0.03)


def least(effect: float, cells: int) -> int:
    """By scipy's noncentral t, and counting up."""
    for n in range(2, 101):
        critical, noncentral = student.ppf(1 - 0.05 / cells / 2, n - 1), nct(n - 1, effect * math.sqrt(n))
        if noncentral.sf(critical) + noncentral.cdf(-critical) >= 0.8:
            return n
    return 101


def test_many_seeds_leave_little_doubt_about_how_many_are_needed() -> None:
    rng = np.random.default_rng(0)
    law = Law(0.01, 0.02 / math.sqrt(20_000), 0.0, 20_000, 2)
    found = seeds_needed(law, 8, rng)
    assert found.lower is not None
    assert found.upper is not None
    assert found.lower <= least(0.5, 8) <= found.upper
    assert found.upper - found.lower <= 6
    assert list(found.assurance.values()) == sorted(found.assurance.values())
    assert "seeds in all (80% interval) would tell with a chance of 80%" in found.sentence


def test_few_seeds_cannot_tell_how_many_are_needed() -> None:
    found = seeds_needed(Law(0.01, 0.008, 0.0, 3, 2), 8, np.random.default_rng(0))
    assert found.lower is not None
    assert found.upper is None
    assert f"between {found.lower} and more than 100 in all" in found.sentence
    assert f"100 would with a chance of {found.assurance[100]:.0%}" in found.sentence


def test_images_or_the_cap_may_forbid() -> None:
    rng = np.random.default_rng(0)
    images = seeds_needed(Law(0.01, 0.002, 0.02, 5, 300), 1, rng)
    assert images.images_limit > 0.9
    assert "more test images are needed: the 300 test images leave ±0.039 nats" in images.sentence
    hopeless = seeds_needed(Law(0.0001, 0.01 / math.sqrt(200), 0.0, 200, 300), 8, rng)
    assert (hopeless.lower, hopeless.upper) == (None, None)
    assert hopeless.sentence == "more than 100 seeds would be needed"


# Pairing and scores


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


def test_levels_and_ropes_are_checked(rng: np.random.Generator) -> None:
    for level, of in itertools.product((0.0, 1.0, 95.0), (new_seeds, new_images)):
        with pytest.raises(InputError, match="confidence level"):
            of(components(rng.normal(size=(3, 4))), level)
