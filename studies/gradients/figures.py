"""The pictures of the study of gradients."""

import numpy as np
import xarray
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from auglik.studies.common.aggregator_style import STYLES


def _against_views(axis: Axes, data: xarray.Dataset, name: str, title: str, scale: str = "log") -> None:
    for aggregator in data.aggregator.values:
        style, row = STYLES[aggregator], data[name].sel(aggregator=aggregator)
        axis.plot(
            data.views, row, color=style.color, marker=style.marker, markersize=5, linewidth=1.2, label=aggregator
        )
    axis.set(yscale=scale, title=title)


def aggregator_figure(data: xarray.Dataset) -> Figure:
    """Bias, noise, cosine of a draw and what views count for, against K."""
    figure = Figure(figsize=(13.5, 4.3), layout="constrained")
    axes = figure.subplots(1, 4)
    figure.suptitle(
        f"Parameter gradients ({data.attrs['parameters']} weights, {data.attrs['images']} images): more views take"
        " log-mean and durbin-koopman to the marginal's gradient, jensen to another"
    )
    _against_views(axes[0], data, "relative_bias", "bias |E g − g*| / |g*|")
    relative = data.assign(noise=np.sqrt(data.variance) / data.attrs["norm"])
    _against_views(axes[1], relative, "noise", "noise √(tr Cov g) / |g*|")
    _against_views(axes[2], data, "cosine", "mean cosine of one draw to g*", "linear")
    axes[1].set_yticks([0.1, 0.2, 0.5, 1, 2, 5], ["0.1", "0.2", "0.5", "1", "2", "5"])
    axes[2].set_ylim(0, 1.02)
    share = data.negative_share.where(data.negative_share > 0)
    axes[3].plot(
        data.views, share, color=STYLES["durbin-koopman"].color, marker="^", label="negative weight: share of images"
    )
    effective = data.effective_views / data.views
    axes[3].plot(
        data.views, effective, color=STYLES["log-mean"].color, marker="o", label="effective views / K, log-mean"
    )
    axes[3].set(yscale="log", ylim=(1e-5, 2), title="what single views count for")
    axes[3].legend(fontsize=8, loc="lower left")
    for axis in axes:
        axis.set(xscale="log", xlabel="views K")
        axis.set_xticks(data.views.values, [str(K) for K in data.views.values])
        axis.minorticks_off()
        axis.grid(alpha=0.3)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    return figure


def likelihood_figure(table: xarray.Dataset) -> Figure:
    """Bias and signal-to-noise ratio of every likelihood's gradient of 4 views, and the decay it attends to."""
    figure = Figure(figsize=(12.5, 4.3), layout="constrained")
    axes = figure.subplots(1, 3, sharey=True)
    figure.suptitle(
        f"Gradients of {table.attrs['views']} views by likelihood: durbin-koopman's bias is the smallest;"
        " noisy-dirichlet attends to the views that say least"
    )
    places = np.arange(table.sizes["likelihood"])
    for name in table.aggregator.values:
        style, row = STYLES[name], table.sel(aggregator=name)
        axes[0].plot(row.relative_bias, places, style.marker, color=style.color, label=name)
        axes[1].plot(row.signal_to_noise, places, style.marker, color=style.color)
    axes[2].plot(table.decay_seen, places, "D", color="#009E73")
    axes[2].axvline(table.attrs["mean_decay"], color="grey", linestyle="--", linewidth=1)
    axes[2].text(table.attrs["mean_decay"], -0.75, " mean of all views", color="grey", fontsize=8, va="center")
    axes[0].set(xscale="log", xlabel="bias |E g − g*| / |g*|")
    axes[0].set_yticks(places, [str(name) for name in table.likelihood.values])
    axes[0].invert_yaxis()
    axes[1].set(xlabel="signal-to-noise ratio |E g| / √(tr Cov g)", xlim=(0, None))
    axes[2].set(xlabel="decay of the views the marginal attends to", ylim=(len(places) - 0.5, -1.1))
    for axis in axes:
        axis.grid(alpha=0.3)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    return figure
