"""One score against another, cell by cell."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from auglik.report.figures.frame import WIDTH, Axes, framed
from auglik.report.figures.scale import Scale, covering
from auglik.report.figures.style import Style
from auglik.report.figures.svg import Drawing, group, line, mark

LEFT, TOP, BOTTOM = 46.0, 26.0, 262.0
WIDE = 8.0
"""Scores that span this many times their least are drawn on a logarithmic axis."""
MOST_DOTS = 400
"""Runs beyond which these are not drawn, their means alone."""


class Dots(NamedTuple):
    """A cell's runs."""

    x: Sequence[float]
    y: Sequence[float]
    seeds: Sequence[int]


class Scatter(NamedTuple):
    """A panel: lower is better on both axes."""

    x_title: str
    y_title: str
    cells: Mapping[str, Dots]
    equal: bool = False
    """Whether both axes are the same score, so that a diagonal means no loss."""


def scatter(panel: Scatter, styles: Mapping[str, Style], label: str) -> Drawing:
    """Means over seeds with bars of one standard error, and the runs behind them."""
    xs = [x for dots in panel.cells.values() for x in dots.x if math.isfinite(x)]
    ys = [y for dots in panel.cells.values() for y in dots.y if math.isfinite(y)]
    # The diagonal is straight where both axes are logarithmic or neither is.
    x_log, y_log = (_wide([*xs, *ys]),) * 2 if panel.equal else (_wide(xs), _wide(ys))
    x, y = covering(xs, LEFT, WIDTH - 10, log=x_log), covering(ys, BOTTOM, TOP, log=y_log)
    inside = [_diagonal(x, y)] if panel.equal else []
    every = sum(len(dots.x) for dots in panel.cells.values()) <= MOST_DOTS
    for cell, dots in panel.cells.items():
        drawn = [
            mark("o", x.at(a), y.at(b), 1.7, "run")
            for a, b in zip(dots.x, dots.y, strict=True)
            if every and a - a == b - b == 0
        ]
        (mean_x, error_x), (mean_y, error_y) = _mean(dots.x), _mean(dots.y)
        if math.isfinite(mean_x) and math.isfinite(mean_y):
            at = x.at(mean_x), y.at(mean_y)
            drawn += [line([(x.at(mean_x - error_x), at[1]), (x.at(mean_x + error_x), at[1])], "bar")]
            drawn += [line([(at[0], y.at(mean_y - error_y)), (at[0], y.at(mean_y + error_y))], "bar")]
            drawn += [mark(styles[cell].marker, *at, 5.5, "mark", cell)]
        inside.append(group(drawn, styles[cell].colour, cell))
    return framed(Axes(x=x, y=y, title=panel.y_title, x_title=panel.x_title), inside, label)


def _wide(values: Sequence[float]) -> bool:
    return bool(values) and min(values) > 0 and max(values) / min(values) > WIDE


def _mean(values: Sequence[float]) -> tuple[float, float]:
    """With its standard error, 0 if there is one value."""
    n = len(values)
    mean = sum(values) / n
    return mean, math.sqrt(sum((value - mean) ** 2 for value in values) / (n - 1) / n) if n > 1 else 0.0


def _diagonal(x: Scale, y: Scale) -> str:
    low, high = max(x.low, y.low), min(x.high, y.high)
    return line([(x.at(low), y.at(low)), (x.at(high), y.at(high))], "diagonal") if low < high else ""
