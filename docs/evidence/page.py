"""Writes the table and the picture of a page of evidence, from its kept/ alone.

python docs/evidence/page.py PAGE ...
"""

import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from below import by_length, first_order, tolerance
from figures import (
    BY_CATEGORY,
    CORRUPTED,
    HUMAN,
    Shown,
    after_scaling,
    clean_nll,
    error,
    error_difference,
    failing,
    judged,
    kinetic_temperature,
    learning_rate,
    mean_nll,
    mean_wrong,
    measured,
    nll_difference,
    overconfidence,
    points,
    scored,
    under_mollification,
    wrong,
    wrong_under,
    wrong_where,
)
from kept import HERE, conditions_of, mollified, of_cells, of_claims, of_condition, of_conditions, of_pairs, own

from auglik.inference.differences.infer import decided, paired_differences
from auglik.inference.differences.rows import Primary
from auglik.report.collect import Collected
from auglik.report.figures.forest import Forest, Line, forest
from auglik.report.figures.svg import svg_file
from auglik.report.run_files import Run
from auglik.robustness.protocol import OCCLUDER
from auglik.scoring.conditions import ALL
from auglik.scoring.intervals import Interval
from auglik.scoring.predictions import Predictions

TABLE = re.compile(r"(<!-- table -->\n)(.*?)(<!-- end -->\n)", re.DOTALL)


class Compared(NamedTuple):
    """A column: a cell's clean NLL less the reference's, of predictions as they are or changed."""

    cell: str
    changed: Callable[[Predictions], Predictions] = lambda run: run
    drawn: bool = False


class Page(NamedTuple):
    """What a page shows of each condition: a few figures of it, then differences; each of these is a family of Holm."""

    figures: Mapping[str, Shown]
    columns: Mapping[str, Compared]
    rope: float
    picture: str
    reference: str = "smoothed"
    kept: Callable[[str, Path], Mapping[str, Collected]] = own
    first: str = "condition"
    """The head of the first column."""
    judged: Mapping[str, Callable[[Run], float]] = {}
    """Differences of a run's figures, each a family of Holm by Student's t over seeds."""
    last: Mapping[str, Shown] = {}
    """Figures behind the differences."""
    told: Mapping[str, Shown] = {}
    """Figures of the reference, above the table."""
    planned: int = 0
    """Seeds."""
    enough: int = 0
    """Of these; with fewer, no outcome is told."""
    below: Callable[[Mapping[str, Collected]], list[str]] = lambda kept: []
    """The lines of a table of its own."""


def of_labels(cell: str) -> dict[str, Compared]:
    """The columns of pages on soft labels, which make networks less confident."""
    return {
        "NLL after temperature scaling": Compared(cell, after_scaling, drawn=True),
        "NLL as it is": Compared(cell, drawn=True),
    }


TOLD: Mapping[str, Shown] = {
    "clean error of the reference": error("reference"),
    "its confidence less accuracy": overconfidence("reference"),
    "clean NLL": clean_nll("reference"),
    "mollified": mean_nll("reference", scored("mollified_nll")),
}

PAGES = {
    "what-turns-it": Page(
        figures={"clean error of the reference": error("smoothed")},
        columns={
            "log-mean": Compared("log-mean", drawn=True),
            "durbin-koopman": Compared("corrected", drawn=True),
            "normalized": Compared("normalized"),
            "tempered": Compared("tempered"),
        },
        rope=0.005,
        picture="Clean NLL less that of smoothed + jensen, by condition",
    ),
    "network-or-data": Page(
        figures={
            "clean error of the reference": error("smoothed"),
            "its confidence less accuracy": overconfidence("smoothed"),
            "log-mean's": overconfidence("log-mean"),
        },
        columns={
            "log-mean": Compared("log-mean", drawn=True),
            "after temperature scaling": Compared("log-mean", after_scaling, drawn=True),
        },
        rope=0.01,
        picture="Clean NLL of the log-mean less that of smoothed + jensen, by condition",
    ),
    "soft-labels": Page(
        figures={
            "clean error of hard": error("hard"),
            "of soft": error("soft"),
            "soft less hard, points": error_difference("soft", "hard"),
        },
        columns=of_labels("soft"),
        rope=0.005,
        picture="Clean NLL of soft labels less that of hard ones, by transformation",
        reference="hard",
    ),
    "appendix-c": Page(
        figures={
            "learning rate": learning_rate,
            "clean error": error("cell"),
            "confidence less accuracy": overconfidence("cell"),
        },
        columns={
            "clean NLL": Compared("cell", drawn=True),
            "after temperature scaling": Compared("cell", after_scaling, drawn=True),
            "mollified NLL": Compared("cell", under_mollification),
        },
        last={
            "corrupted NLL": nll_difference(measured(CORRUPTED)),
            "NLL of human labels": nll_difference(measured(HUMAN)),
        },
        told={
            **TOLD,
            "corrupted": mean_nll("reference", measured(CORRUPTED)),
            "of human labels": mean_nll("reference", measured(HUMAN)),
        },
        rope=0.01,
        picture="NLL less that of smoothed + jensen, by cell",
        reference="reference",
        kept=of_cells,
        first="cell",
        planned=5,
        enough=5,
    ),
    "mollification": Page(
        figures={
            "clean error without": error("reference"),
            "with less without, points": error_difference("cell", "reference"),
            "corrupted error without": mean_wrong("reference", ALL),
        },
        judged={"corrupted error, points": wrong_under(ALL)},
        columns={
            "clean NLL after temperature scaling": Compared("cell", after_scaling),
            "clean NLL": Compared("cell", drawn=True),
        },
        last={"corrupted NLL": nll_difference(measured(CORRUPTED)), **BY_CATEGORY},
        rope=0.005,
        picture="Corrupted error and clean NLL less those without mollification, by augmentation and kind",
        reference="reference",
        kept=of_conditions,
        first="augmentation, mollification",
    ),
    "crops": Page(
        figures={"clean error": error("cell"), "of the other": error("reference")},
        judged={
            "clean error, points": wrong,
            "corrupted error, points": wrong_under(ALL),
            "occluded error, points": wrong_where(("occlusion", OCCLUDER, "", None)),
        },
        columns={
            "clean NLL after temperature scaling": Compared("cell", after_scaling),
            "clean NLL": Compared("cell"),
        },
        last=BY_CATEGORY,
        rope=0.01,
        picture="Error on clean, corrupted and occluded images, by pair of cells",
        reference="reference",
        kept=of_pairs,
        first="cells",
    ),
    "cold-posterior": Page(
        figures={
            "clean NLL at T = 1": clean_nll("T-1"),
            "at T = 0.3": clean_nll("T-0.3"),
            "kinetic T at 0.3": kinetic_temperature("T-0.3"),
            "cells whose chains fail": failing,
        },
        columns={"T = 0.3 less T = 1": Compared("T-0.3", drawn=True)},
        rope=0.005,
        picture="Clean NLL at T = 0.3 less that at T = 1, by likelihood",
        reference="T-1",
    ),
    "views": Page(
        figures={
            "clean error of the reference": error("smoothed"),
            "its confidence less accuracy": overconfidence("smoothed"),
            "clean NLL of the reference": clean_nll("smoothed"),
            "of log-mean": clean_nll("log-mean"),
            "of corrected": clean_nll("corrected"),
        },
        columns={"log-mean": Compared("log-mean", drawn=True), "durbin-koopman": Compared("corrected", drawn=True)},
        rope=0.005,
        picture="Clean NLL less that of smoothed + jensen, by number of views and of images a step",
        below=first_order,
    ),
    "known": Page(
        figures={
            "clean error without": error("without"),
            "with": error("with"),
            "with less without, points": error_difference("with", "without"),
        },
        columns={
            "clean NLL": Compared("with", drawn=True),
            "after temperature scaling": Compared("with", after_scaling, drawn=True),
        },
        rope=0.005,
        picture="Clean NLL with mollification less that without",
        reference="without",
        kept=mollified,
        first="runs",
    ),
}


PAGES["appendix-c-long"] = PAGES["appendix-c"]._replace(kept=of_claims, planned=3, enough=3, below=by_length)
PAGES["all-images"] = PAGES["appendix-c"]._replace(
    last={},
    told=TOLD,
    kept=of_condition,
    planned=4,
    enough=3,
)
PAGES["cold-posterior-natural"] = PAGES["cold-posterior"]._replace(
    figures={"clean error at T = 1": error("T-1"), **PAGES["cold-posterior"].figures}
)
PAGES["mollification-natural"] = PAGES["mollification"]._replace(
    figures={"clean error without": error("reference"), "corrupted error without": mean_wrong("reference", ALL)},
    judged={"corrupted error, points": wrong_under(ALL), "clean error, points": wrong},
    rope=0.01,
    picture="Corrupted and clean error and clean NLL less those without mollification, by augmentation",
)
PAGES["mollification-settings"] = PAGES["mollification"]._replace(
    figures={
        "clean error": error("cell"),
        "less the reference's, points": error_difference("cell", "reference"),
        "corrupted error": mean_wrong("cell", ALL),
    },
    told={
        "clean error of the reference": error("reference"),
        "corrupted error": mean_wrong("reference", ALL),
        "clean NLL": clean_nll("reference"),
        "corrupted": mean_nll("reference", measured(CORRUPTED)),
    },
    picture="Corrupted error and clean NLL less those of beta = 2 and k = 1, by setting",
    kept=of_condition,
    first="cell",
    planned=10,
    enough=10,
)
PAGES["soft-labels-natural"] = PAGES["soft-labels"]._replace(
    figures={"clean error of hard": error("reference"), "of soft": error("cell")},
    judged={"clean error, points": wrong},
    columns=of_labels("cell"),
    rope=0.01,
    picture="Clean error and NLL of soft labels less those of hard ones, by transformation",
    reference="reference",
    kept=of_conditions,
    first="condition, cell",
    below=tolerance,
)


def main() -> None:
    for name in sys.argv[1:]:
        if name not in PAGES:
            sys.exit(f"expected a page, one of {', '.join(PAGES)}, got {name}")
        write(name, PAGES[name])


def write(name: str, page: Page) -> None:
    path, kept = HERE / f"{name}.md", page.kept(name, HERE)
    rows = differences_of(kept, page)
    text, found = TABLE.subn(lambda match: match[1] + table(name, kept, page, rows) + match[3], path.read_text())
    assert found == 1, f"{path} has no place for the table"
    path.write_text(text)
    if fewest(kept) >= page.enough:
        draw(kept, page, rows, HERE / name)


def write_repeated(name: str, root: Path) -> Path:
    """The table of what is kept in `root`, then the committed one, into a page there, with a picture.

    Of a part of the conditions neither words, a picture nor a second table are made, as families are of all.
    """
    page, kept = PAGES[name], PAGES[name].kept(name, root)
    if not all((root / name / "kept" / one).exists() for one in conditions_of(name)):
        page = page._replace(enough=sys.maxsize, below=lambda kept: [])
    rows, text = differences_of(kept, page), ""
    if fewest(kept) >= page.enough:
        draw(kept, page, rows, root / name)
        text = "" if page.planned else pictured(name, page) + "\n"
    committed = TABLE.search((HERE / f"{name}.md").read_text())
    assert committed is not None, f"{name}.md has no table"
    own, other = text + table(name, kept, page, rows), re.sub(r"!\[.*\n\n", "", committed[2])
    path = root / f"{name}.md"
    path.write_text(f"# {name}, repeated\n\n{own}\n## As committed\n\n{other}")
    return path


def differences_of(kept: Mapping[str, Collected], page: Page) -> dict[str, dict[str, Primary]]:
    """By column and row."""
    return {column: primary(kept, page, compared) for column, compared in page.columns.items()}


def draw(kept: Mapping[str, Collected], page: Page, rows: Mapping[str, Mapping[str, Primary]], folder: Path) -> None:
    panels = [panel(column, rows[column], page.rope) for column, compared in page.columns.items() if compared.drawn]
    panels = [panel_of_points(column, judged(kept, measure)) for column, measure in page.judged.items()] + panels
    folder.mkdir(exist_ok=True)
    (folder / "forest.svg").write_text(svg_file([forest(one, one.title) for one in panels], page.picture, 2))


def primary(kept: Mapping[str, Collected], page: Page, compared: Compared) -> dict[str, Primary]:
    """The difference in every condition; the conditions are a family of Holm."""
    pairs, differences = [], []
    for one in kept.values():
        of_two = {
            name: {seed: compared.changed(run.predictions) for seed, run in one.cells[name].runs.items()}
            for name in (page.reference, compared.cell)
        }
        [pair], [difference], _ = paired_differences(of_two, dict.fromkeys(of_two, page.reference))
        pairs.append(pair)
        differences.append(difference)
    return dict(zip(kept, decided(pairs, differences, rope=page.rope, family=len(kept)), strict=True))


def table(name: str, kept: Mapping[str, Collected], page: Page, rows: Mapping[str, Mapping[str, Primary]]) -> str:
    over = {column: judged(kept, measure) for column, measure in page.judged.items()}
    head = [page.first, *page.figures, *over, *page.columns, *page.last]
    lines = [*told(name, kept, page), "| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for condition, one in kept.items():
        figures = [shown(one) for shown in page.figures.values()]
        entries = [
            condition if page.kept is mollified else f"`{condition}`",
            *figures,
            *(difference_in_points(*of_row[condition], page.enough) for of_row in over.values()),
            *(difference(of_column[condition], page) for of_column in rows.values()),
            *(shown(one) for shown in page.last.values()),
        ]
        lines.append("| " + " | ".join(entries) + " |")
    return "\n".join([*lines, *page.below(kept)]) + "\n"


def told(name: str, kept: Mapping[str, Collected], page: Page) -> list[str]:
    """How many seeds are in, the picture of all, and the figures of the reference; nothing on pages of conditions."""
    if not page.planned:
        return []
    first = next(iter(kept.values()))
    seeds = first.cells[page.reference].runs
    figures = "; ".join(f"{figure} {shown(first)}" for figure, shown in page.told.items())
    of = f"{page.planned} seeds" if page.enough == page.planned else f"{page.planned} planned seeds"
    said = [f"{len(seeds)} of {of} ({', '.join(map(str, seeds))}); {figures}.", ""]
    return [pictured(name, page), *said] if fewest(kept) >= page.enough else said


def pictured(name: str, page: Page) -> str:
    return f"![{page.picture}]({name}/forest.svg)\n"


def fewest(kept: Mapping[str, Collected]) -> int:
    """The seeds of the cell that has least."""
    return min(len(cell.runs) for one in kept.values() for cell in one.cells.values())


def difference_in_points(found: Interval, outcome: str, enough: int) -> str:
    return points(found) + (f" {outcome}" if found.n >= enough else "")


def difference(row: Primary, page: Page) -> str:
    """With its outcome if enough seeds are in."""
    if row.effect is None:
        return "the same" if row.mean == 0 else f"{row.mean:+.3f}" if page.planned else "unknown"
    outcome = f" {row.outcome}" if len(row.seeds) >= page.enough else ""
    return f"{row.mean:+.3f} [{row.effect.lower:+.3f}, {row.effect.upper:+.3f}]{outcome}"


def panel(title: str, rows: Mapping[str, Primary], rope: float) -> Forest:
    lines = [
        Line(
            label=condition, mean=row.mean, lower=row.effect.lower, upper=row.effect.upper, outcome=row.outcome,
            shown=f"{row.mean:+.3f}",
        )
        for condition, row in rows.items()
        if row.effect is not None
    ]  # fmt: skip
    return Forest(
        title=title, axis="clean NLL less the reference's", unit="nats", lines=lines, rope=rope, likelihood=True
    )


def panel_of_points(title: str, rows: Mapping[str, tuple[Interval, str]]) -> Forest:
    lines = [
        Line(
            label=row,
            mean=found.mean,
            lower=found.lower,
            upper=found.upper,
            outcome=outcome,
            shown=f"{found.mean:+.2f}",
        )
        for row, (found, outcome) in rows.items()
    ]
    return Forest(title=title, axis="less the reference's", unit="points", lines=lines, rope=0.0, likelihood=False)


if __name__ == "__main__":
    main()
