"""Curves of all cells against one axis."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from auglik.report.figures.frame import WIDTH, Axes, framed
from auglik.report.figures.scale import LEAST_SHARE, Scale, covering
from auglik.report.figures.style import Style
from auglik.report.figures.svg import Drawing, Point, area, group, line, mark

LEFT, TOP, BOTTOM = 46.0, 26.0, 222.0
FEW_POINTS, MOST_POINTS = 12, 60
"""Points up to which each is marked, and beyond which some are left out."""


class Curve(NamedTuple):
    """Means over seeds at x; `lower` and `upper` bound a band or bars, NaN if there is one seed."""

    x: Sequence[float]
    y: Sequence[float]
    lower: Sequence[float]
    upper: Sequence[float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """One panel: a curve for every cell that has one."""

    title: str
    x_title: str
    y_title: str
    curves: Mapping[str, Curve]
    log: bool = False


def lines(panel: Panel, styles: Mapping[str, Style], label: str) -> Drawing:
    """With few points these are marked and have bars of one standard error, with many there are bands."""
    curves = {cell: _thinned(curve) for cell, curve in panel.curves.items()}
    x = covering((x for curve in curves.values() for x in curve.x), LEFT, WIDTH - 10, margin=0.02)
    means = [y for curve in curves.values() for y in curve.y]
    bounds = [bound for curve in curves.values() for bound in (*curve.lower, *curve.upper)]
    # On a logarithmic axis a bound next to 0 or below it is too far down to be shown.
    least = LEAST_SHARE * max((mean for mean in means if math.isfinite(mean)), default=0.0)
    y = covering([*means, *(b for b in bounds if b > least or not panel.log)], BOTTOM, TOP, log=panel.log)
    inside = [
        group(_curve(curve, styles[cell], x, y), styles[cell].of, cell)
        for cell, curve in sorted(curves.items(), key=lambda item: styles[item[0]].colour == "black")
    ]
    title = f"{panel.title}: {panel.y_title}" if panel.title else panel.y_title
    return framed(Axes(x=x, y=y, title=title, x_title=panel.x_title), inside, label)


def _curve(curve: Curve, style: Style, x: Scale, y: Scale) -> list[str]:
    """In pieces, where a mean is not finite."""
    drawn: list[str] = []
    for piece in _pieces(curve):
        points = [(x.at(a), y.at(b)) for a, b, *_ in piece]
        bounded = [row for row in piece if math.isfinite(row[2]) and math.isfinite(row[3])]
        if len(curve.x) <= FEW_POINTS:
            drawn += [line([(x.at(a), y.at(low)), (x.at(a), y.at(high))], "bar") for a, _, low, high in bounded]
            drawn += [mark(style.marker, *point, 3.6) for point in points]
        elif len(bounded) > 1:
            lower: list[Point] = [(x.at(a), y.at(low)) for a, _, low, _ in bounded]
            drawn.append(area([*lower, *((x.at(a), y.at(high)) for a, *_, high in reversed(bounded))], "band"))
        drawn += [line(points, "line")] if len(points) > 1 else []
    return drawn


def _pieces(curve: Curve) -> list[list[tuple[float, float, float, float]]]:
    pieces: list[list[tuple[float, float, float, float]]] = [[]]
    for row in zip(*curve, strict=True):
        if math.isfinite(row[1]):
            pieces[-1].append(row)
        elif pieces[-1]:
            pieces.append([])
    return [piece for piece in pieces if piece]


def _thinned(curve: Curve) -> Curve:
    """At most `MOST_POINTS` points, evenly spread, the first and the last among them."""
    n = len(curve.x)
    if n <= MOST_POINTS:
        return curve
    kept = sorted({round(place * (n - 1) / (MOST_POINTS - 1)) for place in range(MOST_POINTS)})
    return Curve(*([part[place] for place in kept] for part in curve))
