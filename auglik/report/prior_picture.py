"""The prior predictive, drawn."""

from typing import TYPE_CHECKING

import numpy as np

from auglik.report.figures.style import BLUE, VERMILION
from auglik.runs.prior_predictive import PriorPredictive

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LINES = 100
"""Networks that are drawn each as a line."""


def prior_picture(found: PriorPredictive, title: str) -> "Figure":
    """How confident the prior's networks are, and how they share the images out among the classes."""
    from matplotlib.figure import Figure  # here, as it takes long to load

    C = found.shares.shape[1]
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    confidence, classes = figure.subplots(1, 2)
    edges = np.linspace(0, 1, 41)
    heights, _ = np.histogram(found.largest, edges)
    confidence.stairs(heights / heights.sum(), edges, fill=True, color=BLUE)
    confidence.axvline(1 / C, color="0.5", linestyle="dashed")
    confidence.set(
        xlabel="probability of the likeliest class (dashed: even)", ylabel="share of predictions", xlim=(0, 1)
    )
    ranked, rank = -np.sort(-found.shares, 1), np.arange(1, C + 1)
    classes.plot(rank, ranked[:LINES].T, color=VERMILION, alpha=0.15, linewidth=1)
    classes.plot(rank, ranked.mean(0), color=VERMILION, linewidth=2.5)
    classes.set(xlabel="class of a network, commonest first", ylabel="share of test images", ylim=(0, 1.02))
    figure.suptitle(title)
    return figure
