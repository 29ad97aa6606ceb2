"""A progress bar with the time left on a terminal; otherwise a line now and then."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import click

from auglik.experiments.engines.engine import Progress
from auglik.experiments.engines.task import Task
from auglik.experiments.progress import by_work
from auglik.system.notices import before_each

LINES_OF_LOG = 10
"""Lines written in all, if there is no terminal."""
UNITS = 1000


UNIT_SECONDS = {"days": 86400.0, "h": 3600.0, "min": 60.0}


def duration(seconds: float) -> str:
    """In the largest unit that gives at least 1.5, with two digits if small."""
    for unit, length in UNIT_SECONDS.items():
        if seconds >= 1.5 * length:
            return f"{_two_digits(seconds / length)} {unit}"
    return f"{_two_digits(seconds)} s"


def _two_digits(value: float) -> str:
    return f"{value:.1f}" if value < 9.95 else f"{value:,.0f}"


@contextmanager
def bar(label: str) -> Iterator[Callable[[float], None]]:
    """Yields a function that takes the share done and shows it on standard error: a bar on a terminal, else lines."""
    stream = sys.stderr
    if not stream.isatty():
        yield _lines(label)
        return
    with click.progressbar(length=UNITS, label=label, file=stream, width=30) as shown_bar, before_each(clear_line):
        yield lambda done: shown_bar.update(max(0, int(done * UNITS) - shown_bar.pos))


def clear_line() -> None:
    """Of a terminal, for a notice to take; the bar is drawn again on the next."""
    click.echo("\r\033[K", nl=False, err=True)


def _lines(label: str) -> Callable[[float], None]:
    began, written = time.monotonic(), 0

    def tell(done: float) -> None:
        nonlocal written
        if int(done * LINES_OF_LOG) > written:
            written = int(done * LINES_OF_LOG)
            left = (time.monotonic() - began) * (1 - done) / done
            click.echo(f"{label}: {done:.0%}, about {duration(left)} left", err=True)

    return tell


@contextmanager
def shown(tasks: Sequence[Task[object]], label: str) -> Iterator[Progress]:
    """Yields a function of (task, share) that shows how much of all tasks' work is done."""
    with bar(label) as tell:
        yield by_work(tasks, tell)
