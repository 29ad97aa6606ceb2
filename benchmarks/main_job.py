"""A run of the main job, training and scoring, against its network alone: a bare loop on tensors that are ready.

The bare loop takes as many steps of the same network on batches as large, with cross-entropy and SGD by default, and
sees as many clean images and evaluation views, in batches of the step's size. Both keep freed memory, on one thread.
"""

import argparse
import tempfile
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy

from auglik import Place, RunConfig, make_plan
from auglik.experiments.cells import plan
from auglik.runs.loop import lengths
from auglik.runs.run import Job, execute
from auglik.runs.step import make_network
from auglik.system.process import process_state
from benchmarks import timing

CLASSES, TEST_IMAGES = 10, 500


def bare(job: Job, layout: torch.memory_format) -> None:
    """The job's steps and forward passes on noise."""
    config, images = job.config, job.run.trained_on()
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
    evaluation = config.evaluation
    with torch.no_grad():
        for _ in range(TEST_IMAGES * (1 + evaluation.views + evaluation.folded_views) // V):
            network(views)


def whole(job: Job) -> None:
    """The job, into a folder of its own."""
    with tempfile.TemporaryDirectory() as folder, process_state(1):
        execute(Job(cell=job.cell, run=job.run, settings=job.settings, folder=Path(folder) / "run",
                    data_dir=job.data_dir, threads=1))  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description="A run of the main job")
    parser.add_argument("--cell", default="corrected", help="[corrected]")
    parser.add_argument("--rounds", type=int, default=5, help="[5]")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as output:
        jobs = {job.cell: job for job in make_plan(plan(RunConfig(), {}), [0], Place(output=output)).jobs}
    if given.cell not in jobs:
        parser.error(f"--cell: expected one of {', '.join(jobs)}, got {given.cell}")
    job = jobs[given.cell]

    def alone(layout: torch.memory_format) -> None:
        with process_state(1):
            bare(job, layout)

    timed = {
        "run": timing.median_of(lambda: whole(job), 1, warm_up=1),
        "bare, channels last": timing.median_of(lambda: alone(torch.channels_last), 1, warm_up=1),
        "bare, default layout": timing.median_of(lambda: alone(torch.contiguous_format), 1, warm_up=1),
    }
    torch.set_num_threads(1)
    seconds = timing.interleaved(timed, given.rounds)
    rows = [
        timing.Row("whole run", "run", "bare, channels last", goal=1.4, costs=True),
        timing.Row("whole run", "run", "bare, default layout", goal=1.4, costs=True),
    ]
    timing.print_table(f"{given.cell} on digits, {job.config.network}", rows, timed, seconds)


if __name__ == "__main__":
    main()
