"""What operations on levels may give, from their definitions in float64.

A level is cut or rounded from a real value, a pixel is the nearest to a position. What becomes of a value or position
at a tie is decided by the last bit of float32 arithmetic, which differs between processors and libraries: there both
outcomes are allowed, and nothing else anywhere.
"""

from collections.abc import Callable
from itertools import product

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

NEAR = 1e-4
"""Pixels: a position this near to a tie may fall on either side; those of frames of 64 are exact to 2e-5 in float32."""
ROUNDING = 2e-4
"""Levels: float32 errors of a blend of levels times factors of up to 3."""

Levels = NDArray[np.integer]
Values = NDArray[np.float64]
Positions = tuple[Values, Values]
"""Column and row in pixels, [H,W] each."""


def placed(name: str, magnitude: float, height: int, width: int) -> Positions:
    """Sources of the pixels of a geometric operation."""
    row, column = np.mgrid[:height, :width].astype(float)
    if name == "rotate":  # counter-clockwise, about the center
        x, y = column - (width - 1) / 2, row - (height - 1) / 2
        sin, cos = np.sin(np.deg2rad(magnitude)), np.cos(np.deg2rad(magnitude))
        return cos * x - sin * y + (width - 1) / 2, sin * x + cos * y + (height - 1) / 2
    if name == "shear-x":  # about the upper left corner of the upper left pixel
        return column + magnitude * (row + 0.5), row
    if name == "shear-y":
        return column, row + magnitude * (column + 0.5)
    shift = np.trunc(magnitude)
    return (column - shift, row) if name == "translate-x" else (column, row - shift)


def at(image: Levels, column: NDArray[np.int64], row: NDArray[np.int64]) -> Levels:
    """Pixels of an image [c,H,W], black outside of it."""
    H, W = image.shape[1:]
    inside = (column >= 0) & (column < W) & (row >= 0) & (row < H)
    return np.where(inside, image[:, row.clip(0, H - 1), column.clip(0, W - 1)], 0)


def nearest(image: Levels, positions: Positions) -> list[Levels]:
    """The image [c,H,W] with each pixel from the nearest to its source: every outcome of the ties."""
    either = [[np.floor(of + 0.5 + side).astype(np.int64) for side in (-NEAR, NEAR)] for of in positions]
    return [at(image, column, row) for column, row in product(*either)]


def bilinear(image: Levels, positions: Positions) -> list[Levels]:
    """The image interpolated at the sources and rounded: both outcomes of the ties."""
    column, row = (np.floor(of).astype(np.int64) for of in positions)
    right, below = positions[0] - column, positions[1] - row
    upper, lower = ((1 - right) * at(image, column, y) + right * at(image, column + 1, y) for y in (row, row + 1))
    value = (1 - below) * upper + below * lower
    # A position is off by up to NEAR in two directions, in which neighbors differ by up to 255 levels.
    return [np.floor(value + 0.5 + side).astype(np.int64) for side in (-2 * 255 * NEAR, 2 * 255 * NEAR)]


def rotated(image: Levels, degrees: float) -> list[Levels]:
    """The image [c,H,W] turned counter-clockwise about its center, each pixel the nearest."""
    return nearest(image, placed("rotate", degrees, *image.shape[1:]))


def cut(low: Values, high: Values, rounding: ArrayLike = ROUNDING) -> list[Levels]:
    """Values between `low` and `high`, clamped to [0,255] and cut to a level: the ends of what they may become."""
    return [
        np.floor(np.clip(of, 0, 255)).astype(np.int64)
        for of in (low - np.asarray(rounding), high + np.asarray(rounding))
    ]


def gray(image: Levels) -> list[Values]:
    """ITU-R 601-2 to four digits, cut to a whole level: [c,H,W] -> twice [1,H,W]."""
    if len(image) == 1:
        return [image.astype(float)] * 2
    luma = np.tensordot([0.2989, 0.587, 0.114], image.astype(float), 1)[None]
    return [level.astype(float) for level in cut(luma, luma)]


def blended(image: Levels, others: list[Values], magnitude: float, exact: ArrayLike) -> list[Levels]:
    """(1 + m) v - m y for y between two bounds; `exact`: where float32 arithmetic rounds nothing."""
    values = [(1 + magnitude) * image - magnitude * other for other in others]
    return cut(np.minimum(*values), np.maximum(*values), np.where(exact, 0, ROUNDING))


def smooth(image: Levels) -> Values:
    """The mean of nine pixels, the middle one counted five times, rounded; the outermost pixels as they are."""
    inner, total = image[:, 1:-1, 1:-1].astype(float), np.zeros(())
    H, W = image.shape[1:]
    for i, j in product(range(3), range(3)):
        total = total + image[:, i : H - 2 + i, j : W - 2 + j]
    found = image.astype(float)
    found[:, 1:-1, 1:-1] = np.rint((total + 4 * inner) / 13)  # 13 times it is a whole number: never at a tie
    return found


def blend(name: str, image: Levels, magnitude: float) -> list[Levels]:
    """Brightness, color, contrast and sharpness."""
    eighths = (8 * magnitude).is_integer()
    if name == "brightness":
        return blended(image, [np.zeros(())] * 2, magnitude, eighths)
    if name == "sharpness":
        smoothed = smooth(image)  # v - m (s - v): exact too where s = v
        return blended(image, [smoothed] * 2, magnitude, eighths | (smoothed == image))
    if name == "color":
        return [image] if len(image) == 1 else blended(image, gray(image), magnitude, eighths)
    exact = magnitude == 0 or (eighths and image[0].size.bit_count() == 1)
    return blended(image, [level.mean(keepdims=True) for level in gray(image)], magnitude, exact)


def autocontrast(image: Levels) -> list[Levels]:
    """The levels of each channel stretched over [0,255]; channels of one level stay."""
    low, high = image.min((1, 2), keepdims=True).astype(float), image.max((1, 2), keepdims=True).astype(float)
    flat = low == high
    value = np.where(flat, image, (image - low) * 255 / np.where(flat, 1, high - low))
    return cut(value, value, np.where(flat | (high - low == 255), 0, ROUNDING))


def equalize(image: Levels) -> Levels:
    """Pillow's: (step // 2 + pixels below v) // step, 255 step <= pixels that are not of the highest level."""
    found = image.copy()
    for channel, new in zip(image, found, strict=True):
        counts = np.bincount(channel.ravel(), minlength=256)
        step = (channel.size - counts[channel.max()]) // 255
        if step:
            table = (np.concatenate([[0], counts.cumsum()[:-1]]) + step // 2) // step
            new[:] = table.clip(max=255)[channel]
    return found


EXACT: dict[str, Callable[[Levels, float], Levels]] = {
    "identity": lambda image, m: image,
    "flip": lambda image, m: image[:, :, ::-1] if m else image,
    "posterize": lambda image, m: image & (256 - 2 ** (8 - int(m))),
    "invert": lambda image, m: 255 - image,
    "equalize": lambda image, m: equalize(image),
}


def outcomes(name: str, image: Tensor, magnitude: float, mode: str = "nearest") -> list[Levels]:
    """What an operation may make of an image uint8 [c,H,W]: arrays [c,H,W], one of which each pixel is from."""
    levels = image.numpy().astype(np.int64)
    if name in EXACT:
        return [EXACT[name](levels, magnitude)]
    if name == "solarize":
        near = 0 if (8 * magnitude).is_integer() else ROUNDING
        return [np.where(levels >= 255 * magnitude + side, 255 - levels, levels) for side in (-near, near)]
    if name == "autocontrast":
        return autocontrast(levels)
    if name in ("brightness", "color", "contrast", "sharpness"):
        return blend(name, levels, magnitude)
    positions = placed(name, magnitude, *levels.shape[1:])
    return nearest(levels, positions) if mode == "nearest" else bilinear(levels, positions)


def at_ties(allowed: list[Levels]) -> float:
    """The share of pixels that may be more than one level."""
    return float(np.mean(np.any([one != allowed[0] for one in allowed], 0)))


def among(found: Tensor, allowed: list[Levels]) -> bool:
    """Whether every pixel [c,H,W] is one of those allowed."""
    return bool(np.any([found.numpy() == one for one in allowed], 0).all())
