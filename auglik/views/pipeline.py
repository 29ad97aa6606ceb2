"""K views of every image of a batch: drawn on the host for a whole epoch, rendered on the device step by step."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from auglik.devices import send
from auglik.keys import host_generator
from auglik.views.fcr import FlipCropRotate, fetch
from auglik.views.gallery import Gallery
from auglik.views.mollification import Mollification, mollify, noise_generator

CHUNK = 256
"""Views gathered at a time on a CPU: the index maps of more leave its cache."""

Fetch = Callable[[Gallery, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]


class Draws(NamedTuple):
    """What was drawn for K views of N images in one epoch: arrays [K,N] on the host, copies of some on the device."""

    seed: int
    epoch: int
    purpose: str
    role: NDArray[np.uint8]
    temperature: NDArray[np.float32]
    decay: NDArray[np.float32]
    augmentation: dict[str, NDArray[np.generic]]
    device: dict[str, Tensor]

    def view_digests(self) -> list[str]:
        """SHA-256 of the parameters of each view, in hexadecimal: K = 2 has the first two of K = 4."""
        digests = [hashlib.sha256() for _ in self.role]
        parameters: dict[str, NDArray[np.generic]] = {
            "role": self.role,
            "temperature": self.temperature,
            **self.augmentation,
        }
        for name, values in parameters.items():
            for digest, row in zip(digests, values, strict=True):
                digest.update(name.encode() + np.ascontiguousarray(row).tobytes())
        return [digest.hexdigest() for digest in digests]


class Views(NamedTuple):
    """K views of B images: standardized images [K,B,c,H,W], decay [K,B], the images' places in the gallery [B]."""

    images: Tensor
    decay: Tensor
    positions: Tensor


@dataclass(frozen=True)
class Pipeline:
    """The distribution of a view: an augmentation of the pixels (or none), then mollification."""

    augmentation: FlipCropRotate | None
    mollification: Mollification
    fetch: Fetch = fetch
    """How views are gathered; compiled runs give `torch.compile(fetch)`."""

    def draw(
        self, seed: int, epoch: int, views: int, count: int, device: torch.device, purpose: str = "training"
    ) -> Draws:
        """The parameters of K views of all N = `count` images, each keyed by (seed, purpose, stage, epoch, view)."""
        mollified = [
            self.mollification.draw(host_generator(seed, purpose, "mollification", epoch, view), count)
            for view in range(views)
        ]
        role, temperature = (np.stack(values) for values in zip(*mollified, strict=True))
        decay = self.mollification.decay(role, temperature)
        augmentation: dict[str, NDArray[np.generic]] = {}
        if self.augmentation is not None:
            drawn = [
                self.augmentation.draw(host_generator(seed, purpose, "augmentation", epoch, view), count)
                for view in range(views)
            ]
            augmentation = {name: np.stack([values[name] for values in drawn]) for name in drawn[0]}
        read = {"temperature": temperature, "decay": decay, **augmentation}
        sent = {name: send(values, device) for name, values in read.items()}
        return Draws(seed, epoch, purpose, role, temperature, decay, augmentation, sent)

    def render(self, gallery: Gallery, draws: Draws, batch: NDArray[np.int64], step: int) -> Views:
        """K views of the images `batch` [B] (positions in the gallery); `step` keys their pixel noise."""
        device = gallery.pixels.device
        index = send(batch, device)
        drawn = {name: values[:, index] for name, values in draws.device.items()}
        role = draws.role[:, batch]
        K, B = role.shape
        images = self._gather(gallery, index.repeat(K), drawn)
        noise = [noise_generator(device, draws.seed, draws.purpose, draws.epoch, view, step) for view in range(K)]
        mollify(images, role, drawn["temperature"], noise)
        return Views(images.unflatten(0, (K, B)), drawn["decay"], index)

    def _gather(self, gallery: Gallery, index: Tensor, drawn: dict[str, Tensor]) -> Tensor:
        """Augmented, standardized images [V,c,H,W] of the images `index` [V]."""
        if self.augmentation is None:
            return gallery.clean(index)
        arguments = (index, *(drawn[name].flatten() for name in ("flip", "top", "left", "cos", "sin")))
        if index.device.type != "cpu" or self.fetch is not fetch or len(index) <= CHUNK:
            return self.fetch(gallery, *arguments)
        return torch.cat(
            [self.fetch(gallery, *chunk) for chunk in zip(*(a.split(CHUNK) for a in arguments), strict=True)]
        )
