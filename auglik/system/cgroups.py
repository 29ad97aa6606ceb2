"""Limits of Linux control groups, versions 1 and 2: that of a process's group and those of all above it hold."""

import math
from collections.abc import Callable, Iterable
from pathlib import Path

PROCESS = Path("/proc/self")
"""What says which groups the process is in (`cgroup`), and where their hierarchies are mounted (`mountinfo`)."""
UNREADABLE = (OSError, ValueError, LookupError)


def free_memory() -> float:
    """The bytes that all limits leave; page cache that can be dropped does not count as taken. Infinite without one."""

    def version_2(group: Path) -> float:
        return _left(group, "memory.max", "memory.current", "inactive_file")

    def version_1(group: Path) -> float:
        return _left(group, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")

    return _least("memory", version_2, version_1)


def cores() -> float:
    """The cores that all quotas of time on them are worth; infinite without one."""

    def version_2(group: Path) -> float:
        quota, period = (group / "cpu.max").read_text().split()
        return int(quota) / int(period)

    def version_1(group: Path) -> float:
        quota, period = (int((group / f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period"))
        return quota / period if quota > 0 else math.inf

    return _least("cpu", version_2, version_1)


def _left(group: Path, limit: str, used: str, droppable: str) -> float:
    most, taken = (int((group / name).read_text()) for name in (limit, used))
    held = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    return max(0, most - taken + int(held[droppable]))


def _least(controller: str, version_2: Callable[[Path], float], version_1: Callable[[Path], float]) -> float:
    """Over the groups of both hierarchies; one that says nothing, `max` among it, has no limit."""
    least = math.inf
    for name, limit in (("", version_2), (controller, version_1)):
        for group in _groups(name):
            try:
                least = min(least, limit(group))
            except UNREADABLE:
                continue
    return least


def _groups(controller: str) -> Iterable[Path]:
    """The folders of the process's group and of those above, under a controller of version 1 or, for "", in version 2.

    A group that lies outside of what is mounted, as a container's may, is taken for the one that is.
    """
    try:
        memberships = [line.split(":", 2) for line in (PROCESS / "cgroup").read_text().splitlines()]
        mounts = [line.split() for line in (PROCESS / "mountinfo").read_text().splitlines()]
        own = next(Path(path) for _, names, path in memberships if controller in names.split(","))
        shown, mounted = next(_mount(mount) for mount in mounts if _is_of(mount, controller))
    except (*UNREADABLE, StopIteration):
        return []
    below = own.relative_to(shown) if own.is_relative_to(shown) and ".." not in own.parts else Path()
    return [mounted / below, *(mounted / above for above in below.parents)]


def _mount(mount: list[str]) -> tuple[Path, Path]:
    """The group that a line of `mountinfo` shows, and where."""
    return Path(mount[3]), Path(mount[4])


def _is_of(mount: list[str], controller: str) -> bool:
    kind, _, options = mount[mount.index("-") + 1 :]
    return controller in options.split(",") and kind == "cgroup" if controller else kind == "cgroup2"
