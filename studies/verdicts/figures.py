"""Pictures of the rates at which verdicts hold."""

from collections.abc import Mapping

from matplotlib.figure import Figure

from auglik.scoring.intervals import FAMILY_WISE
from auglik.studies.common.pictures import BLUE, VERMILION
from auglik.studies.verdicts.claims import HIGH, LOW, Key
from auglik.studies.verdicts.measure import Rates


def rates_figure(found: Mapping[Key, Rates]) -> Figure:
    """Family-wise rates of false words, and coverage, world by world; darker is more seeds."""
    names = list(dict.fromkeys(world.name for world, _ in found))
    counts = sorted({seeds for _, seeds in found})
    figure = Figure(figsize=(10, 1.2 + 0.42 * len(names)), layout="constrained")
    words, held = figure.subplots(1, 2, sharey=True)
    words.axvline(FAMILY_WISE, color="black", lw=0.8)
    held.axvspan(LOW, HIGH, color="#e9e3d3", lw=0)
    for (world, seeds), one in found.items():
        place = counts.index(seeds)
        y = len(names) - 1 - names.index(world.name) + 0.3 - 0.2 * place
        shade = 0.35 + 0.65 * place / max(1, len(counts) - 1)
        label = f"{seeds} seeds" if world.name == names[0] else None
        words.plot([one.family], [y], "o", color=VERMILION, alpha=shade, ms=5, label=label)
        held.plot([one.coverage.min(), one.coverage.max()], [y, y], color=BLUE, alpha=shade, lw=3)
    words.set_yticks(range(len(names)), list(reversed(names)))
    words.set_xlabel("any of 8 equal cells called better or worse")
    held.set_xlabel("95% intervals hold the truth:\nleast to most of the cells")
    words.set_xlim(left=0)
    words.legend(fontsize=8)
    figure.suptitle("Verdicts on eight cells that are all equal to their reference")
    return figure
