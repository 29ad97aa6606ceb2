"""A panel with axes, and the legend next to it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from auglik.report.figures.scale import Scale, tick_texts
from auglik.report.figures.style import Style
from auglik.report.figures.svg import Drawing, fitted, group, line, mark, text, tick_text

WIDTH = 360.0
"""Pixels of a panel."""
BIG, LITTLE = "big", "little"


@dataclass(frozen=True, kw_only=True, slots=True)
class Axes:
    """What a panel is drawn in: two scales and what they mean. The vertical one's meaning is the panel's title."""

    x: Scale
    y: Scale
    title: str
    x_title: str
    signed: bool = False
    """Whether ticks of the vertical axis have a sign."""


def framed(axes: Axes, inside: Iterable[str], label: str) -> Drawing:
    """Grid, ticks and titles about what is inside."""
    x, y = axes.x, axes.y
    below, left, right = y.start, x.start, x.end
    ticks = x.ticks(max(2, int((right - left) / 60)))
    rising = y.ticks(max(2, int((y.start - y.end) / 36)))
    parts = [text(0, 13, axes.title, "title")]
    for tick, words in zip(rising, tick_texts(rising, sign=axes.signed), strict=True):
        parts += [
            line([(left, y.at(tick)), (right, y.at(tick))], "grid"),
            tick_text(left - 5, y.at(tick) + 4, words, right + 10, "end"),
        ]
    for tick, words in zip(ticks, tick_texts(ticks), strict=True):
        parts += [
            line([(x.at(tick), below), (x.at(tick), below + 4)], "axis"),
            tick_text(x.at(tick), below + 16, words, right + 10),
        ]
    parts += [
        line([(left, below), (right, below)], "axis"),
        text((left + right) / 2, below + 31, axes.x_title, "faint", "middle"),
    ]
    return Drawing(label, right + 10, below + (38 if axes.x_title else 22), "".join([*parts, *inside]))


def legend(cells: Mapping[str, Style], label: str, note: str = "") -> Drawing:
    """A line and a marker for every cell, one below the other."""
    parts = [text(0, 13, note, "faint")] if note else []
    top = 34.0 if note else 12.0
    for place, (name, style) in enumerate(cells.items()):
        y = top + 20 * place
        parts.append(
            group(
                [
                    line([(2, y), (38, y)], "line"),
                    mark(style.marker, 20, y, 4.5),
                    text(48, y + 4, fitted(name, 46), "name"),
                ],
                style.of,
                name,
            )
        )
    return Drawing(label, WIDTH, top + 20 * len(cells), "".join(parts))
