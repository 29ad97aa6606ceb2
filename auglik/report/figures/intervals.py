"""Estimates of every cell with their intervals, one cell below the other."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from auglik.report.figures.frame import WIDTH
from auglik.report.figures.scale import covering, tick_texts
from auglik.report.figures.svg import LETTER, Drawing, fitted, group, line, mark, text, tick_text

LEFT, TOP, ROW = 124.0, 26.0, 24.0


class Estimate(NamedTuple):
    """A mark and an interval, NaN bounds if there is none."""

    mean: float
    lower: float = math.nan
    upper: float = math.nan


class Kind(NamedTuple):
    """A kind of estimate: how it is marked, and what it is."""

    title: str
    colour: str
    marker: str
    filled: bool = True


class Intervals(NamedTuple):
    """A panel: for every cell as many estimates as there are kinds."""

    title: str
    axis: str
    kinds: Sequence[Kind]
    cells: Mapping[str, Sequence[Estimate]]


def intervals(panel: Intervals, label: str) -> Drawing:
    """Kinds of one cell stand close to each other; 0 is drawn."""
    values = [value for of_cell in panel.cells.values() for one in of_cell for value in one]
    x = covering(values, LEFT, WIDTH - 10, around=(0.0,))
    bottom = TOP + ROW * len(panel.cells)
    parts, ticks = [text(0, 13, panel.title, "title")], x.ticks(4)
    for tick, words in zip(ticks, tick_texts(ticks), strict=True):
        parts.append(line([(x.at(tick), TOP), (x.at(tick), bottom)], "zero" if tick == 0 else "grid"))
        parts.append(tick_text(x.at(tick), bottom + 15, words, WIDTH))
    parts.append(text(LEFT, bottom + 32, panel.axis, "faint"))
    for row, (cell, estimates) in enumerate(panel.cells.items()):
        y = TOP + ROW * (row + 0.5)
        parts.append(text(LEFT - 8, y + 4, fitted(cell, int(LEFT / LETTER)), "name", "end"))
        for place, (kind, one) in enumerate(zip(panel.kinds, estimates, strict=True)):
            at, drawn = y + 6 * (place - (len(panel.kinds) - 1) / 2), list[str]()
            if not math.isfinite(one.mean):
                continue
            if math.isfinite(one.lower) and math.isfinite(one.upper):
                drawn.append(line([(x.at(one.lower), at), (x.at(one.upper), at)], "interval"))
            drawn.append(
                mark(
                    kind.marker, x.at(one.mean), at, 4, "mark" if kind.filled else "mark open", f"{cell}: {kind.title}"
                )
            )
            parts.append(group(drawn, kind.colour, cell))
    y = bottom + 52
    for kind in panel.kinds if len(panel.kinds) > 1 else ():
        parts.append(
            group([mark(kind.marker, LEFT + 6, y - 4, 4, "mark" if kind.filled else "mark open")], kind.colour)
        )
        parts.append(text(LEFT + 18, y, kind.title))
        y += 18
    return Drawing(label, WIDTH, y - 8 if len(panel.kinds) > 1 else bottom + 38, "".join(parts))
