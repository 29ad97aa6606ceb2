"""How much of the work of several tasks is done."""

from collections.abc import Callable, Sequence

from auglik.experiments.engines.engine import Progress
from auglik.experiments.engines.task import Task


def by_work(tasks: Sequence[Task[object]], tell: Callable[[float], None]) -> Progress:
    """Passes the share of all tasks' work that is done to `tell`, given that of each task."""
    size_of = {task.folder: task.size for task in tasks}
    share_of = dict.fromkeys(size_of, 0.0)
    total = sum(size_of.values())

    def progress(task: Task[object], share: float) -> None:
        share_of[task.folder] = max(share, share_of[task.folder])
        tell(sum(size_of[folder] * done for folder, done in share_of.items()) / total)

    return progress
