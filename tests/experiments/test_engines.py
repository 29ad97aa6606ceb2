"""The local engine: processes of their own, failures that stay alone, and stopping."""

import dataclasses
import errno
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from auglik import InputError, Local, Outcome, RunConfig, execute
from auglik.experiments.engines.engine import attempt, failed
from auglik.experiments.engines.local import card_for, free_cards
from auglik.experiments.engines.spread import attempted, needs
from auglik.experiments.engines.task import Task
from auglik.experiments.plan import runs_at_a_time
from auglik.runs.checkpoint import step_of
from auglik.runs.resolved import ResolvedRun, resolved
from auglik.runs.results import Results
from auglik.runs.run import Job
from auglik.system.process import process_state
from auglik.system.stop import StopRequest, stop_on_signals
from tests import tiny


def quiet(job: Task[object], share: float) -> None:
    assert 0 <= share <= 1


def jobs(folder: Path, count: int, **changes: object) -> list[Job]:
    return [tiny.job(folder / f"{seed}", seed=seed, **changes) for seed in range(count)]


def test_processes_give_the_results_of_this_process(tmp_path: Path) -> None:
    outcomes = list(Local(2).execute(jobs(tmp_path / "processes", 3), StopRequest(), quiet))
    assert sorted(outcome.job.name for outcome in outcomes) == [f"cell, seed {seed}" for seed in range(3)]
    for outcome in outcomes:
        assert outcome.error is None
        assert outcome.results is not None
        assert isinstance(outcome.job, Job)
        expected = execute(dataclasses.replace(outcome.job, folder=tmp_path / "here" / str(outcome.results.seed)))
        assert tiny.without_times(outcome.results) == tiny.without_times(expected)


def test_a_run_leaves_its_process_as_it_was_and_its_engine_gives_it_threads(tmp_path: Path) -> None:
    """Those of the checkpoint, where it goes on from one: sums then round as before."""
    job = dataclasses.replace(tiny.job(tmp_path / "run"), threads=3)
    with process_state(2, torch.device("cuda")):
        state = torch.get_num_threads(), torch.backends.cudnn.benchmark
        assert execute(dataclasses.replace(job, folder=tmp_path / "own")).threads == 2
        assert (torch.get_num_threads(), torch.backends.cudnn.benchmark) == state == (2, True)
        assert attempt(job, tiny.StopAt(5), lambda share: None).interrupted
        found = attempt(dataclasses.replace(job, threads=1), StopRequest(), lambda share: None).results
        assert found is not None
        assert found.threads == 3
        assert "does not" in str(attempt(broken(job), StopRequest(), lambda share: None).error)
        assert (torch.get_num_threads(), torch.backends.cudnn.benchmark) == state


def broken(job: Job) -> Job:
    folder = job.folder.with_name("broken")
    return dataclasses.replace(job, run=job.run.change(dataset="missing.npz"), folder=folder, resume=False)


@pytest.mark.parametrize("engine", [Local(1), Local(2)])
def test_a_run_that_fails_takes_no_other_with_it(tmp_path: Path, engine: Local) -> None:
    good, bad, other = jobs(tmp_path, 3)
    bad = broken(bad)
    outcomes = {outcome.job: outcome for outcome in engine.execute([good, bad, other], StopRequest(), quiet)}
    assert "does not exist" in str(outcomes[bad].error)
    assert outcomes[good].results is not None
    assert outcomes[other].results is not None


class Gone(NamedTuple):
    """A run that is no longer what it was when another process reads it: its settings are open there."""

    config: RunConfig

    def __reduce__(self) -> tuple[Callable[[RunConfig], ResolvedRun], tuple[RunConfig]]:
        return resolved, (RunConfig(),)

    @property
    def device(self) -> torch.device:
        return torch.device(self.config.device)


def test_a_run_that_its_process_cannot_read_is_one_failed_run(tmp_path: Path) -> None:
    good, bad = jobs(tmp_path, 2, epochs=1)
    bad = dataclasses.replace(bad, run=Gone(bad.config))  # type: ignore[arg-type]
    outcomes = {outcome.job.folder: outcome for outcome in Local(2).execute([good, bad], StopRequest(), quiet)}
    assert str(outcomes[bad.folder].error).startswith("flip: expected a value")
    assert outcomes[bad.folder].details is None
    assert outcomes[good.folder].results is not None


class Computed(NamedTuple):
    """A run that computes in two threads as its process reads it, as the check of an objective from outside may."""

    run: ResolvedRun

    @property
    def config(self) -> RunConfig:
        return self.run.config

    @property
    def device(self) -> torch.device:
        return self.run.device

    def __reduce__(self) -> tuple[Callable[[ResolvedRun], ResolvedRun], tuple[ResolvedRun]]:
        return computed, (self.run,)


def computed(run: ResolvedRun) -> ResolvedRun:
    threading.Thread(target=end_of_a_wait, args=(os.getpid(),), daemon=True).start()
    torch.set_num_threads(2)
    torch.zeros(1000, 1000).log_softmax(-1)
    return run


def end_of_a_wait(process: int) -> None:
    time.sleep(60)
    if torch.get_num_threads() == 2:  # a run that goes on has set its own
        os.kill(process, signal.SIGKILL)


def test_a_run_computes_in_threads_of_its_own(tmp_path: Path) -> None:
    """Threads that began in the process that runs are forked from would be waited for without end."""
    several = [dataclasses.replace(job, run=Computed(job.run)) for job in jobs(tmp_path, 2, epochs=1)]  # type: ignore[arg-type]
    assert [outcome.error for outcome in Local(2).execute(several, StopRequest(), quiet)] == [None, None]


def test_a_process_that_is_killed_is_one_failed_run(tmp_path: Path) -> None:
    victim, other = jobs(tmp_path, 1, epochs=2000)[0], tiny.job(tmp_path / "other", seed=9)
    killed: list[int] = []

    def kill(job: Task[object], share: float) -> None:
        if job == victim and not killed:
            killed.append(worker_of(victim))
            os.kill(killed[0], signal.SIGKILL)

    outcomes = {outcome.job: outcome for outcome in Local(2).execute([victim, other], StopRequest(), kill)}
    assert "killed by signal 9" in str(outcomes[victim].error)
    assert outcomes[other].results is not None


def worker_of(job: Job) -> int:
    """The process that a run has of its own."""
    (pid,) = [child.pid for child in multiprocessing.active_children() if child.name == job.name]
    assert pid is not None
    return pid


@pytest.mark.parametrize("engine", [Local(1), Local(2)])
def test_a_stop_leaves_checkpoints_and_the_rest_undone(tmp_path: Path, engine: Local) -> None:
    stop = StopRequest()
    todo = jobs(tmp_path, 4, epochs=2000)

    def ask(job: Task[object], share: float) -> None:
        stop.ask()

    outcomes: list[Outcome[Results]] = list(engine.execute(todo, stop, ask))
    assert 1 <= len(outcomes) <= 2
    assert all(outcome.interrupted for outcome in outcomes)
    assert any((outcome.job.folder / "checkpoint.pt").exists() for outcome in outcomes)


def test_an_unexpected_error_keeps_its_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object, **kwargs: object) -> None:
        raise ZeroDivisionError("one line\nand another")

    monkeypatch.setattr("auglik.runs.run.execute", broken)
    outcome = attempt(tiny.job(tmp_path), StopRequest(), lambda share: None)
    assert outcome.error == "ZeroDivisionError: one line and another"
    assert "Traceback" in str(outcome.details)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_the_first_signal_asks_and_the_second_acts_as_before(name: str) -> None:
    number, heard = getattr(signal, name), []
    before = signal.signal(number, lambda number, frame: heard.append(number))
    try:
        with stop_on_signals() as stop:
            assert not stop
            os.kill(os.getpid(), number)
            assert stop
            assert stop.signal == number
            assert heard == []
            os.kill(os.getpid(), number)
            assert heard == [number]
    finally:
        signal.signal(number, before)


TOGETHER = """
import os, signal, sys
from auglik.system.stop import stop_on_signals

numbers = [getattr(signal, name) for name in sys.argv[1:]]
with stop_on_signals() as stop:
    signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    for number in numbers:
        os.kill(os.getpid(), number)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
    assert stop.signal in numbers
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
sys.exit(7)
"""


@pytest.mark.parametrize("names", [("SIGINT", "SIGTERM"), ("SIGTERM", "SIGHUP"), ("SIGHUP", "SIGINT", "SIGTERM")])
def test_signals_that_come_together_are_one(names: tuple[str, ...]) -> None:
    """Those whose handler is gone by their turn Python would tell of by a traceback, or raise KeyboardInterrupt."""
    command = [sys.executable, "-c", TOGETHER, *names]
    done = subprocess.run(command, capture_output=True, text=True, start_new_session=True)
    assert (done.returncode, done.stderr) == (7, "")


HEARD_ELSEWHERE = """
import os, signal, sys, threading, time
from auglik.system.stop import blocked, stop_on_signals
threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
with stop_on_signals() as stop:
    with blocked("SIGTERM"):
        os.kill(os.getpid(), signal.SIGTERM)
        while not stop:
            time.sleep(0.01)
    assert stop.signal == signal.SIGTERM
sys.exit(7)
"""


def test_a_signal_that_another_thread_hears_while_this_one_does_not_stops_no_more_than_once() -> None:
    done = subprocess.run([sys.executable, "-c", HEARD_ELSEWHERE], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (7, "")


def test_a_terminal_that_closes_stops_nothing_under_nohup() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_on_signals() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stop
    finally:
        signal.signal(signal.SIGHUP, before)


def test_runs_on_cuda_go_to_the_cards_with_the_fewest_and_then_the_most_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = {"2": 10 << 30, "GPU-a": 40 << 30, "5": 20 << 30}
    monkeypatch.setattr("auglik.experiments.engines.local.cards", lambda: free)
    monkeypatch.setattr("auglik.system.devices.cards", lambda: free)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 3)
    on_cpu = tiny.job(tmp_path)
    on_cuda, named = (dataclasses.replace(on_cpu, run=on_cpu.run.change(device=name)) for name in ("cuda", "cuda:1"))
    taken: list[str | None] = []
    for _ in range(4):
        taken.append(card_for(on_cuda, taken, free))
    assert taken == ["GPU-a", "5", "2", "GPU-a"]
    assert card_for(on_cpu, taken, free) is None
    assert card_for(named, taken, free) is None
    assert runs_at_a_time([on_cuda] * 5, None) == 3
    assert runs_at_a_time([on_cuda] * 5, 4) == 4
    assert runs_at_a_time([on_cuda, named], None) == 1
    assert [runs_at_a_time([on_cuda] * 5, None, processes) for processes in (1, 2, 3)] == [3, 1, 1]
    with pytest.raises(InputError, match="expected at most the GPUs here, 3, got 4"):
        runs_at_a_time([on_cuda], None, 4)
    assert card_for(on_cuda, [], free, 2) == "GPU-a,5"
    assert card_for(on_cuda, ["GPU-a,5"], free, 2) == "2,GPU-a"
    del free["2"], free["5"]
    assert card_for(on_cuda, ["GPU-a"], free) == "GPU-a", "the others cannot be used"
    assert runs_at_a_time([on_cuda] * 5, None) == 1
    assert free_cards([on_cuda]) == free
    assert free_cards([on_cpu, named]) == {}
    free.clear()
    assert card_for(on_cuda, [], free) is None
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    monkeypatch.delattr("auglik.system.devices.cards")  # one card is not asked
    monkeypatch.delattr("auglik.experiments.engines.local.cards")
    assert free_cards([on_cuda]) == {}
    assert runs_at_a_time([on_cuda] * 5, None) == 1


@pytest.mark.parametrize(("threads", "at_a_time"), [(1, 8), (2, 4), (3, 2), (8, 1), (16, 1)])
def test_as_many_runs_go_at_a_time_as_have_a_core_for_each_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: int, at_a_time: int
) -> None:
    monkeypatch.setattr("auglik.experiments.plan.available_cores", lambda: 8)
    jobs = [dataclasses.replace(tiny.job(tmp_path), threads=threads)] * 20
    assert runs_at_a_time(jobs, None) == at_a_time
    assert runs_at_a_time(jobs[:3], None) == min(3, at_a_time)
    assert runs_at_a_time(jobs, 5) == 5
    assert runs_at_a_time([], None) == 1
    assert runs_at_a_time(jobs, None, 2) == max(1, at_a_time // 2)
    assert runs_at_a_time(jobs, 3, 8) == 3
    with pytest.raises(InputError, match="processes_per_run: expected at most the cores here, 8, got 9"):
        runs_at_a_time(jobs, 3, 9)


def test_a_full_disk_leaves_no_empty_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = tiny.job(tmp_path)

    def full(path: Path, write: object) -> None:
        path.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("auglik.system.files._write_through", full)
    failed(Outcome(job, error="why"))
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    failed(Outcome(job, error="why"))
    assert job.errors.read_text() == "why\n"


@pytest.mark.parametrize("again", [False, True])
def test_a_task_that_was_lost_goes_on_whatever_it_began_with(tmp_path: Path, again: bool) -> None:
    job = tiny.job(tmp_path / "run")
    assert attempt(job, tiny.StopAt(7), lambda share: None).interrupted
    step = step_of(job.folder)
    over = pickle.dumps(dataclasses.replace(job, resume=False))
    assert attempted(over, tiny.StopAt(2), lambda share: None, 1, again)[0] is None
    assert step is not None
    assert (step_of(job.folder) > step) == again  # type: ignore[operator]


def test_a_run_on_cuda_has_a_process_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its error, on a machine without a GPU that there is none, is no error of this process."""
    job = tiny.job(tmp_path)
    monkeypatch.setattr("auglik.experiments.engines.local.attempt", None)  # here, not in a process of its own
    on_cuda = dataclasses.replace(job, run=job.run.change(device="cuda"))
    (outcome,) = Local(1).execute([on_cuda], StopRequest(), quiet)
    assert (outcome.results is not None) == torch.cuda.is_available()
    assert outcome.error is None or "NoneType" not in outcome.error


@pytest.mark.slow
def test_processes_that_share_a_run_leave_what_one_does_and_what_is_wrong_is_one_line(tmp_path: Path) -> None:
    """To the rounding of float32: equality is that of the tests of processes."""
    (alone,) = Local().execute([tiny.job(tmp_path / "one")], StopRequest(), quiet)
    good, bad = tiny.job(tmp_path / "two"), tiny.job(tmp_path / "bad", batch_size=1)
    found = {one.job.folder: one for one in Local(2, processes_per_run=2).execute([good, bad], StopRequest(), quiet)}
    assert found[bad.folder].error == "expected an image of a step for each of 2 processes, got 1"
    shared = found[good.folder].results
    assert alone.results is not None
    assert shared is not None
    assert (alone.results.processes, shared.processes) == (None, 2)
    for same in ("settings", "views_digest", "evaluation_views_digest"):
        assert getattr(shared, same) == getattr(alone.results, same)
    assert shared.last_epoch["loss"] == pytest.approx(alone.results.last_epoch["loss"], rel=1e-3)


def test_every_process_of_a_run_on_cuda_needs_a_gpu(tmp_path: Path) -> None:
    job = tiny.job(tmp_path)
    on_cuda = dataclasses.replace(job, run=job.run.change(device="cuda"), threads=3)
    assert needs("ray", [job], 2, None, None) == (2, 0)
    assert needs("ray", [job, on_cuda], 2, None, None) == (6, 2)
    assert needs("slurm", [on_cuda], 1, 5, 0.25) == (5, 0.25)
    with pytest.raises(InputError, match="slurm: expected gpus_per_run above 0 for runs on CUDA, got 0"):
        needs("slurm", [on_cuda], 1, None, 0)
    with pytest.raises(InputError, match="ray: expected a GPU for each of the 2 processes of a run, got"):
        needs("ray", [on_cuda], 2, None, 1)


@pytest.mark.parametrize("jobs", [0, -1])
def test_a_local_engine_carries_out_at_least_one_run_at_a_time(jobs: int) -> None:
    with pytest.raises(InputError, match=f"engine local: jobs: expected an integer >= 1, got {jobs}"):
        Local(jobs=jobs)
