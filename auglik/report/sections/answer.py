"""The answer first: the primary endpoint of every cell against its reference."""

from collections.abc import Sequence

from auglik.inference.corrupted import Corrupted
from auglik.inference.rows import Inference, Primary
from auglik.report.collect import Collected
from auglik.report.content import Row, Section, Shown, Table, count, interval, listed, number, words
from auglik.report.sections.endpoints import forests, outcome, overview
from auglik.report.sections.scores import over_seeds


def answer(collected: Collected, inference: Inference, corrupted: Corrupted) -> Section:
    """The headline, the forest of differences, the heat map of all endpoints, the verdicts and their table."""
    rows = inference.primary
    if not rows:
        return Section(
            "answer", "Answer", ("There is nothing to compare: no two cells share a seed.",), (_alone(collected),)
        )
    figures = (*forests(inference), overview(inference, corrupted))
    sentences = (headline(rows, inference.rope), *(row.verdict for row in rows))
    return Section("answer", "Answer: clean NLL", sentences, (*figures, _table(collected, inference)))


def headline(rows: Sequence[Primary], rope: float) -> str:
    """How many cells are better, worse, practically equal and undecided, in one sentence."""
    groups: dict[str, list[str]] = {}
    for row in rows:
        groups.setdefault(outcome(row, rope), []).append(row.cell)
    references = listed(list(dict.fromkeys(row.reference for row in rows)))
    said = [
        f"{len(groups[kind])} {text} ({', '.join(groups[kind])})"
        for kind, text in (
            ("better", "better"),
            ("worse", "worse"),
            ("equal", "practically equal"),
            ("undecided", "that the data cannot tell from it"),
            ("unknown", "about which nothing can be said for other seeds"),
        )
        if kind in groups
    ]
    plural = "s" * (len(rows) != 1)
    return (
        f"Clean NLL, the primary endpoint: of {len(rows)} cell{plural} compared with {references}, {'; '.join(said)}."
    )


def _table(collected: Collected, inference: Inference) -> Table:
    references = dict.fromkeys(row.reference for row in inference.primary)
    by_cell = {row.cell: row for row in inference.primary}
    rows = []
    for name, cell in collected.cells.items():
        if name not in by_cell and name not in references:
            continue
        nll = over_seeds(cell.scores("clean_nll"), 4)
        row = by_cell.get(name)
        rest = _differences(row) if row else tuple(words("") for _ in range(7))
        rows.append(Row(name, (nll, *rest)))
    columns = (
        "cell", "clean NLL", "difference, posterior mean [95% HDI]", "mean over seeds [Student's 95%]", "P(better) %",
        "P(practically equal) %", "HDI within it %", "paired seeds", "against",
    )  # fmt: skip
    return Table(
        "primary",
        "Clean NLL against the reference, in nats a test image: less is better",
        columns,
        tuple(rows),
        f"Posterior: one hierarchical model of all cells' paired differences, for new seeds and new test images; its "
        f"intervals are shrunk towards zero. Student's: the paired differences of this cell alone, on these test "
        f"images. Practically equal: within ±{inference.rope:g} nats.",
    )


def _differences(row: Primary) -> tuple[Shown, ...]:
    student = interval(row.mean, row.new_seeds.lower, row.new_seeds.upper, 4)
    if row.effect is None:
        return words(""), student, *(words("") for _ in range(3)), count(len(row.seeds)), words(row.reference)
    mean, lower, upper, better, in_rope, hdi_in_rope = row.effect
    return (
        interval(mean, lower, upper, 4),
        student,
        *(number(100 * share, 1) for share in (better, in_rope, hdi_in_rope)),
        count(len(row.seeds)),
        words(row.reference),
    )


def _alone(collected: Collected) -> Table:
    rows = tuple(Row(name, (over_seeds(cell.scores("clean_nll"), 4),)) for name, cell in collected.cells.items())
    return Table("primary", "Clean NLL", ("cell", "clean NLL"), rows)
