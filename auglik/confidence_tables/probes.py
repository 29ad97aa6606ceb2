"""Operations at chosen strengths, as they are applied to measure what they do to images."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from auglik.confidence.strength import WIDEST_ANGLE, WIDEST_FACTOR
from auglik.settings.names import look_up
from auglik.system.keys import device_generator, stream_key
from auglik.system.splitmix import normals, streams
from auglik.views.augmentation import OPERATIONS
from auglik.views.operations import BATCHED


class Sized(Protocol):
    """Images of one size."""

    @property
    def height(self) -> int: ...
    @property
    def width(self) -> int: ...


@dataclass(frozen=True)
class Probe:
    """One operation, to be applied at each of the strengths `at` [m], which rise."""

    axis: str
    """What `at` is: magnitude or visibility."""
    at: NDArray[np.float64]
    apply: Callable[[Tensor, float], Tensor]
    """images uint8 [N,c,H,W], all at one strength -> uint8 [N,c,H,W]."""


BATCH = 256
"""Images transformed at a time."""
NOISIEST = 0.2
"""The lowest visibility that noise is measured at: its deviation is then twice that of the images."""

GRIDS: Mapping[str, tuple[float, float]] = {
    "flip": (0, 1),
    "rotate": (-WIDEST_ANGLE, WIDEST_ANGLE),
    **dict.fromkeys(
        ("shear-x", "shear-y", "brightness", "color", "contrast", "sharpness"), (-WIDEST_FACTOR, WIDEST_FACTOR)
    ),
    "posterize": (2, 8),
    "solarize": (0, 1),
}
"""Magnitudes from and to, of operations that have any; translations go by a whole edge either way."""

PROBED = tuple(name for name in OPERATIONS if name in BATCHED or name in ("crop", "erase", "noise"))
IN_STEPS = ("flip", "posterize", "translate-x", "translate-y")
"""Operations whose magnitudes are whole numbers."""


def choose_probes(operations: str, shape: Sized, points: int, seed: int) -> dict[str, Probe]:
    """The probes of the operations in a comma-separated list, or of all; identity is always among them.

    `points` strengths each, fewer where its magnitudes are whole numbers; `seed` is that of squares and noise.
    Raises InputError for an operation that cannot be measured.
    """
    known = {name: name for name in PROBED}
    chosen = PROBED if operations == "all" else [look_up("operation", name, known) for name in operations.split(",")]
    return {name: _probe(name, shape, points, seed) for name in dict.fromkeys(("identity", *chosen))}


def _probe(name: str, shape: Sized, points: int, seed: int) -> Probe:
    if name in ("crop", "erase"):
        return _square(shape, points, seed)
    if name == "noise":
        return Probe("visibility", np.linspace(NOISIEST, 1, points), _noise(seed))
    return Probe("magnitude", _grid(name, shape, points), _batched(name))


def _grid(name: str, shape: Sized, points: int) -> NDArray[np.float64]:
    """Evenly spaced magnitudes, 0 among them where it is their middle."""
    edges = {"translate-x": shape.width, "translate-y": shape.height}
    if name not in edges and name not in GRIDS:
        return np.zeros(1)
    low, high = GRIDS[name] if name in GRIDS else (-edges[name], edges[name])
    even = low < 0 and points % 2 == 0
    grid = np.linspace(low, high, points + even)
    return np.unique(np.rint(grid)) if name in IN_STEPS else grid


def _batched(name: str) -> Callable[[Tensor, float], Tensor]:
    def apply(images: Tensor, magnitude: float) -> Tensor:
        parts = images.split(BATCH)
        return torch.cat([BATCHED[name].apply(part, torch.full((len(part),), magnitude)) for part in parts])

    return apply


def _square(shape: Sized, points: int, seed: int) -> Probe:
    """A black square (of the image's own proportions), whole pixels, anywhere in the image, over visibilities."""
    H, W = shape.height, shape.width
    sides = [(round(H * share), round(W * share)) for share in np.sqrt(np.linspace(1, 0, points)).tolist()]
    by_visibility = {1 - height * width / (H * W): (height, width) for height, width in sides}

    def apply(images: Tensor, visibility: float) -> Tensor:
        height, width = by_visibility[visibility]
        # The same at every strength, so that strengths are compared on the same draws; so is the noise below.
        return cover(images, height, width, device_generator(images.device, seed, "confidence probes"))

    return Probe("visibility", np.array(sorted(by_visibility)), apply)


def cover(images: Tensor, height: int, width: int, generator: torch.Generator) -> Tensor:
    """Images [N,c,H,W] with a black rectangle in each, its place uniform among those within the image."""
    N, _, H, W = images.shape
    place = torch.rand(2, N, 1, generator=generator)
    top, left = (place * torch.tensor([H - height + 1, W - width + 1])[:, None, None]).long()
    row, column = torch.arange(H), torch.arange(W)
    rows = (row >= top) & (row < top + height)
    columns = (column >= left) & (column < left + width)
    return images.masked_fill((rows[:, :, None] & columns[:, None, :])[:, None], 0)


def _noise(seed: int) -> Callable[[Tensor, float], Tensor]:
    """Gaussian noise that leaves the images a share v of the variance, clipped to levels."""

    def apply(images: Tensor, visibility: float) -> Tensor:
        values = images.float()
        deviation = values.std((0, 2, 3), keepdim=True) * (1 / visibility - 1) ** 0.5
        eps = normals(streams(stream_key(seed, "confidence probes"), torch.arange(len(images))), *images.shape[1:])
        return values.add_(eps.mul_(deviation)).round_().clamp_(0, 255).byte()

    return apply
