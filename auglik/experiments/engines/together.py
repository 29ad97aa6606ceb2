"""Work in all processes that torchrun started: the first plans it, tells it to the others and answers for it."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Protocol, TypeVar

from auglik.experiments.engines.engine import Outcome, Progress, attempt, tried
from auglik.experiments.engines.task import Task
from auglik.objectives import InputError
from auglik.runs.loop import NonFiniteLossError
from auglik.system.notices import LOG
from auglik.system.processes import AgreedError, Processes, joined
from auglik.system.stop import Interrupted, StopRequest, stop_on_signals

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")
RAISED_ALIKE = (AgreedError, Interrupted, NonFiniteLossError)
"""What all processes raise together, or none."""
LOST = ("closed by peer", "reset by peer", "Broken pipe", "remote process exited")
"""What gloo and NCCL say of a process that is gone."""


class Work(Protocol[T_co]):
    """What all processes do; picklable."""

    def __call__(self, *, stop: StopRequest, processes: Processes) -> T_co: ...


class Together:
    """The engine of the first process: one task at a time, in all; without others it is `Local` in this process."""

    def __init__(self, processes: Processes) -> None:
        self.processes = processes
        self._waiting = True
        """Whether the others wait to be told what they are to do."""

    def execute(self, jobs: Sequence[Task[T]], stop: StopRequest, progress: Progress) -> Iterator[Outcome[T]]:
        for job in jobs:
            if stop:
                return
            yield attempt(job, stop, partial(progress, job), self.carry)

    def carry(self, task: Task[T], stop: StopRequest, progress: Callable[[float], None]) -> Outcome[T]:
        """Carries out a task, whose folder is claimed, in all processes."""
        work = partial(executed, task)
        return tried(task, lambda: self.call(work, stop, partial(work, progress=progress)))

    def call(self, work: Work[T], stop: StopRequest | None = None, here: Work[T] | None = None) -> T:
        """What `work` gives in this process, where `here` does the same and more.

        Raises what it does, and InputError where another process is gone.
        """
        self._waiting = False
        try:
            self.processes.shared(lambda: work)
            found = (here or work)(stop=StopRequest() if stop is None else stop, processes=self.processes)
        except RAISED_ALIKE:
            self._waiting = True
            raise
        except RuntimeError as error:
            if any(said in str(error) for said in LOST):
                raise InputError(
                    "another process of the run is gone: what it said, or its machine, tells why"
                ) from None
            raise
        self._waiting = True
        return found

    def dismiss(self) -> None:
        """Tells the others that there is nothing more to do, if they wait."""
        if self._waiting:
            self.processes.shared(lambda: None)


def executed(
    task: Task[T],
    *,
    stop: StopRequest,
    processes: Processes,
    progress: Callable[[float], None] = lambda share: None,
) -> T:
    """A task, in one of the processes."""
    return task.execute(stop, progress, processes)


@contextmanager
def together() -> Iterator[Together]:
    """The engine of the first of the processes; the others do as it tells them, and end here with SystemExit."""
    with joined() as processes:
        if not processes.first:
            raise SystemExit(_follow(processes))
        engine = Together(processes)
        try:
            yield engine
        finally:
            engine.dismiss()


def _follow(processes: Processes) -> int:
    """The exit status. What all processes raise alike the first one tells, as it does what all would notice."""
    LOG.setLevel(logging.ERROR)

    def nothing() -> Work[object] | None:
        return None

    with stop_on_signals() as stop:
        try:
            while (work := processes.shared(nothing)) is not None:
                try:
                    work(stop=stop, processes=processes)
                except RAISED_ALIKE:
                    continue
        except RuntimeError as error:
            if not any(said in str(error) for said in LOST):
                raise
            return 128 + (stop.signal or 0) if stop else 1
        return 128 + (stop.signal or 0) if stop else 0
