"""All images of a set on the device, laid out so that one gather fetches every channel of a pixel."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from auglik.devices import send
from auglik.views.augmentation import Shape


@dataclass(frozen=True)
class Gallery:
    """uint8 images [N,c,H,W] as `pixels` [N, H W]: uint8 for one channel, for three int32 holding the bytes R, G, B, 0.

    `scale` and `shift` [c] standardize: (v/255 - mean)/std = v scale + shift.
    """

    pixels: Tensor
    channels: int
    height: int
    width: int
    scale: Tensor
    shift: Tensor

    @staticmethod
    def pack(images: NDArray[np.uint8], mean: list[float], std: list[float], device: torch.device) -> "Gallery":
        """Images [N,c,H,W], c = 1 or 3, with the channel statistics of the training set in units of [0,1]."""
        mean_, std_ = (torch.tensor(values, dtype=torch.float64) for values in (mean, std))
        scale, shift = (values.float().to(device) for values in (1 / (255 * std_), -mean_ / std_))
        return replace(packed(send(images, device)), scale=scale, shift=shift)

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
        return levels.float().mul_(self.scale[:, None, None]).add_(self.shift[:, None, None])

    def __len__(self) -> int:
        return len(self.pixels)


def packed(levels: Tensor) -> Gallery:
    """Images uint8 [V,c,H,W] as a gallery that leaves levels as they are."""
    V, c, H, W = levels.shape
    planes = levels.flatten(2)
    if c == 1:
        pixels = planes[:, 0].contiguous()
    else:
        rgbx = torch.zeros(V, H * W, 4, dtype=torch.uint8, device=levels.device)
        rgbx[..., :3] = planes.transpose(1, 2)
        pixels = rgbx.view(torch.int32)[..., 0]
    return Gallery(pixels, c, H, W, torch.ones(c, device=levels.device), torch.zeros(c, device=levels.device))


def unpacked(values: Tensor, channels: int) -> Tensor:
    """Packed pixels [B,H,W] -> levels, uint8 [B,c,H,W]."""
    if channels == 1:
        return values[:, None]
    return torch.stack([((values >> bits) & 255).to(torch.uint8) for bits in (0, 8, 16)], 1)


def standardized(values: Tensor, channels: int, scale: Tensor, shift: Tensor) -> Tensor:
    """Packed pixels [B,H,W] -> standardized float32 images [B,c,H,W]."""
    planes = values[:, None] if channels == 1 else torch.stack([(values >> bits) & 255 for bits in (0, 8, 16)], 1)
    return planes.float().mul_(scale[:, None, None]).add_(shift[:, None, None])
