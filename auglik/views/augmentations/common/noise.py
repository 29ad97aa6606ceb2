"""Additive Gaussian noise: parameters `strength` [n], its standard deviation, 0 if there is none."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from auglik.system.devices import send
from auglik.views.augmentation import Applied, Drawn, Parameters, one_operation
from auglik.views.augmentations.common.background import pixel_noise


def draw_strength(generator: np.random.Generator, count: int, p: float, sigma: float) -> NDArray[np.float32]:
    """U(0, sigma) with chance p, else 0: [n]."""
    chosen = generator.random(count) < p
    return np.where(chosen, sigma * generator.random(count), 0).astype(np.float32)


def noised(parameters: Parameters, sigma: float, area: NDArray[np.float64]) -> list[Applied]:
    """Of operation noise on a share `area` [n] of the image; magnitude is the deviation in units of the largest, sigma.

    Visibility is the image's share in the variance, 1 - area s^2/(1 + s^2): on the noised part it is the 1 - gamma of
    mollification at the same ratio of signal to noise.
    """
    strength = parameters["strength"].astype(np.float64)
    variance = strength**2
    return one_operation("noise", strength > 0, strength / sigma, 1 - area * variance / (1 + variance))


def add_noise(images: Tensor, drawn: Drawn, where: Tensor | None) -> Tensor:
    """Images [V,c,H,W] with noise of their strengths where `where` [V,H,W], or everywhere."""
    which: NDArray[np.int64] = np.flatnonzero(drawn.host["strength"])
    if not len(which):
        return images
    index = send(which, images.device)
    scale = drawn.device["strength"][index, None, None, None]
    eps = pixel_noise(index, images, drawn).mul_(scale if where is None else scale * where[index, None])
    return images.index_add_(0, index, eps)
