"""What the figures of the studies share: colours that colour-blind readers can tell apart, and a bare figure."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, VERMILION, PURPLE = COLOURS = (
    "#000000", "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7",
)  # fmt: skip
"""Okabe & Ito 2008, "Color universal design"."""


def panels(rows: int, columns: int, size: tuple[float, float], *, share: bool = False) -> tuple[Figure, Sequence[Axes]]:
    """A figure of rows x columns axes, read row by row, of `size` inches, laid out so that nothing overlaps."""
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharex=share, sharey=share)
    return figure, list(np.ravel(axes))
