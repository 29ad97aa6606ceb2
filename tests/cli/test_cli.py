"""The command line: through click's runner, and as a real process that is stopped, killed and resumed."""

import csv
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from scipy import stats

from auglik import open_dataset
from auglik.cli.main import auglik
from auglik.recipes.cost import Estimate
from auglik.runs.checkpoint import NAME
from tests.tiny import options

TIMES = {"train_seconds", "evaluation_seconds"}


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(auglik, [str(argument) for argument in arguments])


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def compare(output: Path, *arguments: object) -> Result:
    return invoke("compare", *options(), "--output", output, "--no-report", *arguments)


PAIR = ("--likelihood", "smoothed", "--likelihood", "categorical", "--aggregator", "log-mean")


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two cells over three seeds, compared."""
    output = tmp_path_factory.mktemp("compared")
    result = compare(output, *PAIR, "--seeds", 3, "--jobs", 1)
    assert result.exit_code == 0, result.output
    return output


def test_compare_writes_runs_and_paired_differences(compared: Path) -> None:
    runs = rows(compared / "runs.csv")
    assert [(run["cell"], run["seed"]) for run in runs] == [
        (cell, str(seed)) for cell in ("smoothed+log-mean", "categorical+log-mean") for seed in range(3)
    ]
    scores = ["clean_error", "clean_nll", "clean_brier", "clean_ece", "mollified_error", "folded_nll"]
    for name in ["likelihood", "aggregator", "views", *scores, "marginal_log_likelihood", "train_seconds"]:
        assert all(run[name] for run in runs), name
    digests = {run["seed"]: run["views_digest"] for run in runs}
    assert len(set(digests.values())) == 3
    assert all(run["views_digest"] == digests[run["seed"]] for run in runs)
    difference = next(row for row in rows(compared / "comparison.csv") if row["metric"] == "clean_nll")
    values = np.array([float(run["clean_nll"]) for run in runs])
    expected = stats.ttest_rel(values[3:], values[:3]).confidence_interval(0.95)
    assert float(difference["lower"]) == pytest.approx(expected.low)
    assert float(difference["upper"]) == pytest.approx(expected.high)
    assert float(difference["mean"]) == pytest.approx((values[3:] - values[:3]).mean())
    assert (difference["cell"], difference["n"]) == ("categorical+log-mean", "3")
    assert difference["reference"] == "smoothed+log-mean"


def test_a_run_folder_holds_what_the_readme_says(compared: Path) -> None:
    folder = compared / "smoothed+log-mean" / "seed-0"
    assert {path.name for path in folder.iterdir()} == {
        "config.toml", "metrics.jsonl", "results.json", "predictions.npz", "checkpoint.pt",
    }  # fmt: skip
    with np.load(folder / "predictions.npz") as arrays:
        assert arrays["log_probabilities"].shape == (500, 10)
        assert arrays["labels"].shape == arrays["indices"].shape == (500,)


def test_finished_runs_are_skipped_and_an_extension_trains_what_is_missing(compared: Path) -> None:
    again = compare(compared, *PAIR, "--seeds", 3)
    assert again.exit_code == 0
    assert "6 runs, 6 finished" in again.output
    before = (compared / "smoothed+log-mean" / "seed-0" / "results.json").stat().st_mtime_ns
    more = compare(compared, *PAIR, "--likelihood", "tempered", "--seeds", 3, "--jobs", 2)
    assert more.exit_code == 0, more.output
    assert "9 runs, 6 finished" in more.output
    assert (compared / "smoothed+log-mean" / "seed-0" / "results.json").stat().st_mtime_ns == before
    assert len(rows(compared / "runs.csv")) == 9


def test_a_folder_with_runs_of_other_settings_is_left_alone(compared: Path) -> None:
    before = (compared / "runs.csv").read_bytes()
    result = compare(compared, *PAIR, "--seeds", 3, "--learning-rate", 0.01)
    assert result.exit_code == 2
    assert re.search(r"holds a run with other settings \(learning_rate 0.1, now 0.01\)", result.output)
    assert (compared / "runs.csv").read_bytes() == before


@pytest.mark.usefixtures("untimed")
def test_a_dry_run_prints_plan_and_cost_and_trains_nothing(tmp_path: Path) -> None:
    result = invoke("compare", "--dry-run", "--output", tmp_path / "runs")
    assert result.exit_code == 0
    assert "9 cells x 5 seeds = 45 runs" in result.output
    assert "steps" in result.output
    assert not list(tmp_path.glob("runs/*"))


@pytest.mark.usefixtures("untimed")
@pytest.mark.parametrize(
    "command",
    [
        ("compare", "--likelihood", "smoothed", "--tune", "learning_rate=0.1,0.2"),
        ("reproduce", "appendix-c", "--scale", "quick"),
        ("reproduce", "soft-augmentation-table-4", "--scale", "quick"),
        ("sample", "--epochs", "50"),
    ],
)
def test_a_dry_run_needs_no_permission_to_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: not mode & os.W_OK)
    result = invoke(*command, "--dry-run", "--output", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert not list(tmp_path.iterdir())
    if command[1] != "soft-augmentation-table-4":
        assert "no permission to write" in invoke(*command, "--output", tmp_path / "out").output


def test_a_config_file_sets_what_the_command_line_leaves(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(
        'epochs = 1\nseeds = [4]\nlearning-rate = 0.05\n[[cells]]\nname = "a"\n[[cells]]\nname = "b"\nk-blur = 2\n'
    )
    result = compare(tmp_path / "runs", "--config", tmp_path / "c.toml", "--dry-run")
    assert result.exit_code == 0, result.output
    assert "2 epochs" in result.output
    assert "2 cells x 1 seed =" in result.output
    assert re.search(r"about .* of training and .* of evaluation a run; 2 runs, .* at a time: about", result.output)
    (tmp_path / "bad.toml").write_text("epochz = 1\n")
    result = compare(tmp_path / "runs", "--config", tmp_path / "bad.toml")
    assert result.exit_code == 2
    assert "unknown setting 'epochz'; did you mean 'epochs'?" in result.output


@pytest.mark.parametrize("given", [("--k-blur", 3), ("--likelihood", "focal"), ("--compile",), ("--no-compile",)])
def test_an_option_that_every_cell_of_the_file_would_ignore_is_refused(
    tmp_path: Path, given: tuple[object, ...]
) -> None:
    cells = [f'[[cells]]\nname = "{name}"\nlikelihood = "tempered"\ncompile = false\n' for name in "ab"]
    (tmp_path / "c.toml").write_text(f"{cells[0]}k-blur = 2\n{cells[1]}k-blur = 3\n")
    result = compare(tmp_path / "runs", "--config", tmp_path / "c.toml", "--dry-run", *given)
    assert result.exit_code == 2
    name = str(given[0]).replace("--no-", "--")
    assert f"{name}: expected a setting that some cell of the file leaves, but a, b set it" in result.output
    assert not (tmp_path / "runs").exists()


def test_several_values_of_a_setting_that_is_tuned_are_refused(tmp_path: Path) -> None:
    rates = ("--learning-rate", 0.1, "--learning-rate", 0.2)
    result = compare(tmp_path / "runs", "--tune", "learning_rate=0.1,0.3", *rates, "--dry-run")
    assert result.exit_code == 2
    assert "--tune learning_rate: expected one value of it beside, or none, got several" in result.output


def test_the_config_of_a_run_trains_it_again(compared: Path, tmp_path: Path) -> None:
    folder = compared / "smoothed+log-mean" / "seed-1"
    result = invoke("train", "--config", folder / "config.toml", "--output", tmp_path)
    assert result.exit_code == 0, result.output
    again = json.loads((tmp_path / "smoothed+log-mean" / "seed-1" / "results.json").read_text())
    first = json.loads((folder / "results.json").read_text())
    differing = {key for key in first if first[key] != again[key]}
    assert differing <= TIMES


def test_evaluate_repeats_the_scores_and_leaves_the_run_as_it_is(compared: Path, tmp_path: Path) -> None:
    folder = compared / "smoothed+log-mean" / "seed-0"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    result = invoke("evaluate", folder, "--output", tmp_path)
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "smoothed+log-mean" / "seed-0" / "evaluation.json").read_text())
    first = json.loads((folder / "results.json").read_text())
    scored = {key: value for key, value in found.items() if key in first}
    assert scored == {key: first[key] for key in scored}
    assert len(scored) > 20
    other = invoke("evaluate", folder, "--evaluation-views", 2)
    assert other.exit_code == 0
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_evaluate_writes_into_no_run(compared: Path, tmp_path: Path) -> None:
    folder = compared / "smoothed+log-mean" / "seed-0"
    before = (folder / "predictions.npz").read_bytes()
    link = tmp_path / "link"
    link.symlink_to(compared)
    for output in (compared, link):
        refused = invoke("evaluate", folder, "--output", output, "--evaluation-images", 50)
        assert_refused(refused)
        assert "holds config.toml of a run: give another --output" in refused.output
    assert (folder / "predictions.npz").read_bytes() == before
    assert not (folder / "evaluation.json").exists()
    for images in (50, 40):  # its own earlier output is written over
        again = invoke("evaluate", folder, "--output", tmp_path / "other", "--evaluation-images", images)
        assert again.exit_code == 0, again.output
    said = json.loads((tmp_path / "other" / "smoothed+log-mean" / "seed-0" / "evaluation.json").read_text())
    assert said["evaluation_images"] == 40


def digits_as(path: Path, test_images: slice, shift: int = 0, classes: int = 10) -> Path:
    """Digits as a file, with some of the test images, all labels `shift` classes on."""
    source = open_dataset("digits")
    training, test = source.train(), source.test()
    np.savez(
        path,
        train_images=training.images.transpose(0, 2, 3, 1),
        train_labels=(training.labels + shift) % classes,
        test_images=test.images[test_images].transpose(0, 2, 3, 1),
        test_labels=(test.labels[test_images] + shift) % classes,
    )
    return path


def test_evaluate_scores_another_data_set(compared: Path, tmp_path: Path) -> None:
    folder = compared / "smoothed+log-mean" / "seed-0"
    half = digits_as(tmp_path / "half.npz", slice(0, None, 2))
    result = invoke("evaluate", folder, "--dataset", half, "--output", tmp_path)
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "smoothed+log-mean" / "seed-0" / "evaluation.json").read_text())
    assert found["dataset"] == str(half)
    with (
        np.load(folder / "predictions.npz") as before,
        np.load(tmp_path / "smoothed+log-mean" / "seed-0" / "predictions.npz") as now,
    ):
        expected = before["log_probabilities"][::2]
        np.testing.assert_allclose(now["log_probabilities"], expected, atol=1e-5)
        nll = -expected[np.arange(len(expected)), before["labels"][::2]].mean()
    assert found["clean_nll"] == pytest.approx(nll, rel=1e-5)


def test_evaluate_refuses_another_kind_of_data_set(compared: Path, tmp_path: Path) -> None:
    folder = compared / "smoothed+log-mean" / "seed-0"
    fewer = digits_as(tmp_path / "fewer.npz", slice(None), classes=5)
    for arguments in (["--dataset", fewer], ["--dataset", "digitz"], ["--device", "gpu"]):
        result = invoke("evaluate", folder, *arguments)
        assert result.exit_code == 2
        assert len(result.output.splitlines()) == 1
    assert "got no 5, 6, 7, 8, 9" in invoke("evaluate", folder, "--dataset", fewer).output


@pytest.mark.parametrize("by", ["operation", "class"])
def test_tables_are_measured_in_the_state_that_the_run_asks_for(
    by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--deterministic too."""
    asked: list[bool] = []

    @contextmanager
    def state(threads: int, device: object, *, compiles: bool, deterministic: bool) -> Iterator[None]:
        asked.append(deterministic)
        yield

    monkeypatch.setattr("auglik.runs.resolved.process_state", state)
    table = tmp_path / ("table.json" if by == "operation" else "table.npz")
    options = ("--dataset", "digits", "--network", "small-cnn:width=2", "--epochs", 1, "--points", 2, "--images", 20)
    told = invoke("confidence", "--by", by, "--operations", "noise", "--deterministic", *options, "--output", table)
    assert asked, told.output
    assert all(asked)


def test_evaluate_needs_no_confidence_table_but_training_does(tmp_path: Path) -> None:
    table = tmp_path / "table.json"
    measured = ("confidence", "--measure", "ncc", "--images", 20, "--points", 2, "--output", table)
    assert invoke(*measured).exit_code == 0
    train = ("train", *options(soften=f"all:measured:table={table}", views=1, epochs=1, evaluation_folded_views=1))
    assert invoke(*train, "--output", tmp_path / "a").exit_code == 0
    assert invoke(*measured[:-3], 3, *measured[-2:]).exit_code == 0
    again = invoke(*train, "--output", tmp_path / "a")
    assert again.exit_code == 2
    assert "confidence table" in again.output
    table.unlink()
    assert invoke("evaluate", tmp_path / "a" / "smoothed+jensen" / "seed-0").exit_code == 0
    missing = invoke(*train, "--output", tmp_path / "b")
    assert missing.exit_code == 2
    assert "expected a confidence table" in missing.output
    assert not (tmp_path / "b").exists()


def test_evaluate_scores_a_run_that_was_not_scored_and_refuses_one_of_other_test_images(
    compared: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "cell" / "seed-2"
    shutil.copytree(compared / "smoothed+log-mean" / "seed-2", folder)
    kept = json.loads((folder / "results.json").read_text())
    del kept["test_digest"]  # as in a trial of --tune
    for digest, status in (({}, 0), ({"test_digest": "0" * 64}, 2)):
        (folder / "results.json").write_text(json.dumps({**kept, **digest}))
        result = invoke("evaluate", folder)
        assert result.exit_code == status, result.output
        assert ("expected the test images that it was scored on" in result.output) == (status == 2)


def test_evaluate_refuses_what_is_no_finished_run(compared: Path, tmp_path: Path) -> None:
    assert invoke("evaluate", tmp_path).exit_code == 2
    folder = compared / "smoothed+log-mean" / "seed-2"
    (folder / "results.json").rename(tmp_path / "results.json")
    try:
        result = invoke("evaluate", folder)
    finally:
        (tmp_path / "results.json").rename(folder / "results.json")
    assert result.exit_code == 2
    assert "holds an unfinished run" in result.output


def test_a_failed_run_is_reported_and_the_rest_go_on(tmp_path: Path) -> None:
    settings = ("--likelihood", "smoothed", "--learning-rate", "0.1", "--learning-rate", "1e30", "--seeds", 1)
    result = compare(tmp_path, *settings)
    assert result.exit_code == 1, result.output
    assert "failed: smoothed+jensen+learning_rate=1e+30, seed 0: NonFiniteLossError" in result.output
    assert [run["cell"] for run in rows(tmp_path / "runs.csv")] == ["smoothed+jensen+learning_rate=0.1"]


def test_runs_are_counted_by_what_became_of_them(compared: Path, tmp_path: Path) -> None:
    settings = ("--likelihood", "smoothed", "--learning-rate", "0.1", "--learning-rate", "1e30", "--seeds", 2)
    result = compare(tmp_path, *settings, "--jobs", 1)
    assert result.exit_code == 1
    assert "4 runs: 2 trained, 2 failed; " in result.output
    again = compare(compared, *PAIR, "--seeds", 3)
    assert "6 runs: 6 finished before; " in again.output


@pytest.fixture
def untimed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dry run takes no time to time anything."""
    for name in ("estimate", "estimate_pretraining"):
        monkeypatch.setattr(
            f"auglik.recipes.cost.{name}",
            lambda *arguments, **options: Estimate(images=0, steps=0, times=[], left_out=0, compiled=False),
        )


@pytest.mark.usefixtures("untimed")
def test_images_that_fill_no_step_are_said_to_be_left_out(tmp_path: Path) -> None:
    """Of 200 images 20 are for validation: 5 steps of 32 leave 20 out; 180 divide by 30."""

    def planned(batch_size: int, *arguments: object) -> str:
        settings = options(batch_size=batch_size, likelihood="smoothed")
        return invoke("compare", *settings, "--dry-run", "--output", tmp_path, *arguments).output

    assert "steps of all cells: 32 of 180 images each; every pass leaves 20 out" in planned(32)
    assert "leaves" not in planned(30)
    several = planned(30, "--batch-size", 50)
    assert "steps of smoothed+jensen+batch_size=50: 50 of 180 images each; every pass leaves 30 out" in several


@pytest.mark.usefixtures("untimed")
def test_seeds_are_a_number_of_them_or_chosen_ones(tmp_path: Path) -> None:
    def planned(*arguments: object) -> str:
        result = compare(tmp_path / "runs", "--likelihood", "smoothed", "--dry-run", *arguments)
        assert result.exit_code == 0, result.output
        return result.output

    for arguments, seeds in {
        ("--seeds", 3): 3,
        ("--seeds", "7,9"): 2,
        ("--seed", 7): 1,
        ("--seed", 7, "--seed", 9): 2,
    }.items():
        assert f"1 cell x {seeds} seed{'s' * (seeds > 1)} = " in planned(*arguments)
    (tmp_path / "run.toml").write_text("seed = 3\n")  # as a run's own configuration has it
    assert "1 cell x 1 seed = " in planned("--config", tmp_path / "run.toml")
    assert "1 cell x 4 seeds = " in planned("--config", tmp_path / "run.toml", "--seeds", 4)
    assert_refused(compare(tmp_path / "runs", "--seeds", 3, "--seed", 7))
    for many in (20240101, 99999999999999999999):
        result = compare(tmp_path / "runs", "--seeds", many)
        assert_refused(result)
        assert f"for one seed give --seed {many}" in result.output
    (tmp_path / "cells.toml").write_text('[[cells]]\nname = "a"\nseed = 3\n')
    assert "expected no seed" in compare(tmp_path / "runs", "--config", tmp_path / "cells.toml").output


def test_a_product_of_too_many_runs_is_refused_at_once(tmp_path: Path) -> None:
    values = [part for number in range(60) for part in ("--k-blur", 1 + number)]
    assert "at most 10,000 runs" in compare(tmp_path, "--likelihood", "smoothed", *values, "--seeds", 200).output
    values += [part for number in range(60) for part in ("--k-noise", 1 + number)]
    values += [part for number in range(60) for part in ("--alpha", 1 + number)]
    assert "a product of more cells" in compare(tmp_path, "--likelihood", "smoothed", *values).output


def test_the_reference_comes_first_everywhere(tmp_path: Path) -> None:
    """The second of the cells, which is the last by name too."""
    likelihoods = ("--likelihood", "categorical", "--likelihood", "tempered", "--likelihood", "dirichlet")
    result = compare(
        tmp_path, *likelihoods, "--aggregator", "log-mean", "--seeds", 2, "--reference", "tempered+log-mean"
    )
    assert result.exit_code == 0, result.output
    cells = ["tempered+log-mean", "categorical+log-mean", "dirichlet+log-mean"]
    assert list(dict.fromkeys(row["cell"] for row in rows(tmp_path / "runs.csv"))) == cells
    assert [row["cell"] for row in rows(tmp_path / "ensembles.csv")] == cells
    robust = invoke("robustness", tmp_path, "--corruptions", "none", "--no-occlusion", "--no-mollified", "--images", 20)
    assert robust.exit_code == 0, robust.output
    assert "into 6 run folders" in robust.output
    again = invoke("evaluate", *sorted(tmp_path.glob("*/seed-*")), "--evaluation-images", 20, "--evaluation-views", 2)
    for said in (result.output, robust.output, again.output):
        places = [said.index(cell) for cell in cells]
        assert places == sorted(places)
    repeated = invoke(
        "robustness", tmp_path, "--corruptions", "none", "--no-occlusion", "--no-mollified", "--images", 20
    )
    assert "into 0 run folders" in repeated.output
    assert "6 already had theirs" in repeated.output


def test_a_comparison_of_one_test_image_and_two_classes_is_scored(tmp_path: Path) -> None:
    """One seed and two, no validation image, two evaluation views: its tables have numbers or dashes."""
    pixels = np.random.default_rng(0).integers(0, 256, (21, 8, 8), np.uint8)
    path = tmp_path / "small.npz"
    np.savez(path, train_images=pixels[1:], train_labels=np.arange(20) % 2, test_images=pixels[:1], test_labels=[0])
    for seeds in (1, 2):
        settings = options(
            dataset=path,
            train_images=20,
            validation_fraction=0,
            evaluation_views=2,
            evaluation_folded_views=1,
            epochs=1,
        )
        result = invoke("compare", *settings, *PAIR, "--no-report", "--seeds", seeds, "--output", tmp_path / "runs")
        assert result.exit_code == 0, result.output
        assert f"over {seeds} seed" in result.output
        assert "nan" not in result.output


def test_fail_fast_stops_at_the_first_failure(tmp_path: Path) -> None:
    settings = ("--likelihood", "smoothed", "--learning-rate", "1e30", "--learning-rate", "0.1", "--seeds", 1)
    result = compare(tmp_path, *settings, "--fail-fast", "--jobs", 1)
    assert result.exit_code == 1
    assert not (tmp_path / "smoothed+jensen+learning_rate=0.1" / "seed-0" / "results.json").exists()


def test_tensorboard_logs_where_it_is_asked_for(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    result = invoke("train", *options(), "--output", tmp_path, "--tensorboard")
    assert result.exit_code == 0, result.output
    assert list(tmp_path.glob("*/seed-0/tensorboard/events*"))


def npz(path: Path, **changes: object) -> Path:
    rng = np.random.default_rng(0)
    arrays: dict[str, object] = {
        "train_images": rng.integers(0, 256, (40, 8, 8), np.uint8),
        "train_labels": np.arange(40) % 4,
        "test_images": rng.integers(0, 256, (12, 8, 8), np.uint8),
        "test_labels": np.arange(12) % 4,
    }
    np.savez(path, **{key: value for key, value in (arrays | changes).items() if value is not None})  # type: ignore[arg-type]
    return path


def test_own_arrays_are_trained_on(tmp_path: Path) -> None:
    path = npz(tmp_path / "own.npz")
    settings = options(train_images=40, dataset=path, batch_size=16)
    result = invoke("train", *settings, "--output", tmp_path)
    assert result.exit_code == 0, result.output


BAD_ARRAYS: dict[str, dict[str, object]] = {
    "labels out of range": {"test_labels": np.full(12, 7)},
    "lengths differ": {"train_labels": np.arange(39) % 4},
    "empty": {"train_images": np.zeros((0, 8, 8), np.uint8), "train_labels": np.zeros(0, int)},
    "NaN": {"train_images": np.full((40, 8, 8), np.nan), "test_images": np.zeros((12, 8, 8))},
    "pickled": {"train_labels": np.array([{}] * 40, object)},
    "missing key": {"test_labels": None},
    "float labels": {"train_labels": np.arange(40) / 4},
    "shape": {"train_images": np.zeros((40, 64), np.uint8)},
}


@pytest.mark.parametrize("fault", BAD_ARRAYS)
def test_bad_arrays_are_one_line_and_nothing_is_written(tmp_path: Path, fault: str) -> None:
    path = npz(tmp_path / "own.npz", **BAD_ARRAYS[fault])
    result = compare(tmp_path / "runs", "--dataset", path)
    assert_refused(result)
    assert not (tmp_path / "runs").exists()


def test_a_truncated_npz_is_one_line(tmp_path: Path) -> None:
    path = npz(tmp_path / "own.npz")
    path.write_bytes(path.read_bytes()[:-200])
    assert_refused(compare(tmp_path / "runs", "--dataset", path))


def assert_refused(result: Result) -> None:
    assert result.exit_code == 2, result.output
    assert len(result.output.strip().splitlines()) == 1, result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    "arguments",
    [
        ("--likelihood", "smothed"),
        ("--aggregator", "geometric:T=0"),
        ("--aggregator", "jackknife"),
        ("--aggregator", "durbin-koopman", "--views", 1),
        ("--dataset", "cifar11"),
        ("--dataset", "missing.npz"),
        ("--dataset", "cifar10", "--data-dir", "/nowhere"),
        ("--network", "small-cn"),
        ("--views", 0),
        ("--seeds", 0),
        ("--seeds", "1,1"),
        ("--seeds", "x"),
        ("--reference", "nobody"),
        ("--train-images", 5000),
        ("--config", "missing.toml"),
        ("--device", "gpu"),
        ("--jobs", 0),
        ("--budget", "views", "--views", 5),
    ],
)
def test_bad_input_is_one_line_with_status_2(tmp_path: Path, arguments: tuple[object, ...]) -> None:
    pairs = dict(zip(arguments[::2], arguments[1::2], strict=True))
    replaced = options(**{str(key).lstrip("-").replace("-", "_"): value for key, value in pairs.items()})
    assert_refused(invoke("compare", *replaced, "--output", tmp_path / "runs"))
    assert not list(tmp_path.glob("runs/*/*"))


def test_an_output_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert_refused(compare(tmp_path / "file" / "runs"))
    assert (tmp_path / "file").read_text() == "in the way"


@pytest.mark.parametrize(
    "arguments",
    [
        ("compare", *options(), "--output", "s3://bucket/runs"),
        ("compare", *options(), "--data-dir", "gs://bucket/data"),
        ("compare", *options(dataset="s3://bucket/digits.npz")),
        ("train", *options(), "--output", "gs://bucket/run"),
        ("reproduce", "mollification-table-1", "--scale", "quick", "--output", "s3://bucket/runs"),
        *((command, "s3://bucket/runs") for command in ("status", "report", "robustness", "evaluate")),
        ("verify", "--quick", "--output", "s3://bucket/study"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_remote_store_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[object, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    result = invoke(*arguments)
    assert_refused(result)
    assert "got a URL: " in result.output
    assert not list(tmp_path.iterdir())


def test_objectives_and_datasets_are_listed() -> None:
    listed = invoke("objectives").output
    for name in ("smoothed-normalized-schedule", "noisy-dirichlet", "durbin-koopman", "Eq. 21-22", "T=1"):
        assert name in listed
    assert "digits" in invoke("datasets").output


# As a real process.

LONG = options(epochs=20, train_images=1000)


def start(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "auglik", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_line(path: Path, lines: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        if path.exists() and path.read_text().count("\n") >= lines:
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    raise AssertionError(f"no {lines} lines in {path}")


def same_run(one: Path, other: Path) -> None:
    first, second = (torch.load(path / NAME, weights_only=True) for path in (one, other))
    for key, value in first["network"].items():
        assert torch.equal(value, second["network"][key]), key
    assert (one / "metrics.jsonl").read_bytes() == (other / "metrics.jsonl").read_bytes()
    assert (one / "predictions.npz").read_bytes() == (other / "predictions.npz").read_bytes()


def test_a_process_stopped_by_sigterm_and_one_killed_resume_to_the_same_run(tmp_path: Path) -> None:
    folder = Path("smoothed+jensen") / "seed-0"
    assert invoke("train", *LONG, "--output", tmp_path / "whole").exit_code == 0
    stopped = start("train", *LONG, "--output", tmp_path / "stopped")
    wait_for_line(tmp_path / "stopped" / folder / "metrics.jsonl", 3, stopped)
    stopped.send_signal(signal.SIGTERM)
    said, complained = stopped.communicate(timeout=300)
    assert stopped.returncode == 128 + signal.SIGTERM, complained
    assert "--resume" in said
    assert not (tmp_path / "stopped" / folder / "results.json").exists()

    refused = invoke("train", *LONG, "--output", tmp_path / "stopped")
    assert "--resume" in refused.output
    assert refused.exit_code == 2

    killed = start("train", *LONG, "--output", tmp_path / "stopped", "--resume")
    wait_for_line(tmp_path / "stopped" / folder / "metrics.jsonl", 10, killed)
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate(timeout=300)
    assert invoke("train", *LONG, "--output", tmp_path / "stopped", "--resume").exit_code == 0
    same_run(tmp_path / "whole" / folder, tmp_path / "stopped" / folder)


def test_an_interrupted_comparison_goes_on_where_it_was(tmp_path: Path) -> None:
    arguments = (
        "compare",
        *LONG,
        "--no-report",
        "--likelihood",
        "smoothed",
        "--aggregator",
        "log-mean",
        "--seeds",
        3,
        "--jobs",
        2,
    )
    process = start(*arguments, "--output", tmp_path)
    wait_for_line(tmp_path / "smoothed+log-mean" / "seed-0" / "metrics.jsonl", 2, process)
    process.send_signal(signal.SIGINT)
    said, complained = process.communicate(timeout=300)
    assert process.returncode == 128 + signal.SIGINT, complained
    assert "run the same command again" in said
    assert (tmp_path / "smoothed+log-mean" / "seed-0" / NAME).exists()
    again = invoke(*arguments, "--output", tmp_path)
    assert again.exit_code == 0, again.output
    assert len(rows(tmp_path / "runs.csv")) == 3
    assert "Clean test images" in again.output


ON_A_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
)


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="terminals do not hang up here")
def test_a_comparison_whose_terminal_is_closed_ends_with_its_checkpoints(tmp_path: Path) -> None:
    chosen = ("--no-report", "--likelihood", "smoothed", "--aggregator", "log-mean", "--seeds", "2", "--jobs", "2")
    command = [sys.executable, "-m", "auglik", "compare", *LONG, *chosen, "--output", str(tmp_path)]
    terminal, ours = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", ON_A_TERMINAL, *command], stdin=ours, stdout=ours, stderr=ours, start_new_session=True
    )
    os.close(ours)
    folders = [tmp_path / "smoothed+log-mean" / f"seed-{seed}" for seed in range(2)]
    for folder in folders:
        deadline = time.monotonic() + 300
        while not (folder / "metrics.jsonl").exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            if select.select([terminal], [], [], 0.01)[0]:
                os.read(terminal, 10_000)
    os.close(terminal)
    assert process.wait(300) == 128 + signal.SIGHUP
    assert all((folder / NAME).exists() and not (folder / "claim.json").exists() for folder in folders)
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith(".partial")]
