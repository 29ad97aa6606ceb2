"""Reliability diagrams and confidence histograms, a small panel for every cell."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from auglik.report.figures.frame import Axes, framed
from auglik.report.figures.scale import Scale
from auglik.report.figures.style import Style
from auglik.report.figures.svg import Drawing, area, group, line, mark, rect

LEFT, RIGHT, TOP, BOTTOM = 40.0, 250.0, 26.0, 150.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Reliability:
    """A cell's bins that have images: mean confidence, accuracy and images, each [B], and bands of the accuracy."""

    confidence: Sequence[float]
    accuracy: Sequence[float]
    counts: Sequence[float]
    curve: Sequence[float]
    bands: Sequence[tuple[Sequence[float], Sequence[float]]]
    """Lower and upper bounds, the widest band first."""

    def extent(self) -> tuple[float, float]:
        """The least and the greatest gap between accuracy and confidence, bands included."""
        rows = [self.accuracy, *(bound for band in self.bands for bound in band)]
        gaps = [a - c for row in rows for a, c in zip(row, self.confidence, strict=True) if math.isfinite(a)]
        return min(gaps, default=0.0), max(gaps, default=0.0)


def reliability(name: str, cell: Reliability, style: Style, extent: tuple[float, float], label: str) -> Drawing:
    """Accuracy less confidence against confidence: the curve, its bands, and what was observed.

    The gap is drawn in place of the accuracy: a gap of 2% is invisible beside a diagonal. Points grow with the share of
    images in their bin. No gap, the line, is on the axis even where all gaps have one sign.
    """
    x = Scale(low=0.0, high=1.0, start=LEFT, end=RIGHT)
    y = Scale(
        low=max(-1.0, min(extent[0], 0.0)) - 0.02, high=min(1.0, max(extent[1], 0.0)) + 0.02, start=BOTTOM, end=TOP
    )
    total, drawn = sum(cell.counts), list[str]()
    for lower, upper in cell.bands:
        below = [
            (x.at(c), y.at(bound - c)) for c, bound in zip(cell.confidence, lower, strict=True) if bound - bound == 0
        ]
        above = [
            (x.at(c), y.at(bound - c)) for c, bound in zip(cell.confidence, upper, strict=True) if bound - bound == 0
        ]
        drawn += [area([*below, *reversed(above)], "band")] if len(below) > 1 else []
    curve = [(x.at(c), y.at(mean - c)) for c, mean in zip(cell.confidence, cell.curve, strict=True) if mean - mean == 0]
    drawn += [line(curve, "line")] if len(curve) > 1 else []
    for c, accuracy, count in zip(cell.confidence, cell.accuracy, cell.counts, strict=True):
        size = 1.5 + 5 * math.sqrt(count / total)
        drawn.append(mark(style.marker, x.at(c), y.at(accuracy - c), size, "mark open", f"{count:,.0f} images"))
    inside = [line([(LEFT, y.at(0.0)), (RIGHT, y.at(0.0))], "zero"), group(drawn, style.colour, name)]
    return framed(Axes(x=x, y=y, title=name, x_title="confidence", signed=True), inside, label)


def histogram(
    name: str,
    edges: Sequence[float],
    shares: Sequence[float],
    confidence: float,
    accuracy: float,
    style: Style,
    label: str,
) -> Drawing:
    """The share of images, in %, in every bin of confidence on a logarithmic axis; mean confidence and accuracy."""
    least = min((share for share in shares if share > 0), default=1.0)
    x, y = (
        Scale(low=0.0, high=1.0, start=LEFT, end=RIGHT),
        Scale(low=least / 2, high=110.0, start=BOTTOM, end=TOP, log=True),
    )
    bars = [
        rect(x.at(low) + 0.5, y.at(share), x.at(high) - x.at(low) - 1, BOTTOM - y.at(share), "filled", f"{share:.3g}%")
        for low, high, share in zip(edges[:-1], edges[1:], shares, strict=True)
        if share > 0
    ]
    lines = [line([(x.at(confidence), TOP), (x.at(confidence), BOTTOM)], "ink dashed")]
    lines += [line([(x.at(accuracy), TOP), (x.at(accuracy), BOTTOM)], "ink")]
    return framed(Axes(x=x, y=y, title=name, x_title="confidence"), [group(bars, style.colour, name), *lines], label)
