"""How much of the work of several runs is done."""

from collections.abc import Callable, Sequence

from auglik.experiments.engines.engine import Progress
from auglik.runs.loop import lengths
from auglik.runs.run import Job


def work(job: Job) -> float:
    """The views that a run trains on: its time is about proportional to them."""
    count = lengths(job.run, job.run.train_images)
    return float(count.steps * count.images * job.config.views)


def by_work(jobs: Sequence[Job], tell: Callable[[float], None]) -> Progress:
    """Passes the share of all jobs' work that is done to `tell`, given that of each job."""
    work_of = {job.folder: work(job) for job in jobs}
    share_of = dict.fromkeys(work_of, 0.0)
    total = sum(work_of.values())

    def progress(job: Job, share: float) -> None:
        share_of[job.folder] = max(share, share_of[job.folder])
        tell(sum(work_of[folder] * done for folder, done in share_of.items()) / total)

    return progress
