"""Corruptions, occlusion, mollified test sets and human labels, where they were measured."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from auglik.inference.corruption import Corrupted
from auglik.report.collect import Collected
from auglik.report.content import Datum, Figure, Item, Row, Section, Table, listed
from auglik.report.figures.frame import legend
from auglik.report.figures.lines import Panel
from auglik.report.figures.profile import Profile, profile
from auglik.report.figures.style import Style
from auglik.report.sections.corrupted import corrupted_items, corrupted_sentences
from auglik.report.sections.measured import CLEAN, Condition, Measured, by_data, measured
from auglik.report.sections.training import curves_figure
from auglik.scoring.columns import ECE, ERROR, NLL, PRINTED, Column
from auglik.scoring.conditions import ALL, MEAN
from auglik.scoring.corruptions import CORRUPTIONS

CATEGORIES = tuple(dict.fromkeys(CORRUPTIONS.values()))

Styles = Mapping[str, Style]


def robustness(collected: Collected, styles: Styles, corrupted: Corrupted | None = None) -> Section | None:
    """The runs' robustness scores and conclusions from them, data set by data set; None if nothing was measured."""
    of_data = by_data(collected)
    sentences: list[str] = []
    items: list[Item] = []
    for data, cells in of_data.items():
        found = measured(cells)
        if found is not None:
            found = replace(found, data=data if len(of_data) > 1 else "")
            sentences += _conditions(found)
            items += _items(found, styles)
            if corrupted is not None:
                sentences += corrupted_sentences(corrupted, found)
                items += corrupted_items(corrupted, found)
    sentences += corrupted.left_out if corrupted is not None else []
    return Section("robustness", "Robustness", tuple(sentences), tuple(items)) if items else None


def _conditions(found: Measured) -> list[str]:
    said = (
        f"Every run under the same conditions, on {found.images:,} test images; corruptions: {found.corruptions}; "
        "means ± standard errors over seeds."
    )
    left_out = f"Not measured, or under different conditions, so left out here: {listed(found.left_out)}."
    return [found.caption(said), *([left_out] if found.left_out else [])]


def _items(found: Measured, styles: Styles) -> list[Item]:
    kinds = {kind for kind, *_ in found.conditions()}
    items: list[Item] = []
    if "corruption" in kinds:
        items += _corruptions(found, styles)
    if "occlusion" in kinds:
        title = "One black square or rectangle"
        items += _along(found, styles, "occlusion", found.names("occlusion"), "area actually covered %", 100, title)
    if "mollified" in kinds:
        items += _along(found, styles, "mollified", ("noise", "blur"), "temperature t", 1, "Mollified test images")
    if "human" in kinds:
        items.append(_human(found))
    return items


def _corruptions(found: Measured, styles: Styles) -> list[Item]:
    category_of = categories_of(found)
    names = list(category_of)
    severities = found.strengths("corruption")

    def at(categories: Sequence[str]) -> dict[float, list[Condition]]:
        kept = [name for name in names if category_of[name] in categories]
        return {
            severity: [("corruption", name, category_of[name], severity) for name in kept] for severity in severities
        }

    categories = [category for category in CATEGORIES if category in category_of.values()]
    categories += [category for category in dict.fromkeys(category_of.values()) if category not in CATEGORIES]
    parts = [("all corruptions", categories), *((category, [category]) for category in categories)]
    errors = [
        Panel(title=title, x_title="severity", y_title=ERROR.title, curves=found.curves(at(kept), ERROR))
        for title, kept in parts
    ]
    others = [
        Panel(title="all corruptions", x_title="severity", y_title=one.title, curves=found.curves(at(categories), one))
        for one in (NLL, ECE)
    ]
    says = found.caption(
        "Error against the severity of corruption, over all corruptions and by category; NLL and ECE over all."
    )
    return [
        curves_figure(found.key("severity"), says, [errors[0], *others, *errors[1:]], styles),
        _profiles(found, styles, category_of),
        *(_by_severity(found, severities, metric) for metric in PRINTED),
        *(_by_corruption(found, category_of, categories, metric) for metric in PRINTED),
    ]


def categories_of(found: Measured) -> dict[str, str]:
    """The corruptions that were measured, with their categories: in the published order, then others."""
    there = {name: category for kind, name, category, _ in found.conditions() if kind == "corruption" and name != MEAN}
    order = [*(name for name in CORRUPTIONS if name in there), *(name for name in there if name not in CORRUPTIONS)]
    return {name: there[name] for name in order}


def _profiles(found: Measured, styles: Styles, category_of: Mapping[str, str]) -> Figure:
    """Error and NLL under every corruption, means over severities and seeds."""
    groups: dict[str, list[str]] = {}
    for name, category in category_of.items():
        groups.setdefault(category, []).append(name)
    order = [name for members in groups.values() for name in members]
    spoken = {title: [name.replace("_", " ") for name in members] for title, members in groups.items()}
    panels, data = [], list[Datum]()
    for metric in (ERROR, NLL):
        scores = {}
        for cell in found.cells:
            shown = [found.entry(cell, ("corruption", name, category_of[name], None), metric) for name in order]
            scores[cell] = [one.numbers[0][1] if one.numbers else float("nan") for one in shown]
            data += [Datum(cell, f"{name}, {metric.title}", x) for name, x in zip(order, scores[cell], strict=True)]
        panels.append(
            Profile(
                title=f"{_capital(metric)} by corruption",
                axis="mean over severities and seeds",
                groups=spoken,
                scores=scores,
            )
        )
    caption = found.caption("Corruption profiles: where each cell suffers most. Lower is better.")
    drawings = [profile(panel, styles, panel.title) for panel in panels]
    cells = legend({cell: styles[cell] for cell in found.cells}, "The cells")
    return Figure(key=found.key("profiles"), caption=caption, drawings=(*drawings, cells), data=tuple(data))


def _by_severity(found: Measured, severities: Sequence[float], metric: Column) -> Table:
    columns: dict[str, Condition] = {"clean": CLEAN}
    columns |= {f"severity {severity:g}": ("corruption", MEAN, ALL, severity) for severity in severities}
    columns |= {"mean": ("corruption", MEAN, ALL, None)}
    return _table(
        found, f"severity-{metric.name}", f"{_capital(metric)} by severity, means over the corruptions", columns, metric
    )


def _by_corruption(found: Measured, category_of: Mapping[str, str], categories: Sequence[str], metric: Column) -> Table:
    """The layout of Heinonen et al. 2025, Table 2: clean, mean, every corruption, and here their categories too."""
    columns: dict[str, Condition] = {"clean": CLEAN, "mean": ("corruption", MEAN, ALL, None)}
    columns |= {name.replace("_", " "): ("corruption", name, category, None) for name, category in category_of.items()}
    columns |= {f"all {category}": ("corruption", MEAN, category, None) for category in categories}
    return _table(
        found, f"corruptions-{metric.name}", f"{_capital(metric)} by corruption, means over severities", columns, metric
    )


def _along(
    found: Measured, styles: Styles, kind: str, names: Sequence[str], axis: str, unit: float, title: str
) -> list[Item]:
    """Curves and tables of a condition of varying strength."""
    strengths = found.strengths(kind)
    panels, tables = [], []
    unchanged: dict[float, Condition] = {} if 0.0 in strengths else {0.0: CLEAN}
    for name in names:
        for metric in PRINTED:
            what = f"{name}: {metric.title}" if len(names) > 1 else metric.title
            conditions: list[Condition] = [(kind, name, "", one) for one in strengths]
            where = [found.covered(one) for one in conditions] if kind == "occlusion" else strengths
            at = unchanged | {unit * x: one for x, one in zip(where, conditions, strict=True)}
            columns = {f"{x:.3g}": condition for x, condition in at.items()}
            key = f"{kind}-{name}-{metric.name}"
            tables.append(_table(found, key, f"{title}, {what} against {axis}", columns, metric))
            if metric in (ERROR, NLL):
                panels.append(
                    Panel(
                        title=name if len(names) > 1 else "",
                        x_title=axis,
                        y_title=metric.title,
                        curves=found.curves({x: [one] for x, one in at.items()}, metric),
                    )
                )
    caption, key = found.caption(f"{title}: error and NLL against {axis}."), found.key(kind)
    return [curves_figure(key, caption, panels, styles), *tables]


def _human(found: Measured) -> Table:
    kinds = [key for key in found.conditions() if key[0] == "human"]
    columns = [(f"{condition[1]} {metric.title}", condition, metric) for condition in kinds for metric in PRINTED]
    rows = tuple(
        Row(cell, tuple(found.entry(cell, condition, metric) for _, condition, metric in columns))
        for cell in found.cells
    )
    return Table(
        key=found.key("human"),
        caption=found.caption("Against human answers"),
        columns=("cell", *(title for title, *_ in columns)),
        rows=rows,
        note="Expected: over labels drawn from human answers. Excess: beyond the human distribution itself as "
        "prediction.",
    )


def _table(found: Measured, key: str, caption: str, columns: Mapping[str, Condition], metric: Column) -> Table:
    rows = tuple(
        Row(cell, tuple(found.entry(cell, condition, metric) for condition in columns.values())) for cell in found.cells
    )
    return Table(key=found.key(key), caption=found.caption(caption), columns=("cell", *columns), rows=rows)


def _capital(metric: Column) -> str:
    return metric.title[:1].upper() + metric.title[1:]
