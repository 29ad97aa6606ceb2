"""Labels that degrade toward what the network in training takes validation images for."""

from pathlib import Path

import numpy as np
import pytest
import torch

from auglik.data import open_dataset
from auglik.objectives import InputError
from auglik.runs import checkpoint as checkpoints
from auglik.runs.evaluation import clean_log_probabilities, predictor
from auglik.runs.online_confusions import OnlineConfusions
from auglik.runs.resolve import load_training, training_objective
from auglik.runs.resolved import settings_hash
from auglik.runs.run import execute
from auglik.runs.settings import RunConfig
from auglik.runs.step import make_network
from tests import tiny

ONLINE = {"degrade_toward": "online", "validation_fraction": 0.3}


def uniform(classes: int) -> torch.Tensor:
    return torch.full((classes, classes), 1 / classes, dtype=torch.float64)


def test_rows_are_running_means_of_what_a_class_is_taken_for_and_keep_chance() -> None:
    rng = np.random.default_rng(0)
    C, labels = 4, np.array([0, 1, 1, 3, 0])
    expected, kept = np.full((C, C), 1 / C), OnlineConfusions(uniform(C))
    for _ in range(3):
        p = rng.dirichlet(np.ones(C), len(labels))
        kept.end_epoch(torch.from_numpy(np.log(p)), torch.from_numpy(labels))
        for j in {0, 1, 3}:
            row = p[labels == j].mean(0)
            row[j] = 0
            row *= (1 - 1 / C) / row.sum()
            row[j] = 1 / C
            expected[j] = (expected[j] + row) / 2
    assert kept.toward.numpy() == pytest.approx(expected)
    assert kept.toward[2].tolist() == [1 / C] * C
    assert kept.toward.diagonal().tolist() == [1 / C] * C
    before = kept.toward.clone()
    kept.end_epoch(torch.full((5, C), torch.nan), torch.from_numpy(labels))
    assert torch.equal(kept.toward, before)


def test_a_state_of_other_classes_is_refused() -> None:
    for state in ({}, OnlineConfusions(uniform(3)).state()):
        with pytest.raises(InputError, match=r"online confusions: expected \[4, 4\]"):
            OnlineConfusions(uniform(4)).restore(state)


def test_the_objective_changes_with_them_in_place() -> None:
    objective = training_objective(tiny.run(**ONLINE), 10)
    logits, labels = torch.randn(2, 3, 10, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2])
    decay = torch.full((2, 3), 0.5)
    plain = training_objective(tiny.run(), 10).loss(logits, decay, labels, None)
    before = objective.loss(logits, decay, labels, None)
    assert before == pytest.approx(float(plain), rel=1e-6)
    toward = objective.likelihood.toward  # type: ignore[attr-defined]
    log_p = torch.randn(40, 10, generator=torch.Generator().manual_seed(1)).log_softmax(-1)
    OnlineConfusions(toward).end_epoch(log_p, torch.arange(40) % 10)
    q = 0.5 * torch.eye(10)[labels] + 0.5 * toward.float()[labels]
    expected = -(q * logits.log_softmax(-1)).sum(-1).mean()
    assert objective.loss(logits, decay, labels, None) == pytest.approx(float(expected), rel=1e-5)
    assert float(expected) != pytest.approx(float(before), rel=1e-3)


def test_one_epoch_is_uniform_and_the_next_follows_the_network_on_validation_images(tmp_path: Path) -> None:
    """The draws are those of the other runs, and what was learned is the mean of epochs' confusions."""
    jobs = {
        name: tiny.job(tmp_path / name, **{**ONLINE, "degrade_toward": toward, "epochs": epochs})
        for name, toward, epochs in (("one", "online", 1), ("two", "online", 2), ("plain", "uniform", 2))
    }
    found = {name: execute(job) for name, job in jobs.items()}
    assert found["two"].view_digests == found["plain"].view_digests
    assert found["two"].last_epoch["validation_nll"] != found["plain"].last_epoch["validation_nll"]
    run, source = jobs["one"].run, open_dataset("digits")
    data = load_training(run, source)
    ended = checkpoints.load(jobs["one"].folder / checkpoints.NAME, jobs["one"].settings)
    network = ended.load_into(make_network(run, 1, 10))
    log_p = clean_log_probabilities(predictor(run, network), data.validation.gallery)
    again = OnlineConfusions(uniform(10))
    again.end_epoch(log_p, data.validation.labels)
    assert ended.online_labels["confusions"].numpy() == pytest.approx(again.toward.numpy(), abs=1e-6)
    assert not np.allclose(again.toward.numpy(), 0.1, atol=0.005)


def test_it_is_part_of_the_hash_and_needs_validation_images_and_a_point_estimate() -> None:
    assert settings_hash(tiny.run(**ONLINE), "a") != settings_hash(tiny.run(validation_fraction=0.3), "a")
    with pytest.raises(InputError, match="needs validation images, got none: set validation_fraction="):
        tiny.config(degrade_toward="online", validation_fraction=0)
    with pytest.raises(InputError, match="degrade_toward online: needs a point estimate"):
        tiny.config(degrade_toward="online", inference="sgld")
    with pytest.raises(InputError, match="spreads no label mass"):
        tiny.config(degrade_toward="online", likelihood="tempered")
    assert RunConfig(degrade_toward="online").degrade_toward == "online"
