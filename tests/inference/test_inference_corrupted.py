"""Differences under corruption, occlusion and mollification: Student's within each target, Holm over each family."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from auglik.inference import Corrupted, UnderCorruption, infer_corrupted, under_corruption
from auglik.inference.corruption import CATEGORIES as CATEGORY
from auglik.inference.corruption import (
    FAMILIES,
    MOLLIFIED,
    OCCLUSION,
    OVERALL,
    SEVERITIES,
    SINGLE,
    Posited,
    corruption_verdict,
    infer_cells,
)
from auglik.objectives import InputError
from auglik.report.collect import collect
from auglik.report.content import Details, Figure, Table
from auglik.report.figures.style import styles
from auglik.report.sections.corrupted import corrupted_runs
from auglik.report.sections.robust import robustness
from auglik.scoring.conditions import MEAN
from auglik.scoring.corruptions import CORRUPTIONS
from tests import reported

Floats = npt.NDArray[np.float64]

NAMES = list(CORRUPTIONS)
CATEGORIES = list(dict.fromkeys(CORRUPTIONS.values()))
OF_CATEGORY = np.array([CATEGORIES.index(CORRUPTIONS[name]) for name in NAMES])


def simulated(truth: Floats, rng: np.random.Generator, seeds: int = 5) -> list[Floats]:
    """Differences [S,15] to one reference; corruptions' noise differs and goes together across categories."""
    loading = np.where(np.isin(NAMES, ["fog", "frost", "brightness"]), 0.06, 0.01)

    def luck() -> Floats:
        return loading * rng.normal(size=(seeds, 1)) + 0.5 * loading * rng.normal(size=(seeds, 15))

    reference = luck()
    return [known + luck() - reference for known in truth]


def profile(nll: Floats) -> dict[str, dict[str, float]]:
    """The mean, the categories and the corruptions, from NLLs [15]."""
    categories = {name: float(nll[place == OF_CATEGORY].mean()) for place, name in enumerate(CATEGORIES)}
    single = dict(zip(NAMES, map(float, nll), strict=True))
    return {OVERALL: {"mean": float(nll.mean())}, CATEGORY: categories, SINGLE: single}


@pytest.fixture(scope="module")
def runs() -> Mapping[str, Mapping[int, UnderCorruption]]:
    """A better cell (worse under weather), one that is noise, and cells that can't be modelled."""
    rng = np.random.default_rng(1)
    truth = np.where(np.isin(OF_CATEGORY, CATEGORIES.index("weather")), 0.3, -0.4)
    reference = rng.uniform(0.5, 1.5, (5, 15))
    better, noise = (reference + part for part in simulated(np.stack([truth, np.zeros(15)]), rng))

    def told(nll: Floats, conditions: str = "suite") -> dict[int, UnderCorruption]:
        return {seed: UnderCorruption(conditions, profile(row)) for seed, row in enumerate(nll)}

    twin, lost = told(reference), told(better)
    lost[2] = UnderCorruption("suite", profile(np.where(np.array(NAMES) == "fog", np.inf, better[2])))
    return {
        "reference": twin,
        "better": told(better),
        "noise": {**told(noise), 4: UnderCorruption("other suite", told(noise)[4].profile)},
        "alone": {3: told(better)[3]},
        "twin": twin,
        "lost": lost,
        "elsewhere": told(better, "other suite"),
        "unmeasured": {},
    }


@pytest.fixture(scope="module")
def found(runs: Mapping[str, Mapping[int, UnderCorruption]]) -> Corrupted:
    return infer_corrupted(runs, dict.fromkeys(runs, "reference"))


def test_verdicts_under_corruption(found: Corrupted) -> None:
    better, noise, lost = found.cells
    assert (better.cell, better.seeds, noise.cell, noise.seeds) == ("better", (0, 1, 2, 3, 4), "noise", (0, 1, 2, 3))
    assert better.verdict.startswith("better is better than reference over 15 corruptions")
    assert better.verdict.endswith("better under noise, blur, digital; worse under weather.")
    assert better.overall is not None
    assert noise.overall is not None
    assert better.overall.lower < (-0.4 * 12 + 0.3 * 3) / 15 < better.overall.upper
    assert better.overall.p_better > 0.99
    assert better.categories["weather"].p_better < 0.05
    assert list(better.corruptions) == NAMES
    assert better.corruptions["frost"].p_better < 0.1
    assert better.corruptions["pixelate"].p_better > 0.99
    assert noise.verdict.startswith("The data cannot tell noise from reference")
    assert 0.02 < noise.overall.p_better < 0.98
    assert lost.overall is not None
    assert lost.overall.outcome == "unknown"
    assert lost.verdict.startswith(
        "No comparison of lost with reference over 15 corruptions: the mean difference is inf, as a score is not finite"
    )
    assert lost.categories["noise"].outcome == "better"  # what is finite is judged


@pytest.mark.parametrize(
    ("mean", "half", "p", "said"),
    [
        (
            -3e-5,
            2.8e-5,
            0.04,
            "a is better than b over 0 corruptions: -0.000030 nats, 95% interval [-0.000058, -0.0000",
        ),
        (
            2e33,
            1e33,
            0.04,
            "a is worse than b over 0 corruptions: +2e+33 nats, 95% interval [+1e+33, +3e+33], p = 0.04",
        ),
        (
            0.02,
            0.01,
            0.2,
            "tell a from b over 0 corruptions: +0.0200 nats, 95% interval of this cell alone [+0.0100, +",
        ),
        (3e-5, np.nan, np.nan, "the mean difference is +0.00003 nats on every seed alike."),
    ],
)
def test_sentences_have_the_digits_that_are_told(mean: float, half: float, p: float, said: str) -> None:
    found = Posited(mean=mean, lower=mean - half, upper=mean + half, p_better=0.5, p_adjusted=p)
    assert said in corruption_verdict("a", "b", {OVERALL: {MEAN: found}})


def test_a_target_is_students_t_over_seeds_and_its_family_is_cells_by_targets(
    found: Corrupted, runs: Mapping[str, Mapping[int, UnderCorruption]]
) -> None:
    own, other = ([runs[cell][seed].profile[SINGLE]["frost"] for seed in range(5)] for cell in ("better", "reference"))
    expected, frost = stats.ttest_rel(own, other), found.cells[0].corruptions["frost"]
    assert (frost.lower, frost.upper) == pytest.approx(tuple(expected.confidence_interval()), rel=1e-6)
    assert found.sizes == {OVERALL: 7, CATEGORY: 7 * 4, SINGLE: 7 * 15}
    every = [one.p_adjusted for row in found.cells for one in row.corruptions.values()]
    least = min(found.cells[0].corruptions.values(), key=lambda one: one.p_adjusted)
    assert least.p_adjusted == np.nanmin(every)
    assert frost.p_adjusted <= 7 * 15 * expected.pvalue


def test_what_cannot_be_compared_is_said(found: Corrupted) -> None:
    said = "\n".join(found.left_out)
    for part in (
        "noise against reference under corruption: seed 4 not measured under the same conditions",
        "alone against reference under corruption: no verdict: one seed",
        "twin against reference under corruption: no verdict: the scores are the same",
        "elsewhere against reference under corruption: no verdict: no seed",
        "unmeasured against reference under corruption: no verdict: no seed",
    ):
        assert part in said


def test_draws_are_reproducible(found: Corrupted, runs: Mapping[str, Mapping[int, UnderCorruption]]) -> None:
    assert dict(found.data["posterior/theta"].sizes) == {"chain": 4, "draw": 1000, "cell": 3, "target": 20}
    again = infer_corrupted(runs, dict.fromkeys(runs, "reference"))
    assert again.data.equals(found.data)
    theta = found.data["posterior"].to_dataset()["theta"].sel(cell="better", target=f"{SINGLE}: frost")
    frost = found.cells[0].corruptions["frost"]
    np.testing.assert_allclose(theta.quantile([0.025, 0.975]), [frost.lower, frost.upper], rtol=0.1)


def test_occlusion_is_judged_without_corruptions() -> None:
    rng = np.random.default_rng(0)
    runs = {
        cell: {
            seed: UnderCorruption(
                "suite", {OCCLUSION: {"20%": 1 + 0.01 * rng.normal(), "40%": at + 0.01 * rng.normal()}}
            )
            for seed in range(6)
        }
        for cell, at in (("reference", 1.0), ("worse", 1.5))
    }
    found = infer_corrupted(runs, dict.fromkeys(runs, "reference"))
    [row] = found.cells
    assert row.overall is None
    assert row.verdict == "worse against reference, occlusion: worse at 40%; undecided at 20%."
    assert found.sizes == {OCCLUSION: 2}
    with pytest.raises(InputError, match="expected a reference"):
        infer_cells(runs, {"worse": "reference"})


def test_cells_scored_on_human_labels_alone_are_no_case_of_corruption() -> None:
    runs = {cell: {seed: UnderCorruption("suite", {}) for seed in range(3)} for cell in ("a", "b")}
    found = infer_corrupted(runs, {"a": "a", "b": "a"})
    assert (found.cells, found.left_out) == ([], [])


def test_a_run_is_read_by_corruption(tmp_path: Path) -> None:
    scores = reported.robustness_scores(tmp_path, 0.25)
    read = under_corruption(scores, "suite")
    assert tuple(read.profile) == FAMILIES
    assert list(read.profile[SINGLE]) == NAMES
    assert list(read.profile[SEVERITIES]) == ["1", "3", "5"]
    assert list(read.profile[OCCLUSION]) == ["20%", "80%"]
    assert list(read.profile[MOLLIFIED]) == ["noise 0.1", "noise 0.9", "blur 0.1", "blur 0.9"]
    parts = [s for s in scores if s.kind == "corruption" and s.name != "mean" and s.severity is not None]
    assert read.profile[SINGLE]["fog"] == pytest.approx(np.mean([s.nll for s in parts if s.name == "fog"]))
    assert read.profile[CATEGORY]["blur"] == pytest.approx(np.mean([s.nll for s in parts if s.category == "blur"]))
    assert read.profile[SEVERITIES]["3"] == pytest.approx(np.mean([s.nll for s in parts if s.severity == 3]))
    assert read.profile[OVERALL]["mean"] == pytest.approx(np.mean([s.nll for s in parts]))


def test_the_report_shows_differences_under_corruption(tmp_path: Path) -> None:
    """One cell better by 0.2 nats with noise of the seed and corruption, the other scored with another suite."""
    folder = reported.write_comparison(tmp_path / "runs")
    for cell, shift in (("reference", 0.0), ("sharper", -0.2), ("same", 0.0)):
        for seed in range(3):
            identity = "suite" if cell != "same" else "another suite"
            reported.robustness_scores(folder / cell / f"seed-{seed}", 0.0, identity, nll_shift=shift, noise=0.02)
    collected = collect(folder)
    corrupted = infer_corrupted(corrupted_runs(collected), collected.references)
    section = robustness(collected, styles(collected.cells, ["reference"]), corrupted)
    assert section is not None
    [row] = corrupted.cells
    assert row.cell == "sharper"
    assert row.overall is not None
    assert row.overall.lower < -0.2 < row.overall.upper
    assert row.verdict in section.sentences
    assert "same against reference under corruption: no verdict: no seed" in "\n".join(section.sentences)
    by_key = {item.key: item for item in section.items if not isinstance(item, Details)}
    table, figure = by_key["corrupted"], by_key["corrupted-forest"]
    assert isinstance(table, Table)
    assert isinstance(figure, Figure)
    assert table.caption.startswith("Exploratory")
    assert table.rows[0].entries[0].numbers[0][1] == row.overall.mean
    assert table.rows[0].entries[table.columns.index("P(better) %") - 1].numbers[0][1] == 100 * row.overall.p_better
    bounds = dict(table.rows[0].entries[table.columns.index("weather [95%]") - 1].numbers)
    assert (bounds["lower"], bounds["upper"]) == (row.categories["weather"].lower, row.categories["weather"].upper)
    assert all(title in figure.svg.lower() for title in ("all corruptions", "noise", "blur", "weather", "digital"))
    tables = next(item for item in section.items if isinstance(item, Details)).tables
    assert [len(one.columns) for one in tables] == [16, 4, 3, 5, 1 + 1 + 4 + 15 + 3 + 2 + 4]
