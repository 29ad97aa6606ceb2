"""Notices about a file or a data set that can be used anyway: each a line of the log, once."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

LOG = logging.getLogger("auglik")


@cache
def say_once(line: str) -> None:
    """Logs a warning, once per process."""
    LOG.warning(line)


@contextmanager
def overheard() -> Iterator[list[str]]:
    """The lines that are logged meanwhile, which nobody else hears: whoever began this process says them.

    Where this process logs may be read by nobody, or drawn on by others.
    """
    lines: list[str] = []

    def keep(record: logging.LogRecord) -> bool:
        lines.append(record.getMessage())
        return False

    with _filtered(keep):
        yield lines


@contextmanager
def before_each(call: Callable[[], object]) -> Iterator[None]:
    """Meanwhile `call` is called before a line is logged: to leave the line that a progress bar is drawn on."""

    def passes(record: logging.LogRecord) -> bool:
        call()
        return True

    with _filtered(passes):
        yield


@contextmanager
def _filtered(by: Callable[[logging.LogRecord], bool]) -> Iterator[None]:
    LOG.addFilter(by)
    try:
        yield
    finally:
        LOG.removeFilter(by)
