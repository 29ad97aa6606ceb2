"""Training as `auglik train` does it, beside the bare network on ready tensors: 20 steps of fast-resnet, K = 4.

Ours is `auglik.runs.training.train`: draws, flips, crops, rotations, TrivialAugment and mollification, the network,
smoothed + jensen, SGD, meters, checks, validation, log and checkpoint; `--compiled` adds it with `--compile`.
The bare loop takes as many steps of the same network, memory layout, precision and fused SGD on as many images, which
are ready: forward, cross-entropy, backward, update. `--network` takes another network; `benchmarks.cuda` is of a GPU.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path

import click
import numpy as np
import torch
from torch.nn.functional import cross_entropy

from auglik import RunConfig, change, open_dataset, read_facts, resolve
from auglik.runs.resolve import TrainingData, load_training
from auglik.runs.resolved import ResolvedRun
from auglik.runs.step import make_network, make_optimizer
from auglik.runs.training import train
from auglik.system.compiling import check_compiler
from auglik.system.devices import autocast
from benchmarks import timing
from benchmarks.command import COUNT, benchmark, cifar10_option, rounds_option, threads_option

VALIDATION = 0.1
GOAL = 1.15
"""Of the bare loop's time, at most."""


def prepared(
    count: int, settings: Mapping[str, object], images: Path | None = None
) -> tuple[ResolvedRun, TrainingData]:
    """An epoch of a run on `count` images of the data set `images`, or of CIFAR-10's shape and random."""
    with tempfile.TemporaryDirectory() as folder:
        path = images or Path(folder) / "random.npz"
        if images is None:
            drawn, labels = (np.random.default_rng(0).integers(most, size=shape, dtype=np.uint8) for most, shape in
                             ((256, (count, 3, 32, 32)), (10, (count,))))  # fmt: skip
            np.savez(path, train_images=drawn, train_labels=labels, test_images=drawn[:1], test_labels=labels[:1])
        source = open_dataset(str(path))
        config = change(RunConfig(), {"dataset": str(path), "train_images": count, "epochs": 1, **settings})
        run = resolve(config, source, read_facts(source))
        return run, load_training(run, source)


def ours(run: ResolvedRun, data: TrainingData) -> None:
    """An epoch from the initial weights, into a folder that is then removed."""
    with tempfile.TemporaryDirectory() as folder:
        train(run, data, "", Path(folder))
    finish(run.device)


def finish(device: torch.device) -> None:
    """Waits until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def bare(run: ResolvedRun, data: TrainingData, steps: int) -> timing.Timed:
    """As many steps on one ready batch of all views."""
    gallery, labels = data.training
    network = make_network(run, gallery.channels, data.classes)
    optimizer = make_optimizer(run, network, len(gallery))
    B, K = run.config.batch_size, run.config.views
    images = gallery.clean(slice(B)).repeat(K, 1, 1, 1).contiguous(memory_format=torch.channels_last)
    targets = labels[:B].repeat(K)

    def loop() -> None:
        for _ in range(steps):
            with autocast(run.device, run.precision):
                logits = network(images)
            loss = cross_entropy(logits.float(), targets)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        finish(run.device)

    return timing.median_of(loop, 1, warm_up=1)


@benchmark(__doc__)
@cifar10_option
@click.option("--network", default="fast-resnet", show_default=True)
@click.option("--precision", default="fp32", show_default=True)
@click.option("--views", type=COUNT, default=4, show_default=True, help="K")
@click.option("--batch", type=COUNT, default=timing.BATCH, show_default=True, help="Images in a step")
@click.option("--steps", type=COUNT, default=20, show_default=True)
@click.option("--compiled", "also", is_flag=True, help="With --compile too")
@rounds_option(5)
@threads_option
def main(
    cifar10: Path | None, network: str, precision: str, views: int, batch: int, steps: int, also: bool, rounds: int
) -> None:
    if also:
        check_compiler(timing.CPU)
    count = round(steps * batch / (1 - VALIDATION))
    settings = {
        "validation_fraction": VALIDATION, "network": network, "views": views,
        "augment": "fcr,trivial-augment", "device": "cpu", "precision": precision,
        "batch_size": batch,
    }  # fmt: skip
    run, data = prepared(count, settings, cifar10)
    timed = {
        "train": timing.median_of(lambda: ours(run, data), 1, warm_up=1),
        "bare": bare(run, data, steps),
    }
    rows = [timing.Row("training", "train", "bare", goal=GOAL, costs=True)]
    if also:
        compiled = run.change(compile=True)
        timed["compiled"] = timing.median_of(lambda: ours(compiled, data), 1, warm_up=1)
        rows += [timing.Row("compiled", "compiled", "train", costs=True)]
    seconds = timing.interleaved(timed, rounds)
    title = f"{network}, {steps} steps of {batch} images, K = {views}, {run.precision}"
    timing.print_table(title, rows, timed, seconds)


if __name__ == "__main__":
    main()
