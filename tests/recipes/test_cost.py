"""What a dry run says of time, by a clock that goes on by one second each time it is read."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from auglik.cli.plans import say_estimate
from auglik.cli.progress import duration
from auglik.pretraining import PretrainConfig, make_job
from auglik.recipes import cost
from auglik.recipes.cost import Rates, Time, estimate, estimate_pretraining, grown, kind_of, time_of
from auglik.runs.resolve import TrainingData
from auglik.runs.resolved import ResolvedRun
from auglik.runs.run import Job
from auglik.runs.step import Learner
from tests import tiny


@pytest.fixture
def clock() -> Callable[[], float]:
    seconds = itertools.count()
    return lambda: float(next(seconds))


def test_a_run_takes_what_its_parts_take() -> None:
    """180 of 200 images, 5 steps of 32 a pass, 2 epochs; 20 validation images; 4 + 2 + 1 views of a test image."""
    job = tiny.job(Path("unwritten"))
    rates = Rates(opening=1000.0, draws=100.0, step=10.0, view=0.5)
    assert job.run.trained_on(10) == 180
    assert time_of(job, rates, 500, 10) == Time(1000 + 2 * 100 + 10 * 10 + 2 * 20 * 0.5, (500 * 7 + 20) * 0.5)
    few = tiny.job(Path("unwritten"), evaluation_images=30)
    assert time_of(few, rates, 500, 10).evaluation == (30 * 7 + 20) * 0.5
    assert time_of(replace(job, scored=False), rates, 500, 10).evaluation == 0


def test_each_kind_is_timed_once_and_nothing_is_written(
    tmp_path: Path, clock: Callable[[], float], monkeypatch: pytest.MonkeyPatch
) -> None:
    timed: list[Job] = []
    rates_of = cost.rates_of

    def noted(job: Job, clock: Callable[[], float]) -> Rates:
        timed.append(job)
        return rates_of(job, clock)

    monkeypatch.setattr(cost, "rates_of", noted)
    changes: list[dict[str, object]] = [{}, {"likelihood": "categorical", "seed": 3}, {"views": 3}, {"compile": True}]
    jobs = [tiny.job(tmp_path / str(number), **change) for number, change in enumerate(changes)]
    threads = torch.get_num_threads()
    found = estimate(jobs, clock)
    assert timed == [jobs[0], jobs[2]]
    assert not list(tmp_path.iterdir())
    assert torch.get_num_threads() == threads
    assert (len(found.times), found.left_out, found.compiled) == (4, 0, True)
    assert found.steps == 4 * 10
    assert found.images == 4 * 10 * 32
    assert found.times[0] == found.times[1] == found.times[3]
    # every part takes a second; a step of all 32 images and one pass over as many as there is time for
    training = found.times[0].training
    assert training > 1 + 2 * 1 + 10 * 1
    assert all(time.training > 0 and time.evaluation > 0 for time in found.times)


def test_timing_ends_in_time_and_says_what_it_did_not_get_to(
    clock: Callable[[], float], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cost, "TOO_LONG", 1.5)
    jobs = [tiny.job(Path("unwritten"), views=views) for views in (1, 2)]
    found = estimate(jobs, clock)
    assert (len(found.times), found.left_out) == (1, 1)
    say_estimate(found, 2, "the report")
    said = capsys.readouterr().out
    assert "of training and" in said
    assert "without 1 run of kinds" in said
    assert "the report not included" in said


def test_pretraining_is_timed_without_scoring(tmp_path: Path, clock: Callable[[], float]) -> None:
    config = PretrainConfig(train_images=60, network="small-cnn:width=4", epochs=1, batch_size=16)
    job = make_job(config, tmp_path / "run", Path("data"))
    found = estimate_pretraining([job], clock)
    assert found.steps == 3
    assert found.times[0].training > 0
    assert found.times[0].evaluation == 0
    assert not list(tmp_path.iterdir())


def test_runs_differ_in_kind_by_what_their_time_depends_on() -> None:
    job = tiny.job(Path("unwritten"))
    for change in ({"views": 3}, {"network": "small-cnn:width=8"}, {"batch_size": 16}, {"augment": "none"}):
        assert kind_of(tiny.job(Path("unwritten"), **change)) != kind_of(job)
    assert kind_of(tiny.job(Path("unwritten"), aggregator="log-mean", epochs=9, seed=4)) == kind_of(job)


def test_durations_are_told_in_units_that_a_person_would_use() -> None:
    assert [duration(seconds) for seconds in (0.04, 5, 89, 90, 600, 5400, 40 * 3600, 3.6e6)] == [
        "0.0 s", "5.0 s", "89 s", "1.5 min", "10 min", "1.5 h", "1.7 days", "42 days",
    ]  # fmt: skip


@pytest.mark.parametrize("spikes", [{}, {2: 5.0}, {1: 3.0, 3: 3.0}])
def test_what_work_takes_beside_the_images_is_not_counted_for_each(spikes: dict[int, float]) -> None:
    """0.1 s and 10 ms an image, but for calls in which the machine did something else: 1.38 s for 128 images."""
    calls = itertools.count()
    done: list[int] = []

    def work(images: int) -> float:
        done.append(images)
        return spikes.get(next(calls), 0.1 + 0.01 * images)

    images, took = grown(work, 4, 128)
    assert took * 128 / images == pytest.approx(1.38, rel=0.05)
    assert len(done) <= 16


def test_what_takes_far_too_long_is_done_once() -> None:
    seconds = iter([60.0])  # asked again, it would raise
    assert grown(lambda images: next(seconds), 2, 128) == (2, 60.0)


def test_a_precision_that_is_faster_here_is_named(
    clock: Callable[[], float], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Steps in bf16 are said to take half the time, then nearly all of it."""
    jobs = [tiny.job(Path("unwritten"), views=views) for views in (1, 2)]
    for share, told in ((0.5, True), (0.9, False)):

        def step_rate(
            learner: Learner, run: ResolvedRun, data: TrainingData, clock: Callable[[], float], share: float = share
        ) -> tuple[float, float]:
            return 1.0, share if run.precision == "bf16" else 1.0

        monkeypatch.setattr(cost, "step_rate", step_rate)
        found = estimate(jobs, clock)
        assert (found.faster is not None) == told
        say_estimate(found, 2)
        assert ("--precision bf16 would take 50% of the time of a training step" in capsys.readouterr().out) == told
