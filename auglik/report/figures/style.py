"""What all figures share: colours and marks that tell cells apart without colour."""

from collections.abc import Iterable
from typing import NamedTuple

BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, VERMILION, PURPLE = COLOURS = (
    "#000000", "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7",
)  # fmt: skip
"""Okabe & Ito 2008, "Color universal design"."""

OF_CELLS = ("blue", "vermilion", "green", "purple", "orange", "sky", "grey")
"""Classes of templates/figure.css: without yellow, which is faint on white, and black, which is the references'."""
LINE_STYLES = ("", "dashed", "dash-dot", "dotted")
MARKERS = ("s", "^", "D", "v", "P", "X", "<", ">", "*")


class Style(NamedTuple):
    """How a cell is drawn: any two of 28 differ in colour or in line, and any two of 9 in marker too."""

    colour: str
    """A class."""
    line: str
    """A class, or none for a solid one."""
    marker: str

    @property
    def of(self) -> str:
        """Classes of what is drawn of the cell."""
        return f"{self.colour} {self.line}".strip()


def styles(cells: Iterable[str], references: Iterable[str]) -> dict[str, Style]:
    """A style for every cell, the same in all figures; references are black circles."""
    black, found = set(references), dict[str, Style]()
    for cell in cells:
        place = sum(other not in black for other in found)
        colour = OF_CELLS[place % len(OF_CELLS)]
        line = LINE_STYLES[(place + 2 * (place // len(OF_CELLS))) % len(LINE_STYLES)]
        found[cell] = Style("black", "", "o") if cell in black else Style(colour, line, MARKERS[place % len(MARKERS)])
    return found
