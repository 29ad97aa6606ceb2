"""Limits of control groups: the tightest of a process's group and of all above it, in either version."""

import math
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from auglik.system import cgroups
from auglik.system.devices import available_cores

GROUPS = ("", "batch", "batch/job", "batch/job/step")
"""From the root of the hierarchy, which has no files of limits in version 2, to the process's own."""


def written(folder: Path, files: Mapping[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)


def memory(version: int, limit: str, used: int = 2_500_000) -> dict[str, str]:
    names, cache = (
        (("memory.max", "memory.current"), "inactive_file")
        if version == 2
        else (("memory.limit_in_bytes", "memory.usage_in_bytes"), "total_inactive_file")
    )
    return {names[0]: f"{limit}\n", names[1]: f"{used}\n", "memory.stat": f"anon 5\n{cache} 70000\n"}


def quota(version: int, cores: float | None) -> dict[str, str]:
    time = None if cores is None else f"{cores * 100_000:.0f}"
    if version == 2:
        return {"cpu.max": f"{time or 'max'} 100000\n"}
    return {"cpu.cfs_quota_us": f"{time or -1}\n", "cpu.cfs_period_us": "100000\n"}


def member(
    monkeypatch: pytest.MonkeyPatch, root: Path, version: int, controller: str, own: str = "/batch/job/step",
    shown: str = "/",
) -> Path:  # fmt: skip
    """The mounted hierarchy of which the process is in the group `own`; of it the group `shown` is what is mounted."""
    mounted = root / "sys" / (controller if version == 1 else "unified")
    mounted.mkdir(parents=True, exist_ok=True)
    kind, options = ("cgroup2", "rw") if version == 2 else ("cgroup", f"rw,{controller},more")
    names = "" if version == 2 else f"{controller},more"
    others = "31 23 0:28 / /sys rw shared:2 - tmpfs tmpfs rw\n"
    written(root / "proc", {
        "mountinfo": f"{others}32 31 0:29 {shown} {mounted} rw shared:9 - {kind} cgroup {options}\n",
        "cgroup": f"7:pids:/\n{3 - version}:{names}:{own}\n",
    })  # fmt: skip
    monkeypatch.setattr(cgroups, "PROCESS", root / "proc")
    return mounted


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("tightest", GROUPS[1:])
def test_the_tightest_of_nested_limits_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: int, tightest: str
) -> None:
    mounted = member(monkeypatch, tmp_path, version, "memory")
    unlimited = "max" if version == 2 else "9223372036854771712"
    for group in GROUPS:
        written(mounted / group, memory(version, "3000000" if group == tightest else unlimited))
    assert cgroups.free_memory() == 570_000
    mounted = member(monkeypatch, tmp_path / "cpu", version, "cpu")
    for group in GROUPS:
        written(mounted / group, quota(version, 1.5 if group == tightest else None if group == "batch" else 40))
    assert cgroups.cores() == 1.5


@pytest.mark.parametrize("version", [1, 2])
def test_limits_without_number_and_groups_without_files_are_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: int
) -> None:
    for controller in ("cpu", "memory"):
        mounted = member(monkeypatch, tmp_path / controller, version, controller)
        written(mounted, quota(version, None) if controller == "cpu" else memory(version, "max"))
        assert cgroups.cores() == cgroups.free_memory() == math.inf
    monkeypatch.setattr(cgroups, "PROCESS", tmp_path / "none")  # no Linux
    assert cgroups.cores() == cgroups.free_memory() == math.inf


@pytest.mark.parametrize(
    ("own", "shown"), [("/docker/4f", "/docker/4f"), ("/docker/4f", "/docker/other"), ("/../4f", "/")]
)
def test_the_group_that_a_container_sees_is_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: str, shown: str
) -> None:
    mounted = member(monkeypatch, tmp_path, 1, "memory", own, shown)
    written(mounted, memory(1, "2400000"))
    assert cgroups.free_memory() == 0


@pytest.mark.parametrize(("time", "expected"), [(0.2, 1), (1.0, 1), (1.5, 2), (2.0, 2), (1000.0, None), (None, None)])
def test_cores_are_those_that_there_is_time_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, time: float | None, expected: int | None
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(6)), raising=False)
    written(member(monkeypatch, tmp_path, 2, "cpu") / "batch", quota(2, time))
    assert available_cores() == (expected or 6)
