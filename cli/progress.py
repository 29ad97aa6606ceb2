"""A progress bar with the time left on a terminal; elsewhere a line now and then."""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import click

from auglik.engines import Progress
from auglik.runs import Job
from auglik.training import lengths

LINES = 10
"""Lines written over the whole, where there is no terminal."""
UNITS = 1000


def work(job: Job) -> float:
    """The views that a run trains on: what its time is about proportional to."""
    images = job.config.train_images or 1
    count = lengths(job.config, images)
    return float(count.steps * count.images * job.config.views)


class Meter:
    """How much of all jobs' work is done, told by (job, share)."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._work = {job.folder: work(job) for job in jobs}
        self._share = dict.fromkeys(self._work, 0.0)

    def tell(self, job: Job, share: float) -> None:
        self._share[job.folder] = max(share, self._share[job.folder])

    def done(self) -> float:
        total = sum(self._work.values())
        return sum(self._work[key] * share for key, share in self._share.items()) / total if total else 1.0


@contextmanager
def shown(jobs: Sequence[Job], label: str) -> Iterator[Progress]:
    """Shows what the yielded function is told, on standard error."""
    meter = Meter(jobs)
    stream = sys.stderr
    if not stream.isatty():
        yield _lines(meter, label)
        return
    with click.progressbar(length=UNITS, label=label, file=stream, width=30) as bar:

        def tell(job: Job, share: float) -> None:
            meter.tell(job, share)
            bar.update(max(0, int(meter.done() * UNITS) - bar.pos))

        yield tell


def _lines(meter: Meter, label: str) -> Progress:
    began, written = time.monotonic(), 0

    def tell(job: Job, share: float) -> None:
        nonlocal written
        meter.tell(job, share)
        done = meter.done()
        if int(done * LINES) > written:
            written = int(done * LINES)
            left = (time.monotonic() - began) * (1 - done) / done
            click.echo(f"{label}: {done:.0%}, about {left:.0f} s left", err=True)

    return tell
