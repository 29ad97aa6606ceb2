"""The average of the weights, by its definition, and what of a run comes from it."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from auglik import load_training, open_dataset, train
from auglik.optimization.average import Average
from auglik.runs import checkpoint as checkpoints
from auglik.runs.again import evaluate_again
from auglik.runs.evaluation import clean_log_probabilities, predictor
from auglik.runs.run import execute
from auglik.scoring.metrics import nll
from tests import tiny


def test_the_average_is_the_normalized_sum_of_the_weights_after_every_step(generator: torch.Generator) -> None:
    network = nn.Linear(3, 2)
    average, decay, seen = Average(network, 0.7), 0.7, list[torch.Tensor]()
    for done in range(1, 8):
        with torch.no_grad():
            network.weight.copy_(torch.randn(2, 3, generator=generator))
        seen.append(network.weight.detach().clone())
        average.update(done)
        counts = torch.tensor([decay ** (done - step) for step in range(1, done + 1)], dtype=torch.float64)
        expected = (torch.stack(seen).double() * counts[:, None, None]).sum(0) / counts.sum()
        torch.testing.assert_close(average.network.get_parameter("weight"), expected.float())
    assert torch.equal(network.weight, seen[-1])


def test_batch_norm_is_measured_under_the_averaged_weights(generator: torch.Generator) -> None:
    """The means over batches of each batch's mean and variance of what the averaged convolution gives."""
    convolution = nn.Conv2d(1, 2, 1)
    network = nn.Sequential(convolution, nn.BatchNorm2d(2))
    average = Average(network, 0.5)
    with torch.no_grad():
        convolution.weight.add_(1)
    average.update(1)
    with torch.no_grad():
        convolution.weight.add_(1)
    average.update(2)
    views = [torch.randn(8, 1, 3, 3, generator=generator) for _ in range(3)]
    average.measure(iter(views))
    convolved = [average.network.get_submodule("0")(batch).movedim(1, 0).flatten(1) for batch in views]
    mean = torch.stack([batch.mean(1) for batch in convolved]).mean(0)
    variance = torch.stack([batch.var(1) for batch in convolved]).mean(0)
    torch.testing.assert_close(average.network.get_buffer("1.running_mean"), mean)
    torch.testing.assert_close(average.network.get_buffer("1.running_var"), variance)
    assert torch.equal(network.get_buffer("1.running_mean"), torch.zeros(2))


def test_a_run_is_scored_at_the_average_and_keeps_the_raw_weights_that_it_would_have_without(tmp_path: Path) -> None:
    plain, averaged = tiny.job(tmp_path / "plain"), tiny.job(tmp_path / "averaged", average=0.8)
    without, results = execute(plain), execute(averaged)
    raw, kept = (checkpoints.load(job.folder / checkpoints.NAME, job.settings) for job in (plain, averaged))
    assert all(torch.equal(raw.network[key], kept.network[key]) for key in raw.network)
    assert raw.average is None
    assert kept.average is not None
    assert not torch.equal(kept.average["head.weight"], kept.network["head.weight"])
    assert kept.scored() is kept.average
    again = evaluate_again(averaged.folder, averaged.run, averaged.run, Path("data"))
    assert again.scores["clean_nll"] == pytest.approx(results.score("clean_nll"), rel=1e-6)
    assert results.score("clean_nll") != without.score("clean_nll")
    line = json.loads((averaged.folder / "metrics.jsonl").read_text().splitlines()[-1])
    assert line["loss"] == json.loads((plain.folder / "metrics.jsonl").read_text().splitlines()[-1])["loss"]
    assert line["validation_nll"] == results.last_epoch["validation_nll"] != without.last_epoch["validation_nll"]


@pytest.mark.parametrize("budget", ["images", "views"])
def test_the_validation_line_is_that_of_the_network_that_training_returns(tmp_path: Path, budget: str) -> None:
    run = tiny.run(average=0.8, budget=budget, network="wide-resnet-40-2:dropout=0.2", epochs=1, train_images=100)
    data = load_training(run, open_dataset("digits"))
    trained = train(run, data, "hash", tmp_path)
    log_p = clean_log_probabilities(predictor(run, trained.network), data.validation.gallery).numpy()
    assert trained.last_epoch["validation_nll"] == pytest.approx(nll(log_p, data.validation.labels.numpy()), rel=1e-6)


def test_an_average_over_a_moment_is_the_last_weights(tmp_path: Path) -> None:
    plain, averaged = tiny.job(tmp_path / "plain"), tiny.job(tmp_path / "averaged", average=1e-12)
    execute(plain), execute(averaged)
    kept = checkpoints.load(averaged.folder / checkpoints.NAME, averaged.settings)
    assert kept.average is not None
    for name, value in kept.average.items():
        if "running" not in name and "num_batches" not in name:
            torch.testing.assert_close(value, kept.network[name])
