"""A network over a -C folder: streamed from disk and scored, against its bare forward pass on ready tensors.

Ours is `network_scores` over folders in CIFAR-10-C's layout, 5 severities of each corruption: read through a memory
map, sent, standardized, predicted and scored (error, NLL, Brier, ECE). The peer predicts the same batches, which lie
standardized on the device, and returns the log-probabilities to the host. The files were just written, so they are
read from the page cache. On a CPU the seconds are those of its cores in all threads, so that nothing is hidden by
another core.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
import torch
from torch import Tensor

from auglik import Arrays
from auglik.data import by_number
from auglik.robustness.arrays import clean_condition
from auglik.robustness.evaluate import network_scores
from auglik.robustness.npy_set import npy_conditions
from auglik.robustness.protocol import SEVERITIES
from auglik.robustness.stream import batch_size
from auglik.robustness.suite import Suite
from auglik.runs.digests_now import DigestsNow
from auglik.runs.evaluation import predictor
from auglik.runs.step import make_network
from auglik.scoring.corruptions import CORRUPTIONS
from auglik.system.devices import choose_device, choose_precision
from auglik.views import Gallery, Shape
from benchmarks.command import COUNT, benchmark, rounds_option, threads_option
from benchmarks.timing import Row, Timed, interleaved, median_of, print_table, run_of

CLASSES = 10
MEAN, STD = [0.5, 0.5, 0.5], [0.25, 0.25, 0.25]


@benchmark(__doc__)
@click.option("--network", "networks", multiple=True, default=["fast-resnet"], show_default=True)
@click.option("--images", type=COUNT, default=1000, show_default=True, help="Of a condition")
@click.option("--corruptions", type=click.IntRange(1, len(CORRUPTIONS)), default=1, show_default=True)
@click.option("--device", default="auto", show_default=True)
@rounds_option(5)
@threads_option
def main(networks: tuple[str, ...], images: int, corruptions: int, device: str, rounds: int) -> None:
    chosen = choose_device(device)
    with tempfile.TemporaryDirectory() as folder:
        suite = random_suite(Path(folder), images, corruptions)
        timed: dict[str, Timed] = {}
        for network in networks:
            timed |= pair(network, suite, chosen)
        seconds = interleaved(timed, rounds)
    rows = [Row(name, name, f"{name}, bare", goal=1.1, costs=True) for name in networks]
    where = torch.cuda.get_device_name() if chosen.type == "cuda" else "the CPU"
    print_table(
        f"{len(suite.conditions)} conditions of {images} random images, 3x32x32, on {where}", rows, timed, seconds
    )


def random_suite(folder: Path, images: int, corruptions: int) -> Suite:
    """Random images and labels as a test set and as a folder of corruptions, all severities of each."""
    drawn = np.random.default_rng(0)
    test = Arrays(
        drawn.integers(256, size=(images, 3, 32, 32), dtype=np.uint8),
        drawn.integers(CLASSES, size=images),
    )
    np.save(folder / "labels.npy", np.tile(test.labels, len(SEVERITIES)))
    for name in list(CORRUPTIONS)[:corruptions]:
        shape = (len(SEVERITIES) * images, 32, 32, 3)
        np.save(folder / f"{name}.npy", drawn.integers(256, size=shape, dtype=np.uint8))
    chosen = np.arange(images)
    conditions = npy_conditions(folder, test, chosen, SEVERITIES, allow_missing=True)
    return Suite(
        conditions=[clean_condition(test), *conditions],
        positions=chosen,
        human=None,
        occlusion=False,
        class_names=by_number(CLASSES),
        shape=Shape(3, 32, 32),
        training_digest="",
        measured={},
        digests_now=DigestsNow(folder),
    )


def pair(name: str, suite: Suite, device: torch.device) -> dict[str, Timed]:
    """The network over the suite, and its bare forward passes."""
    run = run_of(network=name, device=str(device), precision=choose_precision("auto", device))
    network = make_network(run, 3, CLASSES)
    predict = predictor(run, network)
    standardize = Gallery.pack(np.zeros((1, 3, 1, 1), np.uint8), MEAN, STD, device).standardize
    levels = torch.from_numpy(suite.conditions[0].read(slice(None))).to(device)
    batches = standardize(levels.permute(0, 3, 1, 2)).split(batch_size(32, 32))

    def bare() -> Sequence[Tensor]:
        return [torch.cat([predict(batch) for batch in batches]).cpu() for _ in suite.conditions]

    return {
        name: median_of(lambda: network_scores(run, network, MEAN, STD, suite), 1, warm_up=1),
        f"{name}, bare": median_of(bare, 1, warm_up=1),
    }


if __name__ == "__main__":
    main()
