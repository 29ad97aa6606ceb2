"""Distributions that labels degrade toward: files, their checks, confusions and answers, and training with them."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from scipy import stats

from auglik.cli.main import auglik
from auglik.confidence.distributions import (
    Distributions,
    check_classes,
    class_means,
    read_distributions,
    write_distributions,
)
from auglik.objectives import InputError
from auglik.runs.resolve import training_objective
from auglik.runs.resolved import settings_hash
from auglik.scoring.label_entropy import mean_degraded_entropy, mean_label_entropy
from tests import tiny

NAMES = ("cat", "dog, small", "ship")


def test_files_hold_every_bit_and_name(tmp_path: Path, rng: np.random.Generator) -> None:
    pi = torch.tensor(rng.dirichlet(np.ones(3), 3))
    write_distributions(tmp_path / "pi.csv", Distributions(pi, NAMES, "here"))
    found = read_distributions(tmp_path / "pi.csv")
    assert torch.equal(found.pi, pi)
    assert (found.class_names, found.source) == (NAMES, "here")
    np.save(tmp_path / "pi.npy", pi.numpy())
    assert torch.equal(read_distributions(tmp_path / "pi.npy").pi, pi)
    check_classes(tmp_path, found, NAMES, softened=False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "expected a file, got"),
        ("", "a row for each column"),
        ("x,a,b\na,1,0\n", "a row for each column"),
        ("x,a,b\nb,1,0\na,0,1\n", "a row for each column"),
        ("x,a,b\na,1,0\nb,0\n", "a row for each column"),
        ("x,a,b\na,1,0\nb,0,one\n", "expected a matrix [C,C]"),
        ("x,a,b\na,1,0\nb,3,1\n", "are these counts"),
        ("x,a,b\na,nan,0\nb,0,1\n", "are these counts"),
        ("x,a\na,1\n", "distributions [C,C]"),
    ],
)
def test_refused_files(tmp_path: Path, text: str | None, message: str) -> None:
    if text is not None:
        (tmp_path / "pi.csv").write_text(text)
    with pytest.raises(InputError) as refusal:
        read_distributions(tmp_path / "pi.csv")
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_other_classes_are_refused(tmp_path: Path) -> None:
    named = Distributions(torch.eye(3).double(), NAMES, "")
    for names in (("dog, small", "cat", "ship"), ("cat", "ship"), ("cat", "dog", "ship")):
        with pytest.raises(InputError, match="is it of another data set"):
            check_classes(tmp_path, named, names, softened=False)
    with pytest.raises(InputError, match="each class must keep 1/C of its own"):
        check_classes(tmp_path, named, NAMES, softened=True)


def test_means_of_classes_keep_chance_and_their_shares(rng: np.random.Generator) -> None:
    predicted, labels = rng.dirichlet(np.ones(4), 200), rng.integers(0, 4, 200)
    pi = class_means(predicted, labels, 4).numpy()
    for j in range(4):
        off = np.delete(predicted[labels == j].mean(0), j)
        np.testing.assert_allclose(np.delete(pi[j], j), 0.75 * off / off.sum(), atol=1e-12)
        assert pi[j, j] == 0.25
    with pytest.raises(InputError, match="none of class number 2"):
        class_means(predicted, np.where(labels == 2, 0, labels), 4)


def test_label_entropy_is_that_of_the_degraded_labels(rng: np.random.Generator) -> None:
    decay, labels, pi = rng.random((2, 5)), np.eye(3)[rng.integers(0, 3, 5)], rng.dirichlet(np.ones(3), 3)
    entropies = [stats.entropy((1 - g) * y + g * (y @ pi)) for row in decay for g, y in zip(row, labels, strict=True)]
    assert mean_degraded_entropy(decay, labels, pi) == pytest.approx(np.mean(entropies))
    uniform = np.full((3, 3), 1 / 3)
    assert mean_degraded_entropy(decay, labels, uniform) == pytest.approx(mean_label_entropy(decay, 3))


def run(*arguments: object) -> str:
    result = CliRunner().invoke(auglik, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_a_run_s_confusions_train_another_run(tmp_path: Path) -> None:
    """From the command line: train, write its confusions, train with them; both the hash and the numbers change."""
    settings = ["--epochs", 1, "--validation-fraction", 0.3, *tiny.options()[6:]]
    first = ["train", "--train-images", 400, "--network", "small-cnn:width=4", *settings]
    run(*first, "--output", tmp_path / "plain")
    folder = next((tmp_path / "plain").rglob("predictions.npz")).parent
    assert "wrote" in run("confusions", folder, "--output", tmp_path / "pi.csv")
    found = read_distributions(tmp_path / "pi.csv")
    with np.load(folder / "predictions.npz") as arrays:
        p, labels = np.exp(arrays["validation_log_probabilities"].astype(float)), arrays["validation_labels"]
    off = np.delete(p[labels == 3].mean(0), 3)
    np.testing.assert_allclose(np.delete(found.pi[3].numpy(), 3), 0.9 * off / off.sum(), atol=1e-12)
    toward = ["--degrade-toward", tmp_path / "pi.csv", "--likelihood", "smoothed-normalized"]
    run(*first, *toward, "--soften", "crop:polynomial", "--output", tmp_path / "toward")
    line = json.loads(next((tmp_path / "toward").rglob("metrics.jsonl")).read_text().splitlines()[-1])
    assert np.isfinite(line["loss"])
    assert 0 < line["label_entropy"] < np.log(10)


def test_distributions_enter_hash_and_objective_by_content(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.eye(10))
    np.save(tmp_path / "b.npy", np.eye(10))
    np.save(tmp_path / "c.npy", np.full((10, 10), 0.1))
    runs = {name: tiny.run(degrade_toward=str(tmp_path / f"{name}.npy")) for name in "abc"}
    hashes = {name: settings_hash(one, "") for name, one in runs.items()}
    assert hashes["a"] == hashes["b"] != hashes["c"]
    views, decay = torch.randn(2, 3, 10, generator=torch.Generator().manual_seed(0)), torch.full((2, 3), 0.4)
    own = training_objective(runs["a"], 10).likelihood.table(views, decay)
    torch.testing.assert_close(own, views.log_softmax(-1))  # a label that degrades toward itself keeps all of itself
    torch.testing.assert_close(
        training_objective(runs["c"], 10).likelihood.table(views, decay),
        runs["c"].objective.likelihood.table(views, decay),
    )
    with pytest.raises(InputError, match="spreads no label mass over classes"):
        tiny.run(degrade_toward=str(tmp_path / "a.npy"), likelihood="tempered")
    with pytest.raises(InputError, match="expected a file"):
        tiny.run(degrade_toward=str(tmp_path / "missing.npy"))
