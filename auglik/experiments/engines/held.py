"""Runs that another command works in: waited for until they are finished, or nobody works in them any more."""

import time
from collections.abc import Sequence

from auglik.experiments.engines.engine import Outcome, finished_meanwhile
from auglik.objectives import InputError
from auglik.runs.claim import living_holder
from auglik.runs.run import Job
from auglik.system.notices import say_once
from auglik.system.stop import StopRequest

LOOK = 1.0
"""Seconds between looks at the folders of such runs."""


def wait_for(held: Sequence[Outcome], stop: StopRequest) -> tuple[list[Outcome], list[Job]]:
    """The outcomes of runs that others ended, and the jobs to take over, as nobody works in them.

    Says once who is waited for. Once `stop` is set, those that are left are interrupted.
    """
    ended: list[Outcome] = []
    free: list[Job] = []
    for name in dict.fromkeys(str(outcome.holder) for outcome in held):
        say_once(f"waiting for runs that {name} works in: they are taken over should it end before them")
    left = [outcome.job for outcome in held]
    while left and not free:
        if stop:
            return [*ended, *map(Outcome, left)], []
        for job in list(left):
            if living_holder(job.folder) is not None:
                continue
            left.remove(job)
            try:
                results = finished_meanwhile(job)
            except InputError as error:
                ended.append(Outcome(job, error=str(error)))
                continue
            if results is not None:
                ended.append(Outcome(job, results))
            else:
                free.append(job)
        if left and not free:
            time.sleep(LOOK)
    return ended, [*free, *left]
