"""What is drawn for K views of N images, and the views of B of them."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from auglik.objectives import InputError
from auglik.objectives.checks import can_be_read, check_tensor
from auglik.system.devices import send
from auglik.system.splitmix import streams
from auglik.views.mixing.contract import soft_labels

LOG_IMPORTANCE = "log importance"
"""Its name among the parameters of a view; no augmentation has it."""


class Sent(NamedTuple):
    """What views of N images read on the device, in two tensors: a step fetches all of it in two launches."""

    numbers: Tensor
    """temperature, decay and, where there is one, weight: float32 [2 or 3,K,N]."""
    rows: Tensor
    """Every other parameter of a view, byte by byte: uint8 [K,N,R]."""
    layout: list[tuple[str, int, torch.dtype, tuple[int, ...]]]
    """Where in a row each begins, its dtype and its shape."""
    mixing: dict[str, Tensor]
    """Of every image [N,...]."""

    @staticmethod
    def of(
        numbers: Sequence[NDArray[np.float32]],
        parameters: Mapping[str, NDArray[np.generic]],
        mixing: Mapping[str, NDArray[np.generic]],
        device: torch.device,
    ) -> "Sent":
        """From arrays [K,N,...]; the widest kinds of number first, so that each lies where it can be read."""
        K, N = numbers[0].shape
        layout, parts, offset = [], [np.empty((K, N, 0), np.uint8)], 0
        for name in sorted(parameters, key=lambda name: -parameters[name].dtype.itemsize):
            values = np.ascontiguousarray(parameters[name])
            parts.append(values.reshape(K, N, -1).view(np.uint8))
            layout.append((name, offset, torch.from_numpy(np.empty(0, values.dtype)).dtype, values.shape[2:]))
            offset += parts[-1].shape[2]
        parts.append(np.zeros((K, N, -offset % 8), np.uint8))
        rows = np.concatenate(parts, 2)
        on_device = {name: send(values, device) for name, values in mixing.items()}
        return Sent(send(np.stack(numbers), device), send(rows, device), layout, on_device)

    def at(self, positions: Tensor) -> "Fetched":
        """Of the images at these positions [B]. Raises InputError where they are of another device."""
        if (device := positions.device.type) != self.numbers.device.type:
            raise InputError(
                f"expected draws on {device}, where the images are, got draws on {self.numbers.device.type}: draw them"
                f' with device=torch.device("{device}")'
            )
        temperature, decay, *weight = self.numbers.index_select(2, positions).unbind()
        rows = self.rows.index_select(1, positions).flatten(0, 1)
        kinds = {dtype: rows.view(dtype) for dtype in {dtype for _, _, dtype, _ in self.layout}}
        found: dict[str, Tensor] = {}
        for name, offset, dtype, shape in self.layout:
            values, start = kinds[dtype], offset // dtype.itemsize
            found[name] = values[:, start : start + math.prod(shape)].unflatten(1, shape) if shape else values[:, start]
        return Fetched(temperature, decay, weight[0] if weight else None, found)


class Fetched(NamedTuple):
    """What K views of B images read on the device: temperature, decay and weight [K,B], the rest [K B,...] by name."""

    temperature: Tensor
    decay: Tensor
    weight: Tensor | None
    parameters: dict[str, Tensor]


@dataclass(frozen=True, kw_only=True, slots=True)
class Draws:
    """What was drawn for K views of N images in one epoch: arrays on the host, and what is read on the device."""

    role: NDArray[np.uint8]
    """[K,N], as temperature, decay, weight and the first axes of parameters."""
    temperature: NDArray[np.float32]
    decay: NDArray[np.float32]
    weight: NDArray[np.float32] | None
    parameters: dict[str, NDArray[np.generic]]
    """Of the augmentations, each under `step name.parameter`."""
    mixing: dict[str, NDArray[np.generic]]
    """Of every image [N,...]: all views of an image show one mixture."""
    noise: dict[str, NDArray[np.int64]]
    """Of every stage that noises pixels, the key of each view's noise [K]; an image's is its position's stream."""
    device: Sent | None = None
    """What is read there, as `on` makes it."""
    cell: NDArray[np.uint8] | None = None
    """[K,N], and log_importance too, of views from a proposal: what it counts by, and their log-weights."""
    log_importance: NDArray[np.float32] | None = None
    positions: NDArray[np.int64] | None = None
    """The positions of the images [N] where they are some of more, as `of` chooses them; else 0..N-1."""

    def on(self, device: torch.device) -> "Draws":
        """The same with copies on the device of what is read there."""
        positions = torch.from_numpy(np.arange(self.role.shape[1]) if self.positions is None else self.positions)
        starts = {
            f"noise.{name}": streams(torch.from_numpy(keys)[:, None], positions).numpy()
            for name, keys in self.noise.items()
        }
        numbers = [self.temperature, self.decay, *([] if self.weight is None else [self.weight])]
        weights = {} if self.log_importance is None else {LOG_IMPORTANCE: self.log_importance}
        return replace(self, device=Sent.of(numbers, {**self.parameters, **starts, **weights}, self.mixing, device))

    def of(self, images: NDArray[np.int64]) -> "Draws":
        """What was drawn for the images `images` [B], on the host; their partners in mixing are B..2B-1 of it."""
        mixing = {name: values[images] for name, values in self.mixing.items()}
        if mixing:
            mixing["partner"] = np.arange(len(images), 2 * len(images))
        return Draws(
            role=self.role[:, images],
            temperature=self.temperature[:, images],
            decay=self.decay[:, images],
            weight=None if self.weight is None else self.weight[:, images],
            parameters={name: values[:, images] for name, values in self.parameters.items()},
            mixing=mixing,
            noise=self.noise,
            cell=None if self.cell is None else self.cell[:, images],
            log_importance=None if self.log_importance is None else self.log_importance[:, images],
            positions=images,
        )

    def first(self, views: int) -> "Draws":
        """What was drawn for the first K = `views` views of every image."""
        sent = self.device
        return replace(
            self,
            role=self.role[:views],
            temperature=self.temperature[:views],
            decay=self.decay[:views],
            weight=None if self.weight is None else self.weight[:views],
            parameters={name: values[:views] for name, values in self.parameters.items()},
            noise={name: keys[:views] for name, keys in self.noise.items()},
            cell=None if self.cell is None else self.cell[:views],
            log_importance=None if self.log_importance is None else self.log_importance[:views],
            device=None if sent is None else sent._replace(numbers=sent.numbers[:, :views], rows=sent.rows[:views]),
        )

    def view_digests(self) -> list[str]:
        """SHA-256 of each view's parameters and keys of noise, in hexadecimal: K = 2 has the first two of K = 4."""
        digests = [hashlib.sha256() for _ in self.role]
        parameters: dict[str, NDArray[np.generic]] = {
            "role": self.role,
            "temperature": self.temperature,
            **self.parameters,
            **{f"{name} by splitmix64": keys for name, keys in self.noise.items()},
        }
        for digest in digests:
            for name, values in self.mixing.items():
                digest.update(name.encode() + np.ascontiguousarray(values).tobytes())
        for name, values in parameters.items():
            for digest, row in zip(digests, values, strict=True):
                digest.update(name.encode() + np.ascontiguousarray(row).tobytes())
        return [digest.hexdigest() for digest in digests]

    def whole_labels(self, labels: Tensor, classes: int) -> NDArray[np.float32]:
        """The labels of images [N], before any is lost, as distributions [N,C]: one-hot but where images were mixed."""
        own, eye = labels.cpu().numpy(), np.eye(classes, dtype=np.float32)
        if not self.mixing:
            return eye[own]
        share = self.own_share(labels)[:, None]
        return share * eye[own] + (1 - share) * eye[own[self.mixing["partner"]]]

    def own_share(self, labels: Tensor) -> NDArray[np.float32]:
        """The share of its own class in the label of every image [N] of labels [N]: 1 but where images were mixed."""
        if not self.mixing:
            return np.ones(len(labels), np.float32)
        own = labels.cpu().numpy()
        return np.where(own == own[self.mixing["partner"]], 1, self.mixing["share"]).astype(np.float32)


class Mixed(NamedTuple):
    """Which image each of B images was mixed with, as positions in the gallery [B], and its own share [B]."""

    partners: Tensor
    share: Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class Views:
    """K views of B images: standardized [K,B,c,H,W], decay and weight [K,B], positions in the gallery [B]."""

    images: Tensor
    decay: Tensor
    weight: Tensor | None
    log_importance: Tensor | None
    positions: Tensor
    mixed: Mixed | None
    gallery: int
    """N, the number of images of the gallery."""

    def labels(self, labels: Tensor, classes: int) -> Tensor:
        """Of the images, from those of the gallery [N]: [B], or [B,C] where images were mixed.

        The gallery of a `ViewTransform` is its batch. Raises InputError for labels of another number of images, and
        for those to be mixed that are no integers or, on a CPU, no classes.
        """
        N = self.gallery
        check_tensor(labels, f"labels [N] = {[N]}")
        if labels.shape != (N,):
            raise InputError(
                f"expected the labels of the {N} images that the views were made of (in a loop of your own: of this"
                f" batch, [B], or [2B] if it came with its mixing partners), got {list(labels.shape)}"
            )
        own = labels[self.positions]
        if self.mixed is None:
            return own
        if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
            raise InputError(f"expected integer labels, whose images are mixed, got {labels.dtype}")
        partners = labels[self.mixed.partners]
        for some in (own, partners):  # not all labels, which may be a million
            if can_be_read(some) and not bool(((some >= 0) & (some < classes)).all()):
                low, high = int(some.min()), int(some.max())
                raise InputError(f"expected labels in 0..{classes - 1} for {classes} classes, got {low} to {high}")
        return soft_labels(own.long(), partners.long(), self.mixed.share, classes)
