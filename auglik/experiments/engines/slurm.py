"""Runs as array jobs of Slurm, submitted through submitit; on lost time, node or priority they are queued again.

A run goes on from the checkpoint in its folder. What became of it stands in its folder and in the queue, so that
neither accounting nor the process that submitted it is needed.
"""

import os
import pickle
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Generic, NamedTuple, NoReturn

import torch

from auglik.experiments.engines.engine import Outcome, Progress, attempt, done_elsewhere, failed, failure, heard
from auglik.experiments.engines.spread import carrier, needs
from auglik.experiments.engines.task import R, Task
from auglik.objectives import InputError
from auglik.settings.fields import option
from auglik.settings.groups import Group
from auglik.system.devices import cuda_works
from auglik.system.files import ensure_writable
from auglik.system.notices import LOG
from auglik.system.stop import StopRequest

if TYPE_CHECKING:
    import submitit

JOBS = ".slurm"
"""The folder of submitit's files below the output folder, with a folder for each submission."""
RUN_LOG = "slurm.log"
"""What a run's job said, beside the run."""
LOOK = 2.0
"""Seconds between looks at the queue and the folders."""
GONE = 5
"""Looks at the queue after which a job that is not in it, and left no result, is taken for lost."""


@dataclass(frozen=True)
class Slurm:
    """Runs as tasks of an array job, `jobs` tasks at a time."""

    partition: str | None = option(None, "Partition [Slurm's default].", group=Group.MACHINE)
    account: str | None = option(None, "Account that is charged.")
    qos: str | None = option(None, "Quality of service.")
    constraint: str | None = option(None, "Features that nodes must have.")
    minutes: int = option(24 * 60, "Time limit; a run that needs more is queued again and goes on.")
    cpus_per_run: int | None = option(None, "CPUs that a run takes [the threads of all its processes].")
    gpus_per_run: int | None = option(None, "GPUs that a run takes [1 a process on CUDA, else 0].")
    processes_per_run: int = option(1, "Processes of one node that share a run's images, by torchrun.")
    memory_gb: float | None = option(None, "Memory that a run takes, in GB [Slurm's default].")
    notice: int = option(120, "Seconds before the time limit at which a run writes its checkpoint.")
    jobs: int | None = option(None, "Runs at a time [256].")
    runs_per_task: int = option(1, "Runs that a task does in turn, as its process takes seconds to begin.")
    detach: bool = option(False, "Return once the runs are submitted.")

    def __post_init__(self) -> None:
        for name in ("minutes", "cpus_per_run", "memory_gb", "notice", "jobs", "runs_per_task", "processes_per_run"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise InputError(f"engine slurm: {name}: expected a number above 0, got {value}")
        if self.gpus_per_run is not None and self.gpus_per_run < 0:
            raise InputError(f"engine slurm: gpus_per_run: expected an integer >= 0, got {self.gpus_per_run}")

    def execute(self, jobs: Sequence[Task[R]], stop: StopRequest, progress: Progress) -> Iterator[Outcome[R]]:
        if not jobs:
            return
        self.check_here()
        self._check(jobs)
        tasks = self._submit(jobs)
        if self.detach:
            arrays = dict.fromkeys(task.id.partition("_")[0] for task in tasks)
            LOG.warning(f"submitted as Slurm's {' and '.join(f'job {one}' for one in arrays)}")
            return
        yield from _followed(tasks, stop, progress)

    def check_here(self) -> None:
        """Raises InputError where what it is built on is not installed."""
        _submitit()
        _need("sbatch")

    def _submit(self, jobs: Sequence[Task[R]]) -> "list[_Submitted[R]]":
        submitit = _submitit()
        folder = jobs[0].output.absolute() / JOBS / secrets.token_hex(4)
        size = largest_array()
        ensure_writable(folder)
        each = self.runs_per_task
        groups = [jobs[start : start + each] for start in range(0, len(jobs), each)]
        parts = [groups[start : start + size] for start in range(0, len(groups), size)]
        executor = submitit.AutoExecutor(folder=folder, cluster="slurm")
        executor.update_parameters(**self._parameters(jobs, max(1, (self.jobs or 256) // len(parts))))
        tasks: list[_Submitted[R]] = []
        for part in parts:
            try:
                pickled = [[pickle.dumps(job.absolute()) for job in group] for group in part]
                submitted = executor.map_array(work, pickled, [self.processes_per_run] * len(part))
            except (submitit.core.utils.FailedJobError, subprocess.CalledProcessError) as error:
                _cancel([task.id for task in tasks])
                shutil.rmtree(folder, ignore_errors=True)
                with suppress(OSError):  # there may be other submissions
                    folder.parent.rmdir()
                raise InputError(f"Slurm refuses: {' '.join(str(error).split())[-400:]}") from None
            tasks += [_Submitted(group, one.job_id, one) for group, one in zip(part, submitted, strict=True)]
        return tasks

    def _check(self, jobs: Sequence[Task[object]]) -> None:
        """Raises InputError where no node could ever take such a run: Slurm itself would let it wait for ever."""
        cpus, gpus = self._needs(jobs)
        asked = {
            "partition": self.partition,
            "account": self.account,
            "qos": self.qos,
            "constraint": self.constraint,
            "time": self.minutes,
            "cpus-per-task": cpus,
            "gpus-per-node": gpus or None,
            "mem": None if self.memory_gb is None else f"{round(1024 * self.memory_gb)}M",
        }
        flags = [f"--{key}={value}" for key, value in asked.items() if value is not None]
        told = subprocess.run(
            ["sbatch", "--test-only", *flags, "--wrap", "true"], capture_output=True, text=True, check=False
        )
        if told.returncode != 0 and "Required node not available" not in told.stderr:  # which is for now
            raise InputError(f"Slurm refuses a run with {' '.join(flags)}: {' '.join(told.stderr.split())[-300:]}")

    def _needs(self, jobs: Sequence[Task[object]]) -> tuple[int, int]:
        cpus, gpus = needs("slurm", jobs, self.processes_per_run, self.cpus_per_run, self.gpus_per_run)
        return round(cpus), round(gpus)

    def _parameters(self, jobs: Sequence[Task[object]], at_a_time: int) -> dict[str, object]:
        cpus, gpus = self._needs(jobs)
        asked: dict[str, object | None] = {
            "name": "auglik",
            "timeout_min": self.minutes,
            "cpus_per_task": cpus,
            "gpus_per_node": gpus or None,
            "mem_gb": self.memory_gb,
            "slurm_partition": self.partition,
            "slurm_account": self.account,
            "slurm_qos": self.qos,
            "slurm_constraint": self.constraint,
            "slurm_array_parallelism": at_a_time,
            "slurm_signal_delay_s": self.notice,
            "slurm_srun_args": [f"--cpus-per-task={cpus}"],  # which newer versions of srun do not take from sbatch
            "slurm_additional_parameters": {"requeue": True},
        }
        return {key: value for key, value in asked.items() if value is not None}


class _Submitted(NamedTuple, Generic[R]):
    jobs: Sequence[Task[R]]
    """Done in turn."""
    id: str
    submitted: "submitit.Job[list[tuple[object, ...]]]"


def _submitit() -> ModuleType:
    try:
        import submitit
    except ImportError:
        raise InputError("the engine slurm needs submitit: pip install 'auglik[slurm]'") from None
    return submitit


def _need(command: str) -> None:
    if shutil.which(command) is None:
        raise InputError(f"the engine slurm needs Slurm, and {command} is not on the PATH: is this a login node?")


def largest_array() -> int:
    """How many tasks Slurm takes in one array."""
    told = subprocess.run(["scontrol", "show", "config"], capture_output=True, text=True, check=False)
    if told.returncode != 0:
        raise InputError(f"Slurm does not answer: {' '.join(told.stderr.split())[:300]}")
    found = [line.rpartition("=")[2].strip() for line in told.stdout.splitlines() if line.startswith("MaxArraySize")]
    return max(1, int(found[0])) if found else 1001


def queued(ids: Sequence[str]) -> set[str] | None:
    """Those of the jobs that Slurm still has; None where it does not answer."""
    arrays = ",".join(dict.fromkeys(one.partition("_")[0] for one in ids))
    states = "PENDING,CONFIGURING,RUNNING,SUSPENDED,COMPLETING,REQUEUED,STOPPED"
    command = ["squeue", "--noheader", "--array", "--jobs", arrays, "--format", "%i", "--states", states]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    if told.returncode != 0:
        return set() if "Invalid job id" in told.stderr else None
    return {line.split()[0] for line in told.stdout.splitlines() if line.strip()}


def _cancel(ids: Sequence[str]) -> None:
    for array in dict.fromkeys(one.partition("_")[0] for one in ids):
        subprocess.run(["scancel", array], capture_output=True, check=False)


def _followed(tasks: Sequence[_Submitted[R]], stop: StopRequest, progress: Progress) -> Iterator[Outcome[R]]:
    left, missing, told = {task.id: task for task in tasks}, dict.fromkeys((task.id for task in tasks), 0), False
    try:
        while left:
            if stop and not told:
                _cancel(list(left))
                told = True
            present = queued(list(left))
            for task in list(left.values()):
                if present is not None:
                    missing[task.id] = 0 if task.id in present else missing[task.id] + 1
                outcomes = _ended(task, missing[task.id], told)
                if outcomes is not None:
                    del left[task.id]
                    yield from outcomes
                elif task.id in (present or ()):
                    for job in task.jobs:
                        progress(job, job.share())
            if left:
                time.sleep(min(LOOK, 0.2 + 0.01 * len(left)))
    finally:
        _cancel(list(left))  # where whoever waits is gone


def _ended(task: _Submitted[R], missing: int, stopped: bool) -> list[Outcome[R]] | None:
    path = task.submitted.paths.result_pickle
    if path.exists():
        kind, value = pickle.loads(path.read_bytes())
        if kind == "success":
            return [Outcome(job, *of_job) for job, of_job in zip(task.jobs, value, strict=True)]
        said, details = str(value).strip().splitlines()[-1], str(value)
        return [_left(job, Outcome(job, error=said, details=details)) for job in task.jobs]
    if missing == 0 or (missing < GONE and not stopped):
        return None
    why = f"Slurm's job {task.id} ended before its run: cancelled, or out of memory; see {RUN_LOG}"
    return [_left(job, Outcome(job, error=None if stopped else why)) for job in task.jobs]


def _left(job: Task[R], otherwise: Outcome[R]) -> Outcome[R]:
    """The outcome of a run whose task told nothing."""
    outcome = done_elsewhere(job, otherwise)
    return failed(outcome) if outcome is otherwise and not otherwise.interrupted else outcome


def work(pickled: Sequence[bytes], count: int = 1) -> list[tuple[object, ...]]:
    """The body of a task: its runs in turn, in `count` processes; of each what follows the job in an outcome.

    An error on a CUDA device makes it useless to the process: the runs that are left then stay unfinished.
    Before the time limit, and before it gives way, Slurm sends USR2, and the task asks to be queued again; TERM comes
    where it was cancelled or has been queued again by others. Then the process ends without a result.
    """
    stop = StopRequest()
    for number in (signal.SIGTERM, signal.SIGUSR2, signal.SIGINT):
        signal.signal(number, lambda heard, frame: stop.ask(heard))
    used = set[torch.device]()
    return [_worked(one, stop, count, used) if all(map(cuda_works, used)) else (None,) * 5 for one in pickled]


def _worked(pickled: bytes, stop: StopRequest, count: int, used: set[torch.device]) -> tuple[object, ...]:
    """Adds the run's device to those that are `used`."""
    try:
        job: Task[object] = pickle.loads(pickled)
        used.add(job.device)
        ensure_writable(job.folder)
        _log_into(job.folder / RUN_LOG)
    except Exception as error:
        return (None, *failure(error))
    if int(os.environ.get("SLURM_RESTART_COUNT", "0")) > 0:
        job = job.again()
    while True:
        outcome = heard(lambda: attempt(job, stop, lambda share: None, carrier(count)))
        if outcome.holder is None or stop:
            break
        print(f"waiting for {outcome.holder}, which works in {job.folder}", flush=True)
        time.sleep(LOOK)
    sys.stdout.writelines(f"{line}\n" for line in outcome.notices)
    if stop and outcome.results is None and outcome.error is None:
        _leave(stop.signal)
    return outcome[1:]


def _log_into(path: Path) -> None:
    """What is printed from here on is appended to `path`."""
    with path.open("ab") as file:
        for number in (1, 2):
            os.dup2(file.fileno(), number)


def _leave(heard: int | None) -> NoReturn:
    """Ends the process without a result, as the run goes on in another, or was cancelled."""
    if heard == signal.SIGUSR2:
        array, number = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
        own = f"{array}_{number}" if array else os.environ["SLURM_JOB_ID"]
        print(f"queued again as {own}", flush=True)
        subprocess.run(["scontrol", "requeue", own], check=False)
    sys.stdout.flush()
    os._exit(128 + (heard or 0))
