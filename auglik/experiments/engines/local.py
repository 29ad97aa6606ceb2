"""Runs on this machine.

Small networks are run several at a time in processes of their own, as two one-thread processes beat one two-thread
process there; a run that crashes takes no other with it.
"""

import functools
import multiprocessing
import os
import pickle
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import ModuleType
from typing import Generic, NamedTuple

import torch

from auglik.experiments.engines.engine import Outcome, Progress, attempt, failed, now_and_then
from auglik.experiments.engines.spread import attempted, carrier
from auglik.experiments.engines.task import R, Task
from auglik.objectives import InputError
from auglik.settings.fields import option
from auglik.settings.groups import Group
from auglik.system.cards import asked_elsewhere
from auglik.system.devices import cards
from auglik.system.stop import StopRequest, blocked

PRELOADED = [
    "auglik.experiments.engines.forked",
    "auglik.runs.run",
    "torch._dynamo",
]
"""Imported once, by the process that all tasks are forked from: the last is what torch.optim imports, for a second."""


@dataclass(frozen=True)
class Local:
    """Runs on this machine: `jobs` at a time, each in a process of its own; one at a time on a CPU, in this process.

    An error on a CUDA device makes it useless to the process, so runs on one never share theirs.
    """

    jobs: int = option(1, "Runs at a time [--jobs].", group=Group.MACHINE)
    processes_per_run: int = option(1, "Processes that share a run's images, by torchrun.")

    def __post_init__(self) -> None:
        for name in ("jobs", "processes_per_run"):
            if (value := getattr(self, name)) < 1:
                raise InputError(f"engine local: {name}: expected an integer >= 1, got {value}")

    def execute(self, jobs: Sequence[Task[R]], stop: StopRequest, progress: Progress) -> Iterator[Outcome[R]]:
        if self.jobs > 1 or any(job.device.type == "cuda" for job in jobs):
            yield from _in_processes(jobs, self, stop, progress)
            return
        for job in jobs:
            if stop:
                return
            yield attempt(job, stop, functools.partial(progress, job), carrier(self.processes_per_run))


class _Worker(NamedTuple, Generic[R]):
    job: Task[R]
    card: str | None
    """The CUDA devices that the process sees, with commas between; None where it sees those that this one does."""
    process: BaseProcess
    messages: Connection


def _in_processes(
    jobs: Sequence[Task[R]], engine: Local, stop: StopRequest, progress: Progress
) -> Iterator[Outcome[R]]:
    context = multiprocessing.get_context("forkserver" if "forkserver" in _start_methods() else "spawn")
    if isinstance(context, multiprocessing.context.ForkServerContext):
        context.set_forkserver_preload(
            list(dict.fromkeys([*PRELOADED, *(name for job in jobs for name in job.imports)]))
        )
        _begin_server()
    free = free_cards(jobs)
    waiting, running, told = list(jobs), list[_Worker[R]](), False
    try:
        while running or (waiting and not stop):
            while waiting and not stop and len(running) < engine.jobs:
                job = waiting.pop(0)
                card = card_for(job, [worker.card for worker in running], free, engine.processes_per_run)
                running.append(_start(context, job, card, engine.processes_per_run))
            if stop and not told:
                for worker in running:
                    worker.process.terminate()
                told = True
            ready = wait([worker.messages for worker in running], timeout=0.2)
            for worker in [worker for worker in running if worker.messages in ready]:
                outcome = _receive(worker, stop, progress)
                if outcome is not None:
                    running.remove(worker)
                    worker.process.join()
                    worker.messages.close()
                    yield outcome
    finally:
        for worker in running:
            worker.process.kill()


def _begin_server() -> None:
    """Starts the process that runs are forked from, without the working folder on its path.

    Else what lies there under a name that it preloads, the folder auglik/ of a checkout too, would be imported instead.
    A terminal that closes it and the runs hear of from this process alone.
    """
    from multiprocessing import forkserver  # here, as not every system has one

    before = os.environ.get("PYTHONSAFEPATH")
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        with blocked("SIGHUP"):
            forkserver.ensure_running()
    finally:
        if before is None:
            del os.environ["PYTHONSAFEPATH"]
        else:
            os.environ["PYTHONSAFEPATH"] = before


def _start_methods() -> list[str]:
    return multiprocessing.get_all_start_methods()


def free_cards(jobs: Sequence[Task[R]]) -> dict[str, int]:
    """The cards that runs on "cuda" can choose from, with their free bytes as they begin; none where there is one."""
    if torch.cuda.device_count() < 2 or not any(str(job.device) == "cuda" for job in jobs):
        return {}
    with asked_elsewhere():
        return cards()


def card_for(job: Task[object], taken: Sequence[str | None], free: Mapping[str, int], count: int = 1) -> str | None:
    """The card of a run on "cuda", of those with the fewest runs the one with the most free memory; else None.

    Of a run of several processes, `count`, with commas between. A run on "cuda:1" stays there, and on one card there is
    no choice. `taken`: the cards of the runs under way; `free`: as `free_cards` gives them.
    """
    if str(job.device) != "cuda" or not free:
        return None
    held = [card for of_run in taken if of_run is not None for card in of_run.split(",")]
    return ",".join(sorted(free, key=lambda card: (held.count(card), -free[card]))[:count])


def _start(context: multiprocessing.context.BaseContext, job: Task[R], card: str | None, count: int) -> _Worker[R]:
    ours, theirs = context.Pipe(duplex=False)
    arguments = pickle.dumps(job), card, theirs, count
    process = context.Process(target=_work, args=arguments, name=job.name)  # type: ignore[attr-defined]
    with _without_main():
        process.start()
    theirs.close()
    return _Worker(job, card, process, ours)


@contextmanager
def _without_main() -> Iterator[None]:
    """Runs need nothing of the program that starts them; imported again without a guard, it would start them again."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _receive(worker: _Worker[R], stop: StopRequest, progress: Progress) -> Outcome[R] | None:
    try:
        message = worker.messages.recv()
    except (EOFError, OSError):
        worker.process.join()
        code = worker.process.exitcode
        if stop:
            return Outcome(worker.job)
        cause = f"killed by signal {-code}" if code is not None and code < 0 else f"exit status {code}"
        return failed(
            Outcome(worker.job, error=f"the process of the run ended early ({cause}): out of memory, perhaps")
        )
    if isinstance(message, float):
        progress(worker.job, message)
        return None
    return Outcome(worker.job, *message)


def _work(pickled: bytes, card: str | None, messages: Connection, count: int) -> None:
    """The body of a run's own process: obeys SIGTERM, and ends as if told so when the parent is gone."""
    stop = StopRequest()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears Ctrl-C too, and tells
    signal.signal(signal.SIGTERM, lambda number, frame: stop.ask(number))
    if card is not None:  # read once, when CUDA is first used
        os.environ["CUDA_VISIBLE_DEVICES"] = card
    threading.Thread(target=_watch_parent, args=(stop,), daemon=True).start()

    def tell(message: object) -> None:
        try:
            messages.send(message)
        except OSError:  # the parent is gone
            stop.ask()

    tell(attempted(pickled, stop, now_and_then(tell), count))


def _watch_parent(stop: StopRequest) -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        stop.ask()
