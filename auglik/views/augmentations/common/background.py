"""What fills areas outside or hidden from the image, on standardized images.

`constant`: one colour per view, N(0,1) per channel (the published code of Soft Augmentation); `pixel`: N(0,1) per pixel
and channel; `zero`: the mean of the training images.
"""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from auglik.settings.fields import expect
from auglik.system.devices import send
from auglik.system.splitmix import normals
from auglik.views.augmentation import Drawn, Parameters

BACKGROUNDS = ("constant", "pixel", "zero")


def check_background(setting: str, background: str) -> None:
    """Raises InputError unless it is one of BACKGROUNDS."""
    expect(background in BACKGROUNDS, setting, f"one of {', '.join(BACKGROUNDS)}", repr(background))


def draw_background(background: str, generator: np.random.Generator, count: int, channels: int) -> Parameters:
    """The colours [n,c] of a constant background; nothing for the others."""
    if background != "constant":
        return {}
    return {"colour": generator.standard_normal((count, channels), np.float32)}


def fill(images: Tensor, hidden: Tensor, which: NDArray[np.int64], background: str, drawn: Drawn) -> Tensor:
    """Images [V,c,H,W] with the background where `hidden` [V,H,W], which is false but for the views `which` [n]."""
    if not len(which):
        return images
    covered = hidden[:, None]
    images = images.masked_fill_(covered, 0)
    # Adding to zeros is several times as fast on a CPU as torch.where, and as exact.
    if background == "constant":
        return images.addcmul_(drawn.device["colour"][:, :, None, None], covered.to(images.dtype))
    if background == "pixel":
        index = send(which, images.device)
        eps = pixel_noise(index, images, drawn)
        return images.index_add_(0, index, eps.mul_(covered[index]))
    return images


def pixel_noise(index: Tensor, images: Tensor, drawn: Drawn) -> Tensor:
    """N(0,1) for every pixel of the views `index` [n] of images [V,c,H,W]: [n,c,H,W]."""
    assert drawn.noise is not None
    return normals(drawn.noise[index], *images.shape[1:])
