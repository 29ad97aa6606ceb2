"""Differences of all cells by category of corruption."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from auglik.report.figures.style import BLACK, Style, panels, svg


class Estimate(NamedTuple):
    """A mean with its 95% interval."""

    mean: float
    lower: float
    upper: float


def by_category(
    key: str, parts: Mapping[str, Mapping[str, Estimate]], cells: Sequence[str], styles: Mapping[str, Style], label: str
) -> str:
    """A panel for every part with a line for every cell, on one axis each: parts differ in scale."""
    figure, all_axes = panels(len(parts), 3, 0.9 + 0.28 * len(cells), share=False)
    for place, (axes, (title, estimates)) in enumerate(zip(all_axes, parts.items(), strict=True)):
        axes.axvline(0, color=BLACK, lw=0.8)
        for y, cell in enumerate(reversed(cells)):
            colour, line, marker = styles[cell]
            mean, lower, upper = estimates[cell]
            axes.plot([lower, upper], [y, y], color=colour, ls=line, lw=1.6)
            axes.plot([mean], [y], marker, color=colour, ms=5)
        axes.set_yticks(range(len(cells)), list(reversed(cells)) if place % 3 == 0 else [""] * len(cells))
        axes.set_ylim(-0.6, len(cells) - 0.4)
        axes.grid(axis="y", visible=False)
        axes.set_title(title)
        axes.set_xlabel("NLL less reference, nats", fontsize=8)
    return svg(figure, key, label)
