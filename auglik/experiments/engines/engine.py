"""Engines execute runs: picklable jobs in, their outcomes back, in whatever order they end."""

import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from typing import NamedTuple, Protocol

from auglik.objectives import InputError
from auglik.runs.claim import ClaimedError, claimed, holder
from auglik.runs.results import Results, finished
from auglik.runs.run import Job, execute, threads_of
from auglik.runs.vacant import check_vacant
from auglik.system.files import StorageError
from auglik.system.process import process_state
from auglik.system.stop import Interrupted, StopRequest

Progress = Callable[[Job, float], None]
"""Told, now and then, the share of a job's training that is done."""
Execute = Callable[[Job, StopRequest, Callable[[float], None]], Results]
"""What executes a job, as `execute` of runs does."""
ERROR = "error.txt"
"""Why a run failed, on the first line; then the traceback of an error that is not the user's."""


class Outcome(NamedTuple):
    """How a job ended: with results, with an error on one line, held by another command, or interrupted."""

    job: Job
    results: Results | None = None
    error: str | None = None
    details: str | None = None
    """The traceback of an error that is not the user's."""
    fatal: bool = False
    """No other run can be expected to do better: a full disk, say."""
    holder: str | None = None
    """The process of another command that works in the run's folder."""

    @property
    def interrupted(self) -> bool:
        return self.results is None and self.error is None and self.holder is None


class Engine(Protocol):
    """Executes jobs and yields an outcome for each. Once `stop` is set it begins no more and ends those begun.

    Raises InputError, before anything has begun, where it cannot execute such jobs.
    """

    def execute(self, jobs: Sequence[Job], stop: StopRequest, progress: Progress) -> Iterator[Outcome]: ...


def state_of(job: Job) -> AbstractContextManager[None]:
    """What a run asks of its process. Raises InputError for a damaged checkpoint."""
    config = job.config
    return process_state(threads_of(job), job.run.device, compiles=config.compile, deterministic=config.deterministic)


def attempt(
    job: Job, stop: StopRequest, progress: Callable[[float], None], execute_job: Execute | None = None
) -> Outcome:
    """One job, whatever happens in it, under a claim to its folder; a run that has been finished since is taken so."""
    try:
        with claimed(job.folder):
            results = finished_meanwhile(job)
            if results is not None:
                return Outcome(job, results)
            check_vacant(job)
            return _attempt(job, stop, progress, execute_job)
    except ClaimedError:
        return Outcome(job, holder=str(holder(job.folder) or "another process"))
    except Exception as error:
        return Outcome(job, None, *failure(error))


def _attempt(job: Job, stop: StopRequest, progress: Callable[[float], None], execute_job: Execute | None) -> Outcome:
    try:
        (job.folder / ERROR).unlink(missing_ok=True)
        with state_of(job):
            return Outcome(job, (execute_job or execute)(job, stop, progress))
    except Interrupted:
        return Outcome(job)
    except Exception as error:
        return failed(Outcome(job, None, *failure(error)))


def finished_meanwhile(job: Job) -> Results | None:
    """The results of a run in the job's folder, if it is this run. Raises InputError where they are damaged."""
    found = finished(job.folder)
    return found if found is not None and found.settings == job.settings else None


def failure(error: Exception) -> tuple[str, str | None, bool]:
    """The error, details and fatal of the outcome of a run that ended with `error`, which is being handled."""
    if isinstance(error, InputError):
        return str(error), None, isinstance(error, StorageError)
    return f"{type(error).__name__}: {' '.join(str(error).split())}", traceback.format_exc(), False


def failed(outcome: Outcome) -> Outcome:
    """The outcome of a run that failed, kept in its folder for whoever asks why; where that cannot be, it is not."""
    with suppress(OSError):
        (outcome.job.folder / ERROR).write_text(f"{outcome.error}\n{outcome.details or ''}", encoding="utf-8")
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
