"""Pictures as SVG text. Shapes have classes alone; templates/figure.css gives these their colours."""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from html import escape
from importlib import resources
from typing import Literal, NamedTuple

Point = tuple[float, float]
Anchor = Literal["start", "middle", "end"]

SHAPES: Mapping[str, str] = {
    "o": "M-1 0A1 1 0 1 1 1 0A1 1 0 1 1-1 0Z",
    "s": "M-.9-.9H.9V.9H-.9Z",
    "^": "M0-1.15L1.1.8H-1.1Z",
    "v": "M0 1.15L1.1-.8H-1.1Z",
    "D": "M0-1.25L1.25 0L0 1.25L-1.25 0Z",
    "P": "M-.4-1.2H.4V-.4H1.2V.4H.4V1.2H-.4V.4H-1.2V-.4H-.4Z",
    "X": "M-1.2-.7L-.7-1.2L0-.5L.7-1.2L1.2-.7L.5 0L1.2.7L.7 1.2L0 .5L-.7 1.2L-1.2.7L-.5 0Z",
    "<": "M-1.15 0L.8-1.1V1.1Z",
    ">": "M1.15 0L-.8-1.1V1.1Z",
    "*": "M0-1.4L.4-.45L1.4-.4L.6.25L.85 1.2L0 .65L-.85 1.2L-.6.25L-1.4-.4L-.4-.45Z",
}
"""Marks of about the same area about the origin."""
LETTER = 6.6
"""Pixels of one letter of text, about."""
MARGIN, GAP = 12, 24
"""Pixels about the drawings of a file and between them."""


class Drawing(NamedTuple):
    """One picture of `width` x `height` pixels; it may be shown larger or smaller."""

    label: str
    """What it shows, for those who do not see it."""
    width: float
    height: float
    body: str

    @property
    def svg(self) -> str:
        """For a page that has the classes."""
        return (
            f'<svg role="img" aria-label="{escape(self.label)}" viewBox="0 0 {_n(self.width)} {_n(self.height)}" '
            f'width="{_n(self.width)}" height="{_n(self.height)}">{self.body}</svg>'
        )


def svg_file(drawings: Sequence[Drawing], label: str, columns: int) -> str:
    """The drawings in rows of `columns` as a file that needs nothing else: light, on white."""
    rows = [drawings[start : start + columns] for start in range(0, len(drawings), columns)]
    placed, y, width = [], float(MARGIN), 0.0
    for row in rows:
        x = float(MARGIN)
        for drawing in row:
            placed.append(f'<g transform="translate({_n(x)} {_n(y)})">{drawing.body}</g>')
            x += drawing.width + GAP
        width, y = max(width, x - GAP + MARGIN), y + max(drawing.height for drawing in row) + GAP
    height = y - GAP + MARGIN
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{escape(label)}" '
        f'viewBox="0 0 {_n(width)} {_n(height)}" width="{_n(width)}" height="{_n(height)}">'
        f"<style>{_light()}</style>"
        f'<rect class="paper" width="100%" height="100%"/>{"".join(placed)}</svg>\n'
    )


def css() -> str:
    """What gives the classes their colours, light and dark."""
    return (resources.files("auglik.report") / "templates" / "figure.css").read_text(encoding="utf-8")


@cache
def _light() -> str:
    """The same with the light colours in place of their names, which not every reader of SVG knows."""
    names, _, rest = css().partition("/* end of the light colours */")
    colours = dict(re.findall(r"(--[\w-]+): *([^;]+);", names))
    rules = re.sub(r"@media[^{]*\{(?:[^{}]*\{[^}]*\})*[^}]*\}", "", rest)
    return re.sub(r"\s+", " ", re.sub(r"var\((--[\w-]+)\)", lambda found: colours[found[1]], rules)).strip()


def line(points: Iterable[Point], of: str) -> str:
    """Through the points."""
    return f'<path class="{of}" d="{_path(points)}"/>'


def area(points: Iterable[Point], of: str) -> str:
    """Bounded by the points."""
    return f'<path class="{of}" d="{_path(points)}Z"/>'


def rect(x: float, y: float, width: float, height: float, of: str, title: str = "") -> str:
    """From its upper left corner; `title` is shown under the pointer."""
    size = f'x="{_n(x)}" y="{_n(y)}" width="{_n(max(0.0, width))}" height="{_n(max(0.0, height))}"'
    return f'<rect class="{of}" {size}>{_title(title)}</rect>'


def text(x: float, y: float, words: str, of: str = "", anchor: Anchor = "start") -> str:
    """On its base line."""
    place = "" if anchor == "start" else f' text-anchor="{anchor}"'
    name = f' class="{of}"' if of else ""
    return f'<text x="{_n(x)}" y="{_n(y)}"{place}{name}>{escape(words, quote=False)}</text>'


def tick_text(x: float, y: float, words: str, width: float, anchor: Literal["middle", "end"] = "middle") -> str:
    """The value at a tick, moved where it would stand out of a drawing of that width."""
    length = LETTER * len(words)
    before, after = (length / 2, length / 2) if anchor == "middle" else (length, 0.0)
    return text(max(min(x, width - after), before), y, words, "tick", anchor)


def fitted(words: str, letters: int) -> str:
    """At most so many letters, the middle left out."""
    if len(words) <= letters:
        return words
    return f"{words[: (letters - 1 + 1) // 2]}…{words[len(words) - (letters - 1) // 2 :]}"


def mark(shape: str, x: float, y: float, size: float, of: str = "mark", title: str = "") -> str:
    """One of `SHAPES`, `size` its radius."""
    place = f'transform="translate({_n(x)} {_n(y)}) scale({_n(size)})"'
    return f'<path class="{of}" d="{SHAPES[shape]}" {place}>{_title(title)}</path>'


def image(x: float, y: float, width: float, height: float, data: str, of: str = "") -> str:
    """A picture given as a data URI."""
    size = f'x="{_n(x)}" y="{_n(y)}" width="{_n(width)}" height="{_n(height)}"'
    return f'<image class="{of}" {size} href="{data}"/>'


def group(parts: Iterable[str], of: str, series: str = "") -> str:
    """Several shapes; `series` names what they show, the same in all pictures of a page."""
    named = f' data-series="{escape(series)}"' if series else ""
    return f'<g class="{of}"{named}>{"".join(parts)}</g>'


def _path(points: Iterable[Point]) -> str:
    return "M" + "L".join(f"{_n(x)} {_n(y)}" for x, y in points)


def _title(words: str) -> str:
    return f"<title>{escape(words, quote=False)}</title>" if words else ""


def _n(value: float) -> str:
    text = f"{value:.1f}"
    return text.removesuffix(".0")
