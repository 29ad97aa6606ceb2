"""How many views each image is given, if they are shared out by how much its views disagree."""

import numpy as np
from numpy.typing import NDArray

from auglik.objectives import InputError
from auglik.system.array_types import Float64Array


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
