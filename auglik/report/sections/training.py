"""How training went: curves of the validation scores, and what runs cost."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from auglik.report.collect import Cell, Collected
from auglik.report.content import Datum, Figure, Row, Section, Table, count, words
from auglik.report.figures.frame import legend
from auglik.report.figures.lines import Curve, Panel, lines
from auglik.report.figures.style import Style
from auglik.report.sections.scores import over_seeds
from auglik.scoring.intervals import summary


def training(collected: Collected, styles: Mapping[str, Style]) -> Section:
    """Validation NLL and error against the epoch; seconds, steps, parameters."""
    panels = [
        Panel(
            title="",
            x_title="epoch",
            y_title="validation NLL, nats",
            curves=_curves(collected, "validation_nll", 1),
            log=True,
        ),
        Panel(
            title="", x_title="epoch", y_title="validation error, %", curves=_curves(collected, "validation_error", 100)
        ),
    ]
    drawn = [panel for panel in panels if panel.curves]
    caption = "Validation scores while training: means over seeds, bands of ± one standard error."
    figures = (curves_figure("training", caption, drawn, styles),) if drawn else ()
    none = "" if drawn else ", of which there are none, as no image was held out"
    return Section(
        "training",
        "Training",
        (f"Training losses belong to different objectives and cannot be compared; validation scores can{none}.",),
        (*figures, _cost(collected)),
    )


def curves_figure(key: str, caption: str, panels: Sequence[Panel], styles: Mapping[str, Style]) -> Figure:
    """The panels, a legend of the cells in them, and every point."""
    cells = [cell for cell in styles if any(cell in panel.curves for panel in panels)]
    drawings = [lines(panel, styles, f"{panel.title} {panel.y_title} against {panel.x_title}") for panel in panels]
    data = tuple(
        Datum(f"{cell}, {panel.x_title} {x:g}", f"{panel.title} {panel.y_title}".strip() + part, value)
        for panel in panels
        for cell, curve in panel.curves.items()
        for x, *values in zip(*curve, strict=True)
        for part, value in zip(("", ": lower", ": upper"), values, strict=True)
    )
    shown = {cell: styles[cell] for cell in cells}
    return Figure(
        key=key,
        caption=caption,
        drawings=(*drawings, legend(shown, "The cells")) if len(cells) > 1 else tuple(drawings),
        data=data,
    )


def over_runs(rows: Sequence[Sequence[float]], x: Sequence[float], scale: float = 1) -> Curve:
    """The mean over runs of values [run][x], ± its standard error."""
    found = [summary([scale * value for value in column]) for column in zip(*rows, strict=True)]
    y = [one.mean for one in found]
    error = [one.standard_error for one in found]
    return Curve(x, y, list(np.subtract(y, error)), list(np.add(y, error)))


def _curves(collected: Collected, name: str, scale: float) -> dict[str, Curve]:
    curves = {}
    for cell in collected.cells.values():
        rows, epochs = _values(cell, name)
        if rows and epochs:
            curves[cell.name] = over_runs(rows, epochs, scale)
    return curves


def _values(cell: Cell, name: str) -> tuple[list[list[float]], list[float]]:
    """Values [run][epoch] of the epochs that all runs of the cell have."""
    of_runs = [
        {one.epoch: one.scores[name] for one in run.epochs if not math.isnan(one.scores.get(name, math.nan))}
        for run in cell.runs.values()
    ]
    epochs = sorted(set.intersection(*(set(run) for run in of_runs)))
    return [[run[epoch] for epoch in epochs] for run in of_runs], [float(epoch) for epoch in epochs]


def _cost(collected: Collected) -> Table:
    rows = []
    for name, cell in collected.cells.items():
        first, runs = cell.first, [run.results for run in cell.runs.values()]
        counts = first.steps, first.training_images, first.validation_images, first.parameters
        seconds = [[run.train_seconds for run in runs], [run.evaluation_seconds for run in runs]]
        shown = (over_seeds(values, 1) for values in seconds)
        rows.append(Row(name, (*shown, *map(count, counts), words(first.device))))
    columns = (
        "cell", "training, s", "scoring, s", "steps", "training images", "validation images", "parameters", "device",
    )  # fmt: skip
    return Table(
        key="cost",
        caption="Cost of a run",
        columns=columns,
        rows=tuple(rows),
        note="Runs share the machine, so seconds are only a guide.",
    )
