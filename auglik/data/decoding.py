"""Image files as levels, decoded on all cores."""

import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from auglik.data.images import Rows
from auglik.data.pixel_modes import as_rgb
from auglik.data.source import one_line
from auglik.objectives.errors import InputError
from auglik.system.devices import available_cores
from auglik.system.notices import say_once

SUFFIXES = (".jpeg", ".jpg", ".png", ".bmp", ".webp", ".ppm", ".pgm", ".tif", ".tiff")
MOST_PIXELS = 178_956_970
"""Of a resized image: as many as Pillow reads of a file."""
Fit = Callable[[Image.Image], Image.Image]
"""An RGB image of any size -> the same in the size of the data set. Raises InputError if it cannot be."""


@cache
def decoders() -> ThreadPoolExecutor:
    """The threads that decode, one per core: Pillow releases the interpreter lock while it decodes and resizes."""
    return ThreadPoolExecutor(available_cores(), thread_name_prefix="decode")


@dataclass(frozen=True, eq=False)
class Decoder:
    """Reads files of a list: positions [n] -> images uint8 [n,3,H,W]. Raises InputError that names a damaged file."""

    root: Path
    files: Sequence[str]
    """Below the root."""
    fit: Fit

    def __call__(self, rows: Rows) -> NDArray[np.uint8]:
        return np.stack(list(decoders().map(self._decoded, rows.tolist())))

    def _decoded(self, row: int) -> NDArray[np.uint8]:
        return decode(self.root / self.files[row], self.fit)


def decode(path: Path, fit: Fit) -> NDArray[np.uint8]:
    """One file as levels [3,H,W], by the rules of `pixel_modes`; what Pillow warns of becomes a line with the file."""
    try:
        with WARNINGS.of(path), Image.open(path) as image:
            levels = np.asarray(fit(as_rgb(image)))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except Image.DecompressionBombError as error:
        raise InputError(
            f"{path}: expected an image within Pillow's limit, got a larger one ({one_line(error)}): resize it first"
        ) from None
    except Exception as error:  # Pillow fails in many ways on damaged bytes
        raise InputError(f"{path}: expected a whole image, got a damaged one ({one_line(error)})") from None
    return levels.transpose(2, 0, 1)


class PillowWarnings:
    """Logs the first of each kind of Pillow's warnings with the file that it is about, whatever the filters are.

    Python keeps its filters for all threads together: the first thread that decodes sets them and the last puts them
    back, and warnings of other threads pass through.
    """

    def __init__(self) -> None:
        self._lock, self._file = threading.Lock(), threading.local()
        self._threads, self._said = 0, set[tuple[str, int]]()
        self._catching = warnings.catch_warnings()
        self._show = warnings.showwarning

    @contextmanager
    def of(self, path: Path) -> Iterator[None]:
        """While `path` is decoded by this thread."""
        with self._lock:
            self._threads += 1
            if self._threads == 1:
                self._catching = warnings.catch_warnings()
                self._catching.__enter__()
                self._show = warnings.showwarning
                warnings.filterwarnings("always", module=r"PIL\.|auglik\.data\.pixel_modes")
                warnings.showwarning = self._hear
        self._file.path = path
        try:
            yield
        finally:
            self._file.path = None
            with self._lock:
                self._threads -= 1
                if not self._threads:
                    self._catching.__exit__(None, None, None)

    def _hear(
        self,
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        path = getattr(self._file, "path", None)
        if path is None:
            self._show(message, category, filename, lineno, file, line)
            return
        with self._lock:
            new = (filename, lineno) not in self._said
            self._said.add((filename, lineno))
        if new:
            text = " ".join(str(message).split())
            say_once(
                f"{path}: {text[:200]} (from Pillow; the image is used anyway, and similar warnings are not repeated)"
            )


WARNINGS = PillowWarnings()


def resize_and_crop(image: Image.Image, shorter: int, size: int) -> Image.Image:
    """The shorter side resized to `shorter` (bilinear, antialiased), then the central `size` x `size`.

    The pixels of torchvision's Resize and CenterCrop on a PIL image: both are Pillow's own, in whole numbers.
    Raises InputError for an image so narrow that it would not fit into memory.
    """
    width, height = image.size
    scaled = shorter, int(shorter * max(width, height) / min(width, height))
    if scaled[0] * scaled[1] > MOST_PIXELS:
        raise InputError(
            f"expected an image that can be resized to a shorter side of {shorter} pixels, got {width}x{height}, which"
            f" would be {scaled[0] * scaled[1]:,} pixels: crop it first"
        )
    if image.size != (scaled if width <= height else scaled[::-1]):
        image = image.resize(scaled if width <= height else scaled[::-1], Image.Resampling.BILINEAR)
    left, top = round((image.width - size) / 2), round((image.height - size) / 2)
    return image.crop((left, top, left + size, top + size))


def of_size(image: Image.Image, width: int, height: int) -> Image.Image:
    """The image as it is. Raises InputError unless it has this size."""
    if image.size != (width, height):
        raise InputError(f"expected {width}x{height} pixels, got {image.width}x{image.height}")
    return image
