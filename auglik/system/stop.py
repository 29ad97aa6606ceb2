"""Stopping on request: after SIGINT or SIGTERM the training loop finishes its step and stops."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from auglik.system.launched import launched


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
    """A request that SIGINT and SIGTERM set; a second signal has its usual effect. For the main thread.

    Of processes that torchrun started it has none: torchrun passes on to them what the terminal told them already.
    """
    request = StopRequest()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def handle(number: int, frame: FrameType | None) -> None:
        request.ask(number)
        if launched() is None:
            restore()

    for number in before:
        signal.signal(number, handle)
    try:
        yield request
    finally:
        restore()
