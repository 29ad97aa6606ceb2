"""How a verdict is drawn: by colour, mark and words."""

from typing import NamedTuple

from auglik.report.figures.svg import Drawing, mark, text


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


def key(shown: list[str], label: str, notes: tuple[str, ...] = ()) -> Drawing:
    """A legend of the outcomes that occur, and notes below it."""
    parts, y = [], 12.0
    for name, look in OUTCOMES.items():
        if name in shown:
            parts += [f'<g class="{look.colour}">{mark(look.marker, 8, y, 5, look.of)}</g>', text(24, y + 4, look.word)]
            y += 20
    for note in notes:
        parts.append(text(0, y + 6, note, "faint"))
        y += 17
    return Drawing(label, 360, y + 4, "".join(parts))
