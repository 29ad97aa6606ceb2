"""Conditions, scores and their files, and `auglik robustness` on tiny runs."""

import csv
import hashlib
import json
import pickle
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor

from auglik import Arrays, InputError, open_dataset
from auglik.cli.main import auglik
from auglik.data import by_number
from auglik.data.arrays import take
from auglik.experiments.engines.engine import attempt
from auglik.robustness import CORRUPTIONS, RobustnessConfig, Score, evaluate_robustness, load_scores, open_suite
from auglik.robustness.arrays import (
    clean_condition,
    mollified_conditions,
    occluded,
    occluding_sides,
    occlusion_conditions,
)
from auglik.robustness.evaluate import measured_before, read_run
from auglik.robustness.human import human_scores, load_human_labels
from auglik.robustness.own import check_corruptions
from auglik.robustness.protocol import OCCLUDED_SHARES, TEMPERATURES
from auglik.robustness.scoring import Scoring
from auglik.robustness.stream import predicted, prefetched
from auglik.runs.claim import CLAIM, claimed
from auglik.runs.results import RESULTS
from auglik.runs.run import execute
from auglik.scoring import metrics
from auglik.scoring.conditions import MEASURED, ROBUSTNESS_COLUMNS, SCORES, means, scored, write_scores
from auglik.system.files import json_text, write_csv
from auglik.system.notices import say_once
from auglik.system.processes import ONE
from auglik.system.stop import StopRequest
from auglik.views.mollification import blur
from tests.tiny import StopAt, job

CPU = torch.device("cpu")


@pytest.fixture
def test_set(rng: np.random.Generator) -> Arrays:
    return Arrays(rng.integers(1, 256, size=(30, 3, 12, 10), dtype=np.uint8), np.arange(30) % 10)


def test_prefetched_items_come_in_order_and_errors_pass_through() -> None:
    def made() -> Iterator[int]:
        yield from range(5)
        raise InputError("the sixth is damaged")

    items = prefetched(made())
    assert [next(items) for _ in range(5)] == list(range(5))
    with pytest.raises(InputError, match="sixth"):
        next(items)


def test_scores_accumulated_over_chunks_are_those_of_the_whole(test_set: Arrays) -> None:
    weights = torch.randn(3 * 12 * 10, 10, generator=torch.Generator().manual_seed(0)) / 20

    def predict(images: Tensor) -> Tensor:
        return (images.flatten(1) @ weights).log_softmax(-1)

    def standardize(levels: Tensor) -> Tensor:
        return levels.float() / 255 - 0.5

    looked = list(predicted(predict, standardize, [clean_condition(test_set)] * 2, CPU, size=7))
    whole = predict(standardize(torch.from_numpy(test_set.images))).numpy()
    for condition, log_p in looked:
        np.testing.assert_allclose(log_p.numpy(), whole, rtol=1e-5)
        found = scored("clean", "clean", "", 0.0, log_p.numpy(), condition.labels)
        expected = metrics.scores(whole, test_set.labels)
        assert found.error == expected.error
        assert found.nll == pytest.approx(expected.nll, rel=1e-6)
        assert found.brier == pytest.approx(expected.brier, rel=1e-6)
        assert found.ece == pytest.approx(expected.ece, rel=1e-5)
        assert found.images == 30
        in_batches = metrics.batched_calibration_error(whole, test_set.labels, batch=7)
        assert abs(found.ece - in_batches) > 0.01


def test_occluding_rectangles_are_one_an_image_and_the_same_for_all_runs(test_set: Arrays) -> None:
    clean = test_set.images.transpose(0, 2, 3, 1)
    positions = np.arange(30)
    conditions = occlusion_conditions(test_set, positions, OCCLUDED_SHARES, seed=3)
    for condition, again in zip(
        conditions, occlusion_conditions(test_set, positions, OCCLUDED_SHARES, seed=3), strict=True
    ):
        levels = condition.read(slice(None))
        np.testing.assert_array_equal(levels, again.read(slice(None)))
        np.testing.assert_array_equal(levels[5:9], condition.read(slice(5, 9)))
        sides = occluding_sides(condition.severity, 12, 10)
        hidden = (levels == 0).all(3)  # no clean pixel is 0
        assert (hidden.mean((1, 2)) == condition.covered).all()
        assert (hidden.any(2).sum(1) == sides[0]).all()
        assert (hidden.any(1).sum(1) == sides[1]).all()
        np.testing.assert_array_equal(levels[~hidden], clean[~hidden])
    other = occlusion_conditions(test_set, positions, [0.2], seed=4)[0].read(slice(None))
    assert not np.array_equal(other, conditions[0].read(slice(None)))


def test_an_image_is_occluded_at_its_own_place_in_every_choice_of_images(test_set: Arrays) -> None:
    chosen = np.array([2, 3, 11, 29])
    whole = occlusion_conditions(test_set, np.arange(30), [0.4], seed=3)[0].read(slice(None))
    some = occlusion_conditions(take(test_set, chosen), chosen, [0.4], seed=3)[0].read(slice(None))
    np.testing.assert_array_equal(some, whole[chosen])


@pytest.mark.parametrize("size", [(8, 8), (13, 29), (64, 33), (28, 28), (1, 20), (20, 1), (1, 1), (224, 100)])
@pytest.mark.parametrize("share", [0.0, *OCCLUDED_SHARES, 1.0])
def test_rectangles_cover_the_named_share_as_nearly_as_whole_pixels_can(size: tuple[int, int], share: float) -> None:
    h, w = occluding_sides(share, *size)
    assert 0 <= h <= size[0]
    assert 0 <= w <= size[1]
    pixels = size[0] * size[1]
    areas = np.outer(np.arange(size[0] + 1), np.arange(size[1] + 1))
    off, least = abs(h * w - share * pixels), np.abs(areas - share * pixels).min()
    assert off == pytest.approx(least, abs=1e-9) or (h == w and off <= 0.025 * pixels)


def test_a_square_covers_its_share_and_every_place() -> None:
    """On CIFAR the squares of Liu et al. 2023; beside it, how far they are off where a square cannot cover it."""
    assert [occluding_sides(share, 32, 32) for share in (0, 0.2, 0.4, 0.6, 0.8)] == [
        (s, s) for s in (0, 14, 20, 25, 29)
    ]
    assert occluding_sides(0.8, 224, 224) == (200, 200)
    assert [occluding_sides(share, 8, 8) for share in OCCLUDED_SHARES] == [(3, 4), (5, 5), (5, 8), (7, 7)]
    assert [occluding_sides(share, 13, 29) for share in (0.6, 0.8)] == [(9, 25), (12, 25)]
    images = np.full((4000, 4, 4, 1), 9, np.uint8)
    position = np.random.default_rng(0).random((4000, 2))
    hidden = occluded(images, (2, 2), position)[..., 0] == 0
    corners = np.array([hidden[:, :2, :2].all((1, 2)).mean(), hidden[:, 2:, 2:].all((1, 2)).mean()])
    standard_error = np.sqrt(1 / 9 * 8 / 9 / 4000)
    assert (np.abs(corners - 1 / 9) < 4 * standard_error).all()


def test_mollified_test_sets_share_their_noise_between_runs_and_temperatures(test_set: Arrays) -> None:
    x = torch.randn(30, 3, 12, 10, generator=torch.Generator().manual_seed(1))
    conditions = mollified_conditions(test_set, np.arange(1030), TEMPERATURES, seed=0)
    assert [(item.name, item.severity) for item in conditions] == [
        (role, t) for role in ("noise", "blur") for t in TEMPERATURES
    ]
    noises = []
    for condition in conditions:
        assert condition.change is not None
        changed, t = condition.change(x.clone(), 0), condition.severity
        torch.testing.assert_close(condition.change(x.clone(), 0), changed, rtol=0, atol=0)
        if condition.name == "noise":
            noises.append((changed - np.cos(t * np.pi / 2) * x) / np.sin(t * np.pi / 2))
            assert not torch.equal(condition.change(x.clone(), 1000), changed)
            assert torch.equal(condition.change(x[7:].clone(), 7), changed[7:])
        else:
            torch.testing.assert_close(changed, blur(x, torch.full((30,), t)))
    for eps in noises:
        torch.testing.assert_close(eps, noises[-1], rtol=1e-3, atol=1e-4)
    assert abs(float(noises[-1].std()) - 1) < 4 / np.sqrt(2 * x.numel())


@pytest.fixture
def predictions(rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Log-probabilities and human distributions of 400 images in 6 classes."""
    return np.log(rng.dirichlet(np.full(6, 0.5), 400)), rng.dirichlet(np.full(6, 0.2), 400)


Pair = tuple[NDArray[np.float64], NDArray[np.float64]]


def test_people_of_one_mind_are_labels(predictions: Pair, rng: np.random.Generator) -> None:
    log_p, labels = predictions[0], rng.integers(6, size=400)
    expected, excess = human_scores(log_p, np.eye(6)[labels])
    of_labels = metrics.scores(log_p, labels)
    for name in ("error", "nll", "brier", "ece"):
        assert getattr(expected, name) == pytest.approx(getattr(of_labels, name))
        assert getattr(excess, name) == pytest.approx(getattr(of_labels, name))


def test_human_scores_are_expectations_over_drawn_labels(predictions: Pair, rng: np.random.Generator) -> None:
    log_p, human = predictions
    expected, excess = human_scores(log_p, human)
    draws = (rng.random((300, 400, 1)) > human.cumsum(1)[None, :, :-1]).sum(2)
    for name in ("error", "nll", "brier"):
        values = [getattr(metrics, name)(log_p, labels) for labels in draws]
        assert abs(np.mean(values) - getattr(expected, name)) < 4 * stats.sem(values)
    assert excess.nll == pytest.approx(stats.entropy(human, np.exp(log_p), axis=1).mean())
    own = human_scores(np.log(human), human)[0]
    for name in ("error", "nll", "brier", "ece"):
        assert getattr(excess, name) == pytest.approx(getattr(expected, name) - getattr(own, name))
    assert own.ece == pytest.approx(0)
    certain = human_scores(np.log(np.maximum(np.eye(6)[human.argmax(1)], 1e-300)), human)[0]
    assert certain.ece == pytest.approx(1 - human.max(1).mean())


def test_human_labels_of_another_test_set_are_refused(tmp_path: Path, rng: np.random.Generator) -> None:
    labels, path = np.arange(100) % 10, tmp_path / "people.npy"
    human = 0.8 * np.eye(10)[labels] + 0.02
    np.save(path, human.astype(np.float32))
    np.testing.assert_allclose(load_human_labels(path, labels, by_number(10)), human, rtol=1e-6)
    wrong = {
        r"expected human labels \[100, 10\], got float64 \[99, 10\]": human[:99],
        r"expected human labels \[100, 10\], got float64 \[100, 9\]": human[:, :9],
        "expected rows that are distributions": 50 * human,
        r"they do with 0\.0%": np.roll(human, 1, axis=0),
        "got <U3": human.astype("U3"),
        "got complex128": human.astype(complex),
    }
    for message, content in wrong.items():
        np.save(path, content)
        with pytest.raises(InputError, match=message) as caught:
            load_human_labels(path, labels, by_number(10))
        assert "\n" not in str(caught.value)
    path.write_text("no array")
    with pytest.raises(InputError, match=r"expected a \.npy file"):
        load_human_labels(path, labels, by_number(10))
    with pytest.raises(InputError, match=r"expected a \.npy file"):
        load_human_labels(tmp_path / "absent.npy", labels, by_number(10))


def measures(score: Score) -> tuple[float, ...]:
    return score.error, score.nll, score.brier, score.ece


def conditions_of(rng: np.random.Generator) -> list[Score]:
    return [
        Score(
            kind="corruption",
            name=name,
            category=category,
            severity=severity,
            error=rng.random(),
            nll=rng.random(),
            brier=rng.random(),
            ece=rng.random(),
            images=10,
        )
        for name, category in CORRUPTIONS.items()
        for severity in range(1, 6)
    ]


def test_means_are_over_corruptions_categories_and_severities(rng: np.random.Generator) -> None:
    scores = conditions_of(rng)
    found = {(score.name, score.category, score.severity): score for score in means(scores)}
    assert len(found) == 15 + 4 + 5 + 1
    array = np.array([measures(score) for score in scores]).reshape(15, 5, 4)
    category = np.array(list(CORRUPTIONS.values()))
    np.testing.assert_allclose(measures(found["fog", "weather", None]), array[list(CORRUPTIONS).index("fog")].mean(0))
    np.testing.assert_allclose(measures(found["mean", "digital", None]), array[category == "digital"].mean((0, 1)))
    np.testing.assert_allclose(measures(found["mean", "all", 4.0]), array[:, 3].mean(0))
    np.testing.assert_allclose(measures(found["mean", "all", None]), array.mean((0, 1)))
    assert found["mean", "all", None].images == 750


def test_scores_come_back_as_they_were_written(tmp_path: Path, rng: np.random.Generator) -> None:
    assert load_scores(tmp_path) is None
    scores = conditions_of(rng)
    scores += [
        *means(scores),
        Score(
            kind="clean",
            name="clean",
            category="",
            severity=0.0,
            error=0.1,
            nll=float("inf"),
            brier=0.2,
            ece=0.3,
            images=10,
        ),
    ]
    scores.append(replace(scores[-1], kind="occlusion", name="rectangle", severity=0.2, nll=0.5, covered=0.19))
    write_scores(tmp_path, scores, {"identity": "x", "corruptions": "none"})
    assert load_scores(tmp_path) == scores
    assert {score.covered for score in load_scores(tmp_path) or ()} == {None, 0.19}
    lines = (tmp_path / SCORES).read_text().splitlines()
    (tmp_path / SCORES).write_text("\n".join(lines[:-1]) + "\n")
    with pytest.raises(
        InputError, match=r"robustness\.csv: expected the scores .* got other content; delete robustness"
    ):
        load_scores(tmp_path)
    text = "kind,name\nclean,clean\n"
    (tmp_path / SCORES).write_text(text)
    checksum = hashlib.sha256(text.encode()).hexdigest()
    (tmp_path / MEASURED).write_text(
        json.dumps({"identity": "suite", "corruptions": "none", "scores_sha256": checksum})
    )
    with pytest.raises(
        InputError, match=r"expected the columns kind, name, category.*delete robustness\.json to measure"
    ):
        load_scores(tmp_path)
    (tmp_path / SCORES).unlink()
    with pytest.raises(InputError, match="got no such file"):
        load_scores(tmp_path)
    (tmp_path / MEASURED).write_text("{")
    with pytest.raises(InputError, match=r"cannot read .*robustness\.json"):
        load_scores(tmp_path)
    (tmp_path / MEASURED).unlink()
    assert load_scores(tmp_path) is None, "what the advice was for"


def test_scores_of_earlier_versions_can_be_read_and_are_measured_again(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    """They have no column of what was covered, and their occlusion was another."""
    columns = ROBUSTNESS_COLUMNS[:-1]
    rows = [{name: getattr(score, name) for name in columns} for score in conditions_of(rng)]
    write_csv(tmp_path / SCORES, rows, columns)
    config = RobustnessConfig(corruptions="none", mollified=False)
    suite = open_suite("digits", tmp_path, config)
    before = {key: value for key, value in suite.measured.items() if key not in ("identity", "rule")}
    identity = hashlib.sha256(json_text(before).encode()).hexdigest()
    checksum = hashlib.sha256((tmp_path / SCORES).read_bytes()).hexdigest()
    (tmp_path / MEASURED).write_text(json.dumps({**before, "identity": identity, "scores_sha256": checksum}))
    assert [score.covered for score in load_scores(tmp_path) or ()] == [None] * 75
    assert measured_before(tmp_path, suite) is None


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two cells on digits, one of them with two seeds, laid out as `auglik compare` does."""
    output = tmp_path_factory.mktemp("runs")
    for seed in range(2):
        execute(job(output / "smoothed" / f"seed-{seed}", seed=seed))
    execute(job(output / "sink" / "seed-0", likelihood="sink"))
    return output


@pytest.fixture(scope="module")
def digits_c(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The digits' test set in CIFAR-10-C's layout: severity s inverts the image for fog, and does nothing else."""
    folder = tmp_path_factory.mktemp("digits-c")
    test = open_dataset("digits").test()
    images = np.tile(test.images[:, 0], (5, 1, 1))
    for name in CORRUPTIONS:
        np.save(folder / f"{name}.npy", 255 - images if name == "fog" else images)
    np.save(folder / "labels.npy", np.tile(test.labels, 5))
    return folder


def test_a_run_is_scored_under_every_condition_and_once(runs: Path, digits_c: Path, tmp_path: Path) -> None:
    run = tmp_path / "smoothed" / "seed-0"
    shutil.copytree(runs / "smoothed" / "seed-0", run)
    suite = open_suite("digits", tmp_path, RobustnessConfig(corruptions=str(digits_c)))
    shares: list[float] = []
    scores = evaluate_robustness(run, suite, progress=shares.append)
    assert shares[-1] == 1
    assert load_scores(run) == scores
    clean = scores[0]
    results = json.loads((run / RESULTS).read_text())
    for name in ("error", "nll", "brier", "ece"):
        assert getattr(clean, name) == pytest.approx(results[f"clean_{name}"], rel=1e-4)
    by_key = {(score.kind, score.name, score.severity): score for score in scores}
    assert measures(by_key["corruption", "snow", 3]) == pytest.approx(measures(clean))
    assert by_key["corruption", "fog", 3].nll > clean.nll + 0.01
    assert measures(by_key["occlusion", "rectangle", 0.0]) == measures(clean)
    covered = {severity: score.covered for (kind, _, severity), score in by_key.items() if kind == "occlusion"}
    assert covered == {0: 0, 0.2: 12 / 64, 0.4: 25 / 64, 0.6: 40 / 64, 0.8: 49 / 64, None: pytest.approx(126 / 256)}
    assert all(score.covered is None for score in scores if score.kind != "occlusion")
    shares_of_area = sorted(s for kind, _, s in by_key if kind == "occlusion" and s is not None)
    assert shares_of_area == [0, *OCCLUDED_SHARES]
    assert by_key["occlusion", "rectangle", 0.8].error > clean.error
    assert by_key["mollified", "noise", None].error > clean.error

    written = (run / SCORES).stat().st_mtime_ns
    assert evaluate_robustness(run, suite) == scores
    assert (run / SCORES).stat().st_mtime_ns == written
    fewer = open_suite("digits", tmp_path, RobustnessConfig(corruptions="none", mollified=False, images=100))
    again = evaluate_robustness(run, fewer)
    assert {score.kind for score in again} == {"clean", "occlusion"}
    assert again[0].images == 100
    assert load_scores(run) == again


def test_runs_that_do_not_fit_are_refused(runs: Path, tmp_path: Path) -> None:
    suite = open_suite("digits", tmp_path, RobustnessConfig(corruptions="none"))
    with pytest.raises(InputError, match=r"expected a run folder"):
        evaluate_robustness(tmp_path, suite)
    run = tmp_path / "run"
    shutil.copytree(runs / "sink" / "seed-0", run)
    with pytest.raises(InputError, match="got different training images"):
        evaluate_robustness(run, replace(suite, training_digest="0"))
    results = json.loads((run / RESULTS).read_text())
    (run / RESULTS).write_text(json.dumps({**results, "test_digest": "0" * 64}))
    with pytest.raises(InputError, match=r"expected the test images that it was scored on, got others in digits"):
        evaluate_robustness(run, suite)
    (run / RESULTS).unlink()
    with pytest.raises(InputError, match="expected a finished run"):
        evaluate_robustness(run, suite)


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(auglik, ["robustness", *map(str, arguments)])


def test_the_command_scores_finished_runs_and_names_the_others(runs: Path, digits_c: Path, tmp_path: Path) -> None:
    output = tmp_path / "runs"
    shutil.copytree(runs, output)
    (output / "sink" / "seed-1").mkdir()
    shutil.copy(output / "sink" / "seed-0" / "config.toml", output / "sink" / "seed-1")
    shutil.copytree(output / "sink" / "seed-0", output / "sink" / "seed-2")
    (output / "sink" / "seed-2" / "config.toml").unlink()
    (output / "simsiam" / "seed-0").mkdir(parents=True)
    (output / "simsiam" / "seed-0" / "results.json").write_text('{"soften": "none"}')
    labels = open_dataset("digits").test().labels
    np.save(tmp_path / "people.npy", 0.9 * np.eye(10)[labels] + 0.01)
    options = ["--corruptions", digits_c, "--human-labels", tmp_path / "people.npy", "--severities", "1,5"]
    result = invoke(output, "--data-dir", tmp_path, *options)
    assert result.exit_code == 0, result.output
    assert f"left out: {output / 'sink' / 'seed-1'} is not finished" in result.output
    assert f"left out: {output / 'sink' / 'seed-2'} has no config.toml, which says its settings" in result.output
    assert f"left out: {output / 'simsiam' / 'seed-0'} is of pretraining" in result.output
    assert "wrote robustness.csv into 3 run folders" in result.output
    for title in (
        "Clean test images",
        "Corruptions, mean",
        "One black square or rectangle",
        "covered %",
        "Mollified by blur",
        "Human labels, excess",
    ):
        assert title in result.output
    with (output / "smoothed" / "seed-1" / SCORES).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len([row for row in rows if row["kind"] == "corruption" and row["name"] != "mean"]) == 15 * 3
    measured = [load_scores(output / "smoothed" / f"seed-{seed}") for seed in range(2)]
    errors = [100 * scores[0].error for scores in measured if scores]
    assert f"{np.mean(errors):.2f} ± {stats.sem(errors):.2f}" in result.output

    checkpoint = output / "sink" / "seed-0" / "checkpoint.pt"
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    (output / "smoothed" / "seed-1" / "config.toml").write_text("damaged")
    partly = invoke(output, "--data-dir", tmp_path, "--corruptions", "none")
    assert partly.exit_code == 1
    assert "failed: the checkpoint" in partly.output
    assert "failed: cannot read the configuration" in partly.output
    assert "wrote robustness.csv into 1 run folder" in partly.output


def test_a_run_that_another_command_works_in_is_scored_last(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(runs, tmp_path / "runs")
    first, order = tmp_path / "runs" / "smoothed" / "seed-0", []

    def scored_now(run: Path, *rest: object) -> list[Score]:
        order.append(run)
        return evaluate_robustness(run, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr("auglik.robustness.scoring.evaluate_robustness", scored_now)
    say_once.cache_clear()
    with ExitStack() as other:
        other.enter_context(claimed(first))
        monkeypatch.setattr("auglik.experiments.engines.held.time.sleep", lambda seconds: other.close())
        result = invoke(tmp_path / "runs", "--corruptions", "none", "--data-dir", tmp_path)
    assert result.exit_code == 0, result.output
    assert "waiting for runs that" in caplog.text
    assert "wrote robustness.csv into 3 run folders" in result.output
    assert len(order) == 3
    assert order[-1] == first
    assert not (first / CLAIM).exists()


def test_other_processes_score_what_this_one_does(runs: Path, tmp_path: Path) -> None:
    for name in ("here", "there"):
        shutil.copytree(runs, tmp_path / name)
    options = ["--corruptions", "none", "--images", "50", "--data-dir", tmp_path]
    here, there = (
        invoke(tmp_path / name, *options, *engine)
        for name, engine in (("here", []), ("there", ["--engine", "local", "--engine-options", "jobs=2"]))
    )
    assert there.stdout.replace("there", "here") == here.stdout
    for run in (tmp_path / "here").glob("*/*"):
        other = tmp_path / "there" / run.relative_to(tmp_path / "here")
        assert (run / SCORES).read_bytes() == (other / SCORES).read_bytes()
    for name in (SCORES, MEASURED):
        (tmp_path / "here" / "sink" / "seed-0" / name).unlink()
    again = invoke(tmp_path / "here", *options)
    assert "wrote robustness.csv into 1 run folder" in again.output
    assert "2 already had theirs" in again.output


def test_scores_of_deterministic_runs_are_taken_so(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, config = runs / "sink" / "seed-0", RobustnessConfig(corruptions="none", mollified=False, images=20)
    suite, run = open_suite("digits", Path("data"), config), read_run(folder)[0]
    task = Scoring(
        folder=folder, output=runs, dataset="digits", data_dir=Path("data"), config=config, asked=None,
        run=run.change(deterministic=True, device="cuda"), threads=1, identity=suite.measured["identity"], suite=suite,
    )  # fmt: skip
    found: list[bool] = []

    def evaluated(*given: object) -> list[Score]:
        found.append(torch.are_deterministic_algorithms_enabled())
        return []

    monkeypatch.setattr("auglik.robustness.scoring.evaluate_robustness", evaluated)
    task.execute(StopRequest(), lambda share: None, ONE)
    assert found == [True]
    assert not torch.are_deterministic_algorithms_enabled()


def test_scoring_that_is_stopped_writes_nothing(runs: Path) -> None:
    folder, config = runs / "sink" / "seed-0", RobustnessConfig(corruptions="none", mollified=False, images=20)
    suite = open_suite("digits", Path("data"), config)
    task = Scoring(
        folder=folder, output=runs, dataset="digits", data_dir=Path("data"), config=config, asked=None,
        run=read_run(folder)[0], threads=1, identity=suite.measured["identity"], suite=suite,
    )  # fmt: skip
    assert attempt(task, StopAt(2), lambda share: None).interrupted
    assert task.found() is None
    elsewhere = pickle.loads(pickle.dumps(replace(task, identity="another")))
    outcome = attempt(elsewhere, StopRequest(), lambda share: None)
    assert str(outcome.error).startswith("expected the test images and corruptions of the first process")


def test_the_command_says_in_one_line_what_it_cannot_use(runs: Path, tmp_path: Path) -> None:
    cases: dict[str, list[object]] = {
        "expected the output of `auglik compare`": [tmp_path],
        "no such folder": [runs, "--corruptions", tmp_path / "absent"],
        "expected all 15 corruptions": [runs, "--corruptions", tmp_path],
        "expected some of 1,2,3,4,5": [runs, "--severities", "7"],
        "expected 1 to 500": [runs, "--images", 501, "--corruptions", "none"],
        "device 'cdua' cannot be used": [runs, "--device", "cdua"],
    }
    for message, arguments in cases.items():
        result = invoke(*arguments)
        assert result.exit_code == 2, message
        assert message in result.output
        assert len(result.output.strip().splitlines()) == 1


class Named:
    """A corruption set of one corruption, in a category of any name."""

    def __init__(self, category: str) -> None:
        self.categories = {"haze": category}

    def corrupt(
        self, image: NDArray[np.uint8], corruption: str, severity: int, generator: np.random.Generator
    ) -> NDArray[np.uint8]:
        return image // 2


@pytest.mark.parametrize("category", ["all", "mean", ""])
def test_categories_that_mean_something_else_are_refused(category: str) -> None:
    check_corruptions(Named("weather"))
    with pytest.raises(InputError, match="names of categories, none of them mean or all"):
        check_corruptions(Named(category))
