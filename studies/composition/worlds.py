"""Worlds of images under two operations where what each keeps of a label, and what both keep together, is known."""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, get_args

import numpy as np

from auglik.confidence import Compose, decay_of, parse_rules
from auglik.confidence.image_table import ImageTable, Strengths, write_image_table
from auglik.system.array_types import Float64Array
from auglik.views.augmentation import OPERATIONS, Applied

C = 10
A, B = 2.0, 1.0
"""Of the Beta distribution of what an image keeps under either operation, where images differ; its mean is 2/3."""
MEAN = A / (A + B)
FIRST, SECOND = "rotate", "brightness"


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


def kept_by(each: Float64Array, compose: Compose, *, by_image: bool) -> Float64Array:
    """What training keeps of the labels [N] of images under both operations, from what each keeps [N,2].

    The table is that of the images one by one, or of their mean.
    """
    masses = each if by_image else each.mean(0, keepdims=True)
    confidence = np.concatenate([np.ones((len(masses), 1)), masses + (1 - masses) / C], 1)
    names = ("identity", FIRST, SECOND)
    count = len(each)
    table = ImageTable(
        source="a world", dataset="a world", digest="", class_names=[str(c) for c in range(C)],
        operations={name: Strengths("magnitude", np.zeros(1), slice(n, n + 1)) for n, name in enumerate(names)},
        values=confidence.astype(np.float32), group=np.arange(count) if by_image else np.zeros(count, np.int64),
    )  # fmt: skip
    codes = np.array([[OPERATIONS.index(name) for name in names[1:]]] * count, np.uint8)
    nothing = np.zeros(codes.shape, np.float32)
    applied = [[Applied(np.ones(count, np.float32), codes, nothing, nothing + 1)]]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "world.npz"
        write_image_table(path, table)
        decay = decay_of(applied, parse_rules(f"all:crossfitted:table={path}"), C, compose, np.arange(count))
    return 1 - decay.astype(np.float64)


def excess_loss(truth: Float64Array, kept: Float64Array) -> float:
    """The divergence, in nats a view, of labels of these masses from those of the true ones."""
    p, q = (mass + (1 - mass) / C for mass in (truth, kept))
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
