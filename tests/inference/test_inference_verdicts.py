"""`infer` from predictions to verdicts, at every size."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import xarray
from arviz_stats import summary  # type: ignore[attr-defined]
from scipy.stats import t as student  # type: ignore[attr-defined]

from auglik.inference import Inference, infer
from auglik.inference.components import Bounds
from auglik.inference.differences.power import SeedsNeeded
from auglik.inference.differences.rows import Effect
from auglik.inference.differences.verdict import unknown_verdict, verdict
from auglik.objectives import InputError
from auglik.scoring.predictions import Predictions

Floats = npt.NDArray[np.float64]


def run(difference: float, seed: int, *, noise: float = 0.01, images: int = 300, first: int = 0) -> Predictions:
    """A network of two classes whose NLL on an image is the image's own, less `difference`, and noise of the seed."""
    shared, own = np.random.default_rng(first), np.random.default_rng([seed, int(1e6 * (difference + 9))])
    labels = shared.integers(0, 2, images)
    nll = shared.uniform(0.6, 1.5, images) + difference + noise * own.normal() + 0.05 * own.normal(size=images)
    log_p = np.empty((images, 2), np.float32)
    log_p[np.arange(images), labels] = -nll
    log_p[np.arange(images), 1 - labels] = np.log1p(-np.exp(-nll))
    views = np.repeat(log_p[np.arange(images), labels][None], 3, 0)
    places = np.arange(images)
    return Predictions(log_p, labels, places, log_p, log_p[None], views, log_p[:0], labels[:0], places[:0])


@pytest.fixture(scope="module")
def cells() -> Mapping[str, Mapping[int, Predictions]]:
    """A reference, a better cell, one that is the same but for noise, one of one seed, one twin, one diverged."""
    reference = {seed: run(0.0, seed) for seed in range(5)}
    diverged = dict(reference)
    log_p = reference[2].log_probabilities.copy()
    log_p[7] = [-np.inf, 0.0] if reference[2].labels[7] == 0 else [0.0, -np.inf]
    diverged[2] = reference[2]._replace(log_probabilities=log_p)
    return {
        "reference": reference,
        "better": {seed: run(-0.2, seed) for seed in range(5)},
        "noise": {seed: run(1e-4, seed) for seed in range(5)},
        "alone": {3: run(0.1, 3)},
        "twin": dict(reference),
        "diverged": diverged,
        "other images": {seed: run(0.0, seed, first=1) for seed in range(5)},
    }


@pytest.fixture(scope="module")
def inference(cells: Mapping[str, Mapping[int, Predictions]]) -> Inference:
    return infer(cells, dict.fromkeys(cells, "reference"))


def test_verdicts(inference: Inference) -> None:
    rows = {row.cell: row for row in inference.primary}
    assert list(rows) == ["better", "noise", "alone", "twin", "diverged"]
    better, noise, alone = rows["better"], rows["noise"], rows["alone"]
    assert better.effect is not None
    assert noise.effect is not None
    assert better.outcome == "better"
    assert better.effect.p_better > 0.999
    assert better.effect.lower < -0.2 < better.effect.upper
    assert better.verdict.startswith("better is better than reference")
    assert better.seeds_needed is None
    assert noise.outcome == "undecided"
    assert noise.effect.lower < 0 < noise.effect.upper
    assert noise.seeds_needed is not None
    assert noise.seeds_needed.sentence in noise.verdict
    assert (alone.effect, alone.between_seeds, alone.outcome) == (None, False, "unknown")
    assert alone.verdict.startswith("One seed says nothing about other seeds")
    assert rows["twin"].effect is None
    assert "the same clean NLL" in rows["twin"].verdict
    assert "No comparison" in rows["diverged"].verdict


def test_the_family_is_all_cells_that_have_a_reference(inference: Inference) -> None:
    """Also those that cannot be judged: named before the results. Holm's first step is Student's p times six."""
    assert inference.family == 6
    better = inference.primary[0]
    assert better.effect is not None
    p = 2 * student.sf(abs(better.new_seeds.mean / better.new_seeds.standard_error), 4)  # images hardly count here
    assert better.effect.p_adjusted == pytest.approx(6 * p, rel=0.2)
    assert "after allowing for 6 comparisons" in better.verdict


def test_components_of_a_row_are_those_of_the_simulation(inference: Inference) -> None:
    row = inference.primary[0]
    assert row.residual_sd == pytest.approx(0.05 * np.sqrt(2), rel=0.1)
    assert row.new_seeds.mean == row.mean
    assert row.effect is not None
    assert row.effect.upper >= row.new_seeds.upper


def test_a_wide_region_makes_cells_practically_equal(cells: Mapping[str, Mapping[int, Predictions]]) -> None:
    few = {name: cells[name] for name in ("reference", "better", "noise")}
    found = infer(few, dict.fromkeys(few, "reference"), rope=1.0)
    better, noise = found.primary
    assert (better.outcome, noise.outcome) == ("equal", "equal")
    assert better.verdict.startswith("better and reference are practically equal, though better is better: ")
    assert noise.verdict.startswith("noise and reference are practically equal: ")
    assert all(row.effect and row.effect.p_in_rope > 0.99 for row in found.primary)


def test_warnings_name_what_is_left_out(inference: Inference) -> None:
    said = "\n".join(inference.warnings)
    for part in (
        "other images is not compared with reference",
        "seeds 0, 1, 2, 4 left out, as alone has",
        "nothing is claimed about other seeds: alone",
        "not finite, so no comparison: diverged",
    ):
        assert part in said


def test_other_metrics_are_exploratory_and_allow_for_the_cells(inference: Inference) -> None:
    assert {row.metric for row in inference.metrics if not row.exploratory} == {"clean_nll"}
    rows = {(row.cell, row.metric): row for row in inference.metrics}
    assert len(rows) == 5 * 19
    nll, primary = rows["better", "clean_nll"], inference.primary[0]
    assert primary.effect is not None
    assert (nll.lower, nll.upper, nll.p_adjusted) == (
        primary.effect.lower,
        primary.effect.upper,
        primary.effect.p_adjusted,
    )
    brier = rows["better", "clean_brier"]
    assert brier.lower < brier.mean < brier.upper < 0
    t = brier.mean / brier.standard_error
    assert brier.p_adjusted == pytest.approx(6 * 2 * student.sf(abs(t), 4))
    assert np.isnan(rows["alone", "clean_nll"].lower)
    assert np.isnan(rows["diverged", "clean_nll"].mean)
    assert rows["better", "marginal_log_likelihood_corrected"].mean == pytest.approx(-nll.mean, rel=1e-3)


def test_draws_are_kept_as_netcdf_and_arviz_summarizes_them(inference: Inference, tmp_path: Path) -> None:
    inference.data.to_netcdf(tmp_path / "differences.nc", engine="h5netcdf")
    with xarray.open_datatree(tmp_path / "differences.nc", engine="h5netcdf") as back:
        assert list(back["posterior"].coords["cell"].values) == ["better", "noise"]
        assert back["posterior/delta"].dims == ("chain", "draw", "cell")
        assert back["observed_data/y"].shape == (2, 5)
        found = summary(back, var_names=["delta"], kind="stats", ci_kind="eti", ci_prob=0.95, round_to="none")
    effect = inference.primary[0].effect
    assert effect is not None
    assert float(found.loc["delta[better]", "mean"]) == pytest.approx(effect.mean, abs=1e-3)
    bounds = [float(value) for value in found.loc["delta[better]"].values[2:4]]
    np.testing.assert_allclose(bounds, [effect.lower, effect.upper], atol=2e-3)


def test_the_same_seed_gives_the_same_draws(
    inference: Inference, cells: Mapping[str, Mapping[int, Predictions]]
) -> None:
    again = infer(cells, dict.fromkeys(cells, "reference"))
    assert [row.verdict for row in again.primary] == [row.verdict for row in inference.primary]
    assert again.data.equals(inference.data)


def test_cells_of_several_test_sets_are_one_family() -> None:
    runs = {
        "a": {seed: run(0.0, seed) for seed in range(3)},
        "b": {seed: run(-0.1, seed) for seed in range(3)},
        "c": {seed: run(0.0, seed, first=1) for seed in range(3)},
        "d": {seed: run(-0.1, seed, first=1) for seed in range(3)},
    }
    found = infer(runs, {"a": "a", "b": "a", "c": "c", "d": "c"})
    assert [row.cell for row in found.primary] == ["b", "d"]
    assert found.family == 2
    t = float(student.ppf(1 - 0.05 / 4, 2))
    assert (
        f"3 seeds show little: the first of 2 cells is called better or worse only beyond {t:.3g} standard"
        in found.warnings[0]
    )


@pytest.mark.parametrize("seeds", [1, 2, 3])
@pytest.mark.parametrize("images", [1, 2, 3])
def test_the_smallest_sizes_have_an_answer(seeds: int, images: int) -> None:
    """One image or one seed has a reason; more have numbers."""
    runs = {
        name: {seed: run(difference, seed, images=images) for seed in range(seeds)}
        for name, difference in (("reference", 0.0), ("cell", 0.2))
    }
    runs["twin"] = dict(runs["reference"])
    found = infer(runs, dict.fromkeys(runs, "reference"))
    cell, twin = found.primary
    assert f"the same clean NLL on every {'image' if seeds == 1 else 'seed'}" in twin.verdict
    assert np.isfinite(cell.mean)
    if min(seeds, images) > 1:
        assert cell.effect is not None
        assert np.isfinite(list(asdict(cell.effect).values())).all()
        assert "nan" not in cell.verdict
        return
    assert cell.effect is None
    assert cell.verdict.startswith("One seed says nothing" if seeds == 1 else "1 test image says nothing")
    assert "nan" not in cell.verdict


def test_seeds_without_spread_are_no_proof() -> None:
    """A difference that every seed repeats to the last digit: a test would call it certain."""
    reference = {seed: run(0.0, 0) for seed in range(4)}
    found = infer({"a": reference, "b": {seed: run(0.1, 0) for seed in range(4)}}, {"a": "a", "b": "a"})
    [row] = found.primary
    assert row.outcome == "unknown"
    assert row.verdict.startswith("No verdict on b and a: they differ by")
    assert "on every seed alike" in row.verdict


def test_sentences() -> None:
    effect = Effect(
        mean=-0.02, lower=-0.035, upper=-0.005, p_better=0.99, p_in_rope=0.02, p_adjusted=0.07, p_equal_adjusted=1.0
    )
    needed = SeedsNeeded(lower=4, median=9, upper=20, assurance={}, images_limit=0.0, sentence="4 to 20 seeds")
    assert verdict("a", "b", "undecided", effect, 0.001, 8, needed) == (
        "The data cannot tell a from b: -0.0200 nats, 95% interval of this cell alone [-0.0350, -0.0050], p = 0.070 "
        "after allowing for 8 comparisons; 4 to 20 seeds."
    )
    told = replace(effect, p_adjusted=0.0004)
    assert verdict("a", "b", "better", told, 0.01, 1, None) == (
        "a is better than b: -0.0200 nats, 95% interval [-0.0350, -0.0050], p < 0.001, though it may be practically "
        "nothing (±0.01)."
    )
    slight = replace(effect, mean=-3e-5, lower=-4.2e-5, upper=-2e-6, p_adjusted=0.0496)
    assert verdict("a", "b", "better", slight, 0.0, 1, None) == (
        "a is better than b: -0.000030 nats, 95% interval [-0.000042, -0.000002], p = 0.04960."
    )
    nan = float("nan")
    nothing = Bounds(mean=0.1, standard_error=nan, degrees_of_freedom=nan, lower=nan, upper=nan)
    one = unknown_verdict("a", "b", 0.1, nothing, nothing, 1, 1)
    assert one.startswith(
        "One seed says nothing about other seeds: these two networks of a and b differ by +0.1000 nats;"
    )
    tiny = Bounds(mean=3e-5, standard_error=1e-5, degrees_of_freedom=9.0, lower=2e-6, upper=5.8e-5)
    slight_one = unknown_verdict("a", "b", 3e-5, nothing, tiny, 1, 10)
    assert "by +0.000030 nats, 95% interval over test images [+0.000002, +0.000058];" in slight_one
    on_one = unknown_verdict("a", "b", 3e-5, tiny, nothing, 3, 1)
    assert "by +0.000030 nats, 95% interval over seeds [+0.000002, +0.000058]." in on_one
    diverged = replace(effect, mean=2e33, lower=1e33, upper=3e33, p_adjusted=0.01)
    assert verdict("a", "b", "worse", diverged, 0.01, 1, None) == (
        "a is worse than b: +2e+33 nats, 95% interval [+1e+33, +3e+33], p = 0.010."
    )


@pytest.mark.parametrize("rare", [0, 1])
def test_a_decided_cell_that_a_few_images_speak_against_is_noted(rare: int) -> None:
    def on_most(seed: int) -> Predictions:
        one = run(-0.2, seed, noise=1e-3, images=100)
        log_p = one.log_probabilities.copy()
        log_p[np.arange(rare), one.labels[:rare]] -= 4
        return one._replace(log_probabilities=log_p - np.logaddexp.reduce(log_p, axis=1, keepdims=True))

    runs = {"a": {s: run(0.0, s, noise=1e-3, images=100) for s in range(5)}, "b": {s: on_most(s) for s in range(5)}}
    found = infer(runs, {"a": "a", "b": "a"})
    assert found.primary[0].outcome == "better"
    noted = [line for line in found.warnings if line.startswith("a few test images count for much")]
    assert len(noted) == rare
    assert all(line.endswith("(b)") for line in noted)


def test_a_negative_rope_is_refused(cells: Mapping[str, Mapping[int, Predictions]]) -> None:
    with pytest.raises(InputError, match="practical equivalence"):
        infer({"a": cells["reference"], "b": cells["alone"]}, {"a": "a", "b": "a"}, rope=-1.0)
