"""Error against likelihood, and clean images against corrupted and mollified ones (Heinonen et al. 2025, Fig. 6)."""

from collections.abc import Mapping

from auglik.report.collect import Cell, Collected
from auglik.report.content import Datum, Figure, Section
from auglik.report.figures.frame import legend
from auglik.report.figures.scatter import Dots, Scatter, scatter
from auglik.report.figures.style import Style
from auglik.report.run_files import Run
from auglik.report.sections.measured import by_data, measured, scores_under, suite_of
from auglik.scoring.columns import ERROR, NLL, Column
from auglik.scoring.conditions import ALL, MEAN


def tradeoffs(collected: Collected, styles: Mapping[str, Style]) -> Section | None:
    """A figure for every data set; None for a single cell."""
    if len(collected.cells) < 2:
        return None
    sets = by_data(collected)
    figures = tuple(
        _figure(cells, styles, data if len(sets) > 1 else "", place) for place, (data, cells) in enumerate(sets.items())
    )
    return Section("tradeoffs", "Error against likelihood", ("Closer to the lower left corner is better.",), figures)


def _figure(cells: Mapping[str, Cell], styles: Mapping[str, Style], data: str, place: int) -> Figure:
    panels = [
        _panel(cells, ("clean", NLL), ("clean", ERROR), None),
        _panel(cells, ("clean", NLL), ("mollified", NLL), None),
        _panel(cells, ("clean", ERROR), ("mollified", ERROR), None),
    ]
    found = measured(cells)
    if found is not None and any(condition[:2] == ("corruption", MEAN) for condition in found.conditions()):
        suite = suite_of(cells)
        panels += [
            _panel(cells, ("clean", NLL), ("corrupted", NLL), suite),
            _panel(cells, ("clean", ERROR), ("corrupted", ERROR), suite),
        ]
    panels = [panel for panel in panels if panel.cells]
    own = {name: styles[name] for name in cells}
    caption = f"{data}: " * bool(data) + (
        "Marks are means over seeds with bars of one standard error, dots are single runs; a cell with a run that is "
        "not finite has no mark. A dotted diagonal, where shown, means no loss."
    )
    drawings = [
        scatter(one, styles, f"{one.y_title} against {one.x_title}, of {len(one.cells)} cells") for one in panels
    ]
    rows = [datum for panel in panels for datum in _data(panel, cells)]
    key = "tradeoffs" if place == 0 else f"tradeoffs-{place + 1}"
    return Figure(
        key=key, caption=caption, drawings=(*drawings, legend(own, "The cells")), data=tuple(dict.fromkeys(rows))
    )


def _panel(cells: Mapping[str, Cell], x: tuple[str, Column], y: tuple[str, Column], suite: str | None) -> Scatter:
    """Of the runs that were measured: what is not a number stays, lest a cell's mean be that of its better runs."""
    found = {}
    for name, cell in cells.items():
        runs = [(_score(run, *x, suite), _score(run, *y, suite), seed) for seed, run in cell.runs.items()]
        if kept := [one for one in runs if None not in one]:
            found[name] = Dots(*zip(*kept, strict=True))
    return Scatter(_title(*x), _title(*y), found, equal=x[1] is y[1])


def _title(part: str, metric: Column) -> str:
    return f"{part.capitalize()} {metric.label}, {metric.unit}"


def _score(run: Run, part: str, metric: Column, suite: str | None) -> float | None:
    """In the metric's units; None if it was not measured, under the conditions `suite` if of corrupted images."""
    if part == "corrupted":
        overall = ("corruption", MEAN, ALL, None)
        found = [getattr(one, metric.name) for one in scores_under(run, suite) if one.condition == overall]
        return metric.scale * float(found[0]) if found else None
    return metric.scale * run.results.score(f"{part}_{metric.name}")


def _data(panel: Scatter, cells: Mapping[str, Cell]) -> list[Datum]:
    return [
        Datum(f"{cell}, seed {seed}", title, value)
        for cell, dots in panel.cells.items()
        for title, values in ((panel.x_title, dots.x), (panel.y_title, dots.y))
        for seed, value in zip(dots.seeds, values, strict=True)
    ]
