"""A run of the main job, training and scoring, against its network alone: a bare loop on tensors that are ready.

The bare loop takes as many steps of the same network on batches as large, with cross-entropy and SGD by default, and
sees as many validation images, test images and evaluation views, in batches of the step's size. Both keep freed memory,
on one thread.
"""

import tempfile
from pathlib import Path

import click
import torch
from torch.nn.functional import cross_entropy

from auglik import Place, RunConfig, make_plan
from auglik.experiments.cells import plan
from auglik.objectives import InputError
from auglik.runs.loop import lengths
from auglik.runs.run import Job, execute
from auglik.runs.step import make_network
from auglik.system.process import process_state
from benchmarks import timing
from benchmarks.command import benchmark, rounds_option

CLASSES, TEST_IMAGES = 10, 500


def bare(job: Job, layout: torch.memory_format) -> None:
    """The job's steps and forward passes on noise."""
    config, images = job.config, job.run.trained_on(CLASSES)
    count = lengths(job.run, images)
    V = count.images * config.views
    network = make_network(job.run, 1, CLASSES).to(memory_format=layout)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    views = torch.randn(V, 1, 8, 8).contiguous(memory_format=layout)
    labels = torch.randint(CLASSES, (V,))
    for _ in range(count.steps):
        optimizer.zero_grad()
        cross_entropy(network(views), labels).backward()
        optimizer.step()
    network.eval()
    seen = images_scored(job)
    with torch.no_grad():
        for start in range(0, seen, V):
            network(views[: seen - start])


def images_scored(job: Job) -> int:
    """Validation images after every epoch and of the trained network, test images and their views."""
    evaluation, held_out = job.config.evaluation, job.run.train_images - job.run.trained_on(CLASSES)
    views = 1 + evaluation.views + evaluation.folded_views
    return (job.run.epochs + 1) * held_out + views * TEST_IMAGES


def whole(job: Job) -> None:
    """The job, into a folder of its own."""
    with tempfile.TemporaryDirectory() as folder, process_state(1):
        execute(Job(cell=job.cell, run=job.run, settings=job.settings, folder=Path(folder) / "run",
                    data_dir=job.data_dir, threads=1))  # fmt: skip


@benchmark(__doc__)
@click.option("--cell", default="corrected", show_default=True)
@rounds_option(5)
def main(cell: str, rounds: int) -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as output:
        jobs = {job.cell: job for job in make_plan(plan(RunConfig(), {}), [0], Place(output=output)).jobs}
    if cell not in jobs:
        raise InputError(f"--cell: expected one of {', '.join(jobs)}, got {cell}")
    job = jobs[cell]

    def alone(layout: torch.memory_format) -> None:
        with process_state(1):
            bare(job, layout)

    timed = {
        "run": timing.median_of(lambda: whole(job), 1, warm_up=1),
        "bare, channels last": timing.median_of(lambda: alone(torch.channels_last), 1, warm_up=1),
        "bare, default layout": timing.median_of(lambda: alone(torch.contiguous_format), 1, warm_up=1),
    }
    seconds = timing.interleaved(timed, rounds)
    rows = [
        timing.Row("whole run", "run", "bare, channels last", goal=1.4, costs=True),
        timing.Row("whole run", "run", "bare, default layout", goal=1.4, costs=True),
    ]
    timing.print_table(f"{cell} on digits, {job.config.network}", rows, timed, seconds)


if __name__ == "__main__":
    main()
