"""How many views each image is given, if they are shared out by how much its views disagree."""

import numpy as np
from numpy.typing import NDArray

from auglik.objectives import InputError
from auglik.system.array_types import Float64Array

MEMORY = 10
"""Passes over which the relative variance of an image is averaged, once there are as many."""
STEADYING = 4
"""Passes that each image is taken to have shown the mean of all: one pass of few views says little of an image."""


def steadied(spread: Float64Array, passes: Float64Array) -> Float64Array:
    """Relative variances of images [N], seen in some `passes` [N] each, drawn toward their mean; 1 if none was seen.

    Numbers of views that follow every accident are worse than equal ones (`auglik verify gradients`).
    """
    mean = np.average(spread, weights=passes) if passes.any() else 1.0
    return (STEADYING * mean + passes * spread) / (STEADYING + passes)


def stops(least: int, most: int) -> list[int]:
    """The numbers of views that an image may have: `least` times powers of two. Raises InputError if none is `most`."""
    found = [least * 2**n for n in range(max(1, (most // least).bit_length()))]
    if found[-1] != most:
        raise InputError(
            f"mean_views: expected {found[-1]} or {2 * found[-1]} as --views, {least} doubled some times, got {most}"
        )
    return found


def shared_out(spread: Float64Array, least: int, most: int, mean: float, ties: Float64Array) -> NDArray[np.int64]:
    """The numbers of views K of N images [N], each of `stops`, on average `mean` but for less than one doubling.

    Of all that cost as much they make sum_n V_n / K_n smallest, V the relative variances `spread` [N]: a log-mean has a
    bias of about V/2K and a variance of V/K. A doubling of K gains V/2K for K views, so images are doubled in the order
    of V/K^2, by `ties` [N] where those are equal.
    """
    steps = np.array(stops(least, most)[:-1], dtype=np.int64)
    images, level = np.tile(np.arange(len(spread)), len(steps)), np.repeat(np.arange(len(steps)), len(spread))
    order = np.lexsort((ties[images], level, -spread[images] / steps[level] ** 2.0))
    taken = order[np.cumsum(steps[level[order]]) <= round((mean - least) * len(spread))]
    return least * 2 ** np.bincount(images[taken], minlength=len(spread))
