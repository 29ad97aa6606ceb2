"""The two views of SimSiam, drawn on the host for all images of an epoch and rendered on the device step by step."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from auglik.pretraining.colour import Jitter, draw_jitter, recolour
from auglik.system.devices import send
from auglik.system.keys import host_generator
from auglik.views import Gallery, Shape
from auglik.views.augmentations.common.boxes import Boxes
from auglik.views.augmentations.resized_crop import draw_boxes, resample, say_central

RATIO = (3 / 4, 4 / 3)
"""Width/height of crops, log-uniform."""


class Drawn(NamedTuple):
    """One view of each of N images, on the host."""

    box: Boxes
    """int32 [N,4]"""
    flip: NDArray[np.bool_]
    jitter: Jitter

    def digest(self) -> str:
        """SHA-256 of all parameters."""
        arrays = (self.box, self.flip, *self.jitter)
        return hashlib.sha256(b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)).hexdigest()


@dataclass(frozen=True)
class PairViews:
    """Random resized crop, flip, colour jitter, greyscale: SimSiam's views of small images, without blur.

    Images of one channel have no colour to change. Crops are as ResizedCrop's: of oblong images many may be the same.
    """

    smallest_crop: float
    flip: float
    jitter: float
    jitter_strength: float
    jitter_hue: float
    grey: float

    def check(self, shape: Shape) -> None:
        """Every image can be cropped."""
        say_central(shape.height, shape.width, (self.smallest_crop, 1), RATIO)

    def draw(self, seed: int, epoch: int, count: int, shape: Shape) -> tuple[Drawn, Drawn]:
        """Two views of all N = `count` images, each keyed by (seed, epoch, view)."""
        first, second = (self._draw(seed, epoch, view, count, shape) for view in range(2))
        return first, second

    def _draw(self, seed: int, epoch: int, view: int, count: int, shape: Shape) -> Drawn:
        def generator(what: str) -> np.random.Generator:
            return host_generator(seed, "pretraining", what, epoch, view)

        return Drawn(
            draw_boxes(generator("crop"), count, shape.height, shape.width, (self.smallest_crop, 1), RATIO),
            generator("flip").random(count) < self.flip,
            draw_jitter(generator("colour"), count, self.jitter_strength, self.jitter_hue, self.jitter, self.grey),
        )

    def render(self, gallery: Gallery, pair: Sequence[Drawn], batch: NDArray[np.int64]) -> list[Tensor]:
        """The views of the images `batch` [B] (places in the gallery), standardized [B,c,H,W] each."""
        near, places = gallery.subset(batch, send(batch, gallery.pixels.device))
        levels = near.levels(places)
        return [self._render(gallery, levels.float().div_(255), drawn, batch) for drawn in pair]

    def _render(self, gallery: Gallery, images: Tensor, drawn: Drawn, batch: NDArray[np.int64]) -> Tensor:
        device = images.device
        images, _ = resample(images, send(drawn.box[batch], device))
        flip = send(drawn.flip[batch], device)[:, None, None, None]
        images = torch.where(flip, images.flip(3), images)
        if gallery.channels == 3:
            factors, order, grey = drawn.jitter
            images = recolour(images, Jitter(factors[batch], order[batch], grey[batch]))
        return gallery.standardize(images.mul_(255))
