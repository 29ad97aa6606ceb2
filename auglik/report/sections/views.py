"""Clean NLL against the number of views K, for cells that differ in nothing else."""

from collections.abc import Mapping

from auglik.report.collect import Cell, Collected
from auglik.report.content import Row, Section, Table
from auglik.report.figures.lines import Curve, Panel
from auglik.report.figures.style import Style
from auglik.report.sections.scores import over_seeds
from auglik.report.sections.training import curves_figure
from auglik.runs.settings import flatten
from auglik.scoring.columns import ECE, ERROR, NLL, Column
from auglik.scoring.intervals import summary
from auglik.settings.fields import Scalar

METRICS_BY_VIEWS = (NLL, ERROR, ECE)


def views(collected: Collected, styles: Mapping[str, Style]) -> Section | None:
    """None if no two cells differ only in K."""
    groups = [cells for cells in by_rest(collected.cells).values() if len(cells) > 1]
    if not groups:
        return None
    panels = [
        Panel(
            title="",
            x_title="views K",
            y_title=f"clean {metric.title}",
            curves={cells[0].name: _curve(cells, metric) for cells in groups},
        )
        for metric in METRICS_BY_VIEWS
    ]
    caption = "Scores against the number of views K: means over seeds ± one standard error; cells differ only in K."
    rows = tuple(
        Row(
            f"{cell.name}, K = {cell.config.views}",
            tuple(over_seeds(cell.scores(f"clean_{one.name}"), one.digits, one.scale) for one in METRICS_BY_VIEWS),
        )
        for cells in groups
        for cell in cells
    )
    return Section(
        "views",
        "Number of views",
        (),
        (
            curves_figure("views", caption, panels, styles),
            Table(
                key="views",
                caption=caption,
                columns=("cell", *(f"clean {metric.title}" for metric in METRICS_BY_VIEWS)),
                rows=rows,
            ),
        ),
    )


def by_rest(cells: Mapping[str, Cell]) -> dict[tuple[tuple[str, Scalar], ...], list[Cell]]:
    """The cells by all settings except K, in the order of K."""
    groups: dict[tuple[tuple[str, Scalar], ...], list[Cell]] = {}
    for cell in sorted(cells.values(), key=lambda cell: cell.config.views):
        rest = tuple((key, value) for key, value in flatten(cell.config).items() if key not in ("seed", "views"))
        groups.setdefault(rest, []).append(cell)
    return groups


def _curve(cells: list[Cell], metric: Column) -> Curve:
    found = [summary([metric.scale * value for value in cell.scores(f"clean_{metric.name}")]) for cell in cells]
    lower = [one.mean - one.standard_error for one in found]
    upper = [one.mean + one.standard_error for one in found]
    return Curve([cell.config.views for cell in cells], [one.mean for one in found], lower, upper)
