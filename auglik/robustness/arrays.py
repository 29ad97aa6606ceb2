"""The test images themselves, and conditions made from them on the fly: occlusion and mollification."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from auglik.data import Arrays
from auglik.robustness.protocol import OCCLUDER
from auglik.robustness.stream import Change, Condition, ReadImages
from auglik.system.devices import send
from auglik.system.keys import host_generator, stream_key
from auglik.system.splitmix import normals, streams
from auglik.views.mollification import add_noise, blur

FILL = 0
"""The level of an occluding rectangle: black."""
TOLERANCE = 0.025
"""How far the share that a square covers may be from the nominal one: CIFAR's are off by at most 0.021."""


def clean_condition(test: Arrays) -> Condition:
    """The test images as they are."""
    return Condition(
        kind="clean", name="clean", category="", severity=0.0, labels=test.labels, read=_reader(test.images)
    )


def occlusion_conditions(
    test: Arrays, positions: NDArray[np.int64], shares: Sequence[float], seed: int
) -> list[Condition]:
    """One black rectangle in every image over each share of its area (Liu et al. 2023), placed by the seed.

    It has the sides of `occluding_sides`. An image's rectangles of all shares lie at the same relative position (u, v),
    uniform: the first row is floor(u (H - height + 1)). They are the image's own, one of `positions` [N] in the test
    set, whichever others are scored with it.
    """
    relative = host_generator(seed, "occluding squares").random((int(positions.max()) + 1, 2))[positions]
    H, W = test.images.shape[2:]
    found = []
    for share in shares:
        height, width = occluding_sides(share, H, W)
        read, covered = _occluding_reader(test.images, (height, width), relative), height * width / (H * W)
        found.append(
            Condition(
                kind="occlusion",
                name=OCCLUDER,
                category="",
                severity=share,
                labels=test.labels,
                read=read,
                covered=covered,
            )
        )
    return found


def mollified_conditions(
    test: Arrays, positions: NDArray[np.int64], temperatures: Sequence[float], seed: int
) -> list[Condition]:
    """The test images at each temperature, noised and blurred; one eps per image for all temperatures and runs.

    An image's eps is keyed by its position in the whole test set, one of `positions` [N].
    """
    read = _reader(test.images)
    changes = {"noise": lambda t: _noise(t, noise_key(seed), positions), "blur": _blur}
    return [
        Condition(kind="mollified", name=role, category="", severity=t, labels=test.labels, read=read, change=change(t))
        for role, change in changes.items()
        for t in temperatures
    ]


def occluding_sides(share: float, height: int, width: int) -> tuple[int, int]:
    """Height and width in pixels of the rectangle that covers that share of the area.

    The square of side round(sqrt(share H W)) where its share is within TOLERANCE of the named one; else, of all
    rectangles, one whose area is nearest to share H W, and of these the one nearest to a square.
    """
    area = share * height * width
    side = round(math.sqrt(area))
    if side <= min(height, width) and abs(side**2 - area) <= TOLERANCE * height * width:
        return side, side
    rectangles = [(0, 0), *((h, min(int(area / h) + more, width)) for h in range(1, height + 1) for more in (0, 1))]
    return min(rectangles, key=lambda sides: (abs(sides[0] * sides[1] - area), abs(sides[0] - sides[1]), sides))


def occluded(images: NDArray[np.uint8], sides: tuple[int, int], position: NDArray[np.float64]) -> NDArray[np.uint8]:
    """A copy of images [n,H,W,c] with a rectangle each, of `sides` (height, width), at the relative positions [n,2]."""
    lengths = images.shape[1:3]
    first = np.floor(position * (np.subtract(lengths, sides) + 1)).astype(np.int64)
    row, column = (np.arange(length) - first[:, [axis]] for axis, length in enumerate(lengths))
    in_row, in_column = ((offset >= 0) & (offset < side) for offset, side in zip((row, column), sides, strict=True))
    return np.where((in_row[:, :, None] & in_column[:, None, :])[..., None], np.uint8(FILL), images)


def _reader(images: NDArray[np.uint8]) -> ReadImages:
    """Reads images [N,c,H,W], channels last."""
    return lambda where: np.ascontiguousarray(images[where].transpose(0, 2, 3, 1))


def _occluding_reader(images: NDArray[np.uint8], sides: tuple[int, int], position: NDArray[np.float64]) -> ReadImages:
    read = _reader(images)
    return lambda where: occluded(read(where), sides, position[where])


def noise_key(seed: int) -> int:
    """Of the eps of noised test images."""
    return stream_key(seed, "mollified test set")


def _noise(t: float, key: int, positions: NDArray[np.int64]) -> Change:
    def change(images: Tensor, start: int) -> Tensor:
        index = send(positions[start : start + len(images)], images.device)
        eps = normals(streams(key, index), *images.shape[1:])
        return add_noise(images, images.new_full((len(images),), t), eps)

    return change


def _blur(t: float) -> Change:
    return lambda images, start: blur(images, images.new_full((len(images),), t))
