"""The forest of differences as a matplotlib figure, for papers and further changes."""

import math
import textwrap
from typing import TYPE_CHECKING

from auglik.inference import Inference
from auglik.objectives import InputError
from auglik.report.figures.outcome import OUTCOMES
from auglik.report.figures.svg import fitted
from auglik.scoring.metrics import PRIMARY
from auglik.settings.names import nearest

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LETTERS, LETTER = 44, 0.085
"""Names are cut in the middle beyond so many letters, each about so many inches wide."""


def plot_forest(inference: Inference, metric: str = PRIMARY, ax: "Axes | None" = None) -> "Axes":
    """A mark and a 95% interval for every cell, the first on top; without an interval, the mark alone.

    The primary endpoint's verdicts are on the right.
    Long names are cut in the middle. Raises InputError for a metric that was not compared.
    """
    rows = [row for row in inference.metrics if row.metric == metric]
    if not rows:
        known = dict.fromkeys(row.metric for row in inference.metrics)
        raise InputError(f"unknown metric {metric!r}{nearest(metric, known)}")
    names = [fitted(row.cell, LETTERS) for row in rows]
    if ax is None:
        import matplotlib.pyplot as plt

        width = max(6.4, 4.2 + LETTER * max(map(len, names)))
        _, ax = plt.subplots(figsize=(width, 1.4 + 0.4 * len(rows)), layout="constrained")
    outcomes = {row.cell: row.outcome for row in inference.primary} if metric == PRIMARY else {}
    if metric == PRIMARY and inference.rope:
        ax.axvspan(-inference.rope, inference.rope, color="0.9", label=f"practically equal, ±{inference.rope:g} nats")
    ax.axvline(0, color="0.5", linewidth=1)
    for place, row in enumerate(rows):
        if math.isfinite(row.lower) and math.isfinite(row.upper):
            ax.plot([row.lower, row.upper], [place, place], color="C0")
        if math.isfinite(row.mean):
            ax.plot([row.mean], [place], "o", color="C0")
        if row.cell in outcomes:
            word = OUTCOMES[outcomes[row.cell]].word
            ax.annotate(word, (1.01, place), xycoords=("axes fraction", "data"), va="center")
    ax.set_yticks(range(len(rows)), names)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    references = fitted(", ".join(dict.fromkeys(row.reference for row in rows)), LETTERS)
    ax.set_xlabel(textwrap.fill(f"{metric} less that of {references}, 95% interval of each cell", LETTERS))
    return ax
