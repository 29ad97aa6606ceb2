"""The Bayesian models: densities against scipy, known curves recovered, and the file that keeps the posteriors."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
import pytest
import xarray
from arviz_base import convert_to_datatree
from scipy import special

from auglik.inference.calibration import Calibration, calibrate, save
from auglik.inference.calibration.bins import Outcomes, count, equal_width
from auglik.inference.calibration.data import shared_luck
from auglik.inference.calibration.model import beta_binomial
from auglik.inference.chains import double_precision
from auglik.objectives.errors import InputError
from auglik.scoring.predictions import Predictions

Floats = npt.NDArray[np.float64]
CLASSES, IMAGES, BINS = 10, 400, 15
OVERCONFIDENT = [f"overconfident {number}" for number in range(14)]
CALIBRATED = [f"calibrated {number}" for number in range(8)]
TIMID = [f"timid {number}" for number in range(10)]
TIMID_T, TIMID_SPREAD = 5.0, 8.0


def predictions(log_p: Floats, labels: npt.NDArray[np.int64], validation: int) -> Predictions:
    rows = log_p.astype(np.float32)
    test = rows[validation:]
    places = np.arange(len(test))
    return Predictions(
        test,
        labels[validation:],
        places,
        test,
        test[None],
        test[None, :, 0],
        rows[:validation],
        labels[:validation],
        np.arange(validation),
    )


def cell(
    generator: np.random.Generator, images: int, seeds: int, noise: float, T: float, spread: float = 2.5
) -> tuple[list[Floats], npt.NDArray[np.int64], Floats]:
    """Networks that see the true logits with noise of their own, over T; the labels and their true probabilities."""
    truth = generator.normal(0, spread, (images, CLASSES))
    labels = (truth + generator.gumbel(size=truth.shape)).argmax(1)
    networks = [
        special.log_softmax((truth + generator.normal(0, noise, truth.shape)) / T, axis=1) for _ in range(seeds)
    ]
    return networks, labels, special.softmax(truth, axis=1)


@pytest.fixture(scope="module")
def runs() -> dict[str, dict[int, Predictions]]:
    generator = np.random.default_rng(4)
    made = {}
    for name in OVERCONFIDENT:
        networks, labels, _ = cell(generator, IMAGES + 100, 3, 0.7, 0.5)
        made[name] = {seed: predictions(log_p, labels, 100) for seed, log_p in enumerate(networks)}
    for name in CALIBRATED:
        (log_p,), labels, _ = cell(generator, IMAGES, 1, 0.0, 1.0)
        made[name] = {7: predictions(log_p, labels, 0)}
    for name in TIMID:
        networks, labels, _ = cell(generator, IMAGES, 3, 0.7, TIMID_T, TIMID_SPREAD)
        made[name] = {seed: predictions(log_p, labels, 0) for seed, log_p in enumerate(networks)}
    return made


@pytest.fixture(scope="module")
def calibration(runs: dict[str, dict[int, Predictions]]) -> Calibration:
    return calibrate(runs, draws=500, bins=BINS)


def many(T: float, spread: float = 2.5) -> Outcomes:
    """Of a network of several: `correct` is the true probability of being so."""
    (log_p,), _, truth = cell(np.random.default_rng(5), 200_000, 1, 0.7, T, spread)
    predicted = log_p.argmax(1)[:, None]
    confidence = np.exp(log_p.max(1))
    odds = log_p.max(1) - np.log(np.exp(log_p).sum(1) - confidence)
    return Outcomes(confidence, np.clip(odds, -9.2, 9.2), np.take_along_axis(truth, predicted, 1)[:, 0])


@pytest.fixture(scope="module")
def population() -> Outcomes:
    """Of the overconfident networks."""
    return many(0.5)


def test_the_beta_binomial_is_scipys_and_so_is_its_slope() -> None:
    n, mu, kappa = (
        part.ravel() for part in np.meshgrid([0.0, 10, 1e5], [1e-8, 0.3, 1 - 1e-6], np.geomspace(1, 1e6, 7))
    )
    for k in (0 * n, 0.7 * n, n):
        a, b = kappa * mu, kappa * (1 - mu)
        ours = beta_binomial(*(jnp.asarray(values) for values in (k, n, mu, kappa)))
        np.testing.assert_allclose(ours, special.betaln(a + k, b + n - k) - special.betaln(a, b), rtol=1e-9, atol=1e-8)
        slope = jax.vmap(jax.grad(beta_binomial, 2))(*(jnp.asarray(values) for values in (k, n, mu, kappa)))
        in_a, in_b = special.digamma(a + k) - special.digamma(a), special.digamma(b + n - k) - special.digamma(b)
        np.testing.assert_allclose(slope, kappa * (in_a - in_b), rtol=1e-8, atol=1e-3)


def test_shared_luck_is_the_correlation_of_errors() -> None:
    generator = np.random.default_rng(0)
    confidence = np.full(50_000, 0.7)
    own, common = generator.normal(size=(3, 50_000)), generator.normal(size=50_000)
    correct = np.sqrt(0.5) * common + np.sqrt(0.5) * own < 0.5
    expected = np.corrcoef(correct)[np.triu_indices(3, 1)].mean()
    seeds = [Outcomes(confidence, confidence, row.astype(float)) for row in correct]
    same_bin, anywhere = shared_luck(seeds, equal_width(BINS))
    assert same_bin == pytest.approx(expected, abs=0.005)
    assert anywhere == pytest.approx(expected, abs=0.005)
    apart = [seeds[0], seeds[1]._replace(confidence=np.full(50_000, 0.2))]
    assert shared_luck(apart, equal_width(BINS))[0] == 0
    assert shared_luck(seeds[:1], equal_width(BINS)) == (0, 0)


def test_the_sampler_converged(calibration: Calibration) -> None:
    diagnostics = calibration.diagnostics
    assert diagnostics.r_hat < 1.02
    assert diagnostics.ess_bulk > 400
    assert diagnostics.divergences == 0
    assert (diagnostics.chains, diagnostics.draws) == (4, 500)


def test_curves_of_overconfident_networks_are_recovered(calibration: Calibration, population: Outcomes) -> None:
    true = count(population.confidence, population.correct, equal_width(BINS))
    right, confidence = ((total + 1e-9) / (true.images + 2e-9) for total in (true.correct, true.confidence))
    deviation = special.logit(right) - special.logit(confidence)
    covered = []
    for name in OVERCONFIDENT:
        curve = calibration.cells[name].curve
        truth = special.expit(special.logit(curve.confidence) + deviation)
        inside = (curve.posterior.lower_95 <= truth) & (truth <= curve.posterior.upper_95)
        covered += inside[curve.counts > 30].tolist()
    assert len(covered) > 100
    assert 0.9 < np.mean(covered) <= 1


def test_curves_far_from_calibrated_are_recovered(calibration: Calibration) -> None:
    """Ten classes, T = 5: an accuracy of .986 at confidence .57, which a narrow prior can't follow."""
    population = many(TIMID_T, TIMID_SPREAD)
    true = count(population.confidence, population.correct, equal_width(BINS))
    truth = true.correct / np.maximum(true.images, 1)
    bands = [calibration.cells[name].curve for name in TIMID]
    covered = [
        ((one.posterior.lower_95 <= truth) & (truth <= one.posterior.upper_95))[one.counts > 30].tolist()
        for one in bands
    ]
    assert sum(map(len, covered)) > 50
    assert 0.9 < np.mean(np.concatenate(covered)) <= 1


def test_ece_and_slope_of_overconfident_networks_are_recovered(calibration: Calibration, population: Outcomes) -> None:
    true = count(population.confidence, population.correct, equal_width(BINS))
    ece = float(np.abs(true.correct - true.confidence).sum() / true.images.sum())
    x = np.stack([np.ones_like(population.log_odds), population.log_odds], 1)
    line = np.zeros(2)
    for _ in range(20):  # Newton's steps of the logistic regression on the true probabilities
        p = special.expit(x @ line)
        line += np.linalg.solve((x.T * (p * (1 - p))) @ x, x.T @ (population.correct - p))
    cells = [calibration.cells[name] for name in OVERCONFIDENT]
    assert sum(one.ece.lower <= ece <= one.ece.upper for one in cells) >= len(cells) - 3
    for truth, bands in (
        (line[0], [one.intercept for one in cells]),
        (line[1], [one.slope for one in cells]),
    ):
        covering = sum(bool(band.lower_95 <= truth <= band.upper_95) for band in bands)
        assert covering >= len(bands) - 3  # 14 at 95%: fewer than 11 has probability 0.004
        assert np.mean([band.mean for band in bands]) == pytest.approx(truth, rel=0.1)


def test_calibrated_networks_are_not_found_wanting(calibration: Calibration) -> None:
    cells = [calibration.cells[name] for name in CALIBRATED]
    assert sum(bool(one.slope.lower_95 <= 1 <= one.slope.upper_95) for one in cells) >= 6
    assert sum(bool(one.intercept.lower_95 <= 0 <= one.intercept.upper_95) for one in cells) >= 6
    assert sum(one.ece.lower == 0 for one in cells) >= 7  # 8 at 97.5%: fewer than 7 has probability 0.016
    assert all(one.ece.upper < 0.12 for one in cells)


def test_one_seed_claims_nothing_of_others(calibration: Calibration) -> None:
    one, several = calibration.cells[CALIBRATED[0]], calibration.cells[OVERCONFIDENT[0]]
    assert (one.between_seeds, one.seeds, one.temperature) == (False, (7,), (None,))
    assert "nothing about other seeds" in one.claim
    assert (several.between_seeds, several.seeds) == (True, (0, 1, 2))
    assert one.seed_slope.mean[0] == pytest.approx(one.slope.mean)
    assert one.histogram.shape == (1, BINS)
    assert several.histogram.sum(1).tolist() == [IMAGES] * 3
    assert all(scaling is not None and scaling.temperature > 1.5 for scaling in several.temperature)


def test_the_file_is_one_that_arviz_opens(calibration: Calibration, tmp_path: Path) -> None:
    path = tmp_path / "calibration.nc"
    save(calibration, path)
    assert [file.name for file in tmp_path.iterdir()] == ["calibration.nc"]
    with xarray.open_datatree(path, engine="h5netcdf") as tree:
        assert set(tree.children) == {"posterior", "sample_stats", "observed_data", "constant_data"}
        assert list(tree["posterior"].coords["cell"].values) == OVERCONFIDENT + CALIBRATED + TIMID
        assert list(tree["posterior"].coords["seed"].values) == [0, 1, 2, 7]
        drawn = tree["posterior"]["curve"].sel(cell=OVERCONFIDENT[0]).mean(["chain", "draw"])
        np.testing.assert_allclose(drawn, calibration.cells[OVERCONFIDENT[0]].curve.posterior.mean, rtol=1e-4)
        assert np.isnan(tree["posterior"]["seed_slope"].sel(cell=OVERCONFIDENT[0], seed=7)).all()
        limits = tree["constant_data"]["ece_limits"].sel(cell=CALIBRATED[0])
        assert tuple(np.asarray(limits)) == calibration.cells[CALIBRATED[0]].ece
    again = convert_to_datatree(str(path))
    xarray.testing.assert_equal(again["posterior"].to_dataset(), calibration.data["posterior"].to_dataset())
    again.close()
    with pytest.raises(InputError, match="cannot write"):
        save(calibration, tmp_path / "missing" / "calibration.nc")


def test_what_jax_was_set_to_is_restored() -> None:
    before = jax.config.read("jax_enable_x64")
    jax.config.update("jax_enable_x64", False)
    try:
        with double_precision():
            assert jnp.asarray(1.0).dtype == np.float64
        assert jnp.asarray(1.0).dtype == np.float32
    finally:
        jax.config.update("jax_enable_x64", before)


def test_bad_input(runs: dict[str, dict[int, Predictions]]) -> None:
    run = runs[OVERCONFIDENT[0]][0]
    with pytest.raises(InputError, match="at least one finished run"):
        calibrate({"empty": {}})
    with pytest.raises(InputError, match="the same test images"):
        calibrate({"torn": {0: run, 1: run._replace(labels=np.roll(run.labels, 1))}})
    with pytest.raises(InputError, match="2 bins"):
        calibrate({"one": {0: run}}, bins=1)
