"""What all figures share: colours and marks that tell cells apart without colour, and SVG fit for one page."""

import io
import math
import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from auglik.fonts import legible

BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, VERMILION, PURPLE = COLOURS = (
    "#000000", "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7",
)  # fmt: skip
"""Okabe & Ito 2008, "Color universal design"."""

OF_CELLS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, "#7F7F7F")
"""Without yellow, which is faint on white, and black, which is the references'."""
LINES = ("-", "--", "-.", ":")
MARKERS = ("s", "^", "D", "v", "P", "X", "<", ">", "*")

WIDTH = 7.2
"""Inches of a figure across the page."""
HANDLE, LETTER = 0.6, 0.07
"""Inches of a legend's handle and of one letter beside it, about."""
TITLE_LETTERS = 28


class Style(NamedTuple):
    """How a cell is drawn: each two differ in colour or in line, and in marker."""

    colour: str
    line: str
    marker: str


def styles(cells: Iterable[str], references: Iterable[str]) -> dict[str, Style]:
    """A style for every cell, the same in all figures; references are black circles."""
    black, found = set(references), dict[str, Style]()
    for cell in cells:
        place = sum(other not in black for other in found)
        colour = OF_CELLS[place % len(OF_CELLS)]
        line = LINES[(place + place // len(OF_CELLS)) % len(LINES)]
        found[cell] = Style(BLACK, "-", "o") if cell in black else Style(colour, line, MARKERS[place % len(MARKERS)])
    return found


def panels(count: int, columns: int, height: float, *, share: bool = True) -> tuple[Figure, Sequence[Axes]]:
    """A figure of `count` axes in rows of `columns`, each row `height` inches, and the axes row by row."""
    columns = min(columns, count)
    rows = math.ceil(count / columns)
    figure = Figure(figsize=(WIDTH if columns > 1 else WIDTH * 0.75, height * rows), layout="constrained")
    axes = list(np.ravel(figure.subplots(rows, columns, squeeze=False, sharex=share, sharey=share)))
    for empty in axes[count:]:
        empty.set_visible(False)
    if share:
        for above in axes[max(0, count - columns) : count]:
            above.tick_params(labelbottom=True)
    return figure, axes[:count]


def legend(figure: Figure, axes: Axes) -> None:
    """One legend below all panels, with the handles of one, in as many columns as fit."""
    handles, labels = axes.get_legend_handles_labels()
    width = HANDLE + LETTER * max(map(len, labels), default=0)
    columns = max(1, min(len(labels), int(figure.get_figwidth() / width)))
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, fontsize=8)


def heading(axes: Axes, text: str) -> None:
    """The title of a small panel, in several lines where it is long."""
    axes.set_title("\n".join(textwrap.wrap(text, TITLE_LETTERS)))


@contextmanager
def settings() -> Iterator[None]:
    """To be entered around what draws: nothing outside is changed."""
    with matplotlib.rc_context(
        {
            "svg.fonttype": "none",
            "svg.hashsalt": "auglik",
            "font.size": 9.0,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "grid.color": "#e4e4e4",
            "grid.linewidth": 0.6,
            "axes.axisbelow": True,
            "legend.frameon": False,
            "axes.titlesize": 9.0,
            "lines.linewidth": 1.4,
            "lines.markersize": 4.5,
        }
    ):
        yield


def svg(figure: Figure, key: str, label: str) -> str:
    """The figure as SVG without a date, fit to stand beside others in one page: its identifiers begin with `key`."""
    buffer = io.StringIO()
    with legible(figure):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="', f'id="{key}-', text)
    text = re.sub(r'(href="#|url\(#)', rf"\g<1>{key}-", text)
    text = re.sub(r'font-family: [^;"]*', "font-family: 'DejaVu Sans', Verdana, sans-serif", text)
    text = re.sub(
        r"<defs>\s*<style.*?</style>\s*</defs>", "", text, count=1, flags=re.DOTALL
    )  # it would style the page
    own = f'role="img" aria-label="{_attribute(label)}" style="stroke-linejoin: round; stroke-linecap: butt"'
    return text.replace("<svg ", f"<svg {own} ", 1)


def _attribute(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
