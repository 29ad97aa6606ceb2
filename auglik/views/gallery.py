"""All images of a set on the device, laid out so that one gather fetches every channel of a pixel."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from auglik.devices import send


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
        N, c, H, W = images.shape
        planes = send(images, device).flatten(2)
        if c == 1:
            pixels = planes[:, 0].contiguous()
        else:
            rgbx = torch.zeros(N, H * W, 4, dtype=torch.uint8, device=device)
            rgbx[..., :3] = planes.transpose(1, 2)
            pixels = rgbx.view(torch.int32)[..., 0]
        mean_, std_ = (torch.tensor(values, dtype=torch.float64) for values in (mean, std))
        return Gallery(pixels, c, H, W, (1 / (255 * std_)).float().to(device), (-mean_ / std_).float().to(device))

    def clean(self, which: slice | Tensor) -> Tensor:
        """Images as they are, standardized: [B,c,H,W]."""
        values = self.pixels[which].unflatten(1, (self.height, self.width))
        return standardized(values, self.channels, self.scale, self.shift)

    def __len__(self) -> int:
        return len(self.pixels)


def standardized(values: Tensor, channels: int, scale: Tensor, shift: Tensor) -> Tensor:
    """Packed pixels [B,H,W] -> standardized float32 images [B,c,H,W]."""
    planes = values[:, None] if channels == 1 else torch.stack([(values >> bits) & 255 for bits in (0, 8, 16)], 1)
    return planes.float().mul_(scale[:, None, None]).add_(shift[:, None, None])
