"""Engines execute tasks: picklable, in; their outcomes back, in whatever order they end."""

import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Generic, NamedTuple, Protocol

from auglik.experiments.engines.task import R, R_co, Task
from auglik.objectives import InputError
from auglik.runs.claim import ClaimedError, claimed, holder
from auglik.settings.foreign import place_in_own_code
from auglik.system.files import StorageError, write_text
from auglik.system.notices import overheard
from auglik.system.processes import ONE
from auglik.system.stop import Interrupted, StopRequest

Progress = Callable[[Task[object], float], None]
"""Told, now and then, the share of a task that is done."""


class Outcome(NamedTuple, Generic[R_co]):
    """How a task ended: with results, with an error on one line, held by another command, or interrupted."""

    job: Task[R_co]
    results: R_co | None = None
    error: str | None = None
    details: str | None = None
    """The traceback of an error that is not the user's."""
    fatal: bool = False
    """No other task can be expected to do better: a full disk, say."""
    holder: str | None = None
    """The process of another command that works in the task's folder."""
    notices: tuple[str, ...] = ()
    """Lines that its process, another than the command's, has for the user."""

    @property
    def interrupted(self) -> bool:
        return self.results is None and self.error is None and self.holder is None


class Engine(Protocol):
    """Executes tasks and yields an outcome for each. Once `stop` is set it begins no more and ends those begun.

    Raises InputError, before anything has begun, where it cannot execute such tasks.
    """

    def execute(self, jobs: Sequence[Task[R]], stop: StopRequest, progress: Progress) -> Iterator[Outcome[R]]: ...


class Carry(Protocol):
    """Carries out a task whose folder is claimed."""

    def __call__(self, task: Task[R], stop: StopRequest, progress: Callable[[float], None]) -> Outcome[R]: ...


def here(task: Task[R], stop: StopRequest, progress: Callable[[float], None]) -> Outcome[R]:
    """Carries it out in this process."""
    return tried(task, lambda: task.execute(stop, progress, ONE))


def attempt(task: Task[R], stop: StopRequest, progress: Callable[[float], None], carry: Carry = here) -> Outcome[R]:
    """One task, whatever happens in it, under a claim to its folder; one that was done meanwhile is taken so."""
    try:
        with claimed(task.folder):
            results = task.found()
            if results is not None:
                return Outcome(task, results)
            task.check()
            return carry(task, stop, progress)
    except ClaimedError:
        return Outcome(task, holder=str(holder(task.folder) or "another process"))
    except Exception as error:
        return Outcome(task, None, *failure(error))


def heard(carry_out: Callable[[], Outcome[R]]) -> Outcome[R]:
    """The outcome, with what this process, which is another than the command's, logs meanwhile."""
    with overheard() as lines:
        outcome = carry_out()
    return outcome._replace(notices=(*outcome.notices, *lines))


def tried(task: Task[R], execute: Callable[[], R]) -> Outcome[R]:
    """What becomes of a task that `execute` carries out; an error is kept in its folder."""
    try:
        task.errors.unlink(missing_ok=True)
        return Outcome(task, execute())
    except Interrupted:
        return Outcome(task)
    except Exception as error:
        return failed(Outcome(task, None, *failure(error)))


def done_elsewhere(task: Task[R], otherwise: Outcome[R]) -> Outcome[R]:
    """With what lies in the task's folder, if anything does, else what it ended with."""
    try:
        results = task.found()
    except InputError as error:
        return Outcome(task, error=str(error))
    return otherwise if results is None else Outcome(task, results)


def failure(error: Exception) -> tuple[str, str | None, bool]:
    """The error, details and fatal of the outcome of a task that ended with `error`, which is being handled."""
    if isinstance(error, InputError):
        return str(error), None, isinstance(error, StorageError)
    said = f"{place_in_own_code(error)}{type(error).__name__}: {' '.join(str(error).split())}"
    return said, traceback.format_exc(), False


def failed(outcome: Outcome[R]) -> Outcome[R]:
    """The outcome of a task that failed, kept in its folder for whoever asks why; where that cannot be, it is not."""
    with suppress(InputError, OSError):
        write_text(outcome.job.errors, f"{outcome.error}\n{outcome.details or ''}")
    return outcome


def now_and_then(tell: Callable[[float], None], seconds: float = 0.1) -> Callable[[float], None]:
    """`tell`, at most once in that time."""
    told = 0.0

    def maybe(share: float) -> None:
        nonlocal told
        if (now := time.monotonic()) - told > seconds:
            told = now
            tell(share)

    return maybe
