"""Image files as levels, decoded on all cores."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from auglik.data.images import Rows
from auglik.data.source import one_line
from auglik.devices import available_cores
from objectives.errors import InputError

SUFFIXES = (".jpeg", ".jpg", ".png", ".bmp", ".webp", ".ppm", ".tif", ".tiff")
Fit = Callable[[Image.Image], Image.Image]
"""An RGB image of any size -> the same in the size of the data set. Raises InputError where it cannot be."""


@cache
def decoders() -> ThreadPoolExecutor:
    """The threads that decode, one a core: Pillow lets go of the interpreter while it decodes and resizes."""
    return ThreadPoolExecutor(available_cores(), thread_name_prefix="decode")


@dataclass(frozen=True, eq=False)
class Decoder:
    """Reads files of a list: places [n] -> images uint8 [n,3,H,W]. Raises InputError that names a damaged file."""

    root: Path
    files: Sequence[str]
    """Below the root."""
    fit: Fit

    def __call__(self, rows: Rows) -> NDArray[np.uint8]:
        return np.stack(list(decoders().map(self._decoded, rows.tolist())))

    def _decoded(self, row: int) -> NDArray[np.uint8]:
        return decode(self.root / self.files[row], self.fit)


def decode(path: Path, fit: Fit) -> NDArray[np.uint8]:
    """One file as levels [3,H,W]; grey, palette and CMYK images become RGB."""
    try:
        with Image.open(path) as image:
            levels = np.asarray(fit(image.convert("RGB")))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: expected a whole image, got a damaged one ({one_line(error)})") from None
    return levels.transpose(2, 0, 1)


def resize_and_crop(image: Image.Image, shorter: int, size: int) -> Image.Image:
    """The shorter side resized to `shorter` (bilinear, antialiased), then the central `size` x `size`.

    The pixels of torchvision's Resize and CenterCrop on a PIL image: both are Pillow's own, in whole numbers.
    """
    width, height = image.size
    scaled = shorter, int(shorter * max(width, height) / min(width, height))
    if image.size != (scaled if width <= height else scaled[::-1]):
        image = image.resize(scaled if width <= height else scaled[::-1], Image.Resampling.BILINEAR)
    left, top = round((image.width - size) / 2), round((image.height - size) / 2)
    return image.crop((left, top, left + size, top + size))


def of_size(image: Image.Image, size: int) -> Image.Image:
    """The image as it is. Raises InputError unless it is `size` x `size`."""
    if image.size != (size, size):
        raise InputError(f"expected {size}x{size} pixels, got {image.width}x{image.height}")
    return image
