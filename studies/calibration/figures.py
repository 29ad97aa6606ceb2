"""The figure of the study of calibration intervals."""

import numpy as np
import xarray
from matplotlib.figure import Figure

from auglik.studies.common.pictures import BLACK, BLUE, ORANGE, panels


def coverage_figure(found: xarray.Dataset, held: xarray.DataArray) -> Figure:
    """The share of intervals that hold the truth, a row a world, a marker a size and number of networks."""
    names = list(dict.fromkeys(found["world"].values.tolist()))
    figure, (axes,) = panels(1, 1, (7.5, 1.2 + 0.34 * len(names)))
    covered, error = held.mean("repeat"), np.sqrt(0.95 * 0.05 / held.sizes["repeat"])
    axes.axvspan(0.95 - 2 * error, min(0.95 + 2 * error, 1), color=BLACK, alpha=0.08, lw=0)
    axes.axvline(0.95, color=BLACK, lw=0.8)
    for row, name in enumerate(names):
        mine = np.flatnonzero(found["world"].values == name)
        for place, shift in zip(mine, np.linspace(-0.3, 0.3, len(mine)), strict=True):
            several = int(found["networks"][place]) > 1
            size = 3 + 1.5 * np.log10(float(found["images"][place]))
            axes.plot(
                covered[place], len(names) - 1 - row - shift, "s" if several else "o", ms=size,
                color=ORANGE if several else BLUE, mfc="none",
            )  # fmt: skip
    axes.plot([], [], "o", color=BLUE, mfc="none", label="one network")
    axes.plot([], [], "s", color=ORANGE, mfc="none", label="several on the same images")
    axes.set_yticks(range(len(names)), names[::-1])
    axes.set_xlabel("share that holds the error")
    figure.suptitle("95% intervals of the ECE (greater marks: more images; grey: 2 standard errors)", fontsize=10)
    figure.legend(loc="outside lower center", ncols=2, fontsize=8)
    return figure
