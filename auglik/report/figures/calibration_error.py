"""ECE of every cell, one below the other: its posterior beside the plug-in and the debiased estimates."""

from collections.abc import Mapping

from matplotlib.figure import Figure

from auglik.calibration.results import CellCalibration
from auglik.report.figures.style import BLACK, BLUE, GREEN, VERMILION, WIDTH, svg


def calibration_errors(cells: Mapping[str, CellCalibration], label: str) -> str:
    """Posterior means with 50% and 95% intervals of the networks' mean ECE; means over seeds of the estimates."""
    figure = Figure(figsize=(WIDTH, 0.9 + 0.36 * len(cells)), layout="constrained")
    axes = figure.subplots()
    height = list(range(len(cells) - 1, -1, -1))
    for y, cell in zip(height, cells.values(), strict=True):
        mean, lower_50, upper_50, lower_95, upper_95 = (100 * float(value) for value in cell.ece)
        axes.plot([lower_95, upper_95], [y, y], color=BLUE, lw=1.5)
        axes.plot([lower_50, upper_50], [y, y], color=BLUE, lw=4, solid_capstyle="butt")
        axes.plot([mean], [y], "o", color=BLUE, ms=6)
        axes.plot([100 * cell.errors.plug_in.mean()], [y], "s", color=VERMILION, ms=5, mfc="none")
        axes.plot([100 * cell.errors.debiased.mean()], [y], "^", color=GREEN, ms=5)
    axes.plot([], [], "o-", color=BLUE, label="posterior, 50% and 95%")
    axes.plot([], [], "s", color=VERMILION, mfc="none", label="plug-in")
    axes.plot([], [], "^", color=GREEN, label="debiased")
    axes.axvline(0, color=BLACK, lw=0.8)
    axes.set_yticks(height, list(cells))
    axes.set_ylim(-0.6, len(cells) - 0.4)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("ECE, %")
    figure.legend(loc="outside lower center", ncols=3, fontsize=8)
    return svg(figure, "ece", label)
