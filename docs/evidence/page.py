"""Writes the table and the picture of a page of evidence, from its kept/ alone.

python docs/evidence/page.py PAGE ...
"""

import re
import sys
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from auglik.inference.calibration import scaled
from auglik.inference.calibration.temperature import fit
from auglik.inference.differences.infer import decided, paired_differences
from auglik.inference.differences.rows import Primary
from auglik.report.collect import Collected, collect
from auglik.report.figures.forest import Forest, Line, forest
from auglik.report.figures.svg import svg_file
from auglik.report.sections.sampled import examined
from auglik.scoring.intervals import paired_difference
from auglik.scoring.predictions import Predictions

HERE = Path(__file__).parent
TABLE = re.compile(r"(<!-- table -->\n).*?(<!-- end -->\n)", re.DOTALL)
Shown = Callable[[Collected], str]


class Compared(NamedTuple):
    """A column: a cell's clean NLL less the reference's, of predictions as they are or changed."""

    cell: str
    changed: Callable[[Predictions], Predictions] = lambda run: run
    drawn: bool = False


def own(page: str) -> dict[str, Collected]:
    """The kept comparisons of a page's conditions."""
    conditions = tomllib.loads((HERE / page / "conditions.toml").read_text())["conditions"]
    return {one: collect(HERE / page / "kept" / one) for one in conditions}


def mollified(page: str) -> dict[str, Collected]:
    """The references of conditions of other pages that differ in mollification alone, as cells `without` and `with`."""
    found = {}
    for title, (of, without, with_) in MOLLIFIED.items():
        one, other = (collect(HERE / of / "kept" / condition) for condition in (without, with_))
        cells = {"without": one.cells["smoothed"], "with": other.cells["smoothed"]}
        found[title] = one._replace(cells=cells, references=dict.fromkeys(cells, "without"))
    return found


MOLLIFIED = {
    "digits, small-cnn, FCR": ("what-turns-it", "no-mollification", "base"),
    "digits, small-cnn, FCR + TrivialAugment": ("what-turns-it", "trivial-augment-only", "trivial-augment"),
    "CIFAR-10, fast-resnet, FCR + TrivialAugment": ("network-or-data", "no-mollification", "base"),
}
"""Page, condition without and condition with mollification."""


class Page(NamedTuple):
    """What a page shows of each condition: a few figures of it, then differences; each of these is a family of Holm."""

    figures: Mapping[str, Shown]
    columns: Mapping[str, Compared]
    rope: float
    picture: str
    reference: str = "smoothed"
    kept: Callable[[str], Mapping[str, Collected]] = own
    first: str = "condition"
    """The head of the first column."""


def after_scaling(run: Predictions) -> Predictions:
    """With one temperature for all logits, chosen on the validation images."""
    temperature = fit(run.validation_log_probabilities, run.validation_labels)
    assert temperature is not None, "expected validation images"
    return run._replace(log_probabilities=scaled(run.log_probabilities, temperature).astype(np.float32))


def error(cell: str) -> Shown:
    """The mean over seeds."""
    return lambda one: f"{100 * np.mean(one.cells[cell].scores('clean_error')):.2f}%"


def clean_nll(cell: str) -> Shown:
    """The mean over seeds."""
    return lambda one: f"{np.mean(one.cells[cell].scores('clean_nll')):.3f}"


def kinetic_temperature(cell: str) -> Shown:
    """Of the chains' steps, with its standard error."""

    def shown(one: Collected) -> str:
        kinetic = examined(one)[cell].kinetic
        return f"{kinetic.mean:.3f} ± {kinetic.error:.3f}"

    return shown


def failing(one: Collected) -> str:
    """Cells whose chains fail a diagnostic."""
    chains = examined(one)
    return f"{sum(bool(cell.failures()) for cell in chains.values())} of {len(chains)}"


def error_difference(cell: str, reference: str) -> Shown:
    """In points, paired by seed, with Student's 95% interval over seeds."""

    def shown(one: Collected) -> str:
        found = paired_difference(
            *(100 * np.asarray(one.cells[name].scores("clean_error")) for name in (cell, reference))
        )
        return f"{found.mean:+.2f} [{found.lower:+.2f}, {found.upper:+.2f}]"

    return shown


def overconfidence(cell: str) -> Shown:
    """Mean confidence on clean test images less accuracy, over seeds."""

    def shown(one: Collected) -> str:
        gaps = []
        for run in one.cells[cell].runs.values():
            log_p = scaled(run.predictions.log_probabilities, 1.0)
            right = log_p.argmax(axis=1) == run.predictions.labels
            gaps.append(np.exp(log_p.max(axis=1)).mean() - right.mean())
        return f"{np.mean(gaps):+.3f}"

    return shown


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
        columns={
            "NLL after temperature scaling": Compared("soft", after_scaling, drawn=True),
            "NLL as it is": Compared("soft", drawn=True),
        },
        rope=0.005,
        picture="Clean NLL of soft labels less that of hard ones, by transformation",
        reference="hard",
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


def main() -> None:
    for name in sys.argv[1:]:
        write(name, PAGES[name])


def write(name: str, page: Page) -> None:
    kept = page.kept(name)
    rows = {column: primary(kept, page, compared) for column, compared in page.columns.items()}
    path = HERE / f"{name}.md"
    text, found = TABLE.subn(lambda match: match[1] + table(kept, page, rows) + match[2], path.read_text())
    assert found == 1, f"{path} has no place for the table"
    path.write_text(text)
    panels = [panel(column, rows[column], page.rope) for column, compared in page.columns.items() if compared.drawn]
    (HERE / name).mkdir(exist_ok=True)
    (HERE / name / "forest.svg").write_text(svg_file([forest(one, one.title) for one in panels], page.picture, 2))


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


def table(kept: Mapping[str, Collected], page: Page, rows: Mapping[str, Mapping[str, Primary]]) -> str:
    head = [page.first, *page.figures, *page.columns]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for condition, one in kept.items():
        figures = [shown(one) for shown in page.figures.values()]
        entries = [
            f"`{condition}`" if page.kept is own else condition,
            *figures,
            *(difference(of_column[condition]) for of_column in rows.values()),
        ]
        lines.append("| " + " | ".join(entries) + " |")
    return "\n".join(lines) + "\n"


def difference(row: Primary) -> str:
    if row.effect is None:
        return "the same" if row.mean == 0 else "unknown"
    return f"{row.mean:+.3f} [{row.effect.lower:+.3f}, {row.effect.upper:+.3f}] {row.outcome}"


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


if __name__ == "__main__":
    main()
