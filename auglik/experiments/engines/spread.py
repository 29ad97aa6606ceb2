"""What a process of an engine does with its task: carries it out alone, or over processes that torchrun begins.

The processes of a task are on one machine. The first of them hears by its input that it should stop, which ends where
whoever began it is gone; it leaves the outcome in a file.
"""

import os
import pickle
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from auglik.experiments.engines.engine import Carry, Outcome, attempt, failed, failure, heard, here
from auglik.experiments.engines.task import R, Task
from auglik.experiments.engines.together import together
from auglik.objectives import InputError
from auglik.system.stop import StopRequest, blocked, stop_on_signals

TASK, OUTCOME = "task.pickle", "outcome.pickle"
LOOK = 0.5
"""Seconds between looks at the processes."""


def carrier(processes: int) -> Carry:
    """What carries out a task in so many processes; picklable."""
    return here if processes == 1 else partial(spread, count=processes)


def attempted(
    pickled: bytes, stop: StopRequest, progress: Callable[[float], None], count: int, again: bool = False
) -> tuple[object, ...]:
    """`attempt` in a process of its own, with as many as `count` for it: what follows the task in its outcome.

    A task that was lost and is begun `again` goes on from what was done of it. It is read here, as what its settings
    name may be gone: then the task has failed, not its process.
    """
    try:
        task: Task[object] = pickle.loads(pickled)
    except Exception as error:
        return (None, *failure(error))
    return heard(lambda: attempt(task.again() if again else task, stop, progress, carrier(count)))[1:]


def spread(task: Task[R], stop: StopRequest, progress: Callable[[float], None], *, count: int) -> Outcome[R]:
    """Carries out a task, whose folder is claimed, over processes of this machine."""
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / TASK).write_bytes(pickle.dumps(task))
        process = _started(scratch, count)
        assert process.stdin is not None
        try:
            while process.poll() is None:
                if stop:
                    process.stdin.close()
                progress(task.share())
                with suppress(subprocess.TimeoutExpired):
                    process.wait(LOOK)
        finally:
            process.stdin.close()
            process.wait()
        try:
            return Outcome(task, *pickle.loads((Path(scratch) / OUTCOME).read_bytes()))
        except FileNotFoundError:
            if stop:
                return Outcome(task)
            status = f"exit status {process.returncode}"
            why = f"the {count} processes of the run ended early ({status}): out of memory, perhaps"
            return failed(Outcome(task, error=why))


def _started(scratch: str, count: int) -> "subprocess.Popen[bytes]":
    """Ctrl-C is this process's to hear, and so is USR2, which Slurm sends to all: the others would end by it."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
    environment = {"OMP_NUM_THREADS": "1", **os.environ}  # else torchrun says that it does so; runs set their own
    with blocked("SIGUSR2"):
        return subprocess.Popen(
            [*torchrun, "-m", __name__, scratch], stdin=subprocess.PIPE, start_new_session=True, env=environment
        )


def main(scratch: Path) -> None:
    """The body of each of the processes."""
    with together() as engine, stop_on_signals() as stop:
        threading.Thread(target=_listen, args=(stop,), daemon=True).start()
        task: Task[object] = pickle.loads((scratch / TASK).read_bytes())
        outcome = heard(lambda: engine.carry(task, stop, lambda share: None))
        (scratch / "outcome.tmp").write_bytes(pickle.dumps(outcome[1:]))
        (scratch / "outcome.tmp").rename(scratch / OUTCOME)


def _listen(stop: StopRequest) -> None:
    sys.stdin.read()
    stop.ask()


def needs(
    engine: str, tasks: Sequence[Task[object]], processes: int, cpus: float | None, gpus: float | None
) -> tuple[float, float]:
    """CPUs and GPUs of a task. Raises InputError where tasks on CUDA, or processes, would be without a GPU."""
    cuda = any(task.device.type == "cuda" for task in tasks)
    gpus = float(processes * cuda) if gpus is None else gpus
    if cuda and gpus == 0:
        raise InputError(f"engine {engine}: expected gpus_per_run above 0 for runs on CUDA, got 0")
    if cuda and processes > 1 and gpus < processes:
        raise InputError(
            f"engine {engine}: expected a GPU for each of the {processes} processes of a run, got gpus_per_run={gpus:g}"
        )
    return float(processes * max(task.threads for task in tasks) if cpus is None else cpus), gpus


if __name__ == "__main__":
    main(Path(sys.argv[1]))
