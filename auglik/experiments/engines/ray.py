"""Runs on a Ray cluster, or on this machine as one: each is a task, and goes on elsewhere once its node is lost.

The output folder is shared by all nodes, so a run goes on from its checkpoint wherever it is begun again. Progress and
the wish to stop pass through one small actor beside the driver.
"""

import os
import pickle
import secrets
import signal
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Generic, NamedTuple

from auglik.experiments.engines.engine import Outcome, Progress, failed
from auglik.experiments.engines.nodes import Mark, Node, differences, marked, probe
from auglik.experiments.engines.spread import attempted, needs
from auglik.experiments.engines.task import R, Task
from auglik.objectives import InputError
from auglik.settings.fields import option
from auglik.settings.groups import Group
from auglik.system.stop import StopRequest, blocked

FOLLOWED = 1.0
"""Seconds between two looks of a run at the actor, and of the driver."""


@dataclass(frozen=True)
class Ray:
    """Runs as tasks of a Ray cluster. The driver is a process of one of its nodes, or begins one of this machine."""

    address: str | None = option(
        None, "Address of the cluster, or auto [RAY_ADDRESS, else one of this machine].", group=Group.MACHINE
    )
    cpus_per_run: float | None = option(None, "CPUs that a run takes [the threads of all its processes].")
    gpus_per_run: float | None = option(
        None, "GPUs that a run takes; 0.25: four share one [1 a process on CUDA, else 0]."
    )
    processes_per_run: int = option(1, "Processes of one node that share a run's images, by torchrun.")
    retries: int = option(3, "How often a run is begun again after its node or its process was lost.")
    jobs: int | None = option(None, "Runs at a time [as many as fit].")

    def __post_init__(self) -> None:
        for name in ("cpus_per_run", "gpus_per_run", "retries"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < 1e6:
                raise InputError(f"engine ray: {name}: expected a number >= 0, got {value}")
        if self.gpus_per_run is not None and self.gpus_per_run > 1 and self.gpus_per_run % 1:
            raise InputError(
                f"engine ray: gpus_per_run: expected a share of one GPU or whole ones, got {self.gpus_per_run}"
            )
        for name in ("jobs", "processes_per_run"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"engine ray: {name}: expected an integer >= 1, got {value}")

    def check_here(self) -> None:
        """Raises InputError where what it is built on is not installed."""
        _ray()

    def execute(self, jobs: Sequence[Task[R]], stop: StopRequest, progress: Progress) -> Iterator[Outcome[R]]:
        if not jobs:
            return
        ray = _ray()
        with _connected(ray, self.address):
            cpus, gpus = needs("ray", jobs, self.processes_per_run, self.cpus_per_run, self.gpus_per_run)
            _check(ray, jobs, {"CPU": cpus, "GPU": gpus})
            options = {"num_cpus": cpus, "num_gpus": gpus, "max_retries": self.retries}
            # an error on a CUDA device makes it useless to the process
            run = ray.remote(**options, max_calls=1 if gpus else 0)(_run)
            yield from _followed(ray, jobs, run, self, stop, progress)


def _ray() -> ModuleType:
    try:
        import ray
        import ray.exceptions
    except ImportError:
        raise InputError("the engine ray needs Ray: pip install 'auglik[ray]'") from None
    return ray


@contextmanager
def _connected(ray: ModuleType, address: str | None) -> Iterator[None]:
    """Connected to a cluster: the one that this process is in already, or for as long as it is needed.

    Signals are heard by whoever heard them before. Raises InputError where there is no cluster.
    """
    if ray.is_initialized():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM) if threading.current_thread() is threading.main_thread() else ()
    before = {number: signal.getsignal(number) for number in numbers}
    where = address or os.environ.get("RAY_ADDRESS") or "local"  # else Ray joins any cluster that it finds here
    of_its_own = {}
    if where == "local":
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        of_its_own = {"include_dashboard": False}
    host, colon, port = where.rpartition(":")
    try:
        if colon and port.isdecimal() and "/" not in host:
            socket.create_connection((host, int(port)), timeout=10).close()  # Ray itself tries for minutes
        with blocked("SIGHUP"):
            ray.init(address=where, log_to_driver=False, logging_level="ERROR", **of_its_own)
    except (OSError, OverflowError, RuntimeError, ValueError) as error:
        raise InputError(f"no Ray cluster at {where}: {' '.join(str(error).split())[:300]}") from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    try:
        yield
    finally:
        ray.shutdown()
        for number, handler in before.items():
            signal.signal(number, handler)


def _check(ray: ModuleType, jobs: Sequence[Task[object]], needs: Mapping[str, float]) -> None:
    """Raises InputError where no node has what a run needs, and where a node could not execute these runs."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    nodes = sorted((node for node in ray.nodes() if node["Alive"]), key=lambda node: str(node["NodeManagerAddress"]))
    fit = {
        node["NodeID"]: all(node["Resources"].get(kind, 0.0) >= count for kind, count in needs.items())
        for node in nodes
    }
    if not any(fit.values()):
        most = ", ".join(
            f"{node['NodeManagerAddress']} with {of.get('CPU', 0.0):g} and {of.get('GPU', 0.0):g}"
            for node in nodes
            for of in (node["Resources"],)
        )
        raise InputError(
            f"engine ray: expected a node with {needs['CPU']:g} CPUs and {needs['GPU']:g} GPUs for a run, got {most}"
        )
    with marked(jobs) as mark:
        asked = {}
        for node in nodes:
            where = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            gpus = needs["GPU"] if fit[node["NodeID"]] else 0.0
            remote = ray.remote(_probe).options(num_cpus=0, num_gpus=gpus, scheduling_strategy=where, max_retries=1)
            asked[node["NodeManagerAddress"]] = remote.remote(pickle.dumps(mark._replace(cuda=gpus > 0)))
        found: list[Node | str] = []
        for address, reference in asked.items():
            try:
                found.append(Node(address, *ray.get(reference, timeout=300)))
            except (ray.exceptions.RayError, TimeoutError) as error:
                found.append(f"node {address}: cannot be probed, auglik may not be there: {_line(error)}")
        if wrong := differences(found, mark):
            raise InputError("; ".join(wrong))


def _probe(pickled: bytes) -> tuple[object, ...]:
    mark: Mark = pickle.loads(pickled)
    return probe(mark)


def _line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return " ".join((lines[-1] if lines else type(error).__name__).split())[:200]


class _Post:
    """What runs say and are told; one a driver."""

    def __init__(self) -> None:
        self._shares: dict[int, float] = {}
        self._first: dict[int, str] = {}
        self._stopped = False

    def begins(self, number: int, mark: str) -> bool:
        """Whether a run was begun before, by another process than that of this mark."""
        return self._first.setdefault(number, mark) != mark

    def tell(self, number: int, share: float) -> bool:
        """The share done of a run; whether it should stop."""
        self._shares[number] = share
        return self._stopped

    def news(self, stop: bool) -> dict[int, float]:
        """The shares told since the last time; `stop`: all runs should."""
        self._stopped = self._stopped or stop
        shares, self._shares = self._shares, {}
        return shares


class _Task(NamedTuple, Generic[R]):
    number: int
    job: Task[R]
    reference: Any  # of ray, which need not be installed


def _followed(
    ray: ModuleType,
    jobs: Sequence[Task[R]],
    run: Any,  # noqa: ANN401 - a remote function
    engine: Ray,
    stop: StopRequest,
    progress: Progress,
) -> Iterator[Outcome[R]]:
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    post = ray.remote(_Post).options(num_cpus=0, scheduling_strategy=here).remote()
    waiting, running = list(enumerate(jobs)), dict[Any, _Task[R]]()
    try:
        while running or (waiting and not stop):
            while waiting and not stop and len(running) < (engine.jobs or len(jobs)):
                number, job = waiting.pop(0)
                reference = run.remote(pickle.dumps(job.absolute()), number, post, engine.processes_per_run)
                running[reference] = _Task(number, job, reference)
            ended, _ = ray.wait(list(running), timeout=FOLLOWED)
            by_number = {task.number: task.job for task in running.values()}
            for number, share in ray.get(post.news.remote(bool(stop))).items():
                if number in by_number:
                    progress(by_number[number], share)
            for reference in ended:
                yield _outcome(ray, running.pop(reference), stop)
    finally:
        ray.kill(post)  # runs that are left then stop


def _outcome(ray: ModuleType, task: _Task[R], stop: StopRequest) -> Outcome[R]:
    try:
        return Outcome(task.job, *ray.get(task.reference))
    except ray.exceptions.RayError as error:
        if stop:
            return Outcome(task.job)
        return failed(Outcome(task.job, error=f"Ray lost the run: {type(error).__name__}: {_line(error)}"))


def _run(pickled: bytes, number: int, post: Any, count: int) -> tuple[object, ...]:  # noqa: ANN401 - an actor's handle
    """The body of a task: obeys the actor, and stops too once that is gone, as the driver is then."""
    import ray

    stop, ended, done, mark = StopRequest(), threading.Event(), [0.0], secrets.token_hex(8)

    def follow() -> None:
        try:
            # not ray.get: a task that waits in it counts as idle, and its CPUs go to another
            if post.tell.remote(number, done[0]).future().result(timeout=10 * FOLLOWED):
                stop.ask()
        except TimeoutError:
            return  # a busy driver: it is asked again
        except ray.exceptions.RayError:
            stop.ask()

    def keep_following() -> None:
        while not ended.wait(FOLLOWED):
            follow()

    def progress(share: float) -> None:
        done[0] = share

    def begun_before() -> bool:
        while not stop:
            try:
                return bool(post.begins.remote(number, mark).future().result(timeout=10 * FOLLOWED))
            except TimeoutError:
                follow()
            except ray.exceptions.RayError:
                stop.ask()
        return False

    follow()
    again = begun_before()
    following = threading.Thread(target=keep_following, daemon=True)
    following.start()
    try:
        return (None,) * 5 if stop else attempted(pickled, stop, progress, count, again)
    finally:
        ended.set()
        following.join()
