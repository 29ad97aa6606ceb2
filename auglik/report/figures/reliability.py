"""Reliability diagrams and confidence histograms, a small panel for every cell."""

from collections.abc import Mapping

import numpy as np

from auglik.calibration.results import CellCalibration
from auglik.report.figures.style import BLACK, Style, heading, panels, svg

COLUMNS = 3
HEIGHT = 2.35


def reliability(cells: Mapping[str, CellCalibration], styles: Mapping[str, Style], label: str) -> str:
    """Accuracy less confidence against confidence: posterior mean, its 50% and 95% bands, and what was observed.

    The gap is drawn in place of the accuracy: a gap of 2% is invisible beside a diagonal. Points grow with the share of
    images in their bin.
    """
    figure, all_axes = panels(len(cells), COLUMNS, HEIGHT)
    for axes, (name, cell) in zip(all_axes, cells.items(), strict=True):
        curve, posterior = cell.curve, cell.curve.posterior
        x, seen = curve.confidence, curve.counts > 0
        colour, _, marker = styles[name]
        for lower, upper, alpha in (
            (posterior.lower_95, posterior.upper_95, 0.15),
            (posterior.lower_50, posterior.upper_50, 0.3),
        ):
            axes.fill_between(x[seen], (lower - x)[seen], (upper - x)[seen], color=colour, alpha=alpha, lw=0)
        axes.plot(x[seen], (posterior.mean - x)[seen], color=colour)
        size = 5 + 60 * np.sqrt(curve.counts[seen] / curve.counts.sum())
        axes.scatter(x[seen], (curve.accuracy - x)[seen], s=size, marker=marker, color="none", edgecolor=colour, lw=1)
        axes.axhline(0, color=BLACK, lw=0.8)
        heading(axes, name)
        axes.set_xlim(0, 1.04)
    figure.supxlabel("confidence", fontsize=9)
    figure.supylabel("accuracy - confidence", fontsize=9)
    low, high = np.clip(np.array([_extent(cell) for cell in cells.values()]), -1, 1).T
    all_axes[0].set_ylim(low.min() - 0.02, high.max() + 0.02)
    return svg(figure, "reliability", label)


def histograms(cells: Mapping[str, CellCalibration], styles: Mapping[str, Style], label: str) -> str:
    """The share of images in every bin of confidence, mean over seeds, on a logarithmic axis; the mean is marked."""
    figure, all_axes = panels(len(cells), COLUMNS, HEIGHT)
    for axes, (name, cell) in zip(all_axes, cells.items(), strict=True):
        curve = cell.curve
        share = 100 * curve.counts / curve.counts.sum()
        axes.bar(curve.edges[:-1], share, np.diff(curve.edges), align="edge", color=styles[name].colour, alpha=0.7)
        axes.axvline(float((curve.confidence * curve.counts).sum() / curve.counts.sum()), color=BLACK, ls="--", lw=1)
        right = curve.counts > 0
        axes.axvline(float((curve.accuracy[right] * curve.counts[right]).sum() / curve.counts.sum()), color=BLACK, lw=1)
        heading(axes, name)
        axes.set_xlim(0, 1)
        axes.set_yscale("log")
        axes.minorticks_off()
    figure.supxlabel("confidence", fontsize=9)
    figure.supylabel("images, %", fontsize=9)
    return svg(figure, "confidence", label)


def _extent(cell: CellCalibration) -> tuple[float, float]:
    """Of the bands and points, in bins that have images."""
    curve, seen = cell.curve, cell.curve.counts > 0
    parts = [curve.posterior.lower_95[seen], curve.posterior.upper_95[seen], curve.accuracy[seen]]
    gaps = np.concatenate([part - curve.confidence[seen] for part in parts])
    return float(gaps.min()), float(gaps.max())
