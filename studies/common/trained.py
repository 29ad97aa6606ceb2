"""A small network trained on real images, and the orbit of its test images: a finite set of views, all of them seen.

The orbit is every shift up to 2 pixels, with its mirror image where a flip keeps the class (not for digits). With a
finite set of equally likely views the integral log I is a mean that can be computed exactly.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from auglik.data import open_dataset
from auglik.data.source import Source
from auglik.runs.resolve import load_training, read_facts, resolve
from auglik.runs.resolved import settings_hash
from auglik.runs.settings import RunConfig, change
from auglik.runs.training import train
from auglik.views.augmentations.fcr import fetch
from auglik.views.store import Gallery

LARGEST_SHIFT = 2


class Offset(NamedTuple):
    """One transformation: where in the image the view's first pixel comes from, and whether it is mirrored."""

    top: int
    left: int
    flip: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """A trained network in float64, batch norms at their running statistics, and the orbit of its test images."""

    dataset: str
    network: nn.Module
    pixels: np.ndarray
    """The test images as stored, uint8 [N,c,H,W]."""
    labels: Tensor
    """[N]."""
    mean: list[float]
    std: list[float]
    """Of the training images' channels: what standardizes."""
    offsets: list[Offset]
    views: Tensor
    """Every view of the orbit, standardized float64 [m,N,c,H,W]."""

    def logits(self, views: Tensor) -> Tensor:
        """[K,N,c,H,W] -> [K,N,C], a view of all images at a time: all at once take too much memory."""
        return torch.stack([self.network(images) for images in views])


def offsets_of(flips: bool) -> list[Offset]:
    """Every shift up to LARGEST_SHIFT pixels, as they are and then, with `flips`, mirrored."""
    shifts = range(-LARGEST_SHIFT, LARGEST_SHIFT + 1)
    mirrored = (False, True) if flips else (False,)
    return [Offset(top, left, flip) for flip in mirrored for top in shifts for left in shifts]


def orbit_views(gallery: Gallery, offsets: list[Offset]) -> Tensor:
    """All views of all images of a gallery, by the code that training views come from: float64 [m,N,c,H,W]."""
    every = torch.arange(len(gallery))
    one, zero = torch.ones(len(gallery)), torch.zeros(len(gallery))

    def view(offset: Offset) -> Tensor:
        top, left = (torch.full_like(every, pixels) for pixels in (offset.top, offset.left))
        return fetch(gallery, every, torch.full_like(every, offset.flip, dtype=torch.bool), top, left, one, zero)

    return torch.stack([view(offset) for offset in offsets]).double()


def small_settings(source: Source, images: int, quick: bool, seed: int) -> dict[str, object]:
    """Settings by flat name: cross-entropy on flipped, cropped and rotated images; small networks, few epochs."""
    common: dict[str, object] = {
        "dataset": source.name, "likelihood": "categorical", "aggregator": "jensen", "views": 1, "mollify": "none",
        "seed": seed, "device": "cpu",
    }  # fmt: skip
    if source.traits.network == "small-cnn":
        return {**common, "network": "small-cnn:width=8", "epochs": 12 if quick else 20}
    return {**common, "network": "fast-resnet", "train_images": min(images, 5000), "epochs": 4}


def trained(dataset: str, images: int, quick: bool, seed: int) -> Trained:
    """Trains with auglik's own trainer, and renders the orbit of the first `images` test images."""
    source = open_dataset(dataset, Path("data"))
    facts = read_facts(source)
    run = resolve(change(RunConfig(), small_settings(source, facts.images, quick, seed)), source, facts)
    data = load_training(run, source)
    with tempfile.TemporaryDirectory() as folder:
        network = train(run, data, settings_hash(run, facts.digest), Path(folder)).network
    network = network.double().eval().to(memory_format=torch.contiguous_format)
    test = source.test()
    pixels, labels = test.images[:images], torch.from_numpy(test.labels[:images].copy())
    offsets = offsets_of(source.traits.flip)
    views = orbit_views(Gallery.pack(pixels, data.mean, data.std, torch.device("cpu")), offsets)
    return Trained(
        dataset=source.name, network=network, pixels=pixels, labels=labels, mean=data.mean, std=data.std,
        offsets=offsets, views=views,
    )  # fmt: skip
