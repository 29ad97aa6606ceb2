"""A finished run that is scored again: whether its clean scores are those that it recorded."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from auglik.cli.main import auglik
from auglik.runs import checkpoint as checkpoints
from auglik.runs.reproduced import Scorer, unlike_recorded
from auglik.runs.results import finished
from auglik.runs.run import load_run, versions
from auglik.scoring.predictions import PREDICTIONS, load_predictions
from tests.tiny import options

SAID = "where the run recorded predictions of these images with"
NOTHING = Scorer(None, {})
CLEAN = ("--corruptions", "none", "--no-occlusion", "--no-mollified")


def invoke(*arguments: object) -> Result:
    result = CliRunner().invoke(auglik, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("run")
    invoke("train", *options(), "--output", output)
    return output / "smoothed+jensen" / "seed-0"


@pytest.fixture
def other(run: Path, tmp_path: Path) -> Path:
    """The same run, whose network gives other logits than it gave."""
    folder = tmp_path / "smoothed+jensen" / "seed-0"
    shutil.copytree(run, folder)
    results = finished(folder)
    assert results is not None
    path = folder / checkpoints.NAME
    found = checkpoints.load(path, results.settings)
    weights = {name: value * (1.2 if name.startswith("head") else 1.0) for name, value in found.network.items()}
    checkpoints.save(path, found._replace(network=weights))
    return folder


def recorded(folder: Path, positions: slice) -> tuple[str, str]:
    """Clean NLL and error of the run's own predictions, from their definitions."""
    own = load_predictions(folder)
    log_p, labels = own.log_probabilities[positions].astype(np.float64), own.labels[positions]
    nll, error = -log_p[np.arange(len(labels)), labels].mean(), (log_p.argmax(1) != labels).mean()
    return f"{nll:.4f}", f"{error:.4f}"


@pytest.mark.parametrize("changes", [(), ("--evaluation-images", 50), ("--evaluation-views", 2)])
def test_evaluate_is_silent_of_a_run_that_scores_as_it_did(run: Path, changes: tuple[object, ...]) -> None:
    assert SAID not in invoke("evaluate", run, *changes).output


def test_robustness_is_silent_of_a_run_that_scores_as_it_did(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "smoothed+jensen" / "seed-0"
    shutil.copytree(run, folder)
    for images in ((), ("--images", 40)):
        assert SAID not in invoke("robustness", tmp_path, *CLEAN, *images).output


def test_evaluate_says_where_scores_are_not_the_recorded_ones(run: Path, other: Path) -> None:
    result = invoke("evaluate", other)
    [line] = [line for line in result.output.splitlines() if SAID in line]
    nll, error = recorded(run, slice(None))
    assert line.endswith(
        f"{nll} and {error}: have its config.toml, the code of its network or the images in its files changed since?"
    )
    assert f"clean NLL {nll} " not in line
    assert SAID in invoke("evaluate", other, "--evaluation-images", 50).output
    (other / PREDICTIONS).unlink()
    assert SAID not in invoke("evaluate", other).output


def test_robustness_says_it_too_and_again_of_scores_that_are_there(other: Path) -> None:
    output = other.parent.parent
    for _ in range(2):
        assert invoke("robustness", output, *CLEAN).output.count(SAID) == 1


def test_scores_that_have_nothing_to_be_compared_with_are_passed_over(run: Path) -> None:
    results, own, trained = finished(run), load_predictions(run), load_run(run)
    assert results is not None
    off = results.score("clean_error"), 2 * results.score("clean_nll")

    assert unlike_recorded(run, results, trained, own.indices, *off, NOTHING) is not None
    assert unlike_recorded(run, replace(results, test_digest=None), trained, own.indices, *off, NOTHING) is None
    assert unlike_recorded(run, results, trained, own.indices + 1, *off, NOTHING) is None


@pytest.mark.parametrize("nll", [float("inf"), float("nan")])
def test_an_nll_that_is_not_finite_is_like_none_that_was_recorded(run: Path, nll: float) -> None:
    results, own = finished(run), load_predictions(run)
    assert results is not None
    error = results.score("clean_error")
    assert unlike_recorded(run, results, load_run(run), own.indices, error, nll, NOTHING) is not None


def test_what_is_known_to_be_other_is_named(run: Path) -> None:
    results, own, trained = finished(run), load_predictions(run), load_run(run)
    assert results is not None
    was = replace(results, versions={**results.versions, "torch": "0.4"}, device="a card")
    line = unlike_recorded(run, was, trained, own.indices, 0.5, 9.0, Scorer(results.device, {**versions(), "new": "1"}))
    assert str(line).endswith(f": torch is {torch.__version__}, was 0.4, scored on {results.device}, trained on a card")


@pytest.mark.parametrize(
    ("more_error", "more_nll", "precision", "alike"),
    [
        (0.0, 5e-5, "fp32", True), (0.0, 1e-3, "fp32", False), (0.0, 1e-3, "bf16", True), (0.0, 0.1, "bf16", False),
        (1 / 500, 0.0, "fp32", True), (2 / 500, 0.0, "fp32", False), (2 / 500, 0.0, "bf16", True),
    ],
)  # fmt: skip
def test_rounding_is_no_difference(run: Path, more_error: float, more_nll: float, precision: str, alike: bool) -> None:
    results, own, trained = finished(run), load_predictions(run), load_run(run).change(precision=precision)
    assert results is not None
    assert len(own.labels) == 500
    error, nll = results.score("clean_error") + more_error, results.score("clean_nll") + more_nll
    assert (unlike_recorded(run, results, trained, own.indices, error, nll, NOTHING) is None) == alike
