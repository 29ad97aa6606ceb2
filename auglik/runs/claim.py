"""Claims: which process works in a run's folder, so that two simultaneous commands never train a run twice.

A claim is a file that names its holder. It is written under another name and linked, which only one of several
can do, on network file systems too; its holder renews its modification time, by the file system's own clock.
A claim not renewed for long, or whose holder was a process that this one would see and is gone, is taken over.
"""

import hashlib
import json
import math
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from auglik.objectives import InputError
from auglik.system.files import ensure_writable, write_json

CLAIM = "claim.json"
RENEWED = 10.0
"""Seconds between renewals."""
STALE = 60.0
"""Seconds without renewal after which a holder on another machine counts as dead."""


class Holder(NamedTuple):
    """A process: `started` says of which boot and which namespace of processes it is, and when it began in them.

    So it is told from a later one of the same number, and from one of another container. Empty if unknown.
    """

    host: str
    pid: int
    started: str
    mark: str
    """Of this claim alone."""

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


class ClaimedError(InputError):
    """Another process works in the folder of a run."""


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Holds the claim to a run's folder. Raises ClaimedError if another living process does."""
    ensure_writable(folder)
    path, own = folder / CLAIM, _own()
    _take(path, own)
    ended = threading.Event()
    renewing = threading.Thread(target=_renew, args=(path, ended), daemon=True)
    renewing.start()
    try:
        yield
    finally:
        ended.set()
        renewing.join()
        if holder(folder) == own:  # else it was taken over, as this process was too long asleep
            path.unlink(missing_ok=True)


def holder(folder: Path) -> Holder | None:
    """Who holds the claim to a folder, dead or alive; None if nobody does."""
    try:
        text = (folder / CLAIM).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
    try:
        return Holder(**json.loads(text))
    except (ValueError, TypeError):
        return Holder("unknown", 0, "", hashlib.sha256(text.encode()).hexdigest())


def living_holder(folder: Path) -> Holder | None:
    """The holder of the claim to a folder if it is alive, as far as this machine can know."""
    found = holder(folder)
    return None if found is None or _is_dead(folder / CLAIM, found) else found


def _own() -> Holder:
    return Holder(socket.gethostname(), os.getpid(), _started(os.getpid()), secrets.token_hex(8))


def _take(path: Path, own: Holder) -> None:
    made = path.with_name(f".partial-{own.mark}.tmp")
    write_json(made, own._asdict())
    try:
        while not _linked(made, path):
            found = holder(path.parent)
            if found is None:
                continue  # it was given up just now
            if not _is_dead(path, found):
                raise ClaimedError(f"{path.parent} is being worked on by {found}")
            _remove(path, found)
    finally:
        made.unlink(missing_ok=True)


def _linked(made: Path, path: Path) -> bool:
    try:
        os.link(made, path)
    except FileExistsError:
        return False
    except OSError:  # a file system without hard links: until the text is there, the claim is nobody's, and not stale
        try:
            with path.open("xb") as file:
                file.write(made.read_bytes())
        except FileExistsError:
            return False
    return True


def _remove(path: Path, dead: Holder) -> None:
    """Removes a dead holder's claim if still present; of several processes, only the first to mark it does."""
    removing = path.with_name(f".partial-{dead.mark}-dead.tmp")
    try:
        removing.touch(exist_ok=False)
    except FileExistsError:
        if _age(removing) > STALE:  # of one that died too
            removing.unlink(missing_ok=True)
        return
    try:
        if holder(path.parent) == dead:
            path.unlink(missing_ok=True)
    finally:
        removing.unlink(missing_ok=True)


def _is_dead(path: Path, found: Holder) -> bool:
    """Of a process among this one's the system knows; of another, the time since its last renewal decides."""
    among = found.started.rpartition(" ")[0]
    if found.host == socket.gethostname() and among and among == _among():
        return _started(found.pid) != found.started
    return _age(path) > STALE


def _age(path: Path) -> float:
    """Seconds since a file was changed, by the clock of its file system; infinite if there is none.

    By this machine's clock where the folder cannot be written to.
    """
    probe = path.with_name(f".partial-{secrets.token_hex(8)}.tmp")
    try:
        return _now(probe) - path.stat().st_mtime
    except FileNotFoundError:
        return math.inf
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)


def _now(probe: Path) -> float:
    try:
        probe.touch()
    except FileNotFoundError:
        raise
    except OSError:
        return time.time()
    return probe.stat().st_mtime


def _among() -> str:
    """The boot and, where there are such, the namespace of this process; empty if unknown."""
    try:
        if Path("/proc/self").readlink().name != str(os.getpid()):
            return ""  # /proc is of another namespace
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = Path("/proc/self/ns/pid")
        return f"{boot} {namespace.readlink()}" if namespace.is_symlink() else boot
    except OSError:
        return ""


def _started(pid: int) -> str:
    """When a process among this one's started, in the system's unit; empty if there is none or it is unknown."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    state, *rest = text.rpartition(")")[2].split()
    among = _among()
    return "" if state in "ZX" or not among else f"{among} {rest[18]}"


def _renew(path: Path, ended: threading.Event) -> None:
    while not ended.wait(RENEWED):
        with suppress(OSError):
            os.utime(path)
