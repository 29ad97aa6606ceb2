"""Worlds of images under two operations where what each keeps of a label, and what both keep together, is known."""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, get_args

import numpy as np

from auglik.confidence import Compose, decay_of, parse_rules
from auglik.confidence.image_table import ImageTable, Strengths, write_image_table
from auglik.confidence.pair_table import PairTable, write_pair_table
from auglik.system.array_types import Float64Array
from auglik.views.augmentation import OPERATIONS, Applied

C = 10
A, B = 2.0, 1.0
"""Of the Beta distribution of what an image keeps under either operation, where images differ; its mean is 2/3."""
MEAN = A / (A + B)
NAMES = [str(c) for c in range(C)]
COLUMNS = {
    name: Strengths("magnitude", np.zeros(1), slice(n, n + 1))
    for n, name in enumerate(("identity", "rotate", "brightness", "contrast"))
}


class World(NamedTuple):
    """Label mass that N images keep under each operation [N,2], and under both [N]."""

    each: Float64Array
    both: Float64Array


def apart(generator: np.random.Generator, count: int) -> World:
    """All images are alike, and what one operation destroys has nothing to do with what the other does."""
    return World(np.full((count, 2), MEAN), np.full(count, MEAN**2))


def heterogeneous(generator: np.random.Generator, count: int) -> World:
    """Images differ: what is robust to one operation is so to the other; in one image these are independent."""
    kept = generator.beta(A, B, count)
    return World(np.stack([kept, kept], 1), kept**2)


def overlapping(generator: np.random.Generator, count: int) -> World:
    """All images are alike, and both operations destroy the same: the second does nothing to what is left."""
    return World(np.full((count, 2), MEAN), np.full(count, MEAN))


WORLDS: Mapping[str, Callable[[np.random.Generator, int], World]] = {
    "apart": apart,
    "heterogeneous": heterogeneous,
    "overlapping": overlapping,
}
RULES = get_args(Compose)


def kept_by(world: World, compose: Compose, *, by_image: bool) -> Float64Array:
    """What training keeps of the labels [N] of images under both operations, from what each keeps.

    The table is that of the images one by one, or of their mean; under `measured` it is the mean of both operations.
    """
    count, masses = len(world.each), world.each if by_image else world.each.mean(0, keepdims=True)
    confidence = recognized(np.concatenate([np.ones((len(masses), 1)), masses], 1))
    if compose == "measured":
        return kept(pair_table(world.each[:, 0].mean(), world.both.mean()), "pairs", compose, count, 2)
    operations = {name: COLUMNS[name] for name in [*COLUMNS][:3]}
    table = ImageTable(
        source="a world", dataset="a world", digest="", class_names=NAMES, operations=operations,
        values=confidence.astype(np.float32), group=np.arange(count) if by_image else np.zeros(count, np.int64),
    )  # fmt: skip
    return kept(table, "crossfitted", compose, count, 2)


def recognized(mass: Float64Array) -> Float64Array:
    """Confidence p = m + (1-m)/C."""
    return mass + (1 - mass) / C


def pair_table(one: float, two: float) -> PairTable:
    """Of what every operation keeps alone, and any two together, the same one twice too."""
    masses = np.full((len(COLUMNS), len(COLUMNS)), two)
    masses[0] = masses[:, 0] = one
    masses[0, 0] = 1
    return PairTable(
        source="a world", dataset="a world", images=1, class_names=NAMES, operations=COLUMNS,
        values=recognized(masses),
    )  # fmt: skip


def kept(table: ImageTable | PairTable, name: str, compose: Compose, views: int, operations: int) -> Float64Array:
    """The mass [n] that training keeps of the labels of n views under the first operations in turn, by a table."""
    codes = np.array([[OPERATIONS.index(name) for name in [*COLUMNS][1 : operations + 1]]] * views, np.uint8)
    nothing = np.zeros(codes.shape, np.float32)
    applied = [[Applied(np.ones(views, np.float32), codes, nothing, nothing + 1)]]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "world.npz"
        if isinstance(table, PairTable):
            write_pair_table(path, table)
        else:
            write_image_table(path, table)
        decay = decay_of(applied, parse_rules(f"all:{name}:table={path}"), C, compose, np.arange(views))
    return 1 - decay.astype(np.float64)


def excess_loss(truth: Float64Array, kept: Float64Array) -> float:
    """The divergence, in nats a view, of labels of these masses from those of the true ones."""
    p, q = recognized(truth), recognized(kept)
    return float((p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))).mean())


def named(each: Float64Array, recognized: Float64Array) -> str:
    """Which world it is, from what each operation keeps [N,2] and whether each view under both was recognized [N].

    The product is at fault if it is off image by image, else heterogeneity is if it is off on average alone.
    """
    measured = (recognized - 1 / C) * C / (C - 1)
    error = 3 * measured.std(ddof=1) / np.sqrt(len(measured))
    if abs(measured.mean() - each.prod(1).mean()) > error:
        return "overlapping"
    return "heterogeneous" if abs(measured.mean() - each.mean(0).prod()) > error else "apart"
