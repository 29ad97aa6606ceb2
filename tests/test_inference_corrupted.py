"""The model of differences under corruption: its parts by definition, its coverage, and what it refuses to model."""

from collections.abc import Mapping
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import norm as normal  # type: ignore[attr-defined]

from auglik.inference import Corrupted, UnderCorruption, infer_corrupted, under_corruption
from auglik.inference.corrupted_model import draw_theta, pooled, sample, targets
from auglik.report.collect import collect
from auglik.report.content import Details, Figure, Table
from auglik.report.figures.style import styles
from auglik.report.sections.corrupted import corrupted_runs
from auglik.report.sections.robust import robustness
from auglik.robustness.protocol import CORRUPTIONS
from objectives import InputError
from tests import reported

Floats = npt.NDArray[np.float64]

NAMES = list(CORRUPTIONS)
CATEGORIES = list(dict.fromkeys(CORRUPTIONS.values()))
OF_CATEGORY = np.array([CATEGORIES.index(CORRUPTIONS[name]) for name in NAMES])


def test_pooling_splits_a_product_of_normals(rng: np.random.Generator) -> None:
    """prod N(x; y, var) = c N(m; y, v) for whatever y, in each of two groups."""
    x, variance = rng.normal(size=5), rng.uniform(0.2, 3, 5)
    member = np.array([[1.0, 1, 0, 0, 0], [0, 0, 1, 1, 1]])
    log_c, m, v = (np.asarray(part) for part in pooled(*(jnp.asarray(one, float) for one in (x, variance, member))))
    for y in (-1.0, 0.0, 2.5):
        each = normal.logpdf(x, y, np.sqrt(variance))
        np.testing.assert_allclose(log_c + normal.logpdf(m, y, np.sqrt(v)), member @ each, rtol=1e-5)


def test_effects_are_drawn_from_their_posterior() -> None:
    """Against the closed form of x = location + effect + noise under a flat location; a mean alone isn't shrunk."""
    member = np.array([[1.0, 0, 0, 0], [0, 1, 1, 1]])
    mean, effect, noise = np.array([[0.7, -1.0, 0.5, 2.0]]), np.full((1, 4), 0.8), np.array([[0.3, 0.2, 0.9, 0.4]])
    keys = jax.random.split(jax.random.key(0), 20_000)
    arguments = [jnp.asarray(one, float) for one in (mean, effect, noise, member)]
    draws = np.asarray(jax.vmap(lambda key: draw_theta(key, *arguments))(keys), np.float64)[:, 0]
    precision = np.diag(1 / noise[0, 1:]) + (np.eye(3) - 1 / 3) / 0.8
    covariance = np.linalg.inv(precision)
    expected = np.concatenate([[0.7], covariance @ (mean[0, 1:] / noise[0, 1:])])
    spread = np.sqrt([0.3, *np.diag(covariance)])
    np.testing.assert_allclose(draws.mean(0), expected, atol=5 * spread.max() / np.sqrt(len(keys)))
    np.testing.assert_allclose(draws.std(0), spread, rtol=0.03)
    np.testing.assert_allclose(np.cov(draws[:, 1:].T), covariance, atol=0.02)


def simulated(truth: Floats, rng: np.random.Generator, seeds: int = 5) -> list[Floats]:
    """Differences [S,15] to one reference; corruptions' noise differs and goes together across categories."""
    loading = np.where(np.isin(NAMES, ["fog", "frost", "brightness"]), 0.06, 0.01)

    def luck() -> Floats:
        return loading * rng.normal(size=(seeds, 1)) + 0.5 * loading * rng.normal(size=(seeds, 15))

    reference = luck()
    return [known + luck() - reference for known in truth]


def covered(experiments: int, seed: int) -> tuple[Floats, Floats]:
    """Shares of 95% intervals of the mean, of categories and of corruptions that hold the truth, and their errors."""
    rng = np.random.default_rng(seed)
    _, weights, _ = targets(list(CORRUPTIONS.values()))
    held = []
    for number in range(experiments):
        category, corruption = rng.normal(0, 0.05, (8, 4)), rng.normal(0, 0.03, (8, 15))
        truth = np.linspace(-0.05, 0.1, 8)[:, None] + category[:, OF_CATEGORY] + corruption
        posterior = sample(simulated(truth, rng), CORRUPTIONS, cells=list("abcdefgh"), seed=number, draws=300)
        theta = posterior.data["posterior"].to_dataset()["theta"].values.reshape(-1, 8, 20)
        lower, upper = np.quantile(theta, [0.025, 0.975], axis=0)
        known = truth @ weights.T
        inside = (lower <= known) & (known <= upper)
        held.append([inside[:, 0].mean(), inside[:, 1:5].mean(), inside[:, 5:].mean()])
    return np.mean(held, 0), np.std(held, 0, ddof=1) / np.sqrt(experiments)


def test_intervals_cover_at_their_rate() -> None:
    """Of 8 cells that share a reference, over experiments with known effects."""
    share, error = covered(6, seed=0)
    assert (abs(share - 0.95) < 4 * np.maximum(error, 0.02)).all(), (share, error)


@pytest.fixture(scope="module")
def runs() -> Mapping[str, Mapping[int, UnderCorruption]]:
    """A better cell (worse under weather), one that is noise, and cells that can't be modelled."""
    rng = np.random.default_rng(1)
    truth = np.where(np.isin(OF_CATEGORY, CATEGORIES.index("weather")), 0.3, -0.4)
    reference = rng.uniform(0.5, 1.5, (5, 15))
    better, noise = (reference + part for part in simulated(np.stack([truth, np.zeros(15)]), rng))

    def told(nll: Floats, conditions: str = "suite", names: list[str] = NAMES) -> dict[int, UnderCorruption]:
        return {
            seed: UnderCorruption(conditions, dict(zip(names, map(float, row), strict=True)))
            for seed, row in enumerate(nll)
        }

    twin, lost = told(reference), told(better)
    lost[2] = UnderCorruption("suite", {**lost[2].nll, "fog": float("inf")})
    return {
        "reference": twin,
        "better": told(better),
        "noise": {**told(noise), 4: UnderCorruption("other suite", told(noise)[4].nll)},
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
    better, noise = found.cells
    assert (better.cell, better.seeds, noise.cell, noise.seeds) == ("better", (0, 1, 2, 3, 4), "noise", (0, 1, 2, 3))
    assert better.verdict.startswith("better is better than reference over 15 corruptions")
    assert better.verdict.endswith("better under noise, blur, digital; worse under weather.")
    assert better.overall.lower < (-0.4 * 12 + 0.3 * 3) / 15 < better.overall.upper
    assert better.overall.p_better > 0.99
    assert better.categories["weather"].p_better < 0.05
    assert list(better.corruptions) == NAMES
    assert better.corruptions["frost"].p_better < 0.1
    assert better.corruptions["pixelate"].p_better > 0.99
    assert noise.verdict.startswith("The data cannot tell noise from reference")
    assert 0.05 < noise.overall.p_better < 0.95


def test_what_cannot_be_modelled_is_said(found: Corrupted) -> None:
    said = "\n".join(found.left_out)
    for part in (
        "noise against reference under corruption: seed 4 not measured alike",
        "alone against reference under corruption: no model, as one seed",
        "twin against reference under corruption: no model, as the scores are the same",
        "lost against reference under corruption: no model, as an NLL is not finite",
        "elsewhere against reference under corruption: no model, as no seed",
        "unmeasured against reference under corruption: no model, as no seed",
    ):
        assert part in said


def test_the_sampler_converges_and_is_reproducible(
    found: Corrupted, runs: Mapping[str, Mapping[int, UnderCorruption]]
) -> None:
    assert found.diagnostics.rhat < 1.01
    assert found.diagnostics.ess > 400
    assert found.warnings == []
    assert found.data["posterior/theta"].sizes == {"chain": 4, "draw": 1500, "cell": 2, "target": 20}
    assert infer_corrupted(runs, dict.fromkeys(runs, "reference")).cells == found.cells


def test_few_corruptions_are_not_modelled(runs: Mapping[str, Mapping[int, UnderCorruption]]) -> None:
    few = {
        cell: {
            seed: UnderCorruption(run.conditions, {name: run.nll[name] for name in NAMES[:4]})
            for seed, run in runs[cell].items()
        }
        for cell in ("reference", "better")
    }
    found = infer_corrupted(few, dict.fromkeys(few, "reference"))
    assert found.cells == []
    assert found.left_out == [
        "better against reference under corruption: no model, as 4 corruptions are too few, it takes 5."
    ]
    with pytest.raises(InputError, match="expected a reference"):
        infer_corrupted(few, {"better": "reference"})


def test_a_run_is_read_by_corruption(tmp_path: Path) -> None:
    scores = reported.robustness_scores(tmp_path, 0.25)
    read = under_corruption(scores, "suite")
    assert list(read.nll) == NAMES
    by_hand = [s.nll for s in scores if (s.kind, s.name) == ("corruption", "fog") and s.severity is not None]
    assert read.nll["fog"] == pytest.approx(np.mean(by_hand))


def test_the_report_shows_posteriors_under_corruption(tmp_path: Path) -> None:
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
    assert row.overall.lower < -0.2 < row.overall.upper
    assert row.verdict in section.sentences
    assert "same against reference under corruption: no model, as no seed" in "\n".join(section.sentences)
    by_key = {item.key: item for item in section.items if not isinstance(item, Details)}
    table, figure = by_key["corrupted"], by_key["corrupted-forest"]
    assert isinstance(table, Table)
    assert isinstance(figure, Figure)
    assert table.caption.startswith("Exploratory")
    assert [entry.numbers[0][1] for entry in table.rows[0].entries[:2]] == [
        row.overall.mean,
        100 * row.overall.p_better,
    ]
    bounds = dict(table.rows[0].entries[table.columns.index("weather [95% HDI]") - 1].numbers)
    assert (bounds["lower"], bounds["upper"]) == row.categories["weather"][1:3]
    assert all(title in figure.svg for title in ("all corruptions", "noise", "blur", "weather", "digital"))
    assert len(next(item for item in section.items if isinstance(item, Details)).tables[0].columns) == 16
