"""Rounds that run everything in turn, medians of per-round ratios, and the machine they were taken on.

Other work on a machine slows all that is timed within a round alike, so a ratio is taken within each round.
"""

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from auglik import RunConfig, change, open_dataset
from auglik.data import channel_statistics
from auglik.runs.resolved import ResolvedRun, resolved
from auglik.system.devices import available_cores
from auglik.views import Gallery

CPU = torch.device("cpu")
BATCH = 128
"""Images in a batch."""


class Arguments(NamedTuple):
    """What every benchmark takes from its command line."""

    images: NDArray[np.uint8]
    """[N,3,32,32]"""
    images_are: str
    rounds: int


class Timed(NamedTuple):
    """Something to time: `n` calls a round, of which `seconds` makes the round's one figure."""

    seconds: Callable[[], float]
    n: int


class Row(NamedTuple):
    """A line of the table: `ours` against `peer`, names of what was timed.

    The ratio is peer/ours, how many times as fast ours is, and `goal` its least; in a row of `costs` it is ours/peer,
    and `goal` its most. Without a goal the row is for information.
    """

    what: str
    ours: str
    peer: str
    goal: float | None = None
    costs: bool = False
    percent: bool = False


def run_of(**settings: object) -> ResolvedRun:
    """A run on 50,000 images of CIFAR-10's shape, whose data set need not be here."""
    views = {"flip": 0.5, "crop_padding": 4, "clean_share": 1 / 3}
    views |= {f"evaluation_{name}": value for name, value in views.items()}
    training = {"train_images": 50_000, "epochs": 1, "learning_rate": 0.01, "warmup": 0.0, "nesterov": False}
    training |= {"momentum": 0.9, "weight_decay": 5e-4}
    return resolved(change(RunConfig(), {**views, **training, **settings}))


def parse_arguments(description: str, rounds: int, threads: int = 1) -> Arguments:
    """Reads --cifar10, --rounds and --threads, and sets the threads."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--cifar10", metavar="FILE", type=Path, help="CIFAR-10 as .npz [random images of its shape]")
    parser.add_argument("--rounds", type=int, default=rounds, help=f"[{rounds}]")
    parser.add_argument("--threads", type=int, default=threads, help=f"[{threads}]")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if given.cifar10 is not None:
        return Arguments(open_dataset(str(given.cifar10)).train().images, "CIFAR-10", given.rounds)
    drawn = np.random.default_rng(0).integers(256, size=(50_000, 3, 32, 32), dtype=np.uint8)
    return Arguments(drawn, "random uint8, of CIFAR-10's shape", given.rounds)


def gallery_of(images: NDArray[np.uint8]) -> Gallery:
    """The images on the CPU, standardized by their own statistics."""
    return Gallery.pack(images, *channel_statistics(images), CPU)


def batches(count: int, seed: int = 0) -> Callable[[], NDArray[np.int64]]:
    """The next batch [B] of positions below `count`, in random order, epoch after epoch."""
    generator = np.random.default_rng(seed)
    waiting: list[NDArray[np.int64]] = []

    def following() -> NDArray[np.int64]:
        if not waiting:
            waiting.extend(generator.permutation(count)[: count // BATCH * BATCH].reshape(-1, BATCH))
        return waiting.pop()

    return following


def seconds_of(call: Callable[[], object]) -> float:
    """The time that one call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def median_of(call: Callable[[], object], n: int, warm_up: int = 3) -> Timed:
    """The median of n calls a round; `warm_up` calls before the first round compile what is to be compiled."""
    for _ in range(warm_up):
        call()
    return Timed(lambda: statistics.median(seconds_of(call) for _ in range(n)), n)


def interleaved(timed: Mapping[str, Timed], rounds: int) -> dict[str, list[float]]:
    """Seconds of each, round by round."""
    found: dict[str, list[float]] = {name: [] for name in timed}
    for _ in range(rounds):
        for name, one in timed.items():
            found[name].append(one.seconds())
    return found


def print_table(
    title: str, rows: Sequence[Row], timed: Mapping[str, Timed], seconds: Mapping[str, Sequence[float]]
) -> None:
    """The rows, with medians over rounds and the spread of the ratio, under the title and the machine."""
    head = ("what", "ours", "peer", "ratio [min-max]", "n", "rounds", "goal", "")
    table = [head, *(cells(row, timed, seconds) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    print(title)
    print(machine())
    for line in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def cells(row: Row, timed: Mapping[str, Timed], seconds: Mapping[str, Sequence[float]]) -> tuple[str, ...]:
    """One line of the table."""
    ours, peer = seconds[row.ours], seconds[row.peer]
    ratios = [our / their if row.costs else their / our for our, their in zip(ours, peer, strict=True)]
    median = statistics.median(ratios)

    def show(value: float) -> str:
        return f"{100 * value:.2f}%" if row.percent else f"{value:.3g}x"

    goal = verdict = ""
    if row.goal is not None:
        goal = f"at {'most' if row.costs else 'least'} {show(row.goal)}"
        verdict = "met" if (median <= row.goal if row.costs else median >= row.goal) else "MISSED"
    return (
        row.what,
        f"{row.ours} {milliseconds(ours)}",
        f"{row.peer} {milliseconds(peer)}",
        f"{show(median)} [{show(min(ratios))}-{show(max(ratios))}]",
        f"{timed[row.ours].n}/{timed[row.peer].n}",
        str(len(ratios)),
        goal,
        verdict,
    )


def milliseconds(seconds: Sequence[float]) -> str:
    return f"{1e3 * statistics.median(seconds):.3g} ms"


def machine() -> str:
    """Processor, cores, threads, versions and how busy the machine is."""
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    card = f"{torch.cuda.get_device_name()}, " if torch.cuda.is_available() else ""
    return (
        f"{card}{processor()}, {available_cores()} cores, {torch.get_num_threads()} thread(s){load};"
        f" python {platform.python_version()}, torch {torch.__version__}, torchvision {version('torchvision')}"
    )


def processor() -> str:
    """The processor's name and its instructions for bfloat16."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    native = [flag for flag in ("avx512_bf16", "amx_bf16", "bf16") if flag in facts.get("flags", "").split()]
    return f"{facts.get('model name', platform.processor() or platform.machine())} ({', '.join(native) or 'no bf16'})"
