"""The study of verdicts, and that it sees the faults it is there for."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from scipy import special

from auglik.inference import corruption as corrupted
from auglik.inference import law, rule
from auglik.inference.differences import infer as differences
from auglik.inference.differences import power
from auglik.scoring import intervals as statistics
from auglik.studies.study import Claim, Context, Findings
from auglik.studies.verdicts import claims as verdicts_claims
from auglik.studies.verdicts import measure as verdicts_measure
from auglik.studies.verdicts.measure import corrupted_rates, rates, student_gap
from auglik.studies.verdicts.needed import assured, told_for_certain
from auglik.studies.verdicts.study import verdicts
from auglik.studies.verdicts.worlds import (
    CELLS,
    DECADES,
    SHARED_BY_IMAGES,
    WORLDS,
    World,
    heavy,
    normal,
    of_images_alike,
    of_skewed_images,
    profiles,
    seeds_that_tell,
    skewed,
)
from tests.drawn import inside

Floats = npt.NDArray[np.float64]

BY_NAME = {world.name: world for world in WORLDS}


@pytest.fixture(scope="module")
def findings() -> Findings:
    return verdicts(Context(True, 0, None, lambda share: None))


def failing(claims: list[Claim]) -> str:
    return "\n".join(claim.text for claim in claims if not claim.holds)


def test_every_claim_holds(findings: Findings) -> None:
    assert failing(list(findings.claims)) == ""
    assert len(findings.claims) > 200
    assert findings.data["family_wise"].sizes == {"world": len(WORLDS), "seeds": 4}
    assert list(findings.figures) == ["verdicts-rates"]
    assert inside(findings.figures["verdicts-rates"])


def null(name: str, seeds: int, experiments: int = 1500) -> str:
    """The claims of one world that fail."""
    world = BY_NAME[name]
    found = rates(world, np.random.default_rng(7), experiments, seeds, np.zeros(CELLS))
    return failing(verdicts_claims.null_claims({(world, seeds): found}))


@pytest.mark.parametrize(("name", "seeds"), [("two decades of variances", 5), ("equal variances", 2)])
def test_the_rule_holds_where_faults_are_planted_below(name: str, seeds: int) -> None:
    assert null(name, seeds) == ""


def test_pooled_variances_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """One sd for all cells, the root mean square of theirs."""
    own = statistics.standard_errors

    def pooled(values: Floats) -> Floats:
        return np.broadcast_to(np.sqrt(np.square(own(values)).mean(-1, keepdims=True)), values.shape[:-1])

    monkeypatch.setattr(law, "standard_errors", pooled)
    failed = null("two decades of variances", 5)
    assert "95% intervals of the 3 first hold the truth" in failed
    assert "95% intervals of the last cell hold the truth" in failed


def test_verdicts_that_do_not_allow_for_the_family_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rule, "holm", np.asarray)
    assert null("equal variances", 5) == "equal variances, 5 seeds: any of 8 equal cells called better or worse"


def test_the_normal_for_students_t_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    normal: Callable[[Floats, Floats], Floats] = lambda freedom, t: special.ndtr(t)  # noqa: E731
    monkeypatch.setattr(special, "stdtr", normal)
    failed = null("equal variances", 5)
    assert "called better or worse" in failed
    assert "hold the truth" in failed


def test_an_interval_without_the_images_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = law.law_of
    monkeypatch.setattr(verdicts_measure, "law_of", lambda d: whole(d)._replace(image_error=0.0))
    failed = null("image noise", 10, 200)
    assert "image noise, 10 seeds: any of 8 equal cells called better or worse" in failed
    assert "image noise, 10 seeds: 95% intervals of the 3 first hold the truth" in failed


def of_images(world: World, seeds: int = 5, experiments: int = 200) -> str:
    found = rates(world, np.random.default_rng(7), experiments, seeds, np.zeros(CELLS))
    return failing(verdicts_claims.image_claims({(world, seeds): found}))


def test_where_images_are_skewed_or_alike_an_interval_without_them_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    worlds = of_skewed_images(1000), of_images_alike(1)
    assert [of_images(world) for world in worlds] == ["", ""]
    whole = law.law_of
    monkeypatch.setattr(verdicts_measure, "law_of", lambda d: whole(d)._replace(image_error=0.0))
    assert all("95% intervals of the last cell hold the truth" in of_images(world) for world in worlds)


def test_a_note_of_skewness_that_is_not_made_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def failed() -> str:
        told = [
            verdicts_measure.noted(100, noise, np.random.default_rng(0), 400)
            for noise in (of_skewed_images(100).image_noise, normal)
        ]
        return failing(verdicts_claims.noted_claims(told[0][0], told[1][1]))

    assert failed() == ""
    monkeypatch.setattr(differences, "SKEWED_IMAGES", 0.4)
    assert "share of decided comparisons" in failed()
    monkeypatch.setattr(differences, "SKEWED_IMAGES", 0.02)
    assert "the same of normal ones" in failed()


def test_satterthwaite_is_too_bold_where_some_noise_is_of_the_images() -> None:
    found = verdicts_measure.satterthwaite(BY_NAME["some image noise"], np.random.default_rng(0), 200, 2)
    assert found > 0.15


def test_one_test_of_equivalence_for_all_cells_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World("close cells", 0.0004, tuple(sd / 10 for sd in DECADES))
    key = world, 5

    def edge() -> list[Claim]:
        found = rates(world, np.random.default_rng(1), 1500, 5, np.full(CELLS, 0.005))
        return verdicts_claims.edge_claims({key: found})

    assert failing(edge()) == ""
    monkeypatch.setattr(rule, "holm", np.asarray)
    assert "close cells, 5 seeds: any of 8 cells at the region's edge called practically equal" in failing(edge())


def test_corruptions_taken_for_replicates_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error over seeds and corruptions as if these were independent."""
    single = statistics.standard_errors
    monkeypatch.setattr(corrupted, "standard_errors", lambda values: single(values) / np.sqrt(15))
    found = corrupted_rates(np.random.default_rng(0), 30, 5)
    failed = failing(verdicts_claims.corrupted_claims({5: found}, 30))
    assert "corruption profiles, 5 seeds, overall: a false word about any cell" in failed
    assert "corruption profiles, 5 seeds, overall: 95% intervals hold the truth" in failed


@pytest.mark.parametrize("seeds", [2, 10])
def test_seed_errors_that_are_a_twentieth_too_small_fail(seeds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def failed() -> str:
        gap = student_gap(WORLDS[0], np.random.default_rng(0), 20, seeds)
        return failing(verdicts_claims.student_claims({seeds: gap}))

    assert failed() == ""
    own = statistics.standard_errors
    monkeypatch.setattr(law, "standard_errors", lambda values: 0.95 * own(values))
    assert "off scipy's paired t test" in failed()


def test_coverage_that_is_off_over_all_numbers_of_seeds_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    world = BY_NAME["equal variances"]

    def failed() -> str:
        found = {(world, s): rates(world, np.random.default_rng(s), 2000, s, np.zeros(CELLS)) for s in (2, 3, 5, 10)}
        return failing(verdicts_claims.exact_claims(found))

    assert failed() == ""
    own = statistics.standard_errors
    monkeypatch.setattr(law, "standard_errors", lambda values: 1.1 * own(values))
    assert "all numbers of seeds: 95% intervals of all cells hold the truth" in failed()


@pytest.mark.parametrize(("name", "wrong"), [("POWER", 0.5), ("POWER", 0.9), ("HELD", 0.99), ("HELD", 0.6)])
def test_another_chance_to_tell_and_another_level_of_the_seeds_needed_fail(
    name: str, wrong: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failed() -> str:
        rng = np.random.default_rng(0)
        claims = verdicts_claims.certain_claims({2.0: told_for_certain(2.0, rng)})
        return failing(claims + verdicts_claims.assured_claims({s: assured(rng, 20, s) for s in (2, 5, 10)}))

    assert failed() == ""
    monkeypatch.setattr(power, name, wrong)
    assert ("of a known difference of 2 sds" if name == "POWER" else "'s upper end suffice") in failed() or (
        "its upper end are needed" in failed()
    )


def test_seeds_needed_by_the_estimate_alone_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    def certain(found: law.Law, shape: tuple[int, ...], generator: np.random.Generator) -> tuple[Floats, ...]:
        theta = np.full(shape, float(np.asarray(found.mean)))
        return theta, theta, np.full(shape, float(np.asarray(found.seed_error)) * np.sqrt(int(np.asarray(found.seeds))))

    monkeypatch.setattr(power, "draws", certain)
    failed = failing(verdicts_claims.assured_claims({3: assured(np.random.default_rng(0), 40, 3)}))
    assert "the 80% interval holds the seeds that it takes" in failed


# The worlds


@pytest.mark.parametrize("noise", [heavy, skewed])
def test_noises_have_mean_0_and_variance_1(noise: Callable[[np.random.Generator, tuple[int, ...]], Floats]) -> None:
    draws = noise(np.random.default_rng(0), (400_000,))
    assert abs(draws.mean()) < 0.01
    assert np.minimum(np.square(draws), 1e4).mean() == pytest.approx(1, abs=0.1)


def test_differences_have_the_sds_that_the_world_says_and_share_the_reference() -> None:
    world = BY_NAME["noisy reference"]
    d = world.differences(np.random.default_rng(0), 20_000, 2, np.arange(8.0))[..., 0].reshape(-1, 8, 2)[:, :, 0]
    np.testing.assert_allclose(d.std(0), world.difference_sds, rtol=0.03)
    np.testing.assert_allclose(d.mean(0), np.arange(8.0), atol=0.002)
    assert np.corrcoef(d[:, 0], d[:, 1])[0, 1] > 0.95


def test_images_of_a_kind_share_their_effects_and_skewed_ones_have_a_skewness_of_7() -> None:
    effects = of_images_alike(5).image_effects(np.random.default_rng(0), (200, 1000))
    assert effects.std() == pytest.approx(1, abs=0.01)
    assert np.corrcoef(effects[:, 0:995:5].ravel(), effects[:, 4:999:5].ravel())[0, 1] == pytest.approx(
        SHARED_BY_IMAGES, abs=0.01
    )
    assert np.corrcoef(effects[:, 4:999:5].ravel(), effects[:, 5::5].ravel())[0, 1] == pytest.approx(0, abs=0.02)
    draws = of_skewed_images(100).image_noise(np.random.default_rng(0), (20_000_000,))
    assert (draws**3).mean() == pytest.approx(7, rel=0.1)


def test_profiles_move_together() -> None:
    d = profiles(np.random.default_rng(0), 4000, 2)[:, 7, 0]
    assert np.corrcoef(d[:, 0], d[:, 14])[0, 1] == pytest.approx(0.98, abs=0.01)


def test_two_standard_deviations_take_seven_seeds() -> None:
    """80% power of a two-sided t test at 0.05 / 8, by experiments."""
    rng = np.random.default_rng(0)
    power = {}
    for n in (6, 7):
        y = rng.normal(2, 1, (20_000, n))
        t = y.mean(1) / y.std(1, ddof=1) * np.sqrt(n)
        power[n] = (2 * special.stdtr(n - 1, -np.abs(t)) < 0.05 / 8).mean()
    assert power[6] < 0.8 <= power[7]
    assert seeds_that_tell(2.0, 8) == 7
