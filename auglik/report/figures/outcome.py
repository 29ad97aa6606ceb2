"""How a verdict is drawn: by colour, mark and words."""

from collections.abc import Collection
from typing import NamedTuple

from auglik.report.figures.svg import Drawing, mark, rect, text


class Look(NamedTuple):
    """Of one outcome: `word` is next to the mark."""

    colour: str
    marker: str
    of: str
    """A class of the mark: filled where the outcome is decided."""
    word: str


OUTCOMES = {
    "better": Look("blue", "o", "mark", "better"),
    "worse": Look("vermilion", "s", "mark", "worse"),
    "equal": Look("green", "D", "mark open", "practically equal"),
    "undecided": Look("grey", "o", "mark open", "cannot tell"),
    "unknown": Look("grey", "X", "mark", "not known"),
}
DECIDED = ("better", "worse")
CONCLUDED = (*DECIDED, "equal")
"""Outcomes by which something is known; tiles of the others are hatched."""


def key(shown: Collection[str], label: str) -> Drawing:
    """A legend of the tiles that occur: a mark for each conclusion, hatching for all else."""
    parts, y = [], 12.0
    for name in (name for name in CONCLUDED if name in shown):
        look = OUTCOMES[name]
        parts += [f'<g class="{look.colour}">{mark(look.marker, 8, y, 5, look.of)}</g>', text(24, y + 4, look.word)]
        y += 20
    if rest := [look.word for name, look in OUTCOMES.items() if name in shown and name not in CONCLUDED]:
        parts += [
            rect(-1, y - 7, 18, 14, "tile hatched"),
            hatching(-2, y - 8, 20, 16),
            text(24, y + 4, " or ".join(rest)),
        ]
        y += 20
    return Drawing(label, 360, y + 4, "".join(parts))


def hatching(x: float, y: float, width: float, height: float) -> str:
    """Two corners of a tile cut off: what is not known is not merely pale."""
    right, bottom, cut = x + width - 1, y + height - 1, min(8, height / 2 - 2)
    marks = (
        f"M{x + 1:g} {y + 1 + cut:g}L{x + 1 + cut:g} {y + 1:g}",
        f"M{right - cut:g} {bottom:g}L{right:g} {bottom - cut:g}",
    )
    return f'<path class="hatching" d="{"".join(marks)}"/>'
