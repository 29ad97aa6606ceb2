"""What a page consists of. Every number is formatted here, once, for the page and all other files."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from auglik.report.figures.svg import Drawing, svg_file
from auglik.scoring.columns import ABSENT, fixed


class Shown(NamedTuple):
    """An entry of a table: its text, and the numbers in it by what they are (`""` for the entry's own)."""

    text: str
    numbers: tuple[tuple[str, float], ...] = ()

    @property
    def order(self) -> str:
        """What the column is sorted by: the first number, else the text."""
        return repr(self.numbers[0][1]) if self.numbers else self.text


class Row(NamedTuple):
    """One row of a table, with a unique name."""

    name: str
    entries: tuple[Shown, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A table; the first of `columns` is the title of the rows' names."""

    key: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    note: str = ""

    def numeric(self, place: int) -> bool:
        """Whether the entries in that place are numbers."""
        return any(row.entries[place].numbers for row in self.rows)


class Datum(NamedTuple):
    """A number that a figure shows, by the row and the column where tables.csv has it."""

    row: str
    column: str
    value: float
    shown: str = ""
    """Its text, if the figure shows one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """Drawings side by side, as many in a row as fit, and all their numbers."""

    key: str
    caption: str
    drawings: tuple[Drawing, ...]
    data: tuple[Datum, ...]
    columns: int = 3
    """Drawings in a row of the file."""

    @property
    def svg(self) -> str:
        """The file."""
        return svg_file(self.drawings, self.caption, self.columns)


class Details(NamedTuple):
    """What the page shows on request: tables and preformatted text under a heading."""

    summary: str
    tables: tuple[Table, ...]
    text: str = ""


Item = Table | Figure | Details


class Section(NamedTuple):
    """A part of the page: sentences, then their figures and tables."""

    key: str
    title: str
    sentences: tuple[str, ...]
    items: tuple[Item, ...]

    def pictures(self) -> tuple[Figure, ...]:
        """All figures: these follow its first sentence."""
        return tuple(item for item in self.items if isinstance(item, Figure))

    def numbers(self) -> tuple[Table | Details, ...]:
        """All else."""
        return tuple(item for item in self.items if not isinstance(item, Figure))


class Page(NamedTuple):
    """The whole report; the first section is the answer."""

    title: str
    subtitle: str
    warnings: tuple[str, ...]
    sections: tuple[Section, ...]

    def tables(self) -> list[Table]:
        """All tables in order, including those shown on request."""
        found: list[Table] = []
        for section in self.sections:
            for item in section.items:
                found += [item] if isinstance(item, Table) else item.tables if isinstance(item, Details) else []
        return found

    def figures(self) -> list[Figure]:
        return [item for section in self.sections for item in section.items if isinstance(item, Figure)]


def words(text: object) -> Shown:
    """An entry without a number."""
    return Shown(str(text) or ABSENT)


def number(value: float, digits: int, *, sign: bool = False) -> Shown:
    """One number; a missing one is a dash, an infinite one says so."""
    return Shown(_text(value, digits, sign), (("", value),)) if not math.isnan(value) else Shown(ABSENT)


def count(value: float) -> Shown:
    """A whole number with thousands separators."""
    return Shown(f"{value:,.0f}", (("", value),)) if math.isfinite(value) else Shown(ABSENT)


def mean_error(mean: float, error: float, digits: int) -> Shown:
    """`mean ± standard error`, the latter if there is one."""
    if math.isnan(error):
        return number(mean, digits)
    return Shown(f"{_text(mean, digits)} ± {_text(error, digits)}", (("", mean), ("standard error", error)))


def interval(mean: float, lower: float, upper: float, digits: int, *, sign: bool = True, mark: str = "") -> Shown:
    """`mean [lower, upper]`, the bounds if there are some; `mark` follows them."""
    if math.isnan(lower) or math.isnan(upper):
        return number(mean, digits, sign=sign)
    bounds = f"[{_text(lower, digits, sign)}, {_text(upper, digits, sign)}]"
    return Shown(f"{_text(mean, digits, sign)} {bounds}{mark}", (("", mean), ("lower", lower), ("upper", upper)))


def bounds(lower: float, upper: float, digits: int, *, sign: bool = True) -> Shown:
    """`[lower, upper]`."""
    if math.isnan(lower) or math.isnan(upper):
        return Shown(ABSENT)
    return Shown(f"[{_text(lower, digits, sign)}, {_text(upper, digits, sign)}]", (("lower", lower), ("upper", upper)))


def listed(names: Sequence[object]) -> str:
    """`a, b and c`."""
    texts = [str(name) for name in names]
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}" if texts else "none"


def _text(value: float, digits: int, sign: bool = False) -> str:
    text = fixed(value, digits, sign=sign)
    return text.replace("-", "", 1) if not sign and text.strip("-0.") == "" else text
