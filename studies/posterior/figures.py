"""Pictures of the posteriors."""

import numpy as np
import xarray
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from auglik.studies.common.pictures import BLACK, BLUE, GREEN, ORANGE, PURPLE, VERMILION, panels

STYLES = tuple(zip((BLACK, ORANGE, VERMILION, PURPLE, BLUE, GREEN), "so^vDP", strict=True))


def temperature_figure(grid: xarray.Dataset, title: str) -> Figure:
    """Held-out log-likelihood and concentration against T, each with two Monte Carlo standard errors."""
    figure, (scores, spreads) = panels(1, 2, (11, 4.8))
    for (colour, marker), pair in zip(STYLES, grid["pair"].values, strict=True):
        one = grid.sel(pair=pair).dropna("T", how="all", subset=["held_out"])
        style = {"color": colour, "marker": marker, "markersize": 5, "capsize": 2, "linewidth": 1.3, "label": pair}
        scores.errorbar(one["T"], one["held_out"], yerr=2 * one["held_out_error"], **style)
        spreads.errorbar(one["T"], one["spread"], yerr=2 * one["spread_error"], **style)
    _temperature_axis(scores, grid)
    _temperature_axis(spreads, grid)
    scores.set_ylabel("held-out log-likelihood (nats an image)")
    spreads.set_ylabel("posterior sd / prior sd (root mean square)")
    spreads.set_yscale("log")
    ticks = [0.1, 0.2, 0.3, 0.5, 0.7, 1.0]
    spreads.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    spreads.minorticks_off()
    spreads.legend(frameon=False, fontsize=8)
    figure.suptitle(title)
    return figure


def _temperature_axis(axis: Axes, grid: xarray.Dataset) -> None:
    axis.set_xscale("log", base=2)
    T = grid["T"].values
    axis.set_xticks(T, [f"1/{1 / t:.0f}" if t < 1 else f"{t:g}" for t in T])
    axis.axvline(1, color="0.8", linewidth=0.8, zorder=0)
    axis.set_xlabel("temperature T of the likelihood (T < 1: colder)")


def comparison_figure(table: xarray.Dataset, grid: xarray.Dataset, matched: xarray.Dataset, title: str) -> Figure:
    """PSIS-LOO next to held-out scores at T = 1, and the temperature at which the categorical model is as sure."""
    figure, (scores, temperatures) = panels(1, 2, (11, 4.2))
    names, images = list(table["pair"].values), float(table.attrs["images"])
    row = np.arange(len(names))[::-1]
    warm = grid.sel(T=1.0).sel(pair=names)
    scores.errorbar(table["elpd"] / images, row + 0.12, xerr=table["se"] / images, fmt="o", color=BLUE, capsize=2,
                    label="PSIS-LOO, training images (bars: 1 se over images)")  # fmt: skip
    scores.errorbar(warm["held_out"], row - 0.12, xerr=warm["held_out_se_images"], fmt="s", color=VERMILION, capsize=2,
                    label="test images")  # fmt: skip
    scores.set_yticks(row, names)
    scores.set_xlabel("categorical log-likelihood at T = 1 (nats an image)")
    figure.legend(*scores.get_legend_handles_labels(), loc="outside lower left", ncols=2, frameon=False, fontsize=8)
    pairs = list(matched["pair"].values)
    place = np.arange(len(pairs))[::-1]
    T, error = matched["T"].values, 2 * matched["T_error"].values
    temperatures.errorbar(T, place, xerr=[np.minimum(error, 0.9 * T), error], fmt="o", color=BLUE, capsize=2)
    for x, y in zip(T, place, strict=True):
        temperatures.annotate(f"{x:.2g}", (x, y), (0, 7), textcoords="offset points", ha="center", fontsize=9)
    temperatures.axvline(1, color="0.8", linewidth=0.8, zorder=0)
    temperatures.set_xscale("log", base=2)
    ticks = 2.0 ** np.arange(np.floor(np.log2(T.min())) - 1, np.ceil(np.log2(T.max())) + 2)
    temperatures.set_xticks(ticks, [f"1/{1 / t:.0f}" if t < 1 else f"{t:g}" for t in ticks])
    temperatures.set_yticks(place, pairs)
    temperatures.set_ylim(-0.6, len(pairs) - 0.3)
    temperatures.set_xlabel("T at which categorical + geometric:T\nis as concentrated as each is at T = 1")
    figure.suptitle(title)
    return figure
