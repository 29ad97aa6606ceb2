"""The second tables of pages, with a contrast of differences in each."""

from collections.abc import Mapping

import numpy as np
from figures import CORRUPTED, differences, error, measured, nats, over_seeds, overconfidence, points, scored
from kept import HERE, of_cells
from scipy import stats

from auglik.report.collect import Collected
from auglik.scoring.intervals import FAMILY_WISE, Interval, holm, p_of, paired_difference, standard_error, summary
from auglik.system.array_types import Float64Array

VIEWS = {
    ("digits", "images"): {2: "2-of-128", 4: "4-of-128", 8: "8-of-128"},
    ("digits", "views"): {2: "2-of-256", 4: "4-of-128", 8: "8-of-64"},
    ("wrong labels", "images"): {2: "wrong-labels-2-of-128", 4: "wrong-labels-4-of-128", 8: "wrong-labels-8-of-128"},
    ("wrong labels", "views"): {2: "wrong-labels-2-of-256", 4: "wrong-labels-4-of-128", 8: "wrong-labels-8-of-64"},
}
"""Conditions of the page on K, by what a step has equally many of."""


FIRST_ORDER = {("log-mean", 2): (4, 7), ("log-mean", 4): (6, 7), ("corrected", 2): (1, 1), ("corrected", 4): (1, 1)}
"""The share of D(8) that D(K) should be: the log-mean takes back 1 - 1/K of what the Jensen bound gives away."""


NEAR = 0.25
"""Of D(8): an undecided contrast within that of zero is near enough."""


def first_order(kept: Mapping[str, Collected]) -> list[str]:
    """D(K), the differences in clean NLL to the reference, less their share of D(8); a family of Holm."""
    found: dict[tuple[str, ...], tuple[Interval, float]] = {}
    for (labels, equal), conditions in VIEWS.items():
        for (cell, K), (over, under) in FIRST_ORDER.items():
            at_K, at_8 = (
                differences(kept[conditions[views]], scored("clean_nll"), cell, "smoothed") for views in (K, 8)
            )
            share = "D(8)" if over == under else f"{over}/{under} D(8)"
            contrast = paired_difference(at_K, over / under * at_8)
            found[labels, equal, f"`{cell}`", f"D({K}) - {share}"] = contrast, at_8.mean()
    adjusted = holm([p_of(contrast) for contrast, _ in found.values()])
    lines = ["", "| labels | equal | cell | contrast | mean D(8) | nats |", "|" + "---|" * 6]
    for names, (contrast, at_8), p in zip(found, found.values(), adjusted, strict=True):
        near = max(abs(contrast.lower), abs(contrast.upper)) < NEAR * abs(at_8)
        word = "disagrees" if p < FAMILY_WISE else "near enough" if near else "cannot tell"
        entries = (*names, f"{at_8:+.3f}", f"{nats(contrast)} {word}")
        lines.append("| " + " | ".join(entries) + " |")
    return lines


def by_length(kept: Mapping[str, Collected]) -> list[str]:
    """Every cell after 16 epochs, and its difference less that after 4, by Welch's interval.

    The runs of 4 epochs lie beside those of 16; where these are repeated alone, they are the committed ones.
    """
    columns = {
        "clean NLL": scored("clean_nll"),
        "mollified NLL": scored("mollified_nll"),
        "corrupted NLL": measured(CORRUPTED),
    }
    head = ["cell", "clean error", "confidence less accuracy", *columns, "16 epochs less 4"]
    lines = ["", "| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    root = next(iter(kept.values())).folder.parents[1]
    short = of_cells("appendix-c", root if (root / "appendix-c" / "kept").exists() else HERE)
    for cell, one in of_cells("appendix-c-long", root).items():
        lengths = [differences(of, scored("clean_nll")) for of in (one, short[cell])]
        of_columns = [nats(over_seeds(one, measure)) for measure in columns.values()]
        entries = [f"`{cell}`", error("cell")(one), overconfidence("cell")(one), *of_columns, nats(welch(*lengths))]
        lines.append("| " + " | ".join(entries) + " |")
    return lines


def tolerance(kept: Mapping[str, Collected]) -> list[str]:
    """What 0.8 of the area erased costs beyond 0.2, in points of error, with hard labels, with soft ones, and less."""
    small, large = (kept[f"erasing-{area}, soft"].cells for area in (20, 80))
    costs = {
        labels: 100 * np.subtract(large[cell].scores("clean_error"), small[cell].scores("clean_error"))
        for labels, cell in (("hard", "reference"), ("soft", "cell"))
    }
    less = paired_difference(costs["soft"], costs["hard"])
    word = "undecided" if p_of(less) >= FAMILY_WISE else "better" if less.mean < 0 else "worse"
    lines = ["", "| labels | 0.8 of the area less 0.2, points |", "|---|---|"]
    lines += [f"| {labels} | {points(summary(cost))} |" for labels, cost in costs.items()]
    return [*lines, f"| soft less hard | {points(less)} {word} |"]


def welch(values: Float64Array, others: Float64Array) -> Interval:
    """The difference of two means of independent values, with the 95% interval of Welch (1947); n is the smaller."""
    bounds = [float("nan")] * 2
    if values.size > 1:
        bounds = list(stats.ttest_ind(values, others, equal_var=False).confidence_interval())
    error = np.hypot(standard_error(values), standard_error(others))
    return Interval(values.mean() - others.mean(), error, *bounds, min(values.size, others.size))
