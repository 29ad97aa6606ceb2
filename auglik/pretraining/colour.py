"""Colour jitter and greyscale of images in [0,1], each with its own parameters; equal to torchvision's on floats."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from auglik.system.devices import send

LUMA = (0.2989, 0.587, 0.114)
UNTOUCHED = -1


class Jitter(NamedTuple):
    """Colour parameters of n images, on the host."""

    factors: NDArray[np.float32]
    """Brightness, contrast, saturation, and the shift of the hue in turns [n,4]."""
    order: NDArray[np.int8]
    """The operations in turn, 0 to 3 as in `factors` [n,4]; UNTOUCHED where the image is not jittered."""
    grey: NDArray[np.bool_]
    """[n]"""


def draw_jitter(
    generator: np.random.Generator, count: int, strength: float, hue: float, jitter: float, grey: float
) -> Jitter:
    """Factors U(1-strength, 1+strength) and hue U(-hue, hue) in random order with chance `jitter`; grey with `grey`."""
    scale = np.array([strength, strength, strength, hue])
    factors = np.array([1, 1, 1, 0]) + scale * generator.uniform(-1, 1, (count, 4))
    order = generator.permuted(np.tile(np.arange(4, dtype=np.int8), (count, 1)), axis=1)
    order[generator.random(count) >= jitter] = UNTOUCHED
    return Jitter(factors.clip(min=[0, 0, 0, -0.5]).astype(np.float32), order, generator.random(count) < grey)


def recolour(images: Tensor, jitter: Jitter) -> Tensor:
    """Images [B,3,H,W] in [0,1] jittered, then made grey where drawn, in place. The host knows who needs what."""
    device = images.device
    factors = send(jitter.factors, device)
    turns = [np.flatnonzero(jitter.order[:, turn] == number) for turn in range(4) for number in range(4)]
    groups = [*turns, np.flatnonzero(jitter.grey)]
    *chosen, grey = send(np.concatenate(groups), device).split([len(group) for group in groups])
    for place, index in enumerate(chosen):
        if len(index):
            operation = (brightness, contrast, saturation, hue)[place % 4]
            images[index] = operation(images[index], factors[index, place % 4])
    images[grey] = luma(images[grey]).expand(-1, 3, -1, -1)
    return images


def luma(images: Tensor) -> Tensor:
    """ITU-R 601 luma [B,1,H,W] of [B,3,H,W]."""
    red, green, blue = images.unbind(1)
    return (LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue)[:, None]


def blend(images: Tensor, others: Tensor, factor: Tensor) -> Tensor:
    """factor images + (1 - factor) others, kept in [0,1]."""
    factor = factor[:, None, None, None]
    return (factor * images + (1 - factor) * others).clamp_(0, 1)


def brightness(images: Tensor, factor: Tensor) -> Tensor:
    return blend(images, torch.zeros_like(images), factor)


def contrast(images: Tensor, factor: Tensor) -> Tensor:
    return blend(images, luma(images).mean((1, 2, 3), keepdim=True), factor)


def saturation(images: Tensor, factor: Tensor) -> Tensor:
    return blend(images, luma(images), factor)


def hue(images: Tensor, shift: Tensor) -> Tensor:
    """Hue turned by `shift` [B] turns, through HSV: value v and chroma c stay.

    Channel n of a colour of hue h is v - c clamp(min(k, 4-k), 0, 1), k = (n + 6h) mod 6, n = 5, 3, 1 for R, G, B.
    """
    red, green, blue = images.unbind(1)
    value, largest = images.max(1)
    chroma = value - images.amin(1)
    safe = torch.where(chroma > 0, chroma, 1)
    sectors = torch.stack(((green - blue) / safe, 2 + (blue - red) / safe, 4 + (red - green) / safe))
    sector = sectors.gather(0, largest[None])[0] + 6 * shift[:, None, None]
    n = torch.arange(5, 0, -2, dtype=images.dtype, device=images.device)[:, None, None]
    k = torch.remainder(n + sector[:, None], 6)
    return value[:, None] - chroma[:, None] * torch.minimum(k, 4 - k).clamp_(0, 1)
