"""How the views of an image depend on each other: uniform numbers for their roles, temperatures and parameters.

Each view keeps its own distribution, whatever the coupling, and K = 2 has the first two views of K = 4. Together the
views of an image cover that distribution more evenly than independent ones do.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from auglik.system.array_types import Float64Array
from auglik.system.keys import host_generator

INDEPENDENT = "independent"


class Coupling(Protocol):
    """Numbers for the views of N images, keyed by (seed, purpose, epoch): the first K do not depend on K."""

    @property
    def whole(self) -> bool:
        """Whether it is of the parameters of placed augmentations too, not of role and temperature alone."""
        ...

    def uniforms(self, seed: int, purpose: str, epoch: int, views: int, count: int, dimensions: int) -> Float64Array:
        """[K,N,D], each uniform on (0,1) and, within one view, independent of all others."""
        ...


@dataclass(frozen=True)
class Antithetic:
    """Views in pairs: the second has 1 - u where the first has u (Hammersley & Morton 1956)."""

    whole: bool = False

    def uniforms(self, seed: int, purpose: str, epoch: int, views: int, count: int, dimensions: int) -> Float64Array:
        pairs = []
        for pair in range((views + 1) // 2):
            generator = host_generator(seed, purpose, "antithetic", epoch, pair)
            words = generator.integers(0, 2**32, (count, dimensions), np.uint32)
            pairs += [words, ~words]
        return _inside(np.stack(pairs[:views]))


@dataclass(frozen=True)
class Stratified:
    """The first 2^m views have one number in each of 2^m equal strata, in each dimension, in orders of their own.

    Van der Corput's sequence under nested uniform scrambling (Owen 1995), by hash (Burley 2020), for each image.
    """

    whole: bool = False

    def uniforms(self, seed: int, purpose: str, epoch: int, views: int, count: int, dimensions: int) -> Float64Array:
        points = np.repeat(_reversed(np.arange(views, dtype=np.uint32))[:, None], dimensions, 1)
        return _scrambled(points, seed, purpose, "stratified", epoch, count)


@dataclass(frozen=True)
class Sobol:
    """Sobol's points in all dimensions at once, each image under a nested uniform scrambling of its own (Owen 1995)."""

    whole: bool = True

    def uniforms(self, seed: int, purpose: str, epoch: int, views: int, count: int, dimensions: int) -> Float64Array:
        from scipy.stats import qmc  # takes long to import

        points = qmc.Sobol(dimensions, scramble=False).random_base2((views - 1).bit_length())[:views]
        return _scrambled((points * 2.0**32).astype(np.uint32), seed, purpose, "sobol", epoch, count)


COUPLINGS: Mapping[str, Coupling] = {"stratified": Stratified(), "antithetic": Antithetic(), "sobol": Sobol()}


def _inside(words: NDArray[np.uint32]) -> Float64Array:
    return (words.astype(np.float64) + 0.5) * 2.0**-32


def _scrambled(points: NDArray[np.uint32], seed: int, purpose: str, name: str, epoch: int, count: int) -> Float64Array:
    """Points [K,D] for N images, each under a key of its own in each dimension: [K,N,D]."""
    keys = host_generator(seed, purpose, name, epoch).integers(0, 2**32, (2, count, points.shape[1]), np.uint32)
    words = np.repeat(_reversed(points)[:, None], count, 1)
    # A bit is flipped by those below it, which are those before it in the reversed word (Laine & Karras 2011), by the
    # hash of Vegdahl 2021, "Building a better LK hash": with shorter ones the bits of two views depend on each other.
    words ^= words * np.uint32(0x3D20ADEA)
    words = (words + keys[0]) * (keys[0] >> np.uint32(16) | np.uint32(1))
    words ^= words * np.uint32(0x05526C56)
    words ^= words * np.uint32(0x53A22864)
    return _inside(_reversed(words) ^ keys[1])


def _reversed(words: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """The 32 bits of each word in reverse order."""
    for shift, mask in ((1, 0x55555555), (2, 0x33333333), (4, 0x0F0F0F0F), (8, 0x00FF00FF), (16, 0x0000FFFF)):
        step, kept = np.uint32(shift), np.uint32(mask)
        words = ((words >> step) & kept) | ((words & kept) << step)
    return words
