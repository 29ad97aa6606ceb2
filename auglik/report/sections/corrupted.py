"""Differences under corruption: of the mean, by category, severity and corruption; occluded and mollified."""

from collections.abc import Mapping, Sequence
from math import nan

from auglik.inference.corruption import (
    MOLLIFIED,
    OCCLUSION,
    OVERALL,
    SEVERITIES,
    SINGLE,
    Corrupted,
    CorruptedCell,
    Posited,
    UnderCorruption,
    under_corruption,
)
from auglik.inference.differences.verdict import nats_digits
from auglik.report.collect import Collected
from auglik.report.content import Datum, Details, Figure, Item, Row, Shown, Table, count, interval, number, words
from auglik.report.figures.forest import Forest, Line, forest
from auglik.report.figures.outcome import DECIDED
from auglik.report.sections.endpoints import LIKELIHOOD, in_words
from auglik.report.sections.measured import Measured, by_data, suite_of
from auglik.scoring.intervals import FAMILY_WISE

EACH = (SINGLE, SEVERITIES, OCCLUSION, MOLLIFIED)
NOTHING = Posited(mean=nan, lower=nan, upper=nan, p_better=nan, p_adjusted=nan)


def corrupted_runs(collected: Collected) -> dict[str, dict[int, UnderCorruption]]:
    """Of the runs and cells that were scored under corruption, under the conditions of most runs on their data."""
    found = {
        name: {
            seed: under_corruption(run.robustness, run.measured.identity)
            for seed, run in cell.runs.items()
            if run.measured and run.measured.identity == suite
        }
        for cells in by_data(collected).values()
        for suite in [suite_of(cells)]
        for name, cell in cells.items()
    }
    measured = {name for name, cell in collected.cells.items() if any(run.robustness for run in cell.runs.values())}
    return {name: runs for name, runs in found.items() if name in measured}


def corrupted_sentences(corrupted: Corrupted, found: Measured) -> list[str]:
    """The verdicts of a data set's cells."""
    rows = _of(corrupted, found)
    head = []
    if rows:
        sizes = ", ".join(f"{family} {size}" for family, size in corrupted.sizes.items())
        head = [
            "Exploratory: differences in NLL under corruption for new seeds on these images. Verdicts hold family-wise "
            f"at {FAMILY_WISE:.0%}, by Holm over each family's comparisons ({sizes})."
        ]
    return [*map(found.caption, head), *(row.verdict for row in rows)]


def corrupted_items(corrupted: Corrupted, found: Measured) -> list[Item]:
    """The forest by category, its table, and on request every target."""
    rows = _of(corrupted, found)
    if not rows:
        return []
    caption = found.caption(
        "Exploratory: NLL under corruption minus the reference's, mean and 95% interval; left of zero is better. "
        "Each panel has its own scale."
    )
    key = found.key("corrupted-forest")
    panels = [_forest(title, {row.cell: _parts(row).get(title, NOTHING) for row in rows}) for title in _parts(rows[0])]
    drawings = tuple(forest(panel, caption) for panel in panels)
    data = tuple(
        Datum(one.label, panel.title + part, value)
        for panel in panels
        for one in panel.lines
        for part, value in (("", one.mean), (": lower", one.lower), (": upper", one.upper))
    )
    more = [_by_target(rows, found, family) for family in EACH if family in rows[0].families]
    more += [_better(rows, found)]
    return [
        Figure(key=key, caption=caption, drawings=drawings, data=data),
        _table(rows, found),
        Details("Differences one by one", tuple(more)),
    ]


def _of(corrupted: Corrupted, found: Measured) -> list[CorruptedCell]:
    return [row for row in corrupted.cells if row.cell in found.cells]


def _parts(row: CorruptedCell) -> dict[str, Posited]:
    """The panels: the mean over the corruptions and the categories; without corruptions, what else was measured."""
    parts = {OVERALL: row.overall} if row.overall else {}
    parts |= row.categories
    return parts or {f"{family} {name}": one for family in EACH for name, one in row.families.get(family, {}).items()}


def _forest(title: str, rows: Mapping[str, Posited]) -> Forest:
    lines = [
        Line(
            label=cell,
            mean=one.mean,
            lower=one.lower,
            upper=one.upper,
            outcome=one.outcome,
            shown=in_words(one.mean, one.outcome, likelihood=True),
        )
        for cell, one in rows.items()
    ]
    return Forest(
        title=title.capitalize(), axis="NLL minus the reference's, nats", unit=LIKELIHOOD, lines=lines, likelihood=True
    )


def _shown(one: Posited | None) -> Shown:
    """* where Holm's p is below 5%."""
    if one is None:
        return words("")
    found = one.mean, one.lower, one.upper
    decided = one.outcome in DECIDED
    shown = interval(*found, nats_digits(*found) if decided else 4, mark=" *" if decided else "")
    return Shown(shown.text, (*shown.numbers, ("adjusted p", one.p_adjusted))) if decided else shown


def _table(rows: Sequence[CorruptedCell], found: Measured) -> Table:
    columns = (
        "cell",
        *(f"{name} [95%]" for name in _parts(rows[0])),
        "P(better) %",
    )
    return Table(
        key=found.key("corrupted"),
        caption=found.caption(
            "Exploratory: NLL under corruption minus the reference's, by category, in nats: lower is better"
        ),
        columns=(*columns, "paired seeds", "against"),
        rows=tuple(
            Row(
                row.cell,
                (
                    *(_shown(_parts(row).get(name)) for name in _parts(rows[0])),
                    number(100 * row.overall.p_better, 1) if row.overall else words(""),
                    count(len(row.seeds)),
                    words(row.reference),
                ),
            )
            for row in rows
        ),
        note="Means and Student's 95% intervals of one cell and column, for new seeds on these corrupted images; the "
        "draw of test images is not included. * marks p < 0.05 by Holm over all cells, and for categories over "
        "these as well.",
    )


def _by_target(rows: Sequence[CorruptedCell], found: Measured, family: str) -> Table:
    names = rows[0].families[family]
    return Table(
        key=found.key(f"corrupted-{family}"),
        caption=found.caption(
            f"Exploratory: NLL minus the reference's by {family} [95%], in nats; * p < 0.05 by Holm over all"
        ),
        columns=("cell", *(name.replace("_", " ") for name in names)),
        rows=tuple(
            Row(row.cell, tuple(_shown(row.families.get(family, {}).get(name)) for name in names)) for row in rows
        ),
    )


def _better(rows: Sequence[CorruptedCell], found: Measured) -> Table:
    keys = [(family, name) for family, targets in rows[0].families.items() for name in targets]
    titles = [family if family == OVERALL else f"{family} {name}".replace("_", " ") for family, name in keys]
    return Table(
        key=found.key("corrupted-better"),
        caption=found.caption("Exploratory: probability in % that NLL is lower than the reference's"),
        columns=("cell", *titles),
        rows=tuple(
            Row(
                row.cell,
                tuple(
                    number(100 * row.families.get(family, {}).get(name, NOTHING).p_better, 1) for family, name in keys
                ),
            )
            for row in rows
        ),
    )
