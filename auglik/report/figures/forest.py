"""Differences of cells, one below the other."""

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.figure import Figure

from auglik.report.figures.style import BLACK, BLUE, VERMILION, WIDTH, svg


class Line(NamedTuple):
    """A cell's difference, mean and bounds: for new seeds and images, and for new seeds; NaN where it isn't there."""

    label: str
    both: tuple[float, float, float]
    seeds: tuple[float, float, float]


def forest(key: str, lines: Sequence[Line], rope: float, reference: str, label: str) -> str:
    """Intervals for new seeds and images above those for new seeds; the region of practical equivalence is shaded."""
    figure = Figure(figsize=(WIDTH, 0.9 + 0.42 * len(lines)), layout="constrained")
    axes = figure.subplots()
    axes.axvspan(-rope, rope, color="#e9e3d3", lw=0, label=f"practically equal (±{rope:g})")
    axes.axvline(0, color=BLACK, lw=0.8)
    height = range(len(lines) - 1, -1, -1)
    for place, colour, marker, dashes, shift, title in (
        (0, BLUE, "o", "-", 0.13, "95% for new seeds and new test images"),
        (1, VERMILION, "s", "--", -0.17, "95% for new seeds, these test images"),
    ):
        for y, line in zip(height, lines, strict=True):
            mean, lower, upper = (line.both, line.seeds)[place]
            axes.plot([lower, upper], [y + shift] * 2, color=colour, ls=dashes, lw=1.6)
            axes.plot([mean], [y + shift], marker, color=colour, ms=5)
        axes.plot([], [], marker=marker, ls=dashes, color=colour, label=title)
    axes.set_yticks(list(height), [line.label for line in lines])
    axes.set_ylim(-0.6, len(lines) - 0.4)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel(f"clean NLL less that of {reference}, nats (left is better)")
    figure.legend(loc="outside lower center", ncols=2, fontsize=8)
    return svg(figure, key, label)
