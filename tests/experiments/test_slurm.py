"""The Slurm engine: with a Slurm of one machine where its daemons are there, and what needs none."""

import os
import pickle
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from auglik import InputError, Local
from auglik.experiments.engines import slurm
from auglik.experiments.engines.engine import Outcome
from auglik.experiments.engines.slurm import JOBS, RUN_LOG, Slurm, queued
from auglik.experiments.engines.task import Task
from auglik.runs.checkpoint import NAME
from auglik.runs.results import Results, finished
from auglik.runs.run import Job
from auglik.system.stop import StopRequest
from tests import tiny

pytest.importorskip("submitit", reason="submitit is not installed: pip install 'auglik[slurm]'")
DAEMONS = ("munged", "slurmctld", "slurmd", "sbatch")
real = pytest.mark.skipif(
    not (hasattr(os, "getuid") and os.getuid() == 0 and all(map(shutil.which, DAEMONS))),
    reason=f"a Slurm of this machine needs root and {', '.join(DAEMONS)}",
)

CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={control}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MailProg=/bin/true
MpiDefault=none
SwitchType=switch/none
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/builtin
SchedulerParameters=sched_interval=1,batch_sched_delay=0
ReturnToService=2
SlurmdTimeout=5
KillWait=10
MaxArraySize=3
JobRequeue=1
NodeName=node0 NodeHostname={host} NodeAddr=127.0.0.1 Port={node} CPUs=2 RealMemory=4000 State=UNKNOWN
PartitionName=main Nodes=node0 Default=YES MaxTime=INFINITE DefaultTime=60 State=UP
"""


def free_ports(count: int) -> list[int]:
    held = [socket.socket() for _ in range(count)]
    for one in held:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


def until(what: str, *command: str) -> None:
    """Tries a command until it does well."""
    for _ in range(300):
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            return
        time.sleep(0.1)
    pytest.fail(f"{what} did not answer")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a Slurm of one node and two CPUs, which takes arrays of three tasks; without accounting."""
    folder = Path("/tmp") / f"auglik-slurm-{os.getpid()}"  # sockets have short paths
    folder.mkdir(mode=0o755)
    for name in ("state", "node0", "log"):
        (folder / name).mkdir(mode=0o700)
    control, node = free_ports(2)
    host = socket.gethostname().partition(".")[0]
    configuration = folder / "slurm.conf"
    configuration.write_text(CONFIGURATION.format(folder=folder, host=host, control=control, node=node))
    (folder / "key").write_bytes(os.urandom(1024))
    (folder / "key").chmod(0o600)
    munge = [f"--{name}={folder / file}" for name, file in (
        ("key-file", "key"), ("socket", "munge.socket"), ("pid-file", "munge.pid"), ("log-file", "log/munge.log"),
        ("seed-file", "log/munge.seed"),
    )]  # fmt: skip
    before, os.environ["SLURM_CONF"] = os.environ.get("SLURM_CONF"), str(configuration)
    daemons = []
    with_us = ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []  # should these tests be killed
    try:
        for command, answers in (
            (["munged", "--foreground", *munge], ["munge", "-S", str(folder / "munge.socket"), "-n"]),
            (["slurmctld", "-D", "-f", str(configuration)], ["scontrol", "ping"]),
            (["slurmd", "-D", "-N", "node0", "-f", str(configuration)], ["srun", "-n1", "true"]),
        ):
            with (folder / f"{command[0]}.out").open("wb") as said:
                daemons.append(subprocess.Popen([*with_us, *command], stdout=said, stderr=said, start_new_session=True))
            until(command[0], *answers)
        yield folder
        subprocess.run(["scancel", "--user=root"], check=False)
        for _ in range(150):
            if not subprocess.run(["squeue", "-h"], capture_output=True, check=False).stdout:
                break
            time.sleep(0.1)
    finally:
        for daemon in reversed(daemons):
            daemon.terminate()
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        if before is None:
            del os.environ["SLURM_CONF"]
        else:
            os.environ["SLURM_CONF"] = before
        shutil.rmtree(folder, ignore_errors=True)


def quiet(job: Task[object], share: float) -> None:
    assert 0 <= share <= 1


def jobs(folder: Path, count: int, **changes: object) -> list[Job]:
    return [tiny.job(folder / "cell" / f"seed-{seed}", seed=seed, **changes) for seed in range(count)]


def assert_as_local(outcomes: list[Outcome[Results]], folder: Path) -> None:
    """Every run has the results that the local engine gives it."""
    for outcome in outcomes:
        assert outcome.error is None
        assert outcome.results is not None
        assert isinstance(outcome.job, Job)
        job = replace(outcome.job, folder=folder / str(outcome.results.seed))
        (here,) = Local(1).execute([job], StopRequest(), quiet)
        assert here.results is not None
        assert tiny.without_times(outcome.results) == tiny.without_times(here.results)


@pytest.mark.slow
@real
def test_an_array_that_is_too_long_is_split_and_its_results_are_those_of_the_local_engine(
    tmp_path: Path, cluster: Path
) -> None:
    todo = jobs(tmp_path / "runs", 7)
    outcomes = list(Slurm(jobs=2, runs_per_task=2).execute(todo, StopRequest(), quiet))
    assert {outcome.job.folder for outcome in outcomes} == {job.folder for job in todo}
    assert len(outcomes) == 7
    assert_as_local(outcomes, tmp_path / "local")
    assert len(list((tmp_path / "runs" / JOBS).glob("*/*_submission.sh"))) == 2
    assert all((job.folder / RUN_LOG).exists() for job in todo)


@pytest.mark.slow
@real
def test_a_run_that_is_told_to_give_way_or_queued_again_by_hand_goes_on_from_its_checkpoint(
    tmp_path: Path, cluster: Path
) -> None:
    """USR2 is what comes before the time limit and before others take its place; by hand it is TERM."""
    (job,) = jobs(tmp_path / "runs", 1, epochs=250)
    told: list[str] = []

    def disturb(of: Task[object], share: float) -> None:
        quiet(of, share)
        queue = [
            "squeue",
            "-h",
            "-o",
            "%i",
            "-t",
            "PD,R",
            "-S",
            "-i",
        ]  # the last one first, as others may still be ending
        own, *_ = subprocess.run(queue, capture_output=True, text=True).stdout.split() or [""]
        if len(told) == 2 or share < (0.1, 0.4)[len(told)] or state_of(own) != "R":
            return
        told.append(own)
        by = ["scancel", "--signal=USR2", own] if len(told) == 1 else ["scontrol", "requeue", own]
        subprocess.run(by, check=True)
        while state_of(own) != "PD":
            time.sleep(0.1)
        assert (job.folder / NAME).exists()
        subprocess.run(["scontrol", "update", f"jobid={own}", "StartTime=now"], check=True)

    outcomes = list(Slurm().execute([job], StopRequest(), disturb))
    assert len(told) == 2
    assert "queued again" in (job.folder / RUN_LOG).read_text()
    assert_as_local(outcomes, tmp_path / "local")


def state_of(job: str) -> str:
    told = subprocess.run(["squeue", "-h", "-j", job, "-o", "%t"], capture_output=True, text=True)
    return told.stdout.strip()


@real
def test_a_stop_leaves_a_checkpoint_and_no_job(tmp_path: Path, cluster: Path) -> None:
    todo, stop = jobs(tmp_path / "runs", 3, epochs=4000), StopRequest()

    def ask(job: Task[object], share: float) -> None:
        if share > 0:
            stop.ask()

    outcomes = list(Slurm(jobs=1).execute(todo, stop, ask))
    assert len(outcomes) == 3
    assert all(outcome.interrupted for outcome in outcomes)
    assert (todo[0].folder / NAME).exists()
    assert not todo[2].folder.exists()


@real
def test_a_cancelled_job_is_a_failed_run_that_says_so(tmp_path: Path, cluster: Path) -> None:
    (job,) = jobs(tmp_path / "runs", 1, epochs=4000)

    def cancel(of: Task[object], share: float) -> None:
        if share > 0:
            subprocess.run(["scancel", "--user=root"], check=True)

    (outcome,) = Slurm().execute([job], StopRequest(), cancel)
    assert "ended before its run" in str(outcome.error)
    assert (job.folder / NAME).exists()


@real
def test_what_is_detached_goes_on_by_itself_and_is_taken_by_the_same_command(tmp_path: Path, cluster: Path) -> None:
    options = [*tiny.options(), "--seeds", "1", "--aggregator", "jensen", "--aggregator", "log-mean", "--no-report"]
    command = [sys.executable, "-m", "auglik", "compare", *options, "--output", str(tmp_path)]
    told = subprocess.run([*command, "--engine", "slurm", "--detach"], capture_output=True, text=True, check=True)
    assert "auglik status" in told.stdout
    said = subprocess.run(
        [sys.executable, "-m", "auglik", "status", str(tmp_path), "--watch", "--every", "0.5"],
        capture_output=True, text=True, check=True, timeout=200,
    ).stdout  # fmt: skip
    assert said.splitlines()[-1] == "2 runs: 2 done, 0 running, 0 waiting, 0 failed"
    assert "2 finished before" in subprocess.run(command, capture_output=True, text=True, check=True).stdout


@real
def test_more_than_there_is_is_refused_in_one_line(tmp_path: Path, cluster: Path) -> None:
    (job,) = jobs(tmp_path / "runs", 1)
    for engine in (Slurm(gpus_per_run=1), Slurm(cpus_per_run=64), Slurm(partition="none"), Slurm(processes_per_run=3)):
        with pytest.raises(InputError, match=r"Slurm refuses a run with .*: .*(not available|[Ii]nvalid)"):
            list(engine.execute([job], StopRequest(), quiet))
    assert not (tmp_path / "runs").exists()


@real
def test_jobs_that_slurm_has_forgotten_are_gone(cluster: Path) -> None:
    assert queued(["987654_1"]) == set()


def test_without_slurms_commands_it_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match="sbatch is not on the PATH"):
        list(Slurm().execute(jobs(tmp_path, 1), StopRequest(), quiet))


def test_without_submitit_it_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(InputError, match=r"pip install 'auglik\[slurm\]'"):
        slurm._submitit()


def test_a_job_that_was_cancelled_ends_without_a_result(tmp_path: Path) -> None:
    """TERM in the middle of a run."""
    (job,) = jobs(tmp_path, 1, epochs=4000)
    code = "import sys; from auglik.experiments.engines.slurm import work; work([open(sys.argv[1], 'rb').read()])"
    (tmp_path / "job").write_bytes(pickle.dumps(job))
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "job")])
    while not (job.folder / "metrics.jsonl").exists():
        time.sleep(0.05)
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 128 + signal.SIGTERM
    assert (job.folder / NAME).exists()
    assert finished(job.folder) is None


def test_runs_after_an_error_on_the_cuda_device_of_their_task_stay_unfinished(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own, not the first card of the machine."""
    card, failed = torch.device("cuda", 1), (None, "device-side assert", None, False, None)

    def worked(pickled: bytes, stop: StopRequest, count: int, used: set[torch.device]) -> tuple[object, ...]:
        used.add(card)
        return failed

    monkeypatch.setattr(slurm, "cuda_works", lambda device: device != card)
    monkeypatch.setattr("signal.signal", lambda number, handler: None)
    monkeypatch.setattr(slurm, "_worked", worked)
    assert slurm.work([b""] * 3) == [failed, (None,) * 5, (None,) * 5]


def test_a_task_asks_the_devices_of_the_runs_that_it_has_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[torch.device]()

    def works(device: torch.device) -> bool:
        asked.append(device)
        return True

    monkeypatch.setattr(slurm, "cuda_works", works)
    monkeypatch.setattr("signal.signal", lambda number, handler: None)
    monkeypatch.setattr(slurm, "_log_into", lambda path: None)
    slurm.work([pickle.dumps(job) for job in jobs(tmp_path, 2)])
    assert asked == [torch.device("cpu")]


def test_a_submission_that_is_refused_removes_its_own_files_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Arrays of one task: the second is refused, and meanwhile another command has submitted its own."""
    output, commands = tmp_path / "runs", tmp_path / "commands"
    commands.mkdir()
    other = output / JOBS / "other.pkl"
    refuse = f"if [ -e {tmp_path}/once ]; then touch {other}; echo no >&2; exit 1; fi; touch {tmp_path}/once"
    for name, does in {
        "srun": "true",
        "scancel": "true",
        "scontrol": "echo MaxArraySize = 1",
        "sbatch": f"case $1 in --test-only) exit 0;; esac; {refuse}; echo Submitted batch job 7",
    }.items():
        (commands / name).write_text(f"#!/bin/sh\n{does}\n")
        (commands / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{commands}:{os.environ['PATH']}")
    todo = jobs(output, 2)
    with pytest.raises(InputError, match="Slurm refuses"):
        list(Slurm().execute(todo, StopRequest(), quiet))
    assert list((output / JOBS).iterdir()) == [other]
    other.unlink()
    with pytest.raises(InputError, match="Slurm refuses"):
        list(Slurm().execute(todo[:1], StopRequest(), quiet))
    assert list((output / JOBS).iterdir()) == [other]
