"""The pictures of the study of estimators."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import xarray
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from auglik.studies.common.aggregator_style import STYLES, Style

HIDDEN = ("geometric",)
"""At T = 1 the same as jensen."""


def bias_figure(groups: Mapping[str, xarray.Dataset], keys: Sequence[str]) -> Figure:
    """|bias| against K: markers are torch with +-2 standard errors, lines the exact expectations."""

    def draw(axis: Axes, row: xarray.Dataset, style: Style, name: str) -> None:
        exact, bias = np.abs(row.exact_bias), np.abs(row.bias)
        axis.plot(row.views, exact, color=style.color, linewidth=1.2)
        low = np.maximum(bias - 2 * row.bias_standard_error, 1e-12)
        axis.fill_between(row.views, low, bias + 2 * row.bias_standard_error, color=style.color, alpha=0.25, lw=0)
        axis.plot(row.views, bias, style.marker, color=style.color, markersize=5, label=name)

    return _against_views(
        groups,
        keys,
        "Jensen's bias never falls; the log-mean's falls as 1/K, the corrected ones' as 1/K²",
        "|bias| (nats)",
        (1e-7, 1),
        "marker: torch, band: ±2 standard errors, line: exact expectation",
        draw,
    )


def error_figure(groups: Mapping[str, xarray.Dataset], keys: Sequence[str]) -> Figure:
    """RMSE against K, solid, and standard deviation, dotted."""

    def draw(axis: Axes, row: xarray.Dataset, style: Style, name: str) -> None:
        axis.plot(row.views, row.rmse, color=style.color, marker=style.marker, markersize=5, linewidth=1.2, label=name)
        axis.plot(row.views, row.standard_deviation, color=style.color, linestyle=":", linewidth=1.2)

    figure = _against_views(
        groups,
        keys,
        "Corrections cost hardly any variance; jensen, thermodynamic, power-mean, geometric-normalized keep their bias",
        "RMSE (nats)",
        (0.015, 1),
        "solid: RMSE against log I, dotted: standard deviation",
        draw,
    )
    figure.axes[0].set_yticks([0.02, 0.05, 0.1, 0.2, 0.5, 1], ["0.02", "0.05", "0.1", "0.2", "0.5", "1"])
    return figure


def _against_views(
    groups: Mapping[str, xarray.Dataset],
    keys: Sequence[str],
    title: str,
    label: str,
    limits: tuple[float, float],
    note: str,
    draw: Callable[[Axes, xarray.Dataset, Style, str], None],
) -> Figure:
    """A panel a law, both axes logarithmic; `draw` gets it, and the data, style and name of one aggregator."""
    figure = Figure(figsize=(4.2 * len(keys), 4.4), layout="constrained")
    axes = figure.subplots(1, len(keys), sharey=True, squeeze=False)[0]
    figure.suptitle(title)
    axes[0].set_ylabel(label)
    for axis, data in zip(axes, (groups[key] for key in keys), strict=True):
        for name in data.aggregator.values:
            if name not in HIDDEN:
                draw(axis, data.sel(aggregator=name), STYLES[name], name)
        axis.set(xscale="log", yscale="log", ylim=limits, xlabel="views K", title=str(data.attrs["law"]))
        axis.set_xticks(data.views.values[::2], [str(K) for K in data.views.values[::2]])
        axis.minorticks_off()
        axis.grid(alpha=0.3)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, title=note)
    return figure
