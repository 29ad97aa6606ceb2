"""Pixels as users store them, and the levels 0..255 that they mean; what could be read in two ways is refused."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from auglik.data.images import parts
from auglik.objectives.errors import InputError
from auglik.system.notices import say_once

WHITE = 255
BRIGHT = 64
"""What integer images reach somewhere if their white is 255: digits of 0..16 are not nearly black."""


def levels_of(images: NDArray[np.generic], where: str, white: float | None = None) -> NDArray[np.uint8]:
    """round(255 x / white) of images of any shape; white is 255 of integers and 1 of floats where it is not given.

    Raises InputError for pixels outside 0..white, and where that white is in doubt: integers of which none is
    above a quarter of 255, floats of which all are black or next to it.
    """
    floating = np.issubdtype(images.dtype, np.floating)
    if not floating and not np.issubdtype(images.dtype, np.integer):
        raise InputError(f"{where}: expected integer or floating-point pixels, got dtype {images.dtype}")
    lowest, highest = images.min(), images.max()  # NaN where any pixel is
    if not np.isfinite(lowest) or not np.isfinite(highest):
        got = "NaN" if np.isnan(lowest) else "infinite ones"
        raise InputError(f"{where}: expected pixels in [0,1], got {got} (a division by 0 in preprocessing?)")
    top = white or (1 if floating else WHITE)
    if lowest < 0 or highest > top:
        kind, of = ("floating-point", f"[0,{top:g}]") if floating else ("integer", f"0..{top:g}")
        raise InputError(f"{where}: expected {kind} pixels in {of}, got {lowest:g}..{highest:g}"
                         f" {_cause(float(lowest), float(highest), white, floating)}")  # fmt: skip
    if white is None and no_white(images):
        got, cause = ("0 and 1", "black and white?") if highest == 1 else (f"0..{highest}", "levels of fewer bits?")
        expected = f"integer pixels in 0..255, some of them above {BRIGHT - 1}"
        cure = f"{_say_white(float(highest))} (white=255 if they are dark)"
        raise InputError(f"{where}: expected {expected}, got {got} ({cause}); {cure}")
    if floating and 0 < highest <= top / WHITE:
        cause = "divided by 255 twice?" if white is None else f"divided by {white:g} already?"
        raise InputError(f"{where}: expected floating-point pixels in [0,{top:g}], got 0..{highest:g} ({cause})")
    if not floating and top == WHITE:
        return images.astype(np.uint8, copy=False)
    return np.concatenate(
        [np.rint(images[part].astype(np.float64) * WHITE / top).astype(np.uint8) for part in parts(images.shape)]
    )


def no_white(images: NDArray[np.generic]) -> bool:
    """Whether integer images do not show that their white is 255: some pixel is not black, and none is bright."""
    return bool(np.issubdtype(images.dtype, np.integer) and 0 < images.max() < BRIGHT)


def white_beside(images: NDArray[np.generic], others: Callable[[], NDArray[np.generic]], where: str) -> float | None:
    """255 for dark integer images beside others, of the same data set, that show it; None where they say themselves.

    A line says so: levels of 0 and 1 beside others of 0 to 255 may be a mistake.
    """
    if not no_white(images):
        return None
    shown = others()
    if not np.issubdtype(shown.dtype, np.integer) or no_white(shown):
        return None
    say_once(
        f"{where}: no pixel is above {images.max()}, but training images reach {shown.max()}: read as dark images, not"
        " as levels of fewer bits"
    )
    return WHITE


def _cause(lowest: float, highest: float, white: float | None, floating: bool) -> str:
    if lowest < 0:
        return "(standardized images? give the raw ones)" if floating else "(signed images? give levels without a sign)"
    if white is not None:
        return "(another level is white?)"
    if floating and BRIGHT <= highest <= WHITE:
        return "(0..255 stored as floats? cast to uint8)"
    likely = highest if highest <= WHITE else 2 ** int(highest).bit_length() - 1
    return f"({'levels stored as floats?' if floating else '12- or 16-bit images?'}); {_say_white(likely)}"


def _say_white(level: float) -> str:
    return f"divide them by the level of white, which gives floats in [0,1], or name it: FILE:white={level:g}"
