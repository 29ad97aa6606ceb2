"""Rounds that run everything in turn, medians of per-round ratios, and the machine they were taken on.

What computes in one thread is timed by what it takes of a processor. Other work still takes its caches: five busy
processes on two cores moved ratios by up to a sixth, so the load is printed beside verdicts. Several threads wait for
each other, and a GPU for its host: they are timed by the wall's clock, which other work stretches several times over,
and not all that is in a round alike. No verdict is given of them while others leave our threads too few cores.
"""

import math
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


BEGAN = time.perf_counter()
SLACK = 0.25
"""Of a core, that others may take beside threads that have one each."""
FINE = 1e-6
"""Seconds: the resolution of a clock of processors that is used; Windows' has 16 ms."""


class Images(NamedTuple):
    """Images [N,3,32,32] to work on, and what they are."""

    levels: NDArray[np.uint8]
    are: str


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


def images_of(cifar10: Path | None) -> Images:
    """CIFAR-10's training images from its file, else random ones."""
    if cifar10 is not None:
        return Images(open_dataset(str(cifar10)).train().images, "CIFAR-10")
    drawn = np.random.default_rng(0).integers(256, size=(50_000, 3, 32, 32), dtype=np.uint8)
    return Images(drawn, "random uint8, of CIFAR-10's shape")


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


def by_wall() -> bool:
    """Whether seconds are the wall's; else they are those that this process takes of all cores."""
    coarse = time.get_clock_info("process_time").resolution > FINE
    return torch.get_num_threads() > 1 or torch.cuda.is_initialized() or coarse


def clock_name() -> str:
    return "wall time" if by_wall() else "CPU time"


def now() -> float:
    """Seconds of the clock that is used."""
    return time.perf_counter() if by_wall() else time.process_time()


def seconds_of(call: Callable[[], object], clock: Callable[[], float] = now) -> float:
    """The time that one call takes."""
    start = clock()
    call()
    return clock() - start


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
    print(f"{title}; {clock_name()}")
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
    if by_wall() and crowded():
        verdict = "no verdict: other work takes cores"
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


def load() -> float:
    """Processes that computed or waited for a core, on average over the last minute; NaN where it is not counted."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else math.nan


BEFORE = load()


def load_of_others() -> float:
    """Before this process began, or now without what it takes itself, whichever is more."""
    return max(BEFORE, load() - time.process_time() / (time.perf_counter() - BEGAN))


def crowded() -> bool:
    """Whether others leave our threads too few cores, or that is not known."""
    return not load_of_others() + torch.get_num_threads() <= available_cores() + SLACK


def machine() -> str:
    """Processor, cores, threads, versions and how busy the machine is with other work."""
    others = load_of_others()
    busy = "" if math.isnan(others) else f", load of others up to {max(others, 0):.1f}"
    card = f"{torch.cuda.get_device_name()}, " if torch.cuda.is_initialized() else ""
    return (
        f"{card}{processor()}, {available_cores()} cores, {torch.get_num_threads()} thread(s){busy};"
        f" python {platform.python_version()}, torch {torch.__version__}, torchvision {version('torchvision')}"
    )


def processor(path: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's name and, where the system tells its features, its instructions for bfloat16."""
    lines = path.read_text().splitlines() if path.exists() else []
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    name = facts.get("model name") or platform.processor() or platform.machine()
    features = facts.get("flags") or facts.get("Features")  # of x86; of ARM
    if features is None:
        return name
    native = [one for one in ("avx512_bf16", "amx_bf16", "bf16", "svebf16", "smebf16") if one in features.split()]
    return f"{name} ({', '.join(native) or 'no bf16'})"
