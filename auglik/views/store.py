"""All images of a set, on the device or brought there batch by batch, for making views."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from auglik.data.images import Images, parts
from auglik.system.devices import send
from auglik.views.augmentation import Shape
from auglik.views.memory import fits
from auglik.views.packing import pack
from auglik.views.streaming import StreamedPixels


@dataclass(frozen=True)
class Gallery:
    """uint8 images [N,c,H,W] as `pixels` [N, H W]: uint8 for one channel, for three int32 holding the bytes R, G, B, 0.

    `scale` and `shift` [c] standardize: (v/255 - mean)/std = v scale + shift. Pixels are streamed where they do not fit
    the device; views are the same, bit for bit.
    """

    pixels: Tensor | StreamedPixels
    channels: int
    height: int
    width: int
    scale: Tensor
    shift: Tensor

    @staticmethod
    def pack(images: Images, mean: list[float], std: list[float], device: torch.device) -> "Gallery":
        """Images [N,c,H,W], c = 1 or 3, with the channel statistics of the training set in units of [0,1]."""
        _, c, H, W = images.shape
        scale, shift = standardization(mean, std, device)
        return Gallery(pixels=_placed(images, device), channels=c, height=H, width=W, scale=scale, shift=shift)

    def announce(self, batches: Iterable[NDArray[np.int64]]) -> None:
        """Announces the batches that will be requested next: a streamed gallery reads them ahead."""
        if isinstance(self.pixels, StreamedPixels):
            self.pixels.announce(batches)

    def subset(self, positions: NDArray[np.int64], index: Tensor) -> "tuple[Gallery, Tensor]":
        """A gallery on the device with the images `positions` [B], at `index` [B] there, and their positions in it."""
        if isinstance(self.pixels, StreamedPixels):
            pixels = self.pixels.bring(positions)
        elif self.pixels.device.type == "cpu":  # whole images are copied faster than their pixels are looked up
            pixels = self.pixels.index_select(0, index)
        else:
            return self, index
        return replace(self, pixels=pixels), torch.arange(len(positions), device=index.device)

    @property
    def shape(self) -> Shape:
        """Of one image."""
        return Shape(self.channels, self.height, self.width)

    def clean(self, which: slice | Tensor) -> Tensor:
        """Images as they are, standardized: [B,c,H,W]."""
        values = self.pixels[which].unflatten(1, (self.height, self.width))
        return standardized(values, self.channels, self.scale, self.shift)

    def levels(self, which: Tensor) -> Tensor:
        """Images as they are: uint8 [B,c,H,W]."""
        return unpacked(self.pixels[which].unflatten(1, (self.height, self.width)), self.channels)

    def standardize(self, levels: Tensor) -> Tensor:
        """Levels [B,c,H,W] -> standardized float32 images."""
        return spread(levels, self.scale, self.shift)

    def __len__(self) -> int:
        return len(self.pixels)


def standardization(mean: Sequence[float], std: Sequence[float], device: torch.device) -> tuple[Tensor, Tensor]:
    """`scale` and `shift` [c] of a gallery, from statistics of the channels in units of [0,1]."""
    mean_, std_ = (torch.tensor(values, dtype=torch.float64) for values in (mean, std))
    scale, shift = (values.float().to(device) for values in (1 / (255 * std_), -mean_ / std_))
    return scale, shift


def packed(levels: Tensor) -> Gallery:
    """Images uint8 [V,c,H,W] as a gallery that leaves levels as they are."""
    _, c, H, W = levels.shape
    ones, zeros = torch.ones(c, device=levels.device), torch.zeros(c, device=levels.device)
    return Gallery(pixels=pack(levels), channels=c, height=H, width=W, scale=ones, shift=zeros)


def _placed(images: Images, device: torch.device) -> Tensor | StreamedPixels:
    """All pixels on the device if they fit, a few images at a time: neither copies nor pinned memory of all at once."""
    if not fits(images, device):
        return StreamedPixels(images, device)
    if isinstance(images, np.ndarray) and device.type == "cpu":
        return pack(send(images, device))
    none = pack(torch.empty(0, *images.shape[1:], dtype=torch.uint8, device=device))
    pixels = none.new_empty(len(images), none.shape[1])
    for part in parts(images.shape):
        pixels[part] = pack(send(images[part], device))
    return pixels


def unpacked(values: Tensor, channels: int) -> Tensor:
    """Packed pixels [B,H,W] -> levels, uint8 [B,c,H,W]."""
    if channels == 1:
        return values[:, None]
    if values.device.type != "cpu" and not torch.compiler.is_compiling():  # one launch for ten; slower on a CPU
        return values[..., None].view(torch.uint8)[..., :channels].permute(0, 3, 1, 2).contiguous()
    return torch.stack([(values >> bits).to(torch.uint8) for bits in (0, 8, 16)], 1)


def standardized(values: Tensor, channels: int, scale: Tensor, shift: Tensor) -> Tensor:
    """Packed pixels [B,H,W] -> standardized float32 images [B,c,H,W]."""
    if channels == 1 or (values.device.type != "cpu" and not torch.compiler.is_compiling()):
        return spread(unpacked(values, channels), scale, shift)
    planes = torch.empty(len(values), channels, *values.shape[1:], device=values.device)
    for channel, bits in enumerate((0, 8, 16)):
        planes[:, channel] = (values >> bits) & 255
    return spread(planes, scale, shift)


def spread(levels: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Levels [B,c,H,W] -> standardized float32 images."""
    return levels.float().mul_(scale[:, None, None]).add_(shift[:, None, None])
