"""Differences of cells from their reference, one below the other."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from auglik.report.figures.frame import WIDTH
from auglik.report.figures.outcome import OUTCOMES
from auglik.report.figures.scale import Scale, covering, tick_texts
from auglik.report.figures.svg import LETTER, Drawing, fitted, group, line, mark, rect, text, tick_text

LEFT, RIGHT = 8.0, WIDTH - 112
"""Intervals are drawn between these; the outcome and the difference in words are to the right."""
ROW = 38.0
MOST_PERCENT = 1e6
"""Where likelihoods change by more, in %, they are told in nats alone."""
FAR = 4.0
"""Intervals are cut where they are so many times longer than most, or than the greatest difference."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """A cell's difference and the bounds of its interval, NaN if there is none; and what is known by it."""

    label: str
    mean: float
    lower: float
    upper: float
    outcome: str
    shown: str
    """The difference in words."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Forest:
    """One panel; lower is better."""

    title: str
    axis: str
    unit: str
    """Of the differences in words."""
    lines: Sequence[Line]
    rope: float = 0.0
    """Half-width of the region of practical equivalence."""
    likelihood: bool = False
    """Whether differences are of NLL in nats: a second axis then has the change of the likelihood in %."""


def forest(panel: Forest, label: str) -> Drawing:
    """A mark and an interval for every cell, its name and difference above them."""
    x = _axis(panel)
    likelihood = panel.likelihood and percent(x.low) < MOST_PERCENT
    top = 58.0 if likelihood else 38.0
    bottom = top + ROW * len(panel.lines)
    parts = [text(0, 13, panel.title, "title"), text(WIDTH, top - 8, panel.unit, "tick", "end")]
    if panel.rope and x.low < panel.rope and x.high > -panel.rope:
        parts.append(rect(x.at(-panel.rope), top, x.at(panel.rope) - x.at(-panel.rope), bottom - top, "rope"))
    ticks = x.ticks(4)
    for tick, words in zip(ticks, tick_texts(ticks, sign=True), strict=True):
        parts += [line([(x.at(tick), top), (x.at(tick), bottom)], "zero" if tick == 0 else "grid")]
        parts.append(tick_text(x.at(tick), bottom + 15, words, WIDTH))
    parts.append(text(LEFT, bottom + 32, panel.axis, "faint"))
    if likelihood:
        parts += _likelihood(x, top)
    parts += [_row(one, x, top + ROW * place) for place, one in enumerate(panel.lines)]
    return Drawing(label, WIDTH, bottom + 38, "".join(parts))


def percent(nats: float) -> float:
    """By how much the geometric mean likelihood of a label changes where NLL changes by `nats`, in %."""
    return 100 * math.expm1(0.0 - nats) if nats > -700 else math.inf


def _row(one: Line, x: Scale, top: float) -> str:
    look, y = OUTCOMES[one.outcome], top + 27
    drawn = [
        text(0, top + 13, fitted(one.label, int(RIGHT / LETTER)), "name halo"),
        text(WIDTH, top + 13, look.word, "word", "end"),
        text(WIDTH, y + 4, one.shown, "value", "end"),
    ]
    if math.isfinite(one.mean):
        ends = one.lower if math.isfinite(one.lower) else one.mean, one.upper if math.isfinite(one.upper) else one.mean
        drawn.append(line([(x.at(ends[0]), y), (x.at(ends[1]), y)], "interval"))
        drawn += [mark("<", x.at(x.low), y, 4)] if ends[0] < x.low else []
        drawn += [mark(">", x.at(x.high), y, 4)] if ends[1] > x.high else []
        drawn.append(mark(look.marker, x.at(one.mean), y, 5, look.of, f"{one.label}: {one.shown}"))
    return group(drawn, look.colour, one.label)


def _axis(panel: Forest) -> Scale:
    """Over all differences and the bounds of all intervals but the longest."""
    means = [one.mean for one in panel.lines if math.isfinite(one.mean)]
    halves = sorted((one.upper - one.lower) / 2 for one in panel.lines if math.isfinite(one.upper - one.lower))
    far = FAR * max([abs(mean) for mean in means] + ([halves[(len(halves) - 1) // 2]] if halves else []), default=0.0)
    ends = [bound for one in panel.lines for bound in (one.lower, one.upper) if math.isfinite(bound)]
    return covering([*means, *(min(max(end, -far), far) for end in ends)], LEFT, RIGHT, around=(0.0,))


def _likelihood(x: Scale, top: float) -> list[str]:
    """The axis above: what a difference in nats is as a change of the likelihood of a test image's label."""
    inverse = Scale(low=percent(x.high), high=percent(x.low), start=x.end, end=x.start)
    ticks = [tick for tick in inverse.ticks(4) if tick > -100]
    parts = [text(LEFT, top - 26, "likelihood of the correct label, change in %", "faint")]
    for tick, words in zip(ticks, tick_texts(ticks, sign=True), strict=True):
        at = x.at(-math.log1p(tick / 100))
        parts += [line([(at, top - 4), (at, top)], "axis"), tick_text(at, top - 8, words, WIDTH)]
    return parts
