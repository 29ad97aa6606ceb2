"""The answer first: the primary endpoint of every cell against its reference."""

from collections.abc import Sequence

from auglik.inference.corruption import Corrupted
from auglik.inference.differences.rows import Inference, Primary
from auglik.inference.differences.verdict import nats_digits, p_digits
from auglik.report.collect import Collected
from auglik.report.content import Row, Section, Shown, Table, bounds, count, interval, listed, number, words
from auglik.report.figures.outcome import OUTCOMES
from auglik.report.sections.endpoints import forests, overview
from auglik.report.sections.scores import over_seeds
from auglik.scoring.intervals import FAMILY_WISE

NAMED = 8
"""Cells that the headline names per outcome."""


def answer(collected: Collected, inference: Inference, corrupted: Corrupted) -> Section:
    """The headline, the forest of differences, the heat map of all endpoints, the verdicts and their table."""
    rows = inference.primary
    if not rows:
        return Section("answer", "Answer", (nothing(collected),), (_alone(collected),))
    figures = (*forests(inference), overview(inference, corrupted))
    sentences = (headline(rows, inference.family), *(row.verdict for row in rows))
    return Section("answer", "Answer: clean NLL", sentences, (*figures, _table(collected, inference)))


def nothing(collected: Collected) -> str:
    """Why no cell is compared."""
    why = "no two cells share a seed on the same test images" if len(collected.cells) > 1 else "there is one cell"
    return f"There is nothing to compare: {why}."


def headline(rows: Sequence[Primary], family: int) -> str:
    """How many cells are better, worse, practically equal and undecided, in one sentence."""
    groups: dict[str, list[str]] = {}
    for row in rows:
        groups.setdefault(row.outcome, []).append(row.cell)
    references = listed(list(dict.fromkeys(row.reference for row in rows)))
    said = [
        f"{len(groups[kind])} {text} ({_named(groups[kind])})"
        for kind, text in (
            ("better", "better"),
            ("worse", "worse"),
            ("equal", "practically equal"),
            ("undecided", "undecided"),
            ("unknown", "for which nothing can be concluded about other seeds and images"),
        )
        if kind in groups
    ]
    plural, all_of = "s" * (len(rows) != 1), f" (Holm over the family of {family})" if family > 1 else ""
    head = (
        f"Clean NLL, the primary endpoint, for new seeds and new test images: of {len(rows)} cell{plural} compared "
        f"with {references}, {'; '.join(said)}."
    )
    if set(groups) == {"unknown"}:
        return head
    return (
        f"{head} If test images are independent of each other, and differences between seeds and means over such test "
        f"sets roughly normal, at most {FAMILY_WISE:.0%} of comparisons call any cell better or worse when it is not, "
        f"and at most {FAMILY_WISE:.0%} any practically equal when not{all_of}."
    )


def _named(cells: Sequence[str]) -> str:
    """The first of many: the verdicts name all."""
    more = len(cells) - NAMED
    return ", ".join(cells) if more <= 0 else f"{', '.join(cells[:NAMED])} and {more} more"


def _table(collected: Collected, inference: Inference) -> Table:
    references = dict.fromkeys(row.reference for row in inference.primary)
    by_cell = {row.cell: row for row in inference.primary}
    rows = []
    for name, cell in collected.cells.items():
        if name not in by_cell and name not in references:
            continue
        nll = over_seeds(cell.scores("clean_nll"), 4)
        row = by_cell.get(name)
        rest = _differences(row) if row else tuple(words("") for _ in range(8))
        rows.append(Row(name, (nll, *rest)))
    columns = (
        "cell", "clean NLL", "difference [95%, new seeds and images]", "[95%, new seeds, these images]", "verdict",
        "adjusted p", "P(better) %", "P(practically equal) %", "paired seeds", "against",
    )  # fmt: skip
    return Table(
        key="primary",
        caption="Clean NLL against the reference, in nats per test image: lower is better",
        columns=columns,
        rows=tuple(rows),
        note=f"Each interval is for one cell, from its own variance over seeds; the verdict and its p account for all "
        f"{inference.family} cells (Holm). Practically equal: within ±{inference.rope:g} nats; its p is of a "
        "difference that is larger, the others' of any difference.",
    )


def _differences(row: Primary) -> tuple[Shown, ...]:
    student = bounds(row.new_seeds.lower, row.new_seeds.upper, 4)
    if row.effect is None:
        difference, rest = number(row.mean, 4, sign=True), tuple(words("") for _ in range(3))
    else:
        found = row.effect.mean, row.effect.lower, row.effect.upper
        difference = interval(*found, nats_digits(*found))
        shares = (row.effect.p_better, row.effect.p_in_rope)
        p = row.effect.p_equal_adjusted if row.outcome == "equal" else row.effect.p_adjusted
        rest = (
            number(p, p_digits(p)),
            *(number(100 * share, 1) for share in shares),
        )
    return difference, student, words(OUTCOMES[row.outcome].word), *rest, count(len(row.seeds)), words(row.reference)


def _alone(collected: Collected) -> Table:
    rows = tuple(Row(name, (over_seeds(cell.scores("clean_nll"), 4),)) for name, cell in collected.cells.items())
    return Table(key="primary", caption="Clean NLL", columns=("cell", "clean NLL"), rows=rows)
