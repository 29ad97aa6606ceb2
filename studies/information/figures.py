"""Pictures of what blur takes from images."""

from collections.abc import Mapping

import numpy as np
import xarray
from matplotlib.figure import Figure
from numpy.typing import NDArray

from auglik.studies.common.pictures import BLUE, GREEN, VERMILION, panels
from auglik.studies.information.measure import as_pixels, blurred

COLOURS = (VERMILION, BLUE, GREEN)
FINE = np.linspace(0, 1, 201)
SHOWN = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


def decay_figure(tables: Mapping[str, xarray.Dataset], title: str) -> Figure:
    """The decay of every set against t, as measured and net of PNG's fixed bytes, with the fitted powers."""
    figure, axes = panels(1, 2, (10, 4.6), share=True)
    kinds = (("decay", "k", "1 - bytes$_t$ / bytes$_0$"), ("net_decay", "k_net", "net of a one-colour PNG's bytes"))
    for axis, (column, k, label) in zip(axes, kinds, strict=True):
        axis.plot([0, 1], [0, 1], color="0.6", linestyle=":", label="decay = t")
        for colour, (name, table) in zip(COLOURS, tables.items(), strict=False):
            power = float(table[k])
            axis.plot(table["t"], table[column], "o", color=colour, markersize=4, label=name)
            axis.plot(FINE, FINE**power, color=colour, linewidth=1.2, label=f"t$^k$, k = {power:.2f}")
        axis.set(xlabel="temperature t of the blur", ylabel=f"decay: {label}", ylim=(-0.05, 1.05))
        axis.legend(frameon=False, fontsize=8, loc="upper left")
    figure.suptitle(title)
    return figure


def mosaic_figure(images: Mapping[str, NDArray[np.uint8]], tables: Mapping[str, xarray.Dataset]) -> Figure:
    """One image [c,H,W] of every set, blurred as training does, under its mean PNG bytes."""
    figure, axes = panels(len(images), len(SHOWN), (9, 1.75 * len(images) + 0.4))
    for row, (name, image) in enumerate(images.items()):
        for column, t in enumerate(SHOWN):
            axis = axes[row * len(SHOWN) + column]
            pixels = as_pixels(blurred(image[None], t)[0])
            axis.imshow(pixels, cmap="gray" if pixels.ndim == 2 else None, vmin=0, vmax=255)
            bytes_ = float(np.interp(t, tables[name]["t"], tables[name]["bytes"]))
            axis.set_title(f"t = {t:g}\n{bytes_:.0f} bytes", fontsize=9)
            axis.set(xticks=[], yticks=[])
        axes[row * len(SHOWN)].set_ylabel(name)
    figure.suptitle("The blur of training, and the mean PNG bytes that it leaves")
    return figure
