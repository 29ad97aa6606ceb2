"""What the figures of the studies share: the reports' colours and a bare figure."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from auglik.report.figures.style import BLACK, BLUE, COLOURS, GREEN, ORANGE, PURPLE, SKY, VERMILION, YELLOW

__all__ = ["BLACK", "BLUE", "COLOURS", "GREEN", "ORANGE", "PURPLE", "SKY", "VERMILION", "YELLOW", "panels"]


def panels(rows: int, columns: int, size: tuple[float, float], *, share: bool = False) -> tuple[Figure, Sequence[Axes]]:
    """A figure of rows x columns axes, read row by row, of `size` inches, laid out so that nothing overlaps."""
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharex=share, sharey=share)
    return figure, list(np.ravel(axes))
