"""The test images themselves, and conditions that are made of them on the way: occlusion and mollification."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from auglik.data import Arrays
from auglik.devices import send
from auglik.keys import host_generator, stream_key
from auglik.robustness.stream import Change, Condition, Read
from auglik.splitmix import normals, streams
from auglik.views.mollification import add_noise, blur

FILL = 0
"""The level of an occluding square: black."""


def clean_condition(test: Arrays) -> Condition:
    """The test images as they are."""
    return Condition("clean", "clean", "", 0.0, test.labels, _reader(test.images))


def occlusion_conditions(test: Arrays, shares: Sequence[float], seed: int) -> list[Condition]:
    """One black square in every image over each share of its area (Liu et al. 2023), where the seed puts it.

    The side is sqrt(share H W) in whole pixels, at most the shorter side of the image. An image's squares of all
    shares lie at the same relative place (u, v), uniform: the first row is floor(u (H - side + 1)).
    """
    place = host_generator(seed, "occluding squares").random((len(test.labels), 2))
    return [
        Condition("occlusion", "square", "", share, test.labels, _occluding_reader(test.images, share, place))
        for share in shares
    ]


def mollified_conditions(
    test: Arrays, places: NDArray[np.int64], temperatures: Sequence[float], seed: int
) -> list[Condition]:
    """The test images at each temperature, noised and blurred; one eps per image for all temperatures and runs.

    An image's eps is keyed by its place in the whole test set, one of `places` [N].
    """
    read = _reader(test.images)
    changes = {"noise": lambda t: _noise(t, noise_key(seed), places), "blur": _blur}
    return [
        Condition("mollified", role, "", t, test.labels, read, change(t))
        for role, change in changes.items()
        for t in temperatures
    ]


def square_side(share: float, height: int, width: int) -> int:
    """The side in pixels of a square over that share of the area."""
    return min(round(math.sqrt(share * height * width)), height, width)


def occluded(images: NDArray[np.uint8], share: float, place: NDArray[np.float64]) -> NDArray[np.uint8]:
    """A copy of images [n,H,W,c] with a square each at the relative places [n,2]."""
    _, H, W, _ = images.shape
    side = square_side(share, H, W)
    first = np.floor(place * (H - side + 1, W - side + 1)).astype(np.int64)
    row, column = (np.arange(length) - first[:, [axis]] for axis, length in enumerate((H, W)))
    in_row, in_column = ((offset >= 0) & (offset < side) for offset in (row, column))
    return np.where((in_row[:, :, None] & in_column[:, None, :])[..., None], np.uint8(FILL), images)


def _reader(images: NDArray[np.uint8]) -> Read:
    """Reads images [N,c,H,W], channels last."""
    return lambda where: np.ascontiguousarray(images[where].transpose(0, 2, 3, 1))


def _occluding_reader(images: NDArray[np.uint8], share: float, place: NDArray[np.float64]) -> Read:
    read = _reader(images)
    return lambda where: occluded(read(where), share, place[where])


def noise_key(seed: int) -> int:
    """Of the eps of noised test images."""
    return stream_key(seed, "mollified test set")


def _noise(t: float, key: int, places: NDArray[np.int64]) -> Change:
    def change(images: Tensor, start: int) -> Tensor:
        index = send(places[start : start + len(images)], images.device)
        eps = normals(streams(key, index), *images.shape[1:])
        return add_noise(images, images.new_full((len(images),), t), eps)

    return change


def _blur(t: float) -> Change:
    return lambda images, start: blur(images, images.new_full((len(images),), t))
