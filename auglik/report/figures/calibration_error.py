"""ECE of every cell, one below the other: its interval, the debiased and the plug-in estimates."""

from collections.abc import Mapping

from matplotlib.figure import Figure

from auglik.calibration.results import CellCalibration
from auglik.report.figures.style import BLACK, BLUE, GREEN, VERMILION, WIDTH, svg


def calibration_errors(cells: Mapping[str, CellCalibration], label: str) -> str:
    """95% intervals of the networks' mean ECE, one end where they start at 0; the estimates' means over seeds."""
    figure = Figure(figsize=(WIDTH, 0.9 + 0.36 * len(cells)), layout="constrained")
    axes = figure.subplots()
    height = list(range(len(cells) - 1, -1, -1))
    for y, cell in zip(height, cells.values(), strict=True):
        lower, upper = (100 * limit for limit in cell.ece)
        axes.plot([lower, upper], [y, y], color=BLUE, lw=2)
        ends = [lower, upper] if lower > 0 else [upper]
        axes.plot(ends, [y] * len(ends), "|" if lower > 0 else "<", color=BLUE, ms=8, ls="none")
        axes.plot([100 * cell.errors.plug_in.mean()], [y], "s", color=VERMILION, ms=5, mfc="none")
        axes.plot([100 * cell.errors.debiased.mean()], [y], "^", color=GREEN, ms=5)
    axes.plot([], [], "-|", color=BLUE, label="95% interval (<: an upper limit)")
    axes.plot([], [], "s", color=VERMILION, mfc="none", label="plug-in")
    axes.plot([], [], "^", color=GREEN, label="debiased")
    axes.axvline(0, color=BLACK, lw=0.8)
    axes.set_yticks(height, list(cells))
    axes.set_ylim(-0.6, len(cells) - 0.4)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("ECE, %")
    figure.legend(loc="outside lower center", ncols=3, fontsize=8)
    return svg(figure, "ece", label)
