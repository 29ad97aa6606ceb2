"""How much a pair of crops counts, by the overlap of their boxes (Liu et al. 2023, soft augmentation of SimSiam)."""

import math
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from auglik.objectives import InputError
from auglik.system.array_types import Float64Array
from auglik.views.augmentations.common.boxes import Boxes


class PairWeight(Protocol):
    """A frozen dataclass; learning_rate is the highest rate that its paper trains with at 512 images a step."""

    learning_rate: ClassVar[float]

    def weights(self, iou: Float64Array) -> Float64Array:
        """IoU [N] -> weights in [0,1], [N]."""
        ...


def _check(name: str, k: float, p_min: float) -> None:
    if not (math.isfinite(k) and k > 0):
        raise InputError(f"{name}: expected k > 0, got {k}")
    if not 0 <= p_min <= 1:
        raise InputError(f"{name}: expected p_min in [0,1], got {p_min}")


@dataclass(frozen=True)
class Unsoftened:
    """`none`: every pair counts 1, as in SimSiam."""

    learning_rate: ClassVar[float] = 0.2

    def weights(self, iou: Float64Array) -> Float64Array:
        return np.ones_like(iou)


@dataclass(frozen=True)
class OverlapTrusted:
    """`sa1`: p = 1 - (1-p_min)(1-IoU)^k, so that crops which share little of the image count little.

    p_min is the weight of the least trusted pair. Of C classes the paper takes 1/C, the chance level; here every
    image is a class of its own, chance is 1/N, and the default is its limit 0. Raises InputError for parameters out
    of range.
    """

    k: float = 4.0
    p_min: float = 0.0
    learning_rate: ClassVar[float] = 0.2

    def __post_init__(self) -> None:
        _check("sa1", self.k, self.p_min)

    def weights(self, iou: Float64Array) -> Float64Array:
        return 1 - (1 - self.p_min) * (1 - iou) ** self.k


@dataclass(frozen=True)
class OverlapDistrusted:
    """`sa2`: p = 1 - (1-p_min) IoU^k, so that crops which are nearly the same count little. As `sa1` otherwise."""

    k: float = 4.0
    p_min: float = 0.0
    learning_rate: ClassVar[float] = 0.1

    def __post_init__(self) -> None:
        _check("sa2", self.k, self.p_min)

    def weights(self, iou: Float64Array) -> Float64Array:
        return 1 - (1 - self.p_min) * iou**self.k


PAIR_WEIGHTS: dict[str, PairWeight] = {"none": Unsoftened(), "sa1": OverlapTrusted(), "sa2": OverlapDistrusted()}


def overlap(first: Boxes, second: Boxes) -> Float64Array:
    """Intersection over union of two boxes [N,4] of each image, exact: [N]."""
    a, b = first.astype(np.int64), second.astype(np.int64)
    begin = np.maximum(a[:, :2], b[:, :2])
    end = np.minimum(a[:, :2] + a[:, 2:], b[:, :2] + b[:, 2:])
    shared = np.maximum(end - begin, 0).prod(1)
    return shared / (a[:, 2:].prod(1) + b[:, 2:].prod(1) - shared)
