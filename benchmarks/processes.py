"""A float32 training step of 128 images, K = 1, on a CPU: two processes of one thread against one of two threads.

Both take the step of `auglik.runs.training`: views rendered, network, objective, optimizer, and whether to stop. One
works while the other waits for a message, so that they never share the cores. The seconds are the wall's.
"""

import multiprocessing
import os
import socket
import statistics
import time
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from auglik.runs.resolve import Split, TrainingData
from auglik.runs.step import Batch, begin, rendered_parts, take_step
from auglik.system.launched import STARTED
from auglik.system.processes import Processes, joined
from benchmarks import timing
from benchmarks.command import benchmark, cifar10_option, rounds_option

NETWORKS = {"small-cnn": 5, "fast-resnet": 2}
"""Steps a round."""
WARM_UP = 1


def stepping(network: str, images: NDArray[np.uint8], processes: Processes) -> Callable[[], None]:
    """A step of this process's share."""
    run = timing.run_of(network=network, views=1, device="cpu", precision="fp32")
    gallery, labels = timing.gallery_of(images), torch.arange(len(images)) % 10
    data = TrainingData(
        training=Split(gallery, labels), validation=Split(gallery, labels[:0]), classes=10, mean=[], std=[],
        class_names=(), validation_indices=np.arange(0),
    )  # fmt: skip
    learner, following = begin(run, data, processes), timing.batches(len(images))
    draws = learner.pipeline.draw(0, 0, 1, len(images), timing.CPU)

    def step() -> None:
        own = following()[processes.part(timing.BATCH)]
        take_step(learner, run, data, rendered_parts(learner, data, [Batch(draws, own)]), None, run.learning_rate)
        processes.largest(0, 0)

    return step


def work(messages: Connection, images: NDArray[np.uint8], threads: int, rank: int, count: int, port: int) -> None:
    """The body of a process: for every name that comes, the median seconds of a round of that network's steps."""
    torch.set_num_threads(threads)
    values = (rank, count, rank, count, "127.0.0.1", port)
    os.environ.update({name: str(value) for name, value in zip(STARTED, values, strict=True)})
    with joined() as processes:
        steps = {name: stepping(name, images, processes) for name in NETWORKS}
        for name in iter(messages.recv, None):
            messages.send(
                statistics.median(timing.seconds_of(steps[name], time.perf_counter) for _ in range(NETWORKS[name]))
            )


def started(images: NDArray[np.uint8], threads: int, count: int) -> list[Connection]:
    """Ends of the pipes to processes that share steps."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context, ends = multiprocessing.get_context("spawn"), []
    for rank in range(count):
        own, their = context.Pipe()
        context.Process(target=work, args=(their, images, threads, rank, count, port), daemon=True).start()
        ends.append(own)
    return ends


def together(ends: list[Connection], name: str) -> float:
    """The seconds of the slowest."""
    for end in ends:
        end.send(name)
    return max(end.recv() for end in ends)


@benchmark(__doc__)
@cifar10_option
@rounds_option(7)
def main(cifar10: Path | None, rounds: int) -> None:
    images, images_are = timing.images_of(cifar10)
    images = images[: 40 * timing.BATCH]
    torch.set_num_threads(2)
    two, one = started(images, 1, 2), started(images, 2, 1)
    timed, rows = {}, []
    for network, n in NETWORKS.items():
        for name, ends in ((f"{network}, 2 processes", two), (f"{network}, 2 threads", one)):
            timed[name] = timing.Timed(partial(together, ends, network), n)
            for _ in range(WARM_UP):
                timed[name].seconds()
        rows.append(timing.Row(network, f"{network}, 2 processes", f"{network}, 2 threads"))
    seconds = timing.interleaved(timed, rounds)
    for end in (*two, *one):
        end.send(None)
    timing.print_table(f"A step of {timing.BATCH} images, {images_are}, K = 1, float32", rows, timed, seconds)


if __name__ == "__main__":
    main()
