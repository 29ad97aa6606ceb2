"""What the pixels of an image file mean: every mode that Pillow opens becomes RGB by a rule, or is refused.

- 1, L and P: grey is repeated, palettes are looked up. 16-bit grey (I;16, or I from PNG and PGM): v/257, rounded;
  16-bit colour as Pillow reads it: the high byte, of PPM v/257, rounded.
- Transparent pixels (LA, PA, RGBA and their premultiplied forms, a palette's or a colour's transparency) lie on white:
  (a v + (255 - a) 255)/255, rounded.
- YCbCr by JPEG's formula, CMYK as Pillow does without a colour profile. Embedded profiles are not applied.
- The EXIF orientation is applied. Of a camera's MPO the first image is taken, the others being its previews.
- Refused: int32 and floating-point levels (no range is agreed on), 16-bit grey of another depth or with white at 0,
  16 bits with a transparent level or colour, LAB (Pillow's conversion is off by up to 22 levels), HSV (no file holds
  it), animations and files of several pages.
"""

import struct
import warnings

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngImageFile

from auglik.objectives.errors import InputError

DECODING_RULE = 3
"""Raised when a rule above changes: what was decoded by another one is decoded again, and is another data set."""
BACKGROUND = (255, 255, 255)
OPAQUE = ("1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr")
TRANSPARENT = ("LA", "La", "PA", "RGBA", "RGBa")
GREY_16 = ("I;16", "I;16B", "I;16L", "I;16N")
SIXTEEN_BITS_AS_I = ("PNG", "PPM")
"""Formats whose 16-bit grey some versions of Pillow open as I, in 0..65535."""
STEP: dict[object, int] = {"L;2": 85, "L;4": 17}
"""From level to level of grey of 2 and 4 bits, by Pillow's name; it leaves the transparent one of a PNG as it is."""
COLOUR_16 = "RGB;16B"
UPRIGHT: dict[object, Image.Transpose] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What undoes each orientation of the EXIF standard."""
TIFF_DEPTH, TIFF_PHOTOMETRIC, WHITE_IS_ZERO = 258, 262, 0


def as_rgb(image: Image.Image) -> Image.Image:
    """An opened file as RGB, upright. Raises InputError, which names the mode, for what no rule above converts."""
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":
        raise InputError(f"expected a single image, got {frames} in one {image.format} file (animated, or pages?)")
    _scale_transparency(image)
    image.load()
    levels, orientation = _converted(image), _orientation(image)
    return levels.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else levels


def _converted(image: Image.Image) -> Image.Image:
    mode = image.mode
    if mode in TRANSPARENT or (mode in OPAQUE and _is_partly_transparent(image)):
        return _on_background(image.convert("LA") if mode == "La" else image)
    if mode in OPAQUE:
        return image.convert("RGB")
    if mode in GREY_16 or (mode == "I" and image.format in SIXTEEN_BITS_AS_I):
        return _from_16_bits(image)
    cause = "no range of levels is agreed on: save it with 8 or 16 bits" if mode in "IF" else "save it as RGB"
    raise InputError(f"expected an image of 8 or 16 bits, grey or in colour, got mode {mode} ({cause})")


def _scale_transparency(image: Image.Image) -> None:
    """Of a PNG that is not loaded: its transparent level on the scale of the levels that Pillow gives."""
    if not isinstance(image, PngImageFile) or "transparency" not in image.info or not image.tile:
        return
    raw = image.tile[0][3]
    if raw in STEP:
        image.info["transparency"] *= STEP[raw]
    if raw == COLOUR_16:
        raise InputError("expected 16-bit colour without a transparent one, got a PNG that has one (save it as 8-bit)")


def _orientation(image: Image.Image) -> object:
    """Of the EXIF data, which are passed over where they are damaged; a TIFF is upright once it is loaded."""
    try:
        return image.getexif().get(ExifTags.Base.Orientation)
    except (SyntaxError, ValueError, LookupError, TypeError, OSError, struct.error) as error:
        warnings.warn(f"damaged EXIF data: {error}", UserWarning, stacklevel=1)
        return None


def _is_partly_transparent(image: Image.Image) -> bool:
    return "transparency" in image.info or (image.palette is not None and image.palette.mode.endswith("A"))


def _on_background(image: Image.Image) -> Image.Image:
    colours = image.convert("RGBA")
    background = Image.new("RGB", image.size, BACKGROUND)
    background.paste(colours, mask=colours.getchannel("A"))
    return background


def _from_16_bits(image: Image.Image) -> Image.Image:
    tags = getattr(image, "tag_v2", {})
    depth = tags.get(TIFF_DEPTH, (16,))
    if tuple(depth) != (16,) or tags.get(TIFF_PHOTOMETRIC) == WHITE_IS_ZERO or "transparency" in image.info:
        what = "white at 0" if tags.get(TIFF_PHOTOMETRIC) == WHITE_IS_ZERO else f"{depth[0]} bits"
        what = "a transparent level" if "transparency" in image.info else what
        raise InputError(
            f"expected 16-bit grey from black to white, got mode {image.mode} with {what} (save it as 8-bit)"
        )
    values: NDArray[np.int64] = np.asarray(image).astype(np.int64)
    levels = ((values + 128) // 257).astype(np.uint8)
    return Image.fromarray(np.repeat(levels[:, :, None], 3, axis=2))
