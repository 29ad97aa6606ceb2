"""Claims to a run's folder: one holder at a time, taken over from the dead alone."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from multiprocessing.pool import ThreadPool
from pathlib import Path

import pytest

from auglik.runs import claim
from auglik.runs.claim import CLAIM, ClaimedError, Holder, claimed, holder, living_holder

knows_processes = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="this system has no /proc")
HOLD = """
import sys, time
from pathlib import Path
from auglik.runs.claim import claimed
with claimed(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def other(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """A living process that holds the claim to `tmp_path`."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def attempt(folder: Path) -> bool:
    try:
        with claimed(folder):
            time.sleep(0.5)
            return True
    except ClaimedError:
        return False


def test_of_many_at_once_one_gets_it(tmp_path: Path) -> None:
    """Threads are told apart as processes are, by the mark of their claims."""
    with ThreadPool(16) as pool:
        assert sum(pool.map(attempt, [tmp_path] * 16)) == 1
    assert list(tmp_path.iterdir()) == []


def test_of_many_at_once_one_takes_a_dead_ones_over(tmp_path: Path, other: "subprocess.Popen[str]") -> None:
    other.send_signal(signal.SIGKILL)
    other.wait()
    with ThreadPool(16) as pool:
        assert sum(pool.map(attempt, [tmp_path] * 16)) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_living_holder_is_named_and_keeps_it(tmp_path: Path, other: "subprocess.Popen[str]") -> None:
    os.utime(tmp_path / CLAIM, (0, 0))  # however long ago it was renewed: the process is there to be seen
    with pytest.raises(ClaimedError, match=f"process {other.pid} on "), claimed(tmp_path):
        pytest.fail("both hold it")
    found = living_holder(tmp_path)
    assert found is not None
    assert found.pid == other.pid


def test_a_killed_holder_is_dead_even_before_its_parent_knows(tmp_path: Path, other: "subprocess.Popen[str]") -> None:
    other.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
    assert living_holder(tmp_path) is None
    assert attempt(tmp_path)


@knows_processes
def test_a_process_of_the_same_number_is_another(tmp_path: Path) -> None:
    with claimed(tmp_path):
        own = holder(tmp_path)
        assert own is not None
        before = own._replace(started=f"{own.started.rpartition(' ')[0]} 1")
        (tmp_path / CLAIM).write_text(json.dumps(before._asdict()))
        assert living_holder(tmp_path) is None


@knows_processes
@pytest.mark.parametrize(("age", "alive"), [(0.0, True), (2 * claim.STALE, False)])
@pytest.mark.parametrize("place", [0, 1])
def test_of_another_boot_or_namespace_the_renewals_decide(tmp_path: Path, place: int, age: float, alive: bool) -> None:
    """As of a container with the same host name, whose processes are not seen here."""
    own = claim._own()
    words = own.started.split()
    words[place] = "another"
    path = tmp_path / CLAIM
    path.write_text(json.dumps(own._replace(started=" ".join(words))._asdict()))
    os.utime(path, (time.time() - age,) * 2)
    assert (living_holder(tmp_path) is not None) == alive


@pytest.mark.skipif(
    shutil.which("unshare") is None
    or subprocess.run(["unshare", "--pid", "--fork", "--mount-proc", "true"], capture_output=True).returncode != 0,
    reason="namespaces of processes cannot be made here",
)
def test_a_living_holder_in_another_namespace_keeps_it(tmp_path: Path) -> None:
    command = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", sys.executable, "-c", HOLD, str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(ClaimedError), claimed(tmp_path):
            pytest.fail("both hold it")
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(("age", "alive"), [(0.0, True), (2 * claim.STALE, False)])
def test_who_may_not_write_goes_by_the_clock_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, age: float, alive: bool
) -> None:
    path = tmp_path / CLAIM
    path.write_text(json.dumps(Holder("elsewhere", 1, "boot 1", "mark")._asdict()))
    os.utime(path, (time.time() - age,) * 2)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "touch", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)
    assert (living_holder(tmp_path) is not None) == alive


@pytest.mark.parametrize(("age", "alive"), [(0.0, True), (claim.STALE / 2, True), (2 * claim.STALE, False)])
def test_another_machines_holder_lives_as_long_as_it_renews(tmp_path: Path, age: float, alive: bool) -> None:
    path = tmp_path / CLAIM
    path.write_text(json.dumps(Holder("elsewhere", 1, "boot 1", "mark")._asdict()))
    os.utime(path, (time.time() - age,) * 2)
    assert (living_holder(tmp_path) is not None) == alive
    assert attempt(tmp_path) != alive


def test_a_holder_renews_its_claim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claim, "RENEWED", 0.05)
    with claimed(tmp_path):
        os.utime(tmp_path / CLAIM, (0, 0))
        until = time.monotonic() + 10
        while (tmp_path / CLAIM).stat().st_mtime == 0 and time.monotonic() < until:
            time.sleep(0.02)
        assert (tmp_path / CLAIM).stat().st_mtime > 0


def test_a_holder_that_was_taken_over_leaves_the_others_claim(tmp_path: Path) -> None:
    with claimed(tmp_path):
        (tmp_path / CLAIM).write_text(json.dumps(Holder("elsewhere", 1, "", "mark")._asdict()))
    assert holder(tmp_path) == Holder("elsewhere", 1, "", "mark")


def test_a_damaged_claim_is_taken_over_once_nobody_renews_it(tmp_path: Path) -> None:
    (tmp_path / CLAIM).write_text("{")
    assert not attempt(tmp_path)
    os.utime(tmp_path / CLAIM, (0, 0))
    assert attempt(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_system_without_hard_links_keeps_claims_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*paths: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    with ThreadPool(16) as pool:
        assert sum(pool.map(attempt, [tmp_path] * 16)) == 1
    assert list(tmp_path.iterdir()) == []
