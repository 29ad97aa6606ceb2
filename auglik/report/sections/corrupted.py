"""Posteriors of differences under corruption: of the mean, by category and by corruption."""

from collections.abc import Mapping, Sequence

from auglik.inference.corrupted import Corrupted, CorruptedCell, Posited, UnderCorruption, under_corruption
from auglik.report.collect import Collected
from auglik.report.content import Datum, Details, Figure, Item, Row, Shown, Table, count, interval, number, words
from auglik.report.figures.forest import Forest, Line, forest
from auglik.report.sections.endpoints import LIKELIHOOD, in_words, outcome_of
from auglik.report.sections.measured import Measured


def corrupted_runs(collected: Collected) -> dict[str, dict[int, UnderCorruption]]:
    """Of the runs and cells that were scored under corruption."""
    found = {
        name: {
            seed: under_corruption(run.robustness, str(run.measured.get("identity")))
            for seed, run in cell.runs.items()
            if run.robustness
        }
        for name, cell in collected.cells.items()
    }
    return {name: runs for name, runs in found.items() if any(run.nll for run in runs.values())}


def corrupted_sentences(corrupted: Corrupted, found: Measured) -> list[str]:
    """The verdicts of a data set's cells."""
    rows = _of(corrupted, found)
    head = ["Exploratory: differences in NLL under corruption, by one hierarchical model of all cells."] if rows else []
    return [*map(found.caption, head), *(row.verdict for row in rows)]


def corrupted_items(corrupted: Corrupted, found: Measured) -> list[Item]:
    """The forest by category, its table, and on request every corruption and the sampler."""
    rows = _of(corrupted, found)
    if not rows:
        return []
    caption = found.caption(
        "Exploratory: NLL under corruption less the reference's, posterior mean and 95% HDI; to the left of zero is "
        "better. Each panel has its own scale."
    )
    key = found.key("corrupted-forest")
    panels = [_forest(title, {row.cell: _parts(row)[title] for row in rows}) for title in _parts(rows[0])]
    drawings = tuple(forest(panel, caption) for panel in panels)
    data = tuple(
        Datum(one.label, panel.title + part, value)
        for panel in panels
        for one in panel.lines
        for part, value in (("", one.mean), (": lower", one.lower), (": upper", one.upper))
    )
    more = Details(
        "Differences by corruption",
        (_by_corruption(rows, found), _better(rows, found), _sampler(corrupted, found)),
    )
    return [Figure(key, caption, drawings, data), _table(rows, found), more]


def _of(corrupted: Corrupted, found: Measured) -> list[CorruptedCell]:
    return [row for row in corrupted.cells if row.cell in found.cells]


def _parts(row: CorruptedCell) -> dict[str, Posited]:
    return {"all corruptions": row.overall, **row.categories}


def _forest(title: str, rows: Mapping[str, Posited]) -> Forest:
    lines = [
        Line(
            cell, one.mean, one.lower, one.upper, outcome_of(one.lower, one.upper), in_words(one.mean, likelihood=True)
        )
        for cell, one in rows.items()
    ]
    return Forest(title.capitalize(), "NLL less the reference's, nats", LIKELIHOOD, lines, likelihood=True)


def _shown(one: Posited) -> Shown:
    return interval(one.mean, one.lower, one.upper, 4)


def _table(rows: Sequence[CorruptedCell], found: Measured) -> Table:
    columns = (
        "cell",
        "all corruptions [95% HDI]",
        "P(better) %",
        *(f"{name} [95% HDI]" for name in rows[0].categories),
    )
    return Table(
        found.key("corrupted"),
        found.caption("Exploratory: NLL under corruption less the reference's, by category, in nats: less is better"),
        (*columns, "paired seeds", "against"),
        tuple(
            Row(
                row.cell,
                (
                    _shown(row.overall),
                    number(100 * row.overall.p_better, 1),
                    *map(_shown, row.categories.values()),
                    count(len(row.seeds)),
                    words(row.reference),
                ),
            )
            for row in rows
        ),
        "Posterior means for new seeds on these corrupted images; the draw of test images is not in the intervals. "
        "Categories are shrunk towards each other, corruptions towards their category, the mean is not.",
    )


def _by_corruption(rows: Sequence[CorruptedCell], found: Measured) -> Table:
    return Table(
        found.key("corrupted-each"),
        found.caption("Exploratory: NLL under each corruption less the reference's [95% HDI], in nats"),
        ("cell", *(name.replace("_", " ") for name in rows[0].corruptions)),
        tuple(Row(row.cell, tuple(map(_shown, row.corruptions.values()))) for row in rows),
    )


def _better(rows: Sequence[CorruptedCell], found: Measured) -> Table:
    first = rows[0]
    titles = ["all corruptions", *(f"all {name}" for name in first.categories), *first.corruptions]
    return Table(
        found.key("corrupted-better"),
        found.caption("Exploratory: probability in % that NLL is less than the reference's"),
        ("cell", *(title.replace("_", " ") for title in titles)),
        tuple(
            Row(
                row.cell,
                tuple(
                    number(100 * one.p_better, 1)
                    for one in (row.overall, *row.categories.values(), *row.corruptions.values())
                ),
            )
            for row in rows
        ),
    )


def _sampler(corrupted: Corrupted, found: Measured) -> Table:
    rhat, ess, divergences = corrupted.diagnostics
    row = Row("differences under corruption", (number(rhat, 4), count(ess), count(divergences)))
    columns = ("model", "worst R-hat", "least bulk ESS", "divergences")
    return Table(
        found.key("sampler-corrupted"), found.caption("The sampler of the model of these differences"), columns, (row,)
    )
