"""The study of calibration intervals holds, and fails for the faults that it is there to find."""

from collections.abc import Callable

import numpy as np
import pytest

from auglik.inference.calibration import errors, interval
from auglik.inference.calibration.gaps import Gaps, gaps
from auglik.studies.calibration import study
from auglik.studies.calibration import worlds as calibration_worlds
from auglik.studies.calibration.worlds import TIMID, WORLDS, answers, evidence, true_error
from auglik.studies.study import Context, Findings
from tests.drawn import inside

CONTEXT = Context(True, 0, None, lambda share: None)
NAMES = {world.name: world for world in WORLDS}


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five networks, calibrated ones and overconfident ones."""
    monkeypatch.setattr(study, "QUICK_WORLDS", ("calibrated", "T = 0.67"))
    monkeypatch.setattr(study, "QUICK_SIZES", ((500, 5), (5000, 1)))
    monkeypatch.setattr(study, "FEW_IMAGES", ((20, 1),))
    monkeypatch.setattr(study, "TIMID_SIZES", ((100, 1),))
    monkeypatch.setattr(study, "QUICK_OFTEN", study.QUICK_OFTEN._replace(repeats=30, estimates=500))


def failing(findings: Findings) -> list[str]:
    return [claim.text for claim in findings.claims if not claim.holds]


@pytest.mark.usefixtures("short")
def test_the_study_holds() -> None:
    findings = study.calibration(CONTEXT)
    assert failing(findings) == []
    assert set(findings.figures) == {"calibration-coverage"}
    assert inside(findings.figures["calibration-coverage"])
    assert findings.data["intervals"].sizes == {"condition": 4, "repeat": 60}
    assert len(findings.remarks) == 4 + 1 + 2 + 1


def test_intervals_of_another_level_fail_the_claim_on_well_determined_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    """90% for 95%."""
    exact, often = interval.ece_interval, study.QUICK_OFTEN
    monkeypatch.setattr(
        interval, "ece_interval", lambda runs, edges, generator, level: exact(runs, edges, generator, level - 0.05)
    )
    conditions = [study.Condition(NAMES[name], often.images, 1) for name in often.worlds]
    found = study.all_measured(conditions, often.repeats, CONTEXT, 1.0)
    deviations = [study.deviation(one, often.estimates, 0) for one in conditions]
    assert [claim.holds for claim in study.length_claims(found, deviations, often.estimates)] == [False, True]


@pytest.mark.usefixtures("short")
def test_estimates_without_debiasing_fail_a_claim_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errors, "fissioned", lambda gap, deviation: np.abs(gap))
    assert any("bias of the debiased ECE" in text for text in failing(study.calibration(CONTEXT)))


@pytest.mark.usefixtures("short")
def test_intervals_that_never_reach_0_fail_the_claim_on_calibrated_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    def ungated(found: Gaps, scale: np.ndarray, excess: Callable[[np.ndarray], float]) -> float:
        return float(np.abs(found.gap).sum() / found.networks / 4)

    monkeypatch.setattr(interval, "_lower", ungated)
    assert "calibrated: share of intervals whose lower limit is 0" in failing(study.calibration(CONTEXT))


@pytest.mark.usefixtures("short")
def test_networks_taken_as_judged_on_images_of_their_own_fail_claims(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration_worlds, "SHARED", 1.0)  # five copies of one network
    assert failing(study.calibration(CONTEXT)) == []
    measured = gaps

    def independent(*arguments: object) -> Gaps:
        found = measured(*arguments)  # type: ignore[arg-type]
        return found._replace(answers=np.eye(found.gap.size))

    monkeypatch.setattr(interval, "gaps", independent)
    assert "calibrated: share of intervals whose lower limit is 0" in failing(study.calibration(CONTEXT))


def test_answers_whose_noise_cancels_over_the_bins_fail_the_claim_on_few_errors(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    measured = gaps

    def canceling(*arguments: object) -> Gaps:
        found = measured(*arguments)  # type: ignore[arg-type]
        alike = np.sqrt(found.share / found.share.sum())
        return found._replace(answers=found.answers @ (np.eye(alike.size) - np.outer(alike, alike)))

    monkeypatch.setattr(interval, "gaps", canceling)
    found = study.all_measured([study.Condition(world, 100, 1) for world in TIMID], 200, CONTEXT, 1.0)
    assert [claim.holds for claim in study.timid_claims(found)] == [False, True] * len(TIMID)


def test_the_worlds_are_what_they_are_called() -> None:
    rng = np.random.default_rng(0)
    assert true_error(NAMES["calibrated"], rng, 100_000) == 0
    assert true_error(NAMES["T = 0.67"], rng, 100_000) > 0.05
    z, labels = evidence(NAMES["calibrated"], 2, 200_000, rng)
    seen = answers(NAMES["calibrated"], 2, 200_000, np.random.default_rng(1))
    right = seen.correct - seen.confidence
    assert abs(right.mean(1)).max() < 4 * right.std() / np.sqrt(200_000)
    assert 0.1 < np.asarray(np.corrcoef(right))[0, 1] < 0.9
    assert (z.argmax(-1) == labels).mean() == pytest.approx(seen.correct.mean(), abs=0.005)
    assert answers(NAMES["calibrated, accuracy .97"], 1, 50_000, rng).correct.mean() == pytest.approx(0.973, abs=0.003)
    for world, accuracy in zip(TIMID, (0.974, 0.991), strict=True):
        assert answers(world, 1, 50_000, rng).correct.mean() == pytest.approx(accuracy, abs=0.003)
