"""Curves of all cells in panels that share their legend."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from auglik.report.figures.style import Style, legend, panels, svg


class Curve(NamedTuple):
    """Means over seeds at x; `lower` and `upper` bound a band or bars, NaN where there is one seed."""

    x: Sequence[float]
    y: Sequence[float]
    lower: Sequence[float]
    upper: Sequence[float]


class Panel(NamedTuple):
    """One panel: a curve for every cell that has one."""

    title: str
    x_title: str
    y_title: str
    curves: Mapping[str, Curve]
    log: bool = False


def lines(
    key: str, parts: Sequence[Panel], styles: Mapping[str, Style], label: str, *, columns: int = 2, share: bool = False
) -> str:
    """A panel each; with few points these are marked and have bars of one standard error, with many there are bands."""
    figure, all_axes = panels(len(parts), columns, 3.2 if len(parts) <= columns else 2.6, share=share)
    for axes, panel in zip(all_axes, parts, strict=True):
        for cell, curve in panel.curves.items():
            colour, line, marker = styles[cell]
            few = len(curve.x) <= 12
            axes.plot(curve.x, curve.y, line, marker=marker if few else "", color=colour, label=cell)
            if few:
                axes.vlines(curve.x, curve.lower, curve.upper, color=colour, lw=1)
            else:
                axes.fill_between(curve.x, curve.lower, curve.upper, color=colour, alpha=0.15, lw=0)
        axes.set_title(panel.title)
        axes.set_xlabel(panel.x_title)
        axes.set_ylabel(panel.y_title)
        if panel.log:
            axes.set_yscale("log")
    legend(figure, max(all_axes, key=lambda axes: len(axes.get_legend_handles_labels()[1])))
    return svg(figure, key, label)
