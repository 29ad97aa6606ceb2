"""Work in all processes that torchrun started: the first plans it, tells it to the others and answers for it."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Protocol, TypeVar

import torch

from auglik.experiments.engines.engine import Outcome, Progress, attempt
from auglik.objectives import InputError
from auglik.runs.loop import NonFiniteLossError
from auglik.runs.results import Results
from auglik.runs.run import Job, execute
from auglik.system.devices import available_cores
from auglik.system.notices import LOG
from auglik.system.process import process_state
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
    """The engine of the first process, for one job; without others it is `Local` for one job at a time."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self._waiting = True
        """Whether the others wait to be told what they are to do."""

    def execute(self, jobs: Sequence[Job], stop: StopRequest, progress: Progress) -> Iterator[Outcome]:
        (job,) = jobs
        yield attempt(job, stop, partial(progress, job), self._execute)

    def call(self, work: Work[T], stop: StopRequest | None = None, here: Work[T] | None = None) -> T:
        """What `work` gives in this process, where `here` does the same and more.

        Raises what it does, and InputError where another process is gone.
        """
        self._waiting = False
        try:
            self._processes.shared(lambda: work)
            found = (here or work)(stop=StopRequest() if stop is None else stop, processes=self._processes)
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
            self._processes.shared(lambda: None)

    def threads(self, asked: int) -> int:
        """Of each process: at most its share of the cores of its machine, if it shares them."""
        return min(asked, max(1, available_cores() // self._processes.local)) if self._processes.count > 1 else asked

    def _execute(self, job: Job, stop: StopRequest, progress: Callable[[float], None]) -> Results:
        """Called once the folder is claimed and this process is on the job's threads."""
        work = partial(on_threads, job, self.threads(torch.get_num_threads()))
        return self.call(work, stop, partial(work, progress=progress))


def on_threads(
    job: Job,
    threads: int,
    *,
    stop: StopRequest,
    processes: Processes,
    progress: Callable[[float], None] = lambda share: None,
) -> Results:
    """`execute` in one of the processes, on that many threads."""
    compiles, deterministic = job.config.compile, job.config.deterministic
    with process_state(threads, job.run.device, compiles=compiles, deterministic=deterministic):
        return execute(job, stop, progress, processes)


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
