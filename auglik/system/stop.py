"""Stopping on request: after SIGINT, SIGTERM or SIGHUP the training loop finishes its step and stops."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from auglik.system.launched import launched
from auglik.system.streams import leave_closed_terminal

HANGUP = getattr(signal, "SIGHUP", None)
"""Sent where a terminal closes; not every system has it."""


class Interrupted(Exception):  # noqa: N818 - it is no error
    """A run was asked to stop and has written its checkpoint."""


class StopRequest:
    """Set once by a signal (or by `ask`), checked after every step."""

    def __init__(self) -> None:
        self.signal: int | None = None
        """The signal that asked, if one did."""
        self._event = threading.Event()

    def ask(self, number: int | None = None) -> None:
        self.signal = number
        self._event.set()

    def __bool__(self) -> bool:
        return self._event.is_set()


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """A request that SIGINT, SIGTERM and SIGHUP set; a second signal has its usual effect. For the main thread.

    Signals that come together are one.
    Where SIGHUP is ignored, as under nohup, it stays so. Of processes that torchrun started a second signal has none:
    torchrun passes on to them what the terminal told them already.
    """
    request = StopRequest()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    if HANGUP is not None and signal.getsignal(HANGUP) is not signal.SIG_IGN:
        before[HANGUP] = signal.getsignal(HANGUP)

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    heard = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal heard
        if number == HANGUP:
            leave_closed_terminal()
        if heard:
            return
        heard = True
        request.ask(number)
        if launched() is None:
            if number not in _blocked_here():  # as one that another thread heard may be
                signal.raise_signal(number)  # so that others that came with it are handled here, before none are
            restore()

    for number in before:
        signal.signal(number, handle)
    try:
        yield request
    finally:
        restore()


def _blocked_here() -> set[int]:
    """The signals that this thread does not hear."""
    return set(signal.pthread_sigmask(signal.SIG_BLOCK, [])) if hasattr(signal, "pthread_sigmask") else set()


@contextmanager
def blocked(name: str) -> Iterator[None]:
    """Processes that are started inside never hear the signal of that name, where the system has it."""
    number = getattr(signal, name, None)
    if number is None:
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
