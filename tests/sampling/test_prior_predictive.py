"""What networks of a prior predict: from weights drawn again by hand, and in words."""

from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from scipy.special import softmax

from auglik import InputError, open_dataset
from auglik.cli.main import auglik
from auglik.runs.prior_predictive import PriorPredictive, prior_predictive
from auglik.runs.resolve import Split, TrainingData, initial_network, load_training, on_device
from auglik.runs.tested import test_images as images_of_test
from auglik.system.array_types import Float64Array
from auglik.system.keys import host_generator
from tests import tiny
from tests.sampling.test_chains import CHAIN

NETWORKS = 3


def predicted(**changes: object) -> tuple[PriorPredictive, TrainingData, Split]:
    run, source = tiny.run(**CHAIN | changes), open_dataset("digits")
    data = load_training(run, source)
    test = on_device(images_of_test(run, source)[0], data.mean, data.std, run.device)
    return prior_predictive(run, data, test, NETWORKS), data, test


def by_hand(place: int, images: torch.Tensor, scale: float) -> Float64Array:
    """Probabilities [N,C] of the network whose weights, one after the other, are N(0, scale^2)."""
    network = initial_network(tiny.run(**CHAIN), 1, 10).eval()
    generator = host_generator(0, "prior predictive", place)
    with torch.no_grad():
        for weights in network.parameters():
            weights.copy_(torch.from_numpy(scale * generator.standard_normal(tuple(weights.shape))))
        return softmax(network(images).double().numpy(), -1)


def test_it_is_what_networks_of_drawn_weights_predict() -> None:
    found, _, test = predicted(prior="gaussian:scale=0.5")
    for place in range(NETWORKS):
        p = by_hand(place, test.gallery.clean(slice(None)), 0.5)
        np.testing.assert_allclose(found.largest[place], p.max(1), rtol=1e-4)
        assert np.abs(found.shares[place] - np.eye(10)[p.argmax(1)].mean(0)).max() <= 1 / 60
    assert found.left_out is None
    assert len(found.said()) == 2


def test_what_a_prior_adds_for_predictions_is_said_to_be_left_out() -> None:
    found, data, _ = predicted(prior="confidence:T=0.5,scale=0.5")
    clean = data.training.gallery.clean(slice(None))
    exact = [np.log(by_hand(place, clean, 0.5).max(1)).sum() for place in range(NETWORKS)]
    assert found.left_out is not None
    np.testing.assert_allclose(found.left_out, exact, rtol=1e-4)
    weights = np.exp(exact - np.max(exact))
    left = (weights.sum() ** 2 / (weights**2).sum()).round(1)
    assert found.said()[2].endswith(f"importance weights would leave {left} of 3 networks")


def test_the_command_draws_it_and_runs_nothing(tmp_path: Path) -> None:
    picture, output = tmp_path / "new" / "prior.png", tmp_path / "out"
    options = tiny.options(**CHAIN | {"output": output, "draws": 2})
    found = CliRunner().invoke(auglik, ["sample", *options, "--chains", "2", "--prior-predictive", str(picture)])
    assert found.exit_code == 0, found.output
    assert found.output.startswith("4 networks of the prior on 60 test images: the likeliest class has probability ")
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert not output.exists()


@pytest.mark.parametrize("text", ["student-t:df=0.1", "gaussian:scale=1e18"])
def test_networks_that_overflow_are_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"prior: expected networks that predict numbers, got [23] of 3 that overflow"):
        predicted(prior=text)


def test_the_seed_of_a_file_is_that_of_the_prior_s_networks_and_none_of_chains(tmp_path: Path) -> None:
    file, found = tmp_path / "settings.toml", []
    for seed in (0, 3):
        file.write_text(f"seed = {seed}")
        options = tiny.options(**CHAIN | {"output": tmp_path / "out", "draws": 2})
        command = ["sample", *options, "--config", str(file), "--chains", "1"]
        drawn = CliRunner().invoke(auglik, [*command, "--prior-predictive", str(tmp_path / "prior.png")])
        assert drawn.exit_code == 0, drawn.output
        found.append(drawn.output)
        assert CliRunner().invoke(auglik, [*command, "--print-config"]).exit_code == (2 if seed else 0)
    refused = CliRunner().invoke(auglik, command)
    assert refused.output.endswith("seed: expected none, as chains take the seeds 0 to N-1, got 3; give chains\n")
    assert found[0] != found[1]


@pytest.mark.parametrize("text", ["gaussian:scale=0.01", "gaussian:scale=100"])
def test_a_narrow_prior_is_unsure_and_a_wide_one_certain(text: str) -> None:
    found, _, _ = predicted(prior=text)
    assert (found.largest.mean() > 0.9) == text.endswith("100")
    assert (found.largest.mean() < 0.15) == text.endswith("0.01")
