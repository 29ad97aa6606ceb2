"""Scoring: one protocol for all runs, and no look at test images before training has ended."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from torch.utils._python_dispatch import TorchDispatchMode

from auglik import Arrays, evaluate, execute, open_dataset, scores
from auglik.data import digest, take
from auglik.data.digits import Digits
from auglik.objectives import InputError
from auglik.runs import evaluation
from auglik.runs.resolve import load_training, on_device
from auglik.runs.step import make_network
from tests import tiny


def scored(**changes: object) -> tuple[dict[str, float], dict[str, np.ndarray[tuple[int, ...], np.dtype[np.generic]]]]:
    """A network at its initial weights, scored under the given settings."""
    run = tiny.run(**changes)
    data = load_training(run, open_dataset("digits"))
    network = make_network(tiny.run(), 1, 10)
    images, labels = open_dataset("digits").test()
    test = Arrays(images[:96], labels[:96])
    found = evaluate(run, network, on_device(test, data.mean, data.std, torch.device("cpu")), np.arange(96))
    return found.scores, found.arrays


def test_training_settings_change_no_score_but_the_folded_ones() -> None:
    reference, _ = scored()
    other, _ = scored(aggregator="log-mean", likelihood="tempered", views=1, augment="none", mollify="none", seed=3)
    unequal = {name for name in reference if reference[name] != other[name]}
    assert unequal
    assert all(name.startswith("folded_") for name in unequal)


def test_scores_are_those_of_the_predictions() -> None:
    results, arrays = scored()
    labels = arrays["labels"]
    for part, name in (("clean", "log_probabilities"), ("folded", "folded_log_probabilities")):
        expected = scores(arrays[name], labels)._asdict()
        assert {key: results[f"{part}_{key}"] for key in expected} == expected
        np.testing.assert_allclose(logsumexp(arrays[name], axis=-1), 0, atol=1e-5)
    marginal = logsumexp(arrays["view_log_likelihoods"].astype(float), axis=0) - np.log(4)
    assert results["marginal_log_likelihood"] == pytest.approx(marginal.mean(), abs=1e-6)
    assert 1 <= results["effective_views"] <= 4


def test_what_trains_in_bfloat16_by_itself_is_scored_in_float32() -> None:
    reference, _ = scored(precision="fp32")
    assert scored(precision="mixed")[0] == reference
    assert scored(precision="bf16")[0] != reference


def test_more_evaluation_views_begin_with_the_fewer() -> None:
    _, few = scored()
    _, many = scored(evaluation_views=8)
    np.testing.assert_array_equal(many["view_log_likelihoods"][:4], few["view_log_likelihoods"])


def test_the_evaluation_seed_draws_other_views() -> None:
    _, one = scored()
    _, other = scored(evaluation_seed=1)
    np.testing.assert_array_equal(one["log_probabilities"], other["log_probabilities"])
    assert not np.array_equal(one["view_log_likelihoods"], other["view_log_likelihoods"])


def test_scoring_can_be_on_a_part_of_the_test_images(tmp_path: Path) -> None:
    job = tiny.job(tmp_path / "run", evaluation_images=60)
    assert execute(job).test_images == 60
    test = open_dataset("digits").test()
    with np.load(job.folder / "predictions.npz") as arrays:
        np.testing.assert_array_equal(np.bincount(arrays["labels"]), np.full(10, 6))
        indices = arrays["indices"]
        assert len(np.unique(indices)) == 60
        assert not np.array_equal(indices, np.arange(60))
        np.testing.assert_array_equal(arrays["labels"], test.labels[indices])
        assert digest(take(test, indices)) == str(arrays["test_digest"])
        training = open_dataset("digits").train().labels
        np.testing.assert_array_equal(arrays["validation_labels"], training[arrays["validation_indices"]])


def test_evaluation_views_do_not_depend_on_how_many_are_looked_at_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Noise included; the network's own sums may round otherwise in another batch."""
    _, one = scored(evaluation_mollify="noise")
    monkeypatch.setattr("auglik.runs.demands.VIEW_BATCH_PIXELS", 7 * 64)
    _, other = scored(evaluation_mollify="noise")
    for name in ("view_log_likelihoods", "mollified_log_probabilities"):
        np.testing.assert_allclose(one[name].astype(float), other[name].astype(float), atol=1e-4)


def test_a_sink_predicts_the_classes_only(tmp_path: Path) -> None:
    job = tiny.job(tmp_path / "run", likelihood="sink", aggregator="log-mean")
    execute(job)
    with np.load(job.folder / "predictions.npz") as arrays:
        assert arrays["log_probabilities"].shape == (500, 10)
        np.testing.assert_allclose(np.exp(arrays["log_probabilities"]).sum(1), 1, atol=1e-5)


def test_no_test_image_is_read_before_training_has_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = tiny.job(tmp_path / "run")
    read = Digits.test

    def watched(self: Digits) -> Arrays:
        assert (job.folder / "checkpoint.pt").exists()
        lines = (job.folder / "metrics.jsonl").read_text().splitlines()
        assert len(lines) == job.config.epochs
        return read(self)

    monkeypatch.setattr(Digits, "test", watched)
    assert execute(job).test_images == 500


def test_test_images_of_another_size_are_refused_once_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.enlarge_test_images(monkeypatch)
    job = tiny.job(tmp_path / "run")
    expected = r"digits \(test\): expected images of \[1, 8, 8\], as in training, got \[1, 16, 16\]"
    with pytest.raises(InputError, match=expected):
        execute(job)
    assert job.found() is None


def test_training_learns_what_scoring_sees(tmp_path: Path) -> None:
    results = execute(tiny.job(tmp_path / "run", train_images=1297, epochs=6, network="small-cnn"))
    assert results.scores["clean_error"] < 0.1
    assert results.scores["clean_nll"] < results.scores["mollified_nll"]


class Largest(TorchDispatchMode):
    """Notes how many numbers the largest tensor holds that has all ten classes of several views of several images."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, function, types, arguments=(), named=None):  # type: ignore[no-untyped-def]
        made = function(*arguments, **(named or {}))
        if isinstance(made, torch.Tensor) and made.dim() == 3 and made.shape[-1] == 10:
            self.numbers = max(self.numbers, made.numel())
        return made


def test_all_classes_of_all_views_and_images_are_never_held(monkeypatch: pytest.MonkeyPatch) -> None:
    _, expected = scored(evaluation_views=16)
    monkeypatch.setattr(evaluation, "view_batch", lambda gallery: 4)
    with Largest() as largest:
        _, found = scored(evaluation_views=16)
    assert largest.numbers == 2 * 96 * 10  # F N C of the mollified views, which are written
    assert 16 * 4 * 10 < largest.numbers < 16 * 96 * 10
    for name, array in expected.items():
        np.testing.assert_allclose(found[name].astype(float), array.astype(float), rtol=1e-5, atol=1e-5)
