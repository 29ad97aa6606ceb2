"""Test images under conditions, streamed through a network: the next images are prepared while it looks at these."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from auglik.runs.evaluation import CLEAN_BATCH, Predict, batches_of
from auglik.system.devices import send
from auglik.system.processes import ONE, Processes

T = TypeVar("T")

BATCH_PIXELS = CLEAN_BATCH * 32 * 32
"""Pixels of the images in one forward pass."""

ReadImages = Callable[[slice], NDArray[np.uint8]]
"""Some of a condition's N images -> levels [n,H,W,c]."""

Change = Callable[[Tensor, int], Tensor]
"""Standardized images [n,c,H,W] and the position of their first -> what the network is to see of them."""


@dataclass(frozen=True)
class Condition:
    """N test images under one condition, read as they are needed."""

    kind: str
    name: str
    category: str
    severity: float
    labels: NDArray[np.int64]
    read: ReadImages
    change: Change | None = None
    covered: float | None = None
    """The share of the area that is really hidden, of occlusion."""


def prefetched(items: Iterable[T]) -> Iterator[T]:
    """The same items, each made by another thread while its predecessor is used; its exceptions are raised here."""
    source = iter(items)
    with ThreadPoolExecutor(1) as maker:
        following = maker.submit(next, source, None)
        while (item := following.result()) is not None:
            following = maker.submit(next, source, None)
            yield item


def batch_size(height: int, width: int) -> int:
    """Images in a forward pass."""
    return max(1, BATCH_PIXELS // (height * width))


def predicted(
    predict: Predict,
    standardize: Callable[[Tensor], Tensor],
    conditions: Iterable[Condition],
    device: torch.device,
    size: int,
    processes: Processes = ONE,
) -> Iterator[tuple[Condition, Tensor]]:
    """Every condition with the log-probabilities [N,C] of its images, `size` of them at a time in each process."""
    parts: list[Tensor] = []
    for condition, batch, start, levels in prefetched(_chunks(conditions, device, size, processes)):
        images = standardize(levels.permute(0, 3, 1, 2))
        seen = predict(condition.change(images, start) if condition.change else images)
        parts.append(processes.gathered(seen, len(batch)))
        if batch[-1] + 1 == len(condition.labels):
            yield condition, torch.cat(parts)
            parts = []


def _chunks(
    conditions: Iterable[Condition], device: torch.device, size: int, processes: Processes
) -> Iterator[tuple[Condition, NDArray[np.int64], int, Tensor]]:
    """The images of all processes, the first of this one, and those of this one."""
    for condition in conditions:
        for batch, own in batches_of(len(condition.labels), size, processes):
            start = int(own[0])
            yield condition, batch, start, send(condition.read(slice(start, start + len(own))), device)
