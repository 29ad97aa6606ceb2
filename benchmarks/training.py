"""Training as `auglik train` does it, beside the bare network on ready tensors: 20 steps of fast-resnet, K = 4.

Ours is `auglik.runs.training.train`: draws, flips, crops, rotations, TrivialAugment and mollification, the network,
smoothed + jensen, SGD, meters, checks, validation, log and checkpoint; `--compiled` adds it with `--compile`.
The bare loop takes as many steps of the same network, memory layout and fused SGD on as many images, which are ready:
forward, cross-entropy, backward, update. `--network` takes another network.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from auglik import RunConfig, change, open_dataset, read_facts, resolve
from auglik.runs.resolve import TrainingData, load_training
from auglik.runs.resolved import ResolvedRun
from auglik.runs.step import make_network, make_optimizer
from auglik.runs.training import train
from benchmarks import timing

VIEWS, STEPS, VALIDATION = 4, 20, 0.1
IMAGES = round(STEPS * timing.BATCH / (1 - VALIDATION))
GOAL = 1.15
"""Of the bare loop's time, at most."""


def ours(run: ResolvedRun, data: TrainingData) -> None:
    """STEPS steps from the initial weights, into a folder that is then removed."""
    with tempfile.TemporaryDirectory() as folder:
        train(run, data, "", Path(folder))


def bare(run: ResolvedRun, data: TrainingData) -> timing.Timed:
    """The same steps on one ready batch of all views."""
    gallery, labels = data.training
    network = make_network(run, gallery.channels, data.classes)
    optimizer = make_optimizer(run, network)
    images = gallery.clean(slice(timing.BATCH)).repeat(VIEWS, 1, 1, 1).contiguous(memory_format=torch.channels_last)
    targets = labels[: timing.BATCH].repeat(VIEWS)

    def steps() -> None:
        for _ in range(STEPS):
            loss = cross_entropy(network(images), targets)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()

    return timing.median_of(steps, 1, warm_up=1)


def main() -> None:
    parser = argparse.ArgumentParser(description="Training beside its bare network.")
    parser.add_argument("--cifar10", metavar="FILE", type=Path, help="CIFAR-10 as .npz [random images of its shape]")
    parser.add_argument("--network", default="fast-resnet")
    parser.add_argument("--compiled", action="store_true", help="with --compile too")
    parser.add_argument("--rounds", type=int, default=5, help="[5]")
    parser.add_argument("--threads", type=int, default=1, help="[1]")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    with tempfile.TemporaryDirectory() as folder:
        path = given.cifar10 or Path(folder) / "random.npz"
        if given.cifar10 is None:
            images, labels = (np.random.default_rng(0).integers(most, size=shape, dtype=np.uint8) for most, shape in
                              ((256, (IMAGES, 3, 32, 32)), (10, (IMAGES,))))  # fmt: skip
            np.savez(path, train_images=images, train_labels=labels, test_images=images, test_labels=labels)
        source = open_dataset(str(path))
        config = change(
            RunConfig(),
            {
                "dataset": str(path), "train_images": IMAGES, "validation_fraction": VALIDATION, "epochs": 1,
                "network": given.network, "views": VIEWS, "augment": "fcr,trivial-augment", "device": "cpu",
            },
        )  # fmt: skip
        run = resolve(config, source, read_facts(source))
        data = load_training(run, source)
        timed = {
            "train": timing.median_of(lambda: ours(run, data), 1, warm_up=1),
            "bare": bare(run, data),
        }
        rows = [timing.Row("training", "train", "bare", goal=GOAL, costs=True)]
        if given.compiled:
            compiled = run.change(compile=True)
            timed["compiled"] = timing.median_of(lambda: ours(compiled, data), 1, warm_up=1)
            rows += [timing.Row("compiled", "compiled", "train", costs=True)]
        seconds = timing.interleaved(timed, given.rounds)
    title = f"{given.network}, {STEPS} steps of {timing.BATCH} images, K = {VIEWS}, fp32"
    timing.print_table(title, rows, timed, seconds)


if __name__ == "__main__":
    main()
