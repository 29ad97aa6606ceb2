"""Corruptions, occlusion, mollified test sets and human labels, where they were measured."""

from collections.abc import Mapping, Sequence

from auglik.inference.corrupted import Corrupted
from auglik.report.collect import Cell, Collected
from auglik.report.content import Figure, Item, Row, Section, Table, listed
from auglik.report.figures.lines import Panel, lines
from auglik.report.figures.style import Style
from auglik.report.sections.corrupted import corrupted_items, corrupted_sentences
from auglik.report.sections.measured import CLEAN, ECE, ERROR, METRICS, NLL, Condition, Measured, Metric, measured
from auglik.robustness.protocol import CORRUPTIONS
from auglik.robustness.score import ALL, MEAN

CATEGORIES = tuple(dict.fromkeys(CORRUPTIONS.values()))

Styles = Mapping[str, Style]


def robustness(collected: Collected, styles: Styles, corrupted: Corrupted | None = None) -> Section | None:
    """What was measured of the runs, and the posteriors of it, data set by data set; None where nothing was."""
    of_data: dict[str, dict[str, Cell]] = {}
    for name, cell in collected.cells.items():
        of_data.setdefault(cell.config.dataset, {})[name] = cell
    sentences: list[str] = []
    items: list[Item] = []
    for data, cells in of_data.items():
        found = measured(cells)
        if found is not None:
            found = found._replace(data=data if len(of_data) > 1 else "")
            sentences += _conditions(found)
            if corrupted is not None:
                sentences += corrupted_sentences(corrupted, found)
                items += corrupted_items(corrupted, found, styles)
            items += _items(found, styles)
    sentences += corrupted.left_out if corrupted is not None else []
    return Section("robustness", "Robustness", tuple(sentences), tuple(items)) if items else None


def _conditions(found: Measured) -> list[str]:
    said = (
        f"Every run under the same conditions, on {found.images:,} test images; corruptions: {found.corruptions}; "
        "means ± standard errors over seeds."
    )
    left_out = f"Not measured, or under other conditions, so left out here: {listed(found.left_out)}."
    return [found.caption(said), *([left_out] if found.left_out else [])]


def _items(found: Measured, styles: Styles) -> list[Item]:
    kinds = {kind for kind, *_ in found.conditions()}
    items: list[Item] = []
    if "corruption" in kinds:
        items += _corruptions(found, styles)
    if "occlusion" in kinds:
        title = "One black square or rectangle"
        items += _along(found, styles, "occlusion", found.names("occlusion"), "really covered area %", 100, title)
    if "mollified" in kinds:
        items += _along(found, styles, "mollified", ("noise", "blur"), "temperature t", 1, "Mollified test images")
    if "human" in kinds:
        items.append(_human(found))
    return items


def _corruptions(found: Measured, styles: Styles) -> list[Item]:
    there = {name for kind, name, *_ in found.conditions() if kind == "corruption"}
    names = [name for name in CORRUPTIONS if name in there]
    severities = found.strengths("corruption")

    def at(categories: Sequence[str]) -> dict[float, list[Condition]]:
        kept = [name for name in names if CORRUPTIONS[name] in categories]
        return {
            severity: [("corruption", name, CORRUPTIONS[name], severity) for name in kept] for severity in severities
        }

    categories = [category for category in CATEGORIES if any(CORRUPTIONS[name] == category for name in names)]
    parts = [("all corruptions", categories), *((category, [category]) for category in categories)]
    errors = [Panel(title, "severity", "error %", found.curves(at(kept), ERROR)) for title, kept in parts]
    others = [Panel("all corruptions", "severity", one.title, found.curves(at(categories), one)) for one in (ECE, NLL)]
    says = found.caption("Error against the severity of corruption, by category.")
    also = found.caption("Reliability under corruption: ECE and NLL against severity, means over the corruptions.")
    key, other = found.key("severity"), found.key("severity-reliability")
    return [
        Figure(key, says, lines(key, errors, styles, says, columns=3)),
        Figure(other, also, lines(other, others, styles, also)),
        *(_by_severity(found, severities, metric) for metric in METRICS),
        *(_by_corruption(found, names, categories, metric) for metric in METRICS),
    ]


def _by_severity(found: Measured, severities: Sequence[float], metric: Metric) -> Table:
    columns: dict[str, Condition] = {"clean": CLEAN}
    columns |= {f"severity {severity:g}": ("corruption", MEAN, ALL, severity) for severity in severities}
    columns |= {"mean": ("corruption", MEAN, ALL, None)}
    return _table(
        found, f"severity-{metric.name}", f"{_capital(metric)} by severity, means over the corruptions", columns, metric
    )


def _by_corruption(found: Measured, names: Sequence[str], categories: Sequence[str], metric: Metric) -> Table:
    """The layout of Heinonen et al. 2025, Table 2: clean, mean, every corruption, and here their categories too."""
    columns: dict[str, Condition] = {"clean": CLEAN, "mean": ("corruption", MEAN, ALL, None)}
    columns |= {name.replace("_", " "): ("corruption", name, CORRUPTIONS[name], None) for name in names}
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
        for metric in METRICS:
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
                        name if len(names) > 1 else "",
                        axis,
                        metric.title,
                        found.curves({x: [one] for x, one in at.items()}, metric),
                    )
                )
    caption, key = found.caption(f"{title}: error and NLL against {axis}."), found.key(kind)
    return [Figure(key, caption, lines(key, panels, styles, caption)), *tables]


def _human(found: Measured) -> Table:
    kinds = [key for key in found.conditions() if key[0] == "human"]
    columns = [(f"{condition[1]} {metric.title}", condition, metric) for condition in kinds for metric in METRICS]
    rows = tuple(
        Row(cell, tuple(found.entry(cell, condition, metric) for _, condition, metric in columns))
        for cell in found.cells
    )
    return Table(
        found.key("human"),
        found.caption("Against the answers of people"),
        ("cell", *(title for title, *_ in columns)),
        rows,
        "Expected: over labels drawn from people's answers. Excess: beyond people's own distribution as prediction.",
    )


def _table(found: Measured, key: str, caption: str, columns: Mapping[str, Condition], metric: Metric) -> Table:
    rows = tuple(
        Row(cell, tuple(found.entry(cell, condition, metric) for condition in columns.values())) for cell in found.cells
    )
    return Table(found.key(key), found.caption(caption), ("cell", *columns), rows)


def _capital(metric: Metric) -> str:
    return metric.title[:1].upper() + metric.title[1:]
