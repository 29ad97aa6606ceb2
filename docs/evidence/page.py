"""Writes the table and the picture of a page of evidence, from its kept/ alone.

python docs/evidence/page.py PAGE ...
"""

import re
import sys
import tomllib
from collections.abc import Callable, Mapping
from itertools import combinations
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
from auglik.report.run_files import Run
from auglik.report.sections.sampled import examined
from auglik.robustness.protocol import OCCLUDER
from auglik.scoring.conditions import ALL, MEAN, Named
from auglik.scoring.corruptions import CORRUPTIONS
from auglik.scoring.intervals import FAMILY_WISE, Interval, holm, p_of, paired_difference
from auglik.scoring.predictions import Predictions
from auglik.system.array_types import Float64Array

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


def of_cells(page: str) -> dict[str, Collected]:
    """Every cell of a page without conditions as the cell `cell`, beside its reference."""
    one = collect(HERE / page / "kept")
    [name] = set(one.references.values())
    return {
        cell: one._replace(cells={"reference": one.cells[name], "cell": one.cells[cell]}, references={})
        for cell in one.cells
        if cell != name
    }


def of_conditions(page: str) -> dict[str, Collected]:
    """Every cell of every condition as the cell `cell`, beside its condition's reference."""
    found = {}
    for condition, one in own(page).items():
        [name] = set(one.references.values())
        for cell in one.cells:
            if cell != name:
                cells = {"reference": one.cells[name], "cell": one.cells[cell]}
                found[f"{condition}, {cell}"] = one._replace(cells=cells, references={})
    return found


def of_pairs(page: str) -> dict[str, Collected]:
    """Every two cells of a page's one condition, the earlier as `reference` and the later as `cell`."""
    [one] = own(page).values()
    return {
        f"{cell} less {reference}": one._replace(
            cells={"reference": one.cells[reference], "cell": one.cells[cell]}, references={}
        )
        for reference, cell in combinations(one.cells, 2)
    }


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
    judged: Mapping[str, Callable[[Run], float]] = {}
    """Differences of a run's figures, each a family of Holm by Student's t over seeds."""
    last: Mapping[str, Shown] = {}
    """Figures behind the differences."""
    told: Mapping[str, Shown] = {}
    """Figures of the reference, above the table."""
    planned: int = 0
    """Seeds; with fewer, no outcome is told."""
    below: Callable[[Mapping[str, Collected]], list[str]] = lambda kept: []
    """The lines of a second table."""
    below: Callable[[Mapping[str, Collected]], list[str]] = lambda kept: []
    """The lines of a table of its own."""


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
    return mean_nll(cell, lambda run: run.results.score("clean_nll"))


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
        return points(
            paired_difference(*(100 * np.asarray(one.cells[name].scores("clean_error")) for name in (cell, reference)))
        )

    return shown


def learning_rate(one: Collected) -> str:
    return f"{one.cells['cell'].config.optimization.learning_rate:g}"


def mean_nll(cell: str, measure: Callable[[Run], float]) -> Shown:
    """Over seeds."""
    return lambda one: f"{np.mean([measure(run) for run in one.cells[cell].runs.values()]):.3f}"


def mean_wrong(cell: str, category: str) -> Shown:
    """Per cent of corrupted images, over seeds."""
    return lambda one: f"{np.mean([wrong_under(category)(run) for run in one.cells[cell].runs.values()]):.2f}%"


def nll_difference(measure: Callable[[Run], float]) -> Shown:
    """In nats, paired by seed, with Student's 95% interval over seeds."""

    def shown(one: Collected) -> str:
        return nats(over_seeds(one, measure))

    return shown


def points_difference(measure: Callable[[Run], float]) -> Shown:
    """In points, paired by seed, with Student's 95% interval over seeds."""
    return lambda one: points(over_seeds(one, measure))


def over_seeds(one: Collected, measure: Callable[[Run], float]) -> Interval:
    """Of the cell less the reference."""
    own, other = (one.cells[name].runs for name in ("cell", "reference"))
    return paired_difference(*([measure(runs[seed]) for seed in own if seed in other] for runs in (own, other)))


def nats(found: Interval) -> str:
    return f"{found.mean:+.3f}" + (f" [{found.lower:+.3f}, {found.upper:+.3f}]" if found.n > 1 else "")


def points(found: Interval) -> str:
    return f"{found.mean:+.2f} [{found.lower:+.2f}, {found.upper:+.2f}]"


def judged(kept: Mapping[str, Collected], measure: Callable[[Run], float]) -> dict[str, tuple[Interval, str]]:
    """The difference in every row, and its word by Student's t over seeds after Holm over the rows."""
    found = [over_seeds(one, measure) for one in kept.values()]
    adjusted = holm([p_of(one) for one in found])
    return {
        row: (one, ("better" if one.mean < 0 else "worse") if p < FAMILY_WISE else "undecided")
        for row, one, p in zip(kept, found, adjusted, strict=True)
    }


def measured(condition: Named) -> Callable[[Run], float]:
    """NLL of a run from its robustness.csv."""
    return lambda run: next(score.nll for score in run.robustness if score.condition == condition)


def wrong(run: Run) -> float:
    """Per cent of clean images."""
    return 100 * run.results.score("clean_error")


def wrong_where(condition: Named) -> Callable[[Run], float]:
    """Per cent of images under that condition, from a run's robustness.csv."""
    return lambda run: 100 * next(score.error for score in run.robustness if score.condition == condition)


def wrong_under(category: str) -> Callable[[Run], float]:
    """Per cent of images under the corruptions of a category, over their severities."""
    return wrong_where(("corruption", MEAN, category, None))


BY_CATEGORY = {
    f"under {category}": points_difference(wrong_under(category)) for category in dict.fromkeys(CORRUPTIONS.values())
}
VIEWS = {
    ("digits", "images"): {2: "2-of-128", 4: "4-of-128", 8: "8-of-128"},
    ("digits", "views"): {2: "2-of-256", 4: "4-of-128", 8: "8-of-64"},
    ("wrong labels", "images"): {2: "wrong-labels-2-of-128", 4: "wrong-labels-4-of-128", 8: "wrong-labels-8-of-128"},
    ("wrong labels", "views"): {2: "wrong-labels-2-of-256", 4: "wrong-labels-4-of-128", 8: "wrong-labels-8-of-64"},
}
"""Conditions of the page on K, by what a step has equally many of."""
FIRST_ORDER = {("log-mean", 2): (4, 7), ("log-mean", 4): (6, 7), ("corrected", 2): (1, 1), ("corrected", 4): (1, 1)}
"""The share of D(8) that D(K) should be: the log-mean takes back 1 - 1/K of what the Jensen bound gives away."""
NEAR = 0.25
"""Of D(8): an undecided contrast within that of zero is near enough."""


def first_order(kept: Mapping[str, Collected]) -> list[str]:
    """D(K), the differences in clean NLL to the reference, less their share of D(8); a family of Holm."""
    found: dict[tuple[str, ...], tuple[Interval, float]] = {}
    for (labels, equal), conditions in VIEWS.items():
        for (cell, K), (over, under) in FIRST_ORDER.items():
            at_K, at_8 = (of_seeds(kept[conditions[views]], cell) for views in (K, 8))
            share = "D(8)" if over == under else f"{over}/{under} D(8)"
            contrast = paired_difference(at_K, over / under * at_8)
            found[labels, equal, f"`{cell}`", f"D({K}) - {share}"] = contrast, at_8.mean()
    adjusted = holm([p_of(contrast) for contrast, _ in found.values()])
    lines = ["", "| labels | equal | cell | contrast | mean D(8) | nats |", "|" + "---|" * 6]
    for names, (contrast, at_8), p in zip(found, found.values(), adjusted, strict=True):
        near = max(abs(contrast.lower), abs(contrast.upper)) < NEAR * abs(at_8)
        word = "disagrees" if p < FAMILY_WISE else "near enough" if near else "cannot tell"
        entries = (*names, f"{at_8:+.3f}", f"{nats(contrast)} {word}")
        lines.append("| " + " | ".join(entries) + " |")
    return lines


def of_seeds(one: Collected, cell: str) -> Float64Array:
    """Clean NLL of a cell less that of `smoothed` [seed]."""
    own, other = (np.asarray(one.cells[name].scores("clean_nll")) for name in (cell, "smoothed"))
    return own - other


CORRUPTED, HUMAN = ("corruption", MEAN, ALL, None), ("human", "expected", "", None)


def under_mollification(run: Predictions) -> Predictions:
    """Its view of every test image that is clean, noised or blurred at random."""
    return run._replace(log_probabilities=run.mollified_log_probabilities[0])


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
            "clean error of the reference": error("reference"),
            "its confidence less accuracy": overconfidence("reference"),
            "clean NLL": clean_nll("reference"),
            "mollified": mean_nll("reference", lambda run: run.results.score("mollified_nll")),
            "corrupted": mean_nll("reference", measured(CORRUPTED)),
            "of human labels": mean_nll("reference", measured(HUMAN)),
        },
        rope=0.01,
        picture="NLL less that of smoothed + jensen, by cell",
        reference="reference",
        kept=of_cells,
        first="cell",
        planned=5,
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


def main() -> None:
    for name in sys.argv[1:]:
        write(name, PAGES[name])


def write(name: str, page: Page) -> None:
    kept = page.kept(name)
    rows = {column: primary(kept, page, compared) for column, compared in page.columns.items()}
    path = HERE / f"{name}.md"
    text, found = TABLE.subn(lambda match: match[1] + table(name, kept, page, rows) + match[2], path.read_text())
    assert found == 1, f"{path} has no place for the table"
    path.write_text(text)
    if fewest(kept) < page.planned:
        return
    panels = [panel(column, rows[column], page.rope) for column, compared in page.columns.items() if compared.drawn]
    panels = [panel_of_points(column, judged(kept, measure)) for column, measure in page.judged.items()] + panels
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


def table(name: str, kept: Mapping[str, Collected], page: Page, rows: Mapping[str, Mapping[str, Primary]]) -> str:
    over = {column: judged(kept, measure) for column, measure in page.judged.items()}
    head = [page.first, *page.figures, *over, *page.columns, *page.last]
    lines = [*told(name, kept, page), "| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for condition, one in kept.items():
        figures = [shown(one) for shown in page.figures.values()]
        entries = [
            condition if page.kept is mollified else f"`{condition}`",
            *figures,
            *(f"{points(of_row[condition][0])} {of_row[condition][1]}" for of_row in over.values()),
            *(difference(of_column[condition], page.planned) for of_column in rows.values()),
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
    picture = [f"![{page.picture}]({name}/forest.svg)", ""] if fewest(kept) >= page.planned else []
    return [*picture, f"{len(seeds)} of {page.planned} seeds ({', '.join(map(str, seeds))}); {figures}.", ""]


def fewest(kept: Mapping[str, Collected]) -> int:
    """The seeds of the cell that has least."""
    return min(len(cell.runs) for one in kept.values() for cell in one.cells.values())


def difference(row: Primary, planned: int) -> str:
    """With its outcome if as many seeds as planned are in."""
    if row.effect is None:
        return "the same" if row.mean == 0 else f"{row.mean:+.3f}" if planned else "unknown"
    outcome = f" {row.outcome}" if len(row.seeds) >= planned else ""
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
