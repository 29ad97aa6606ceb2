"""Profiles: a score of every cell under one condition after another."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from auglik.report.figures.frame import WIDTH
from auglik.report.figures.scale import covering, tick_texts
from auglik.report.figures.style import Style
from auglik.report.figures.svg import Drawing, group, line, mark, text, tick_text

LEFT, TOP, ROW = 118.0, 26.0, 22.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Profile:
    """A panel: conditions by group, and every cell's score under each, in that order; NaN if there is none."""

    title: str
    axis: str
    groups: Mapping[str, Sequence[str]]
    scores: Mapping[str, Sequence[float]]
    zero: bool = False
    """Whether scores are differences, so that 0 is drawn."""


def profile(panel: Profile, styles: Mapping[str, Style], label: str) -> Drawing:
    """One condition a row, a line through the marks of each cell, interrupted between groups."""
    values = [value for of_cell in panel.scores.values() for value in of_cell]
    x = covering(values, LEFT, WIDTH - 10, around=(0.0,) if panel.zero else ())
    ys, names, y = [], [text(0, 13, panel.title, "title")], TOP
    for title, conditions in panel.groups.items():
        names.append(text(LEFT - 10, y + 12, title, "faint", "end"))
        y += 18
        for condition in conditions:
            ys.append(y + ROW / 2)
            names.append(text(LEFT - 10, y + ROW / 2 + 4, condition, "name", "end"))
            names.append(line([(LEFT, y + ROW / 2), (WIDTH - 10, y + ROW / 2)], "grid"))
            y += ROW
    ticks = x.ticks(4)
    for tick, words in zip(ticks, tick_texts(ticks, sign=panel.zero), strict=True):
        names.append(line([(x.at(tick), TOP), (x.at(tick), y)], "zero" if panel.zero and tick == 0 else "grid"))
        names.append(tick_text(x.at(tick), y + 15, words, WIDTH))
    names.append(text(LEFT, y + 32, panel.axis, "faint"))
    ends = [0]
    for conditions in panel.groups.values():
        ends.append(ends[-1] + len(conditions))
    for cell, scores in panel.scores.items():
        style, drawn = styles[cell], list[str]()
        for start, end in pairwise(ends):
            points = [(x.at(scores[i]), ys[i]) for i in range(start, end) if math.isfinite(scores[i])]
            drawn += [line(points, "line thin")] if len(points) > 1 else []
            drawn += [mark(style.marker, *point, 3.6) for point in points]
        names.append(group(drawn, style.of, cell))
    return Drawing(label, WIDTH, y + 38, "".join(names))
