"""PNG bytes of blurred images, and the exponent k of decay = t^k that fits them."""

import io
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.fft import dctn, idctn
from scipy.optimize import least_squares, minimize_scalar
from scipy.stats import linregress
from sklearn.datasets import load_sample_images

from auglik.data import first, open_dataset
from auglik.system.array_types import Float64Array
from auglik.system.keys import host_generator
from auglik.views import mollification

PATCH = 32
PIXELS = 2**21
"""The most pixels of a set that are measured: about 2000 images of 32x32, 40 of 224x224."""
POWERS = (0.02, 20.0)
CONTAINER = 57
"""Bytes of a PNG around its compressed pixels: the signature (8), IHDR (25), the frame of IDAT (12) and IEND (12)."""

Bytes = NDArray[np.uint8]


class Measured(NamedTuple):
    """PNG bytes of images at temperatures t [T]."""

    t: Float64Array
    bytes: NDArray[np.int64]
    """[image,T]"""
    unblurred: NDArray[np.int64]
    """[image]: the image itself, which even t = 0 blurs (sigma = 0.3 pixels)."""
    one_colour: int
    """A PNG of this size of one colour: what no blur can save."""
    lost: int
    """Pixels that differ after decoding; 0, as PNG loses nothing."""

    def decay(self, net: bool = False, counts: NDArray[np.int64] | None = None) -> Float64Array:
        """1 - bytes_t / bytes_0 of the mean image [T], net of the one-colour bytes; `counts` [image] resamples."""
        mean = np.average(self.bytes, axis=0, weights=counts) - (self.one_colour if net else 0)
        return 1 - mean / mean[0]


def photographs() -> Bytes:
    """32x32 patches of scikit-learn's two photographs at half their size: [120,3,32,32]."""
    patches = []
    for photograph in load_sample_images().images:
        height, width = photograph.shape[0] // 2, photograph.shape[1] // 2
        small = np.asarray(Image.fromarray(photograph).resize((width, height), Image.Resampling.BOX))
        rows, columns = height // PATCH, width // PATCH
        tiles = small[: rows * PATCH, : columns * PATCH].reshape(rows, PATCH, columns, PATCH, 3)
        patches.append(tiles.transpose(0, 2, 4, 1, 3).reshape(-1, 3, PATCH, PATCH))
    return np.concatenate(patches)


def data_set(name: str, count: int, seed: int) -> Bytes:
    """A stratified sample of training images [n,c,H,W], n at most `count` and such that they have PIXELS pixels."""
    arrays = open_dataset(name).train()
    size = arrays.images[0, 0].size
    return first(arrays, max(1, min(count, len(arrays.images), PIXELS // size)), seed).images


def blurred(images: Bytes, t: float) -> Bytes:
    """The images [n,c,H,W] as training blurs them at temperature t, rounded to bytes."""
    views = mollification.blur(torch.from_numpy(images).float(), torch.full((len(images),), t))
    return views.round().clamp(0, 255).byte().numpy()


def reference_blur(images: Bytes, t: float) -> Float64Array:
    """The heat equation on scipy's orthonormal DCT-II: [n,c,H,W], in pixel values."""
    height, width = images.shape[2:]
    sigma = 0.3 ** (1 - t) * max(height, width) ** t
    squared = (np.arange(height) / height)[:, None] ** 2 + (np.arange(width) / width) ** 2
    spectrum = dctn(images.astype(float), axes=(2, 3), norm="ortho")
    return idctn(np.exp(-((np.pi * sigma) ** 2) / 2 * squared) * spectrum, axes=(2, 3), norm="ortho")


def blur_error(images: Bytes, t: Float64Array) -> float:
    """The largest difference between training's blur and the reference, in pixel values."""
    errors = []
    for temperature in t:
        views = mollification.blur(torch.from_numpy(images).float(), torch.full((len(images),), float(temperature)))
        errors.append(np.abs(views.numpy() - reference_blur(images, float(temperature))).max())
    return float(np.max(errors))


def as_pixels(image: Bytes) -> Bytes:
    """[c,H,W] -> [H,W] or [H,W,3]."""
    return image[0] if len(image) == 1 else np.ascontiguousarray(image.transpose(1, 2, 0))


def png(image: Bytes) -> bytes:
    """The optimized PNG of an image [c,H,W]."""
    file = io.BytesIO()
    Image.fromarray(as_pixels(image)).save(file, "PNG", optimize=True)
    return file.getvalue()


def decoded_differs(encoded: bytes, image: Bytes) -> int:
    """The number of values in which the decoded PNG differs from the image."""
    return int((np.asarray(Image.open(io.BytesIO(encoded))) != as_pixels(image)).sum())


def deflated(image: Bytes) -> int:
    """The size of a PNG with unfiltered rows, from zlib alone."""
    rows = as_pixels(image).reshape(image.shape[1], -1)
    return CONTAINER + len(zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows), 9))


def one_colour(images: Bytes) -> Bytes:
    """A grey image of the size of these: [c,H,W]."""
    return np.full(images.shape[1:], 128, np.uint8)


def measure(images: Bytes, t: Float64Array) -> Iterator[Measured | float]:
    """The share that is done, temperature by temperature, and at last what was measured."""
    sizes, lost = np.empty((len(images), len(t)), np.int64), 0
    for column, temperature in enumerate(t):
        for row, view in enumerate(blurred(images, float(temperature))):
            encoded = png(view)
            sizes[row, column] = len(encoded)
            if row % 16 == 0:
                lost += decoded_differs(encoded, view)
        yield (column + 1) / len(t)
    unblurred = np.array([len(png(image)) for image in images])
    yield Measured(t=t, bytes=sizes, unblurred=unblurred, one_colour=len(png(one_colour(images))), lost=lost)


def best_power(t: Float64Array, decay: Float64Array) -> float:
    """The k with the least sum of (decay - t^k)^2, by Brent's method in log k."""
    low, high = np.log(POWERS)
    fit = minimize_scalar(lambda u: np.square(decay - t ** np.exp(u)).sum(), bounds=(low, high), method="bounded")
    return float(np.exp(fit.x))


def best_power_by_gradient(t: Float64Array, decay: Float64Array) -> float:
    """The same k by Levenberg and Marquardt's method, from k = 1."""
    fit = least_squares(  # type: ignore[operator] # mypy takes it for the module of the same name
        lambda u: t ** np.exp(u[0]) - decay, [0.0], method="lm", ftol=1e-12, xtol=1e-12
    )
    return float(np.exp(fit.x[0]))


def power_interval(found: Measured, net: bool, seed: int, resamples: int) -> Float64Array:
    """The 2.5 % and 97.5 % points of k over resampled images: [2]."""
    generator = host_generator(seed, "information", "bootstrap")
    count = len(found.bytes)
    draws = generator.multinomial(count, np.full(count, 1 / count), size=resamples)
    return np.quantile([best_power(found.t, found.decay(net, counts)) for counts in draws], [0.025, 0.975])


def line(t: Float64Array, decay: Float64Array) -> tuple[float, float, float]:
    """Slope, intercept and R^2 of the least-squares line."""
    fit = linregress(t, decay)
    return float(fit.slope), float(fit.intercept), float(fit.rvalue**2)
