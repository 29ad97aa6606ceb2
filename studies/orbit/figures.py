"""The picture of the study of orbits."""

import numpy as np
import xarray
from matplotlib.figure import Figure

from auglik.studies.common.aggregator_style import STYLES

SHOWN = ("jensen", "power-mean", "log-mean", "durbin-koopman", "jackknife")


def orbit_figure(data: xarray.Dataset) -> Figure:
    """Left: mean error over images against K; right: the bias of 4 views of every image against its V."""
    figure = Figure(figsize=(10.5, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    views, count = data.attrs["views_of_orbit"], data.sizes["image"]
    figure.suptitle(
        f"{data.attrs['dataset']}, {count} test images, {views} views each: as for known laws,"
        " correcting turns 1/K into 1/K²"
    )
    for name in SHOWN:
        style, row = STYLES[name], data.sel(aggregator=name)
        exact = np.abs(row.exact_bias_of_image.mean("image", skipna=False))
        left.plot(row.views, exact, color=style.color, linewidth=1.2)
        low, high = (np.abs(row.bias) + sign * 2 * row.bias_standard_error for sign in (-1, 1))
        left.fill_between(row.views, np.maximum(low, 1e-12), high, color=style.color, alpha=0.25, lw=0)
        left.plot(row.views, np.abs(row.bias), style.marker, color=style.color, markersize=5, label=name)
        at_four = row.exact_bias_of_image.sel(views=4)
        right.plot(
            data.relative_variance, at_four, style.marker, color=style.color, markersize=3, alpha=0.7, label=name
        )
    left.set(xscale="log", yscale="log", ylim=(1e-7, 2), xlabel="views K", ylabel="|mean error over images| (nats)")
    left.set_xticks(data.views.values[::2], [str(K) for K in data.views.values[::2]])
    left.minorticks_off()
    left.set_title("line: exact, marker: torch, band: ±2 standard errors", fontsize=10)
    right.axhline(0, color="grey", linewidth=0.8)
    right.set(xscale="log", xlabel="relative variance of the likelihood over the image's views", ylabel="bias (nats)")
    right.set_title("exact bias of 4 views, a marker an image", fontsize=10)
    for axis in (left, right):
        axis.grid(alpha=0.3)
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    return figure
