"""Views as a network saw them: images and what was made of each, with what was done to it."""

import base64
import io
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from auglik.report.figures.frame import WIDTH
from auglik.report.figures.svg import Drawing, image, text

TILE, GAP, LINE, TOP = 64.0, 10.0, 11.0, 26.0
SHARP = 32
"""Images up to this side are kept pixel by pixel, larger ones are made `TILE` pixels and compressed with loss."""


class Shot(NamedTuple):
    """One picture uint8 [H,W,c], c = 1 or 3, the lines below it, and more about it under the pointer."""

    pixels: NDArray[np.uint8]
    lines: Sequence[str]


def contact(title: str, rows: Sequence[Sequence[Shot]], label: str) -> Drawing:
    """A row an image: as it is, then its views."""
    parts, y = [text(0, 13, title, "title")], TOP
    columns = max(len(row) for row in rows)
    step = min(TILE + GAP, (WIDTH - TILE) / max(1, columns - 1))
    for row in rows:
        for place, shot in enumerate(row):
            parts.append(
                image(step * place, y, TILE, TILE, data_uri(shot.pixels), "pixels" if len(shot.pixels) <= SHARP else "")
            )
            parts += [
                text(step * place, y + TILE + LINE * (1 + at), words, "caption") for at, words in enumerate(shot.lines)
            ]
        y += TILE + LINE * max(len(shot.lines) for shot in row) + GAP
    return Drawing(label, WIDTH, y - GAP + 4, "".join(parts))


def data_uri(pixels: NDArray[np.uint8]) -> str:
    """A picture uint8 [H,W,c] as PNG, or as JPEG where it is larger than its place."""
    picture, file = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels), io.BytesIO()
    if max(picture.size) > SHARP:
        picture.thumbnail((int(2 * TILE), int(2 * TILE)))
        picture.save(file, "JPEG", quality=80, optimize=True)
        return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
    picture.save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
