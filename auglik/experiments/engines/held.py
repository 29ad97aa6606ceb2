"""Tasks by an engine, until all are done: those that another command works in are waited for, or taken over."""

import time
from collections.abc import Callable, Sequence

from auglik.experiments.engines.engine import Engine, Outcome, Progress, done_elsewhere
from auglik.experiments.engines.task import R, Task
from auglik.runs.claim import living_holder
from auglik.system.files import StorageError
from auglik.system.notices import say_once
from auglik.system.stop import StopRequest

LOOK = 1.0
"""Seconds between looks at the folders of such tasks."""


def carried(
    engine: Engine,
    tasks: Sequence[Task[R]],
    stop: StopRequest,
    progress: Progress,
    report: Callable[[Outcome[R]], None],
    fail_fast: bool = False,
) -> list[Outcome[R]]:
    """Executes tasks and passes each outcome to `report`, its notices said; with `fail_fast` an error stops the rest.

    Those that another command works in come last: their results are taken, or they are taken over once it is gone.
    Raises StorageError once a task cannot write: the others could not either.
    """
    outcomes: list[Outcome[R]] = []
    while tasks:
        held: list[Outcome[R]] = []
        for outcome in engine.execute(tasks, stop, progress):
            for line in outcome.notices:
                say_once(line)
            if outcome.holder is not None:
                held.append(outcome)
                continue
            outcomes.append(outcome)
            report(outcome)
            if outcome.fatal or (outcome.error is not None and fail_fast):
                stop.ask()
        ended, tasks = wait_for(held, stop)
        for outcome in ended:
            outcomes.append(outcome)
            report(outcome)
            progress(outcome.job, 1.0)
    for outcome in outcomes:
        if outcome.fatal:
            raise StorageError(str(outcome.error))
    return outcomes


def wait_for(held: Sequence[Outcome[R]], stop: StopRequest) -> tuple[list[Outcome[R]], list[Task[R]]]:
    """The outcomes of tasks that others ended, and those to take over, as nobody works in them.

    Says once who is waited for. Once `stop` is set, those that are left are interrupted.
    """
    ended: list[Outcome[R]] = []
    free: list[Task[R]] = []
    for name in dict.fromkeys(str(outcome.holder) for outcome in held):
        say_once(f"waiting for runs that {name} works in: they are taken over should it end before them")
    left = [outcome.job for outcome in held]
    while left and not free:
        if stop:
            return [*ended, *map(Outcome, left)], []
        for task in list(left):
            if living_holder(task.folder) is not None:
                continue
            left.remove(task)
            outcome = done_elsewhere(task, Outcome(task))
            if outcome.interrupted:
                free.append(task)
            else:
                ended.append(outcome)
        if left and not free:
            time.sleep(LOOK)
    return ended, [*free, *left]
