"""The hierarchical model, its coverage, and `infer` from predictions to verdicts."""

from collections.abc import Mapping
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
import pytest
import xarray
from scipy import special, stats
from scipy.stats import norm as normal  # type: ignore[attr-defined]
from scipy.stats import t as student  # type: ignore[attr-defined]

from auglik.inference import Inference, Truth, infer, posterior_coverage
from auglik.inference.hierarchical import Posterior, log_likelihood, sample, summarize
from auglik.inference.model_data import Data
from auglik.predictions import Predictions
from objectives import InputError

Floats = npt.NDArray[np.float64]


def test_the_likelihood_is_that_of_the_multivariate_normal(rng: np.random.Generator) -> None:
    """Two references, three cells, a missing seed: against scipy with the covariance written out."""
    own, shared, residual = rng.uniform(0.5, 2, 3), rng.uniform(0.5, 2, 2), rng.normal(size=(3, 4))
    member = np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    there = np.ones((3, 4), bool)
    there[2, 1] = False
    covariance = np.diag(own) + member.T @ np.diag(shared) @ member
    expected = 0.0
    for seed in range(4):
        kept = there[:, seed]
        part = covariance[np.ix_(kept, kept)]
        expected += stats.multivariate_normal.logpdf(residual[kept, seed], np.zeros(kept.sum()), part)
    arguments = (jnp.asarray(value, dtype=float) for value in (residual, there, member, own, shared))
    assert float(log_likelihood(*arguments)) == pytest.approx(expected, rel=1e-9)


@pytest.fixture(scope="module")
def problem() -> Data:
    """One cell, so that its posterior has few enough dimensions for quadrature."""
    return Data(np.array([[0.8, 1.1, 1.4]]), np.ones((1, 3), bool), np.zeros(1, np.int64), np.array([[0.09]]))


@pytest.fixture(scope="module")
def posterior(problem: Data) -> Posterior:
    return sample(problem, cells=["cell"], seed=1)


def by_quadrature(data: Data) -> tuple[float, float, Floats]:
    """Mean of delta, and its P(delta < 0.9) and sd, from the model's definition on a grid and draws of v.

    Given the seed variance v, the mean over seeds is N(delta, v/S + V) and their scatter chi-squared.
    """
    y = data.y[0]
    scale = np.sqrt(np.square(y).mean())
    y, V, S = y / scale, data.image_covariance[0, 0] / scale**2, y.size
    rng = np.random.default_rng(0)
    v = np.square(rng.normal(size=4000)) * np.exp(2 * 0.7 * rng.normal(size=(2, 4000))).sum(0)
    delta = np.linspace(-15, 17, 3201)
    log_prior = student.logpdf(delta / 5, 4)
    scatter = np.square(y - y.mean()).sum()
    log_given = (
        -(S - 1) / 2 * np.log(v) - scatter / (2 * v) + normal.logpdf(y.mean(), delta[:, None], np.sqrt(v / S + V))
    )
    weight = np.exp(log_prior + special.logsumexp(log_given, axis=1))
    weight /= weight.sum()
    mean = float(weight @ delta)
    spread = np.sqrt(weight @ np.square(delta - mean))
    return scale * mean, float(weight[scale * delta < 0.9].sum()), np.array(scale * spread)


def test_the_posterior_is_that_of_quadrature(problem: Data, posterior: Posterior) -> None:
    draws = posterior.data["posterior"].to_dataset()["delta"].values.ravel()
    mean, below, spread = by_quadrature(problem)
    error = draws.std() / np.sqrt(posterior.ess)
    assert draws.mean() == pytest.approx(mean, abs=4 * error + 0.01)
    assert (draws < 0.9).mean() == pytest.approx(below, abs=0.02)
    assert draws.std() == pytest.approx(float(spread), rel=0.1)
    assert posterior.rhat < 1.01


def test_images_add_what_is_known_of_them(problem: Data, posterior: Posterior) -> None:
    """theta - delta is the effect of these test images, N(0, V) a priori, and hardly known better afterwards."""
    values = posterior.data["posterior"].to_dataset()
    images = (values["theta"] - values["delta"]).values
    assert images.std() == pytest.approx(0.3, rel=0.1)
    assert values["theta"].values.std() < values["delta"].values.std()


def test_summary_reads_the_draws(posterior: Posterior) -> None:
    found = summarize(posterior, 0.9)
    draws = np.sort(posterior.data["posterior"].to_dataset()["delta"].values.ravel())
    inside = int(np.floor(0.95 * draws.size))
    shortest = np.argmin(draws[inside:] - draws[: draws.size - inside])
    assert found.lower[0] == pytest.approx(draws[shortest], abs=0.02)
    assert found.in_rope[0] == pytest.approx((np.abs(draws) <= 0.9).mean())
    kept = draws[(draws >= found.lower[0]) & (draws <= found.upper[0])]
    assert found.interval_in_rope[0] == pytest.approx((np.abs(kept) <= 0.9).mean())


def test_the_model_refuses_what_it_cannot_use(problem: Data) -> None:
    one_seed = problem._replace(there=np.array([[True, False, False]]))
    for data in (one_seed, problem._replace(y=0 * problem.y)):
        with pytest.raises(InputError, match="expected"):
            sample(data, cells=["cell"])


def test_the_interval_covers_at_its_rate() -> None:
    """20 experiments of 2 cells; theta's interval, too."""
    for found in posterior_coverage(Truth((0.0, 0.05), 0.01, 0.3, 0.2, 5, 200), 20):
        assert abs(found.share - 0.95) < 4 * max(found.standard_error, 0.02), found


# From predictions to verdicts


def run(difference: float, seed: int, *, noise: float = 0.01, images: int = 300, first: int = 0) -> Predictions:
    """A network of two classes whose NLL on an image is the image's own, less `difference`, and noise of the seed."""
    shared, own = np.random.default_rng(first), np.random.default_rng([seed, int(1e6 * (difference + 9))])
    labels = shared.integers(0, 2, images)
    nll = shared.uniform(0.6, 1.5, images) + difference + noise * own.normal() + 0.05 * own.normal(size=images)
    log_p = np.empty((images, 2), np.float32)
    log_p[np.arange(images), labels] = -nll
    log_p[np.arange(images), 1 - labels] = np.log1p(-np.exp(-nll))
    views = np.repeat(log_p[np.arange(images), labels][None], 3, 0)
    return Predictions(log_p, labels, np.arange(images), log_p, log_p[None], views, log_p[:0], labels[:0], labels[:0])


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
    assert better.effect.p_better > 0.999
    assert better.effect.lower < -0.2 < better.effect.upper
    assert better.verdict.startswith("better is better than reference")
    assert better.seeds_needed is None
    assert noise.effect.lower < 0 < noise.effect.upper
    assert noise.seeds_needed is not None
    assert noise.seeds_needed.sentence in noise.verdict
    assert (alone.effect, alone.between_seeds) == (None, False)
    assert alone.verdict.startswith("One seed says nothing about other seeds")
    assert rows["twin"].effect is None
    assert "the same clean NLL" in rows["twin"].verdict
    assert "No comparison" in rows["diverged"].verdict


def test_components_of_a_row_are_those_of_the_simulation(inference: Inference) -> None:
    row = inference.primary[0]
    assert row.residual_sd == pytest.approx(0.05 * np.sqrt(2), rel=0.1)
    assert row.new_seeds.mean == row.mean
    assert row.new_seeds_and_images.upper > row.mean


def test_a_wide_region_makes_cells_practically_equal(cells: Mapping[str, Mapping[int, Predictions]]) -> None:
    few = {name: cells[name] for name in ("reference", "better", "noise")}
    found = infer(few, dict.fromkeys(few, "reference"), rope=1.0)
    assert all("practically equal" in row.verdict for row in found.primary)
    assert all(row.effect and row.effect.p_in_rope == 1 == row.effect.hdi_in_rope for row in found.primary)


def test_warnings_name_what_is_left_out(inference: Inference) -> None:
    said = "\n".join(inference.warnings)
    for part in (
        "other images is not compared with reference",
        "seeds 0, 1, 2, 4 left out, as alone has",
        "nothing is claimed about other seeds: alone",
        "not finite, so no comparison: diverged",
    ):
        assert part in said


def test_other_metrics_are_exploratory_and_simultaneous(inference: Inference) -> None:
    assert {row.metric for row in inference.metrics if not row.exploratory} == {"clean_nll"}
    rows = {(row.cell, row.metric): row for row in inference.metrics}
    assert len(rows) == 5 * 19
    nll = rows["better", "clean_nll"]
    student = inference.primary[0].new_seeds
    assert nll.mean == pytest.approx(student.mean)
    assert nll.lower < student.lower
    assert nll.upper > student.upper
    assert np.isnan(rows["alone", "clean_nll"].lower)
    assert np.isnan(rows["diverged", "clean_nll"].mean)
    assert rows["better", "marginal_log_likelihood_corrected"].mean == pytest.approx(-nll.mean, rel=1e-3)


def test_draws_are_kept_as_netcdf(inference: Inference, tmp_path: Path) -> None:
    inference.data.to_netcdf(tmp_path / "differences.nc", engine="h5netcdf")
    with xarray.open_datatree(tmp_path / "differences.nc", engine="h5netcdf") as back:
        assert list(back["posterior"].coords["cell"].values) == ["better", "noise"]
        assert back["posterior/delta"].dims == ("chain", "draw", "cell")
        assert back["observed_data/y"].shape == (2, 5)


def test_the_same_seed_gives_the_same_draws(
    inference: Inference, cells: Mapping[str, Mapping[int, Predictions]]
) -> None:
    again = infer(cells, dict.fromkeys(cells, "reference"))
    assert [row.effect for row in again.primary] == [row.effect for row in inference.primary]
    assert [row.p_adjusted for row in again.metrics[:19]] == [row.p_adjusted for row in inference.metrics[:19]]


def test_cells_of_other_test_sets_are_families_of_their_own() -> None:
    runs = {
        "a": {seed: run(0.0, seed) for seed in range(3)},
        "b": {seed: run(-0.1, seed) for seed in range(3)},
        "c": {seed: run(0.0, seed, first=1) for seed in range(3)},
        "d": {seed: run(-0.1, seed, first=1) for seed in range(3)},
    }
    found = infer(runs, {"a": "a", "b": "a", "c": "c", "d": "c"})
    assert [row.cell for row in found.primary] == ["b", "d"]
    assert len(found.data.children) == 2
    assert found.diagnostics.rhat < 1.02
    assert "fewer than 5 seeds" in found.warnings[0]


def test_a_negative_rope_is_refused(cells: Mapping[str, Mapping[int, Predictions]]) -> None:
    with pytest.raises(InputError, match="practical equivalence"):
        infer({"a": cells["reference"], "b": cells["alone"]}, {"a": "a", "b": "a"}, rope=-1.0)
