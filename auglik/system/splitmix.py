"""SplitMix64 as a counter-based generator: every word depends on the key of its stream and its place there alone.

Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators". All of it is integer arithmetic that wraps
at 2^64, so that a draw is the same on every device, eager or compiled, in whatever batch it is made.
"""

import functools
import math

import numpy as np
import torch
from scipy.special import ndtri
from torch import Tensor

from auglik.system.devices import constant, send

GAMMA = torch.tensor(0x9E3779B97F4A7C15 - 2**64)
"""The step of the counter. A tensor, as compilers of C++ take the multiples of a constant never to overflow."""
ROUNDS = ((30, 0xBF58476D1CE4E5B9 - 2**64), (27, 0x94D049BB133111EB - 2**64))
"""As in the reference implementation, as int64."""

SLICES, POINTS = 2**16, 16
GRID = 2.0**20
CACHED = 2**16
"""Words that are drawn at a time on a CPU, as more leave its cache."""
AT_ONCE = 2**23
"""The same on another device, where memory is what bounds them."""


def mix(z: Tensor) -> Tensor:
    """The finalizer mix64, a bijection of int64; in place."""
    for shift, factor in ROUNDS:
        z ^= shifted(z, shift)
        z *= factor
    z ^= shifted(z, 31)
    return z


def shifted(z: Tensor, bits: int) -> Tensor:
    """z >> bits of the 64 bits without a sign, which torch's shift would repeat."""
    return (z >> bits).bitwise_and_((1 << (64 - bits)) - 1)


def streams(key: Tensor | int, index: Tensor) -> Tensor:
    """Where the streams of `index` under `key` start, the words of the key's own stream: int64, broadcast."""
    return mix(key + (index + 1) * GAMMA)


def words(start: Tensor, count: int, first: int = 0) -> Tensor:
    """Words of streams from number `first` on: int64 [n] -> [n,count], uniform over all values of int64."""
    counter = torch.arange(first + 1, first + count + 1, device=start.device) * GAMMA
    return mix(start[:, None] + counter)


def sixteenths(words: Tensor) -> Tensor:
    """The four 16-bit parts of each word [n,m], as integers 0 to 65535: int32 [n,4m]."""
    return words.view(torch.int16).int().add_(SLICES // 2)


@functools.lru_cache(maxsize=8)
def normal_slices(device: torch.device) -> Tensor:
    """Means of the 65,536 slices of equal probability of N(0,1/2), float32, rescaled to that variance.

    They are multiples of 2^-20, so that a sum of two is exact; none lies so near a tie that another machine's logarithm
    could round it otherwise.
    """
    half = ndtri((np.arange(SLICES // 2 * POINTS) + 0.5) / (SLICES * POINTS)).reshape(-1, POINTS).mean(1)
    half /= np.sqrt(2 * np.mean(half**2))
    means = np.concatenate([half, -half[::-1]])
    return send((np.rint(means * GRID) / GRID).astype(np.float32), device)


@constant
def _slices(device: torch.device) -> Tensor:
    return normal_slices(device)


def normals(start: Tensor, *shape: int) -> Tensor:
    """Standard normals of streams, int64 [n] -> float32 [n,*shape]: each the sum of two draws of N(0,1/2).

    Sums of two slices take 2^32 equally likely pairs, up to +-6.2, with a kurtosis of 2.9999.
    """
    count = math.prod(shape)
    if torch.compiler.is_compiling():
        table, number = _slices(start.device), torch.arange(count, device=start.device)
        return (table[_sixteenth(start, number)] + table[_sixteenth(start, number + count)]).view(-1, *shape)
    table, drawn = normal_slices(start.device), start.new_empty((len(start), count), dtype=torch.float32)
    at_once = CACHED if start.device.type == "cpu" else AT_ONCE
    size = max(1, at_once // ((count + 1) // 2))
    for first in range(0, len(start), size):
        some = slice(first, first + size)
        places = sixteenths(words(start[some], (count + 1) // 2))
        terms = table.index_select(0, places.flatten()).view(places.shape)
        torch.add(terms[:, :count], terms[:, count : 2 * count], out=drawn[some])
    return drawn.view(-1, *shape)


def _sixteenth(start: Tensor, number: Tensor) -> Tensor:
    """Parts of the words of streams by their number among `sixteenths`: int64 [n], [m] -> [n,m].

    One pass over pixels, for compilers; a device gains from it, though every word is mixed anew for each of its parts.
    """
    word = mix(start[:, None] + (number // 4 + 1) * GAMMA)
    return ((word >> number % 4 * 16) & 0xFFFF) ^ (SLICES // 2)  # int16 counts from -2^15
