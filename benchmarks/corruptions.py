"""A network over a -C folder: streamed from disk and scored, against its bare forward pass on ready tensors.

Ours is `network_scores` over folders in CIFAR-10-C's layout, 5 severities of each corruption: read through a memory
map, sent, standardized, predicted and scored (error, NLL, Brier, ECE). The peer predicts the same batches, which lie
standardized on the device, and returns the log-probabilities to the host. The files were just written, so they are
read from the page cache. On a CPU the seconds are those of its cores in all threads, so that nothing is hidden by
another core and other work on the machine changes little; on CUDA they are the wall's.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

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
from benchmarks.timing import Row, Timed, interleaved, print_table, run_of, seconds_of

CLASSES = 10
MEAN, STD = [0.5, 0.5, 0.5], [0.25, 0.25, 0.25]


class Given(NamedTuple):
    """The command line."""

    networks: list[str]
    images: int
    corruptions: int
    rounds: int
    device: str


def main() -> None:
    given = parse()
    with tempfile.TemporaryDirectory() as folder:
        suite = random_suite(Path(folder), given)
        timed: dict[str, Timed] = {}
        for network in given.networks:
            timed |= pair(network, suite, given)
        seconds = interleaved(timed, given.rounds)
    rows = [Row(name, name, f"{name}, bare", goal=1.1, costs=True) for name in given.networks]
    conditions = len(suite.conditions)
    where = torch.cuda.get_device_name() if given.device.startswith("cuda") else "the CPU"
    print_table(f"{conditions} conditions of {given.images} random images, 3x32x32, on {where}", rows, timed, seconds)


def parse() -> Given:
    """Reads the command line and sets the threads."""
    parser = argparse.ArgumentParser(description="A network over a -C folder")
    parser.add_argument("--network", action="append", help="repeatable [fast-resnet]")
    parser.add_argument("--images", type=int, default=1000, help="of a condition [1000]")
    parser.add_argument("--corruptions", type=int, default=1, help="how many of the 15 [1]")
    parser.add_argument("--rounds", type=int, default=5, help="[5]")
    parser.add_argument("--threads", type=int, default=1, help="[1]")
    parser.add_argument("--device", default="auto", help="[auto]")
    found = parser.parse_args()
    torch.set_num_threads(found.threads)
    networks = found.network or ["fast-resnet"]
    return Given(networks, found.images, found.corruptions, found.rounds, str(choose_device(found.device)))


def random_suite(folder: Path, given: Given) -> Suite:
    """Random images and labels as a test set and as a folder of corruptions, all severities of each."""
    drawn = np.random.default_rng(0)
    test = Arrays(
        drawn.integers(256, size=(given.images, 3, 32, 32), dtype=np.uint8),
        drawn.integers(CLASSES, size=given.images),
    )
    np.save(folder / "labels.npy", np.tile(test.labels, len(SEVERITIES)))
    for name in list(CORRUPTIONS)[: given.corruptions]:
        shape = (len(SEVERITIES) * given.images, 32, 32, 3)
        np.save(folder / f"{name}.npy", drawn.integers(256, size=shape, dtype=np.uint8))
    chosen = np.arange(given.images)
    conditions = npy_conditions(folder, test, chosen, SEVERITIES, allow_missing=True)
    return Suite(
        conditions=[clean_condition(test), *conditions],
        human=None,
        occlusion=False,
        class_names=by_number(CLASSES),
        shape=Shape(3, 32, 32),
        training_digest="",
        measured={},
        digests_now=DigestsNow(folder),
    )


def pair(name: str, suite: Suite, given: Given) -> dict[str, Timed]:
    """The network over the suite, and its bare forward passes."""
    device = torch.device(given.device)
    run = run_of(network=name, device=given.device, precision=choose_precision("auto", device))
    network = make_network(run, 3, CLASSES)
    predict = predictor(run, network)
    standardize = Gallery.pack(np.zeros((1, 3, 1, 1), np.uint8), MEAN, STD, device).standardize
    levels = torch.from_numpy(suite.conditions[0].read(slice(None))).to(device)
    batches = standardize(levels.permute(0, 3, 1, 2)).split(batch_size(32, 32))

    def bare() -> Sequence[Tensor]:
        return [torch.cat([predict(batch) for batch in batches]).cpu() for _ in suite.conditions]

    return {
        name: timed_once(lambda: network_scores(run, network, MEAN, STD, suite), device),
        f"{name}, bare": timed_once(bare, device),
    }


def timed_once(call: Callable[[], object], device: torch.device) -> Timed:
    """One call a round, after one that warms up."""
    call()
    return Timed(lambda: cpu_seconds_of(call) if device.type == "cpu" else seconds_of(call), 1)


def cpu_seconds_of(call: Callable[[], object]) -> float:
    """What one call takes of all cores together."""
    start = time.process_time()
    call()
    return time.process_time() - start


if __name__ == "__main__":
    main()
