"""The Ray engine on clusters of this machine: the results of the local engine, whatever becomes of a node."""

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from auglik import InputError, Local
from auglik.experiments.engines import ray as engine_module
from auglik.experiments.engines.engine import Outcome
from auglik.experiments.engines.nodes import Node, differences, marked, probe
from auglik.experiments.engines.ray import Ray
from auglik.experiments.engines.task import Task
from auglik.runs.checkpoint import NAME
from auglik.runs.claim import CLAIM
from auglik.runs.results import Results
from auglik.runs.run import Job
from auglik.system.stop import StopRequest
from tests import tiny

if TYPE_CHECKING:
    from ray.cluster_utils import Cluster

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'auglik[ray]'")
pytestmark = pytest.mark.filterwarnings(
    "ignore::FutureWarning",
    "ignore::ResourceWarning",
    r"ignore:os\.fork\(\) was called:RuntimeWarning",  # by Ray, where an earlier test of this process has begun JAX
)


def quiet(job: Task[object], share: float) -> None:
    assert 0 <= share <= 1


def jobs(folder: Path, count: int, **changes: object) -> list[Job]:
    return [tiny.job(folder / "cell" / f"seed-{seed}", seed=seed, **changes) for seed in range(count)]


def results(outcomes: list[Outcome[Results]]) -> dict[int, Results]:
    """By seed; all have to be there."""
    assert [outcome.error for outcome in outcomes] == [None] * len(outcomes)
    return {
        outcome.results.seed: tiny.without_times(outcome.results) for outcome in outcomes if outcome.results is not None
    }


@pytest.fixture(scope="module")
def cluster() -> Iterator["Cluster"]:
    """Three nodes of one CPU each, on loopback addresses of their own; losses are noticed in a second."""
    from ray.cluster_utils import Cluster as Made

    soon = {
        "health_check_initial_delay_ms": 0,
        "health_check_period_ms": 500,
        "health_check_timeout_ms": 500,
        "health_check_failure_threshold": 4,
        "worker_niceness": 0,
    }
    small: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 80 << 20}
    head = {**small, "node_ip_address": "127.0.0.2", "_system_config": soon, "include_dashboard": False}
    made = Made(initialize_head=True, head_node_args=head)
    for number in (3, 4):
        made.add_node(**small, node_ip_address=f"127.0.0.{number}")
    ray.init(address=made.address, _node_ip_address="127.0.0.2", log_to_driver=False, logging_level="ERROR")
    yield made
    ray.shutdown()
    made.shutdown()


@pytest.mark.slow
def test_a_lost_nodes_runs_go_on_elsewhere_and_results_are_those_of_the_local_engine(
    tmp_path: Path, cluster: "Cluster"
) -> None:
    todo = jobs(tmp_path / "ray", 4, epochs=100)
    lost: list[str] = []

    def lose_a_node(job: Task[object], share: float) -> None:
        quiet(job, share)
        assert lost or sum((one.folder / CLAIM).exists() for one in todo) <= 3  # a run to a CPU
        if not lost and 0.1 < share < 0.8:
            node = list(cluster.worker_nodes)[-1]
            lost.append(node.node_ip_address)
            pids = below(node.all_processes["raylet"][0].process.pid)
            cluster.remove_node(node, allow_graceful=False)
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    outcomes = list(Ray().execute(todo, StopRequest(), lose_a_node))
    assert lost
    here = [replace(job, folder=tmp_path / "local" / str(job.config.seed)) for job in todo]
    assert results(outcomes) == results(list(Local(1).execute(here, StopRequest(), quiet)))


def below(pid: int) -> list[int]:
    """The processes that a process began, and theirs."""
    found = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, path.read_text().split()):
            found += [child, *below(child)]
    return found


def test_threads_of_a_run_are_those_of_its_settings(tmp_path: Path, cluster: "Cluster") -> None:
    (job,) = jobs(tmp_path / "ray", 1, epochs=1)
    job = replace(job, threads=2)
    (outcome,) = Ray(cpus_per_run=1).execute([job], StopRequest(), quiet)
    (here,) = Local(1).execute([replace(job, folder=tmp_path / "local")], StopRequest(), quiet)
    assert outcome.results is not None
    assert outcome.results.threads == 2
    assert results([outcome]) == results([here])


def test_a_stop_leaves_checkpoints_and_the_rest_undone(
    tmp_path: Path, cluster: "Cluster", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "FOLLOWED", 0.3)
    stop, before = StopRequest(), signal.getsignal(signal.SIGTERM)

    def ask(job: Task[object], share: float) -> None:
        if share > 0:
            stop.ask()

    todo = jobs(tmp_path, 4, epochs=4000)
    outcomes = list(Ray(jobs=2).execute(todo, stop, ask))
    assert 1 <= len(outcomes) <= 2
    assert all(outcome.interrupted for outcome in outcomes)
    assert any((outcome.job.folder / NAME).exists() for outcome in outcomes)
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_run_that_fails_is_one_line(tmp_path: Path, cluster: "Cluster") -> None:
    (job,) = jobs(tmp_path, 1)
    held = replace(job, settings="another")
    list(Ray().execute([job], StopRequest(), quiet))
    (outcome,) = Ray().execute([held], StopRequest(), quiet)
    assert "holds a run with other settings" in str(outcome.error)


def test_more_than_there_is_is_refused_before_anything_begins(tmp_path: Path, cluster: "Cluster") -> None:
    (job,) = jobs(tmp_path / "runs", 1)
    for engine in (Ray(gpus_per_run=1), Ray(cpus_per_run=4), Ray(processes_per_run=2)):
        with pytest.raises(InputError, match=r"expected a node with .* for a run, got 127\.0\.0\.2 with 1 and 0"):
            list(engine.execute([job], StopRequest(), quiet))
    assert not (tmp_path / "runs").exists()


def test_another_version_and_a_missing_data_set_are_refused_before_anything_begins(
    tmp_path: Path, cluster: "Cluster", monkeypatch: pytest.MonkeyPatch
) -> None:
    (job,) = jobs(tmp_path / "runs", 1)
    monkeypatch.setattr("auglik.experiments.engines.nodes.versions", lambda: {"auglik": "9.9"})
    with pytest.raises(InputError, match=r"^node 127\.0\.0\..: expected auglik 9\.9, as here, got 0"):
        list(Ray().execute([job], StopRequest(), quiet))
    monkeypatch.undo()
    missing = replace(job, run=job.run.change(dataset="missing.npz"))
    with pytest.raises(InputError, match=r"node 127\.0\.0\..: cannot read the data set missing\.npz"):
        list(Ray().execute([missing], StopRequest(), quiet))
    assert [path for path in (tmp_path / "runs").rglob("*") if path.is_file()] == []


def test_only_nodes_that_a_run_fits_are_asked_about_cuda(
    tmp_path: Path, cluster: "Cluster", monkeypatch: pytest.MonkeyPatch
) -> None:
    """A head without a GPU takes none of the runs."""
    asked: list[bool] = []

    class Remote:
        def options(self, **options: object) -> "Remote":
            return self

        def remote(self, pickled: bytes) -> bytes:
            asked.append(pickle.loads(pickled).cuda)
            return pickled

    nodes = [
        {"Alive": True, "NodeID": f"{place:056}", "NodeManagerAddress": str(place), "Resources": resources}
        for place, resources in enumerate(({"CPU": 8.0}, {"CPU": 8.0, "GPU": 1.0}, {"CPU": 1.0, "GPU": 1.0}))
    ]
    monkeypatch.setattr(ray, "nodes", lambda: nodes)
    monkeypatch.setattr(ray, "remote", lambda function: Remote())
    monkeypatch.setattr(ray, "get", lambda pickled, timeout: probe(pickle.loads(pickled)._replace(cuda=False)))
    engine_module._check(ray, jobs(tmp_path / "runs", 1), {"CPU": 2.0, "GPU": 1.0})
    assert asked == [False, True, False]


def test_what_a_node_cannot_see_is_a_line_each(tmp_path: Path) -> None:
    with marked(jobs(tmp_path / "runs", 1)) as mark:
        here = Node("here", *probe(mark))
        elsewhere = Node("there", *probe(mark._replace(folders=(tmp_path / "other",))))
        other = Node("third", here.versions, (), "a file that was written into another folder")
        cuda = Node("fourth", *probe(mark._replace(cuda=True, versions={})))
        assert differences([here], mark) == []
        assert "there: does not see the output folder" in differences([elsewhere], mark)[0]
        assert "writes into another folder" in differences([other], mark)[0]
        assert (differences([cuda], mark) == []) == torch.cuda.is_available()
    assert not list((tmp_path / "runs").glob(".partial*"))


def test_no_cluster_is_one_line(tmp_path: Path) -> None:
    """In a process of its own, as this one may be in a cluster."""
    options = [*tiny.options(), "--seeds", "1", "--engine", "ray", "--engine-options", "address=127.0.0.1:1"]
    command = [sys.executable, "-m", "auglik", "compare", *options, "--output", str(tmp_path)]
    told = subprocess.run(command, capture_output=True, text=True)
    assert told.returncode == 2
    assert told.stderr.splitlines()[-1].startswith("auglik: no Ray cluster at 127.0.0.1:1")
    assert "Traceback" not in told.stderr


def test_a_run_that_was_lost_is_told_that_it_is_begun_again() -> None:
    post = engine_module._Post()
    assert [post.begins(0, mark) for mark in ("a", "a", "b")] == [False, False, True]
    assert not post.begins(1, "b")
