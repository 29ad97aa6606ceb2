"""Several commands on one output folder at once: no run is trained twice, none is mixed with another's files."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from multiprocessing.pool import ThreadPool
from pathlib import Path

import pytest

from auglik import InputError, Local, execute
from auglik.experiments.engines import held
from auglik.experiments.engines.engine import Outcome, attempt
from auglik.experiments.engines.task import Task
from auglik.experiments.plan import Plan, carry_out
from auglik.runs.claim import CLAIM, claimed
from auglik.runs.results import RESULTS, Results
from auglik.runs.run import ERROR, Job
from auglik.system.stop import StopRequest
from tests import tiny

TWO_CELLS = ["--aggregator", "jensen", "--aggregator", "log-mean", "--seeds", "2", "--jobs", "1", "--no-report"]


def quiet(job: Task[object], share: float) -> None:
    pass


def carried(jobs: list[Job], stop: StopRequest | None = None) -> list[Outcome[Results]]:
    plan = Plan(jobs, {}, jobs, {})
    return carry_out(plan, Local(1), StopRequest() if stop is None else stop, quiet, lambda outcome: None)


def command(output: Path, **changes: object) -> "subprocess.Popen[str]":
    """A comparison of four runs in a process of its own."""
    options = [*tiny.options(**changes), *TWO_CELLS, "--output", str(output)]
    return subprocess.Popen(
        [sys.executable, "-m", "auglik", "compare", *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_a_run_that_another_command_finished_meanwhile_is_taken(tmp_path: Path) -> None:
    job = tiny.job(tmp_path / "run")
    before = execute(job)
    written = (job.folder / RESULTS).stat().st_mtime_ns
    (outcome,) = carried([job])
    assert outcome.results is not None
    assert tiny.without_times(outcome.results) == tiny.without_times(before)
    assert (job.folder / RESULTS).stat().st_mtime_ns == written


def test_a_run_of_other_settings_that_came_meanwhile_stays_as_it_is(tmp_path: Path) -> None:
    job = tiny.job(tmp_path / "run")
    execute(tiny.job(tmp_path / "run", epochs=1))
    before = {path.name: path.read_bytes() for path in job.folder.iterdir()}
    (outcome,) = carried([job])
    assert "holds a run with other settings (epochs 1, now 2)" in str(outcome.error)
    assert {path.name: path.read_bytes() for path in job.folder.iterdir()} == before


def test_held_runs_come_last_and_their_results_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "LOOK", 0.05)
    first, second = tiny.job(tmp_path / "first"), tiny.job(tmp_path / "second", seed=1)
    with ThreadPool(1) as pool:
        with claimed(first.folder):
            found = pool.apply_async(carried, ([first, second],))
            while not (second.folder / RESULTS).exists():
                time.sleep(0.05)
            assert not found.ready()
            execute(first)
            written = (first.folder / RESULTS).stat().st_mtime_ns
        outcomes = found.get(60)
    assert [outcome.job for outcome in outcomes] == [second, first]
    assert all(outcome.results is not None for outcome in outcomes)
    assert (first.folder / RESULTS).stat().st_mtime_ns == written


def test_whoever_waits_for_a_run_can_be_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "LOOK", 0.05)
    job, stop = tiny.job(tmp_path / "run"), StopRequest()
    with ThreadPool(1) as pool, claimed(job.folder):
        found = pool.apply_async(carried, ([job], stop))
        time.sleep(0.2)
        assert not found.ready()
        stop.ask()
        (outcome,) = found.get(60)
    assert outcome.interrupted


def test_a_failed_run_says_why_in_its_folder_until_it_is_begun_again(tmp_path: Path) -> None:
    job = tiny.job(tmp_path / "run")
    missing = replace(job, run=job.run.change(dataset="missing.npz"))
    assert "does not exist" in str(attempt(missing, StopRequest(), lambda share: None).error)
    assert "does not exist" in (job.folder / ERROR).read_text().splitlines()[0]
    assert attempt(job, StopRequest(), lambda share: None).results is not None
    assert not (job.folder / ERROR).exists()


def test_a_damaged_result_of_a_run_that_others_worked_in_is_one_line(tmp_path: Path) -> None:
    job = tiny.job(tmp_path / "run")
    job.folder.mkdir()
    (job.folder / RESULTS).write_text("{")
    ended, free = held.wait_for([Outcome(job, holder="process 1 on nowhere")], StopRequest())
    assert free == []
    assert RESULTS in str(ended[0].error)


@pytest.mark.slow
def test_two_commands_at_once_train_every_run_once(tmp_path: Path) -> None:
    """The second, told to go on, takes what the first one's runs become."""
    both = [command(tmp_path / "both", epochs=6) for _ in range(2)]
    said = [process.communicate(timeout=300) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    trained = [int(out.partition(" trained")[0].split()[-1]) if " trained" in out else 0 for out, _ in said]
    assert len(list((tmp_path / "both").glob("*/*/results.json"))) == 4
    assert not list((tmp_path / "both").glob(f"*/*/{CLAIM}"))
    assert not list((tmp_path / "both").glob("*/*/.partial*"))
    lines = [path.read_text().count("\n") for path in (tmp_path / "both").glob("*/*/metrics.jsonl")]
    assert lines == [6] * 4
    assert max(trained) <= 4


@pytest.mark.slow
def test_a_killed_commands_run_is_taken_over(tmp_path: Path) -> None:
    first = command(tmp_path, epochs=20)
    folder = tmp_path / "smoothed+jensen" / "seed-0"
    while not (folder / CLAIM).exists() and first.poll() is None:
        time.sleep(0.05)
    second = command(tmp_path, epochs=20)
    os.kill(first.pid, signal.SIGSTOP)  # it lives, and works no more
    while not second.poll() and not (tmp_path / "smoothed+log-mean" / "seed-1" / RESULTS).exists():
        time.sleep(0.1)
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    out, err = second.communicate(timeout=200)
    assert second.returncode == 0, (out, err)
    assert f"process {first.pid} on" in err
    assert "4 trained" in out
    assert not (folder / CLAIM).exists()


def test_train_refuses_nothing_that_is_its_own(tmp_path: Path) -> None:
    job = tiny.job(tmp_path / "run")
    with claimed(job.folder):
        outcome = attempt(job, StopRequest(), lambda share: None)
    assert outcome.holder is not None
    assert not outcome.interrupted
    assert outcome.results is None
    with pytest.raises(InputError), claimed(job.folder), claimed(job.folder):
        pytest.fail("both hold it")
