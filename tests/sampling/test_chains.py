"""Chains as runs: reproducible and resumed bit for bit, their predictive, their settings, their diagnostics."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import logsumexp

from auglik import Cell, InputError, Place, RunConfig, change, load_training, make_plan, open_dataset, plan
from auglik.experiments.plan import cost
from auglik.runs import checkpoint as checkpoints
from auglik.runs.again import evaluate_again
from auglik.runs.identity import identity_of
from auglik.runs.results import Results
from auglik.runs.run import execute, load_run
from auglik.runs.settings import flatten
from auglik.runs.step import begin
from auglik.sampling.diagnostics import Examined, Temperature, disagreement, examine, mixing, temperature
from auglik.sampling.files import ChainFile, load_chain
from auglik.sampling.langevin import Langevin
from auglik.scoring.metrics import nll
from auglik.scoring.predictions import load_predictions
from auglik.system.array_types import Float64Array
from auglik.system.files import write_compressed_npz
from auglik.system.stop import Interrupted
from tests import tiny

CHAIN: dict[str, object] = {
    "inference": "sghmc", "network": "small-cnn:width=2,norm=frn", "draws": 4, "train_images": 100, "epochs": 6,
    "evaluation_images": 60, "learning_rate": 0.05,
}  # fmt: skip


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Results]:
    folder = tmp_path_factory.mktemp("chain") / "run"
    return folder, execute(tiny.job(folder, **CHAIN))


def test_a_chain_is_reproducible_and_a_resumed_one_the_same(chain: tuple[Path, Results], tmp_path: Path) -> None:
    folder, whole = chain
    job = tiny.job(tmp_path / "resumed", **CHAIN)
    with pytest.raises(Interrupted):
        execute(job, tiny.StopAt(4))
    assert tiny.without_times(execute(job)) == tiny.without_times(whole)
    one, other = (np.load(place / "predictions.npz") for place in (folder, job.folder))
    assert all(np.array_equal(one[name], other[name], equal_nan=one[name].dtype.kind == "f") for name in one)
    states = [checkpoints.load(place / checkpoints.NAME, whole.settings) for place in (folder, job.folder)]
    assert all(torch.equal(states[0].network[key], states[1].network[key]) for key in states[0].network)
    assert states[0].draws is not None
    assert states[1].draws is not None
    assert all(torch.equal(states[0].draws[key], states[1].draws[key]) for key in states[0].draws)


def test_a_chain_is_tuned_by_what_it_is_scored_on(chain: tuple[Path, Results]) -> None:
    folder, results = chain
    predictions = load_predictions(folder)
    of_draws = nll(predictions.validation_log_probabilities, predictions.validation_labels)
    assert results.last_epoch["validation_nll"] == pytest.approx(of_draws, rel=1e-6)


def test_the_posterior_is_of_the_images_that_are_trained_on() -> None:
    """Each class keeps an image, so that fewer than half may be held out."""
    run = tiny.run(**CHAIN | {"train_images": 12, "validation_fraction": 0.5})
    data = load_training(run, open_dataset("digits"))
    optimizer = begin(run, data).optimizer
    assert isinstance(optimizer, Langevin)
    assert len(data.training.labels) == 10
    assert optimizer.images == 10


def test_the_predictive_is_the_mean_of_the_draws_probabilities(chain: tuple[Path, Results]) -> None:
    folder, results = chain
    predictions, found = load_predictions(folder), load_chain(folder)
    assert found is not None
    assert found.draw_log_likelihoods.shape == (4, 60)
    at_label = predictions.log_probabilities[np.arange(60), predictions.labels]
    np.testing.assert_allclose(at_label, logsumexp(found.draw_log_likelihoods, 0) - np.log(4), rtol=1e-4, atol=1e-5)
    assert results.scores["clean_nll"] == pytest.approx(nll(predictions.log_probabilities, predictions.labels))
    assert results.scores["clean_nll"] <= -found.draw_log_likelihoods.mean()  # Jensen
    assert np.ptp(found.draw_log_likelihoods, axis=0).min() > 0


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("temperatures", None, "expected the draws of a chain (KeyError: 'temperatures is not a file in"),
        ("draw_log_likelihoods", np.zeros(60, "f"), "expected draws [S,60] and temperatures [n,2], got [60] and"),
        ("draw_log_likelihoods", np.zeros((4, 30), "f"), "expected draws [S,60] and temperatures [n,2], got [4, 30]"),
        ("temperatures", np.zeros((9, 1), "f"), "expected draws [S,60] and temperatures [n,2], got [4, 60] and [9, 1]"),
        ("draw_log_likelihoods", np.full((4, 60), "x"), "expected draw_log_likelihoods as floating-point numbers, got"),
        ("temperatures", np.zeros((9, 2), int), "expected temperatures as floating-point numbers, got int64"),
    ],
)
def test_a_damaged_chain_is_said_in_a_line(
    name: str, array: NDArray[np.generic] | None, message: str, chain: tuple[Path, Results], tmp_path: Path
) -> None:
    arrays: dict[str, NDArray[np.generic]] = dict(np.load(chain[0] / "predictions.npz"))
    del arrays[name]
    write_compressed_npz(tmp_path / "predictions.npz", **arrays, **({name: array} if array is not None else {}))
    with pytest.raises(InputError, match=re.escape(f"{tmp_path / 'predictions.npz'}: {message}")):
        load_chain(tmp_path)


def test_a_chain_whose_bytes_are_damaged_is_said_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "predictions.npz").write_bytes(b"PK")
    with pytest.raises(InputError, match=re.escape("predictions.npz: expected the draws of a chain (")):
        load_chain(tmp_path)


def test_it_is_scored_again_as_it_was(chain: tuple[Path, Results]) -> None:
    folder, results = chain
    again = evaluate_again(folder, load_run(folder), load_run(folder), Path("data"))
    assert again.scores == results.scores


@pytest.mark.parametrize(
    "changes", [{"inference": "sgld"}, {"step_sizes": "cyclical:cycles=2,explore=0.5"}, {"prior": "dirclip"}]
)
def test_other_chains_end_elsewhere(changes: dict[str, object], chain: tuple[Path, Results], tmp_path: Path) -> None:
    found = execute(tiny.job(tmp_path, **CHAIN | changes))
    assert found.settings != chain[1].settings
    assert found.scores["clean_nll"] != chain[1].scores["clean_nll"]
    assert (found.batches_digest, found.view_digests) == (chain[1].batches_digest, chain[1].view_digests)


def test_a_point_estimate_has_the_identity_that_it_had_before_there_were_chains() -> None:
    assert not {"inference", "prior", "draws", "step_sizes"} & identity_of(RunConfig()).keys()
    assert {"inference"} == identity_of(change(RunConfig(), {"inference": "sgld"})).keys() - identity_of(
        RunConfig()
    ).keys()


def test_a_chain_leaves_the_optimizer_open_and_reads_its_settings_again() -> None:
    config = tiny.config(**CHAIN)
    assert config.optimization.learning_rate == 0.05
    assert config.optimization.weight_decay is None
    assert change(RunConfig(), flatten(config)) == config
    assert tiny.config(**CHAIN | {"inference": "sghmc:momentum=0.9"}) == config


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weight_decay": 0.1}, "weight_decay: expected none with sghmc, got 0.1: the prior takes its place"),
        (
            {"optimizer": "adamw"},
            "optimizer: expected none with sghmc, got adamw: it belongs to a point estimate",
        ),
        ({"average": 0.9}, "average: expected none with sghmc"),
        ({"online_labels": 0.5}, "online_labels: expected 1 with sghmc, got 0.5"),
        ({"posterior_temperature": 0.0}, "posterior_temperature: expected a number > 0, got 0.0"),
        (
            {"inference": "sgd", "draws": 20, "prior": "laplace"},
            "prior: expected none with sgd, got laplace: it belongs to",
        ),
        ({"draws": 0}, "draws: expected an integer >= 1, got 0"),
    ],
)
def test_settings_that_mean_nothing_to_a_chain_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        tiny.run(**CHAIN | changes)


def test_batch_norm_is_warned_of_with_the_reason(caplog: pytest.LogCaptureFixture) -> None:
    tiny.run(**CHAIN)
    assert not caplog.records
    tiny.run(**CHAIN | {"network": "small-cnn:width=3"})
    assert "batch norm: an image's likelihood then depends on the others of its batch" in caplog.text


def test_a_chain_of_the_images_that_classes_keep_is_planned_as_it_runs(tmp_path: Path) -> None:
    """Of 20 images 19 are to be held out, but each of ten classes keeps one: five steps, three of them of draws."""
    few = {"train_images": 20, "validation_fraction": 0.95, "batch_size": 2, "epochs": 1, "draws": 3}
    config = change(RunConfig(), {**tiny.SETTINGS, "device": "cpu", **CHAIN, **few})
    planned = make_plan(plan(config, {}, [Cell("chain", {})]), [0], Place(output=str(tmp_path)))
    (job,) = planned.todo
    total = cost(planned.todo, planned.classes())
    assert execute(job).steps == total.steps == total.views // 4 == 5
    more = plan(change(config, {"draws": 4}), {}, [Cell("chain", {})])
    with pytest.raises(InputError, match="draws: expected at most one a step, got 4 in 3 steps"):
        make_plan(more, [0], Place(output=str(tmp_path / "other")))


def drawn(chains: int, draws: int, images: int, shift: float = 0.0, T: float = 1.0) -> Examined:
    """Of independent draws, the chains `shift` apart, at temperatures of 1."""
    generator = np.random.default_rng(0)
    values = generator.normal(size=(chains, draws, images)) + shift * np.arange(chains)[:, None, None]
    temperatures = 1 + 0.1 * generator.normal(size=(chains, 500, 2))
    files = [ChainFile(*parts) for parts in zip(values.astype("f"), temperatures.astype("f"), strict=True)]
    return examine(T, files, [np.eye(3, dtype="f")] * chains)


def test_good_chains_pass_and_others_are_said_to_fail() -> None:
    assert drawn(4, 200, 30).failures() == {}
    assert list(drawn(4, 200, 30, shift=1.0).failures()) == ["R-hat", "effective sample size"]
    cold = list(drawn(4, 200, 30, T=0.1).failures().values())
    assert cold[0].startswith("kinetic temperature 1 ± ")
    assert "against T = 0.1" in cold[1]
    assert drawn(4, 9, 30).failures()["R-hat"].startswith("9 draws are too few to say whether it mixes (at least 10)")


def still(chains: int, draws: int, apart: float) -> Float64Array:
    """Log-probabilities of 40 images that no draw moves, of chains `apart` from each other."""
    values = np.random.default_rng(0).normal(-2, 0.3, 40) + apart * np.arange(chains)[:, None]
    return np.repeat(values[:, None], draws, 1)


def said_of(values: Float64Array) -> dict[str, str]:
    files = [ChainFile(one.astype("f"), np.ones((20, 2), np.float32)) for one in values]
    return {name: text for name, text in examine(1.0, files, []).failures().items() if "temperature" not in name}


@pytest.mark.parametrize("chains", [1, 2])
def test_chains_that_no_draw_moves_are_not_said_to_be_short(chains: int) -> None:
    assert said_of(still(chains, 20, 0.0)) == {"R-hat": "no draw moves: R-hat cannot be measured"}


def test_chains_that_stand_still_apart_have_not_mixed() -> None:
    """Their R-hat is infinite; of one chain, whose halves they are, too."""
    apart = still(2, 20, 1.0)
    some = np.random.default_rng(1).normal(-2, 0.3, (2, 20, 40))
    some[:, :, :4] = apart[:, :, :4]  # a tenth of the images
    for values in (apart, some, apart.reshape(1, 40, 40)):
        assert said_of(values)["R-hat"] == "R-hat inf in function space, over 1.1: chains have not mixed"


def test_draws_that_predict_no_numbers_are_said_to() -> None:
    values = np.random.default_rng(1).normal(-2, 0.3, (2, 20, 40))
    values[1, 10:] = np.nan
    assert said_of(values)["R-hat"] == "a draw predicts no numbers: R-hat cannot be measured"


def test_an_image_that_halves_of_chains_leave_out_moves_nothing() -> None:
    values = np.random.default_rng(1).normal(-2, 0.3, (2, 11, 3))
    values[:, :, 0] = -1.0
    values[0, 5, 0] = -2.0  # in the middle draw alone
    assert mixing(values)[0].shape == (2,)


@pytest.mark.parametrize("draws", [10, 11])
def test_the_effective_sample_size_depends_on_the_fewest_draws(draws: int) -> None:
    """Independent draws have more than a walk; of fewer, ArviZ has the same number for both."""
    steps = np.random.default_rng(1).normal(size=(4, draws, 40))
    _, independent = mixing(steps)
    _, walk = mixing(np.cumsum(steps, 1))
    assert np.median(independent) > 2 * np.median(walk)
    assert mixing(steps[:, :9])[1].size == 0


def test_a_temperature_may_be_off_by_its_error_and_a_tenth() -> None:
    assert Temperature("kinetic", 1.39, 0.1).failure(1.0) is None
    assert Temperature("kinetic", 1.41, 0.1).failure(1.0) is not None
    assert "too uncertain to tell" in str(Temperature("kinetic", 1e5, 2e5).failure(1.0))
    assert Temperature("kinetic", float("nan"), float("nan")).failure(1.0) is None


def test_a_chain_that_leaves_the_numbers_fails() -> None:
    temperatures = np.ones((20, 2), np.float32)
    temperatures[-1] = np.inf, np.nan
    files = [ChainFile(np.zeros((9, 2), np.float32), temperatures)]
    for column in (0, 1):
        assert temperature("kinetic", files, column).failure(1.0) is not None


def test_a_single_chain_has_an_r_hat_of_its_halves() -> None:
    generator = np.random.default_rng(1)
    values = generator.normal(size=(1, 400, 5))
    still, _ = mixing(values)
    moved, _ = mixing(values + (np.arange(400) >= 200)[:, None])
    assert still.max() < 1.02
    assert moved.min() > 1.1


def test_disagreement_is_the_mean_over_pairs_of_chains() -> None:
    one, other = np.eye(4), np.eye(4)[[0, 1, 3, 2]]
    assert disagreement([one, other]) == 0.5
    assert disagreement([one, one, other]) == pytest.approx(1 / 3)
    assert np.isnan(disagreement([one]))


def test_a_deliberately_large_step_is_reported_as_failing(tmp_path: Path) -> None:
    chains = {}
    for rate in (0.02, 1.0):
        job = tiny.job(tmp_path / str(rate), **CHAIN | {"learning_rate": rate, "draws": 10, "epochs": 20})
        execute(job)
        found = load_chain(job.folder)
        assert found is not None
        chains[rate] = examine(1.0, [found], [load_predictions(job.folder).log_probabilities])
    assert chains[0.02].kinetic.failure(1.0) is None
    assert "kinetic temperature" in chains[1.0].failures()
