"""The pictures of the study of estimators."""

from collections.abc import Mapping, Sequence

import numpy as np
import xarray
from matplotlib.figure import Figure

from auglik.studies.common.aggregator_style import STYLES

HIDDEN = ("geometric",)
"""At T = 1 the same as jensen."""


def _panels(title: str, label: str, count: int) -> tuple[Figure, np.ndarray]:
    figure = Figure(figsize=(4.2 * count, 4.4), layout="constrained")
    axes = figure.subplots(1, count, sharey=True, squeeze=False)[0]
    figure.suptitle(title)
    axes[0].set_ylabel(label)
    return figure, axes


def bias_figure(groups: Mapping[str, xarray.Dataset], keys: Sequence[str]) -> Figure:
    """|bias| against K: markers are torch with +-2 standard errors, lines the exact expectations."""
    figure, axes = _panels(
        "Jensen's bias never falls; the log-mean's falls as 1/K, the corrected ones' as 1/K²",
        "|bias| (nats)",
        len(keys),
    )
    for axis, key in zip(axes, keys, strict=True):
        data = groups[key]
        for name in data.aggregator.values:
            if name in HIDDEN:
                continue
            style, row = STYLES[name], data.sel(aggregator=name)
            exact, bias = np.abs(row.exact_bias), np.abs(row.bias)
            axis.plot(row.views, exact, color=style.color, linewidth=1.2)
            low = np.maximum(bias - 2 * row.bias_standard_error, 1e-12)
            axis.fill_between(row.views, low, bias + 2 * row.bias_standard_error, color=style.color, alpha=0.25, lw=0)
            axis.plot(row.views, bias, style.marker, color=style.color, markersize=5, label=name)
        axis.set(xscale="log", yscale="log", ylim=(1e-7, 1), xlabel="views K", title=str(data.attrs["law"]))
        axis.set_xticks(data.views.values[::2], [str(K) for K in data.views.values[::2]])
        axis.minorticks_off()
        axis.grid(alpha=0.3)
    _legend(figure, axes[0], "marker: torch, band: ±2 standard errors, line: exact expectation")
    return figure


def error_figure(groups: Mapping[str, xarray.Dataset], keys: Sequence[str]) -> Figure:
    """RMSE against K, solid, and standard deviation, dotted."""
    figure, axes = _panels(
        "The corrections cost hardly any variance; jensen, power-mean and geometric-normalized keep their bias",
        "RMSE (nats)",
        len(keys),
    )
    for axis, key in zip(axes, keys, strict=True):
        data = groups[key]
        for name in data.aggregator.values:
            if name in HIDDEN:
                continue
            style, row = STYLES[name], data.sel(aggregator=name)
            axis.plot(
                row.views, row.rmse, color=style.color, marker=style.marker, markersize=5, linewidth=1.2, label=name
            )
            axis.plot(row.views, row.standard_deviation, color=style.color, linestyle=":", linewidth=1.2)
        axis.set(xscale="log", yscale="log", ylim=(0.015, 1), xlabel="views K", title=str(data.attrs["law"]))
        axis.set_xticks(data.views.values[::2], [str(K) for K in data.views.values[::2]])
        axis.minorticks_off()
        axis.grid(alpha=0.3)
    axes[0].set_yticks([0.02, 0.05, 0.1, 0.2, 0.5, 1], ["0.02", "0.05", "0.1", "0.2", "0.5", "1"])
    _legend(figure, axes[0], "solid: RMSE against log I, dotted: standard deviation")
    return figure


def _legend(figure: Figure, axis: object, note: str) -> None:
    handles, labels = axis.get_legend_handles_labels()  # type: ignore[attr-defined]
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, title=note)
