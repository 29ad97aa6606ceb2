"""Cells by endpoints: which way each differs from its reference, by how much, and whether that is known."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from auglik.report.figures.frame import WIDTH
from auglik.report.figures.outcome import CONCLUDED, DECIDED, OUTCOMES, hatching
from auglik.report.figures.svg import LETTER, Drawing, fitted, mark, rect, text

NAMES, ROW = 112.0, 30.0
SHADES = 6
"""As many depths of colour as there are classes."""


class Tile(NamedTuple):
    """One difference: its text, its outcome, and its size from 0 to 1 relative to the endpoint's greatest."""

    shown: str
    outcome: str
    size: float
    title: str


class HeatMap(NamedTuple):
    """A panel: endpoints with their units, and the tiles of every cell."""

    title: str
    endpoints: Sequence[tuple[str, str]]
    tiles: Mapping[str, Sequence[Tile]]


def heat_map(panel: HeatMap, label: str) -> Drawing:
    """Tiles of what is concluded are filled and bear its mark, deeper for greater differences; others are hatched."""
    width = (WIDTH - NAMES) / len(panel.endpoints)
    parts = [text(0, 13, panel.title, "title")]
    for column, (name, unit) in enumerate(panel.endpoints):
        x = NAMES + width * (column + 0.5)
        parts += [text(x, 32, name, "name", "middle"), text(x, 45, unit, "tick", "middle")]
    for row, (cell, tiles) in enumerate(panel.tiles.items()):
        y = 52 + ROW * row
        parts.append(text(NAMES - 6, y + 19, fitted(cell, int((NAMES - 8) / LETTER)), "name", "end"))
        for column, tile in enumerate(tiles):
            parts.append(_tile(tile, NAMES + width * column, y, width))
    return Drawing(label, WIDTH, 54 + ROW * len(panel.tiles), "".join(parts))


def _tile(tile: Tile, x: float, y: float, width: float) -> str:
    look = OUTCOMES[tile.outcome]
    decided = tile.outcome in DECIDED
    shade = f"tile shade{1 + min(SHADES - 1, int(SHADES * tile.size)) if decided else 1}"
    if tile.outcome in CONCLUDED:
        drawn = [rect(x + 1, y + 1, width - 2, ROW - 2, shade, tile.title), mark(look.marker, x + 7, y + 7, 3, look.of)]
    else:
        drawn = [rect(x + 1, y + 1, width - 2, ROW - 2, "tile hatched", tile.title), hatching(x, y, width, ROW)]
    drawn.append(text(x + width / 2, y + 19, tile.shown, "value tiled decided" if decided else "value tiled", "middle"))
    return f'<g class="{look.colour}">{"".join(drawn)}</g>'
