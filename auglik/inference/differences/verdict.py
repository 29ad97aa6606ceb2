"""What the data say of a difference in clean NLL, in one plain sentence."""

import math

from auglik.inference.components import Bounds
from auglik.inference.differences.power import SeedsNeeded
from auglik.inference.differences.rows import Effect
from auglik.scoring.columns import NLL, fixed
from auglik.scoring.intervals import FAMILY_WISE


def verdict(
    cell: str, reference: str, outcome: str, effect: Effect, rope: float, family: int, needed: SeedsNeeded | None
) -> str:
    """Of an outcome that is not unknown. The interval is the cell's own; p allows for the family."""
    mean, lower, upper = effect.mean, effect.lower, effect.upper
    numbers = difference(mean, lower, upper, outcome)
    allowing = f" after allowing for {family} comparisons" if family > 1 else ""
    better = "better" if mean < 0 else "worse"
    if outcome == "equal":
        told = f", though {cell} is {better}" if effect.p_adjusted <= FAMILY_WISE else ""
        return (
            f"{cell} and {reference} are practically equal{told}: {numbers}, within ±{rope:g}, "
            f"{p_text(effect.p_equal_adjusted)}{allowing}."
        )
    p = p_text(effect.p_adjusted)
    if outcome == "undecided":
        more = f"; {needed.sentence}" if needed else ""
        return f"The data cannot tell {cell} from {reference}: {numbers}, {p}{allowing}{more}."
    small = f", though it may be practically nothing (±{rope:g})" if min(abs(lower), abs(upper)) < rope else ""
    return f"{cell} is {better} than {reference}: {numbers}, {p}{allowing}{small}."


def difference(mean: float, lower: float, upper: float, outcome: str) -> str:
    """`-0.0200 nats, 95% interval [-0.0350, -0.0050]`; of a cell alone, if it leaves out a 0 that the family cannot."""
    alone = " of this cell alone" if outcome == "undecided" and not lower <= 0 <= upper else ""
    said, *ends = nats(mean, lower, upper)
    return f"{said} nats, 95% interval{alone} [{', '.join(ends)}]"


def unknown_verdict(cell: str, reference: str, mean: float, seeds: Bounds, images: Bounds, S: int, N: int) -> str:
    """Why nothing can be concluded about new seeds and new test images, and what can be."""
    if not math.isfinite(mean):
        why = "a run gave a label probability 0"
        if math.isnan(mean):
            why = "predictions are not numbers, or runs of both gave a label probability 0"
        return f"No comparison of {cell} with {reference}: the mean difference is {mean}, as {why}."
    if mean == 0 and math.isnan(seeds.lower) and (S > 1 or math.isnan(images.lower)):
        every = "seed" if S > 1 else "image"
        return f"{cell} and {reference} have the same clean NLL on every {every}: are they the same under two names?"
    said, *of_images = nats(mean, images.lower, images.upper)
    if S == 1:
        over = "" if math.isnan(images.lower) else f", 95% interval over test images [{', '.join(of_images)}]"
        return (
            f"One seed says nothing about other seeds: these two networks of {cell} and {reference} differ by "
            f"{said} nats{over}; run at least 3 seeds, better 5."
        )
    if math.isnan(seeds.lower):
        return (
            f"No verdict on {cell} and {reference}: they differ by {said} nats on every seed alike, so nothing is "
            "known of how seeds differ."
        )
    said, *of_seeds = nats(mean, seeds.lower, seeds.upper)
    return (
        f"{N} test image says nothing about other images: on this one {cell} and {reference} differ by {said} "
        f"nats, 95% interval over seeds [{', '.join(of_seeds)}]."
    )


def p_text(p: float) -> str:
    """`p = 0.012`, or `p < 0.001`."""
    return f"p = {p:.{p_digits(p)}f}" if p >= 0.001 else "p < 0.001"


def p_digits(p: float) -> int:
    """Three, but five where 0.050 would not say on which side of it p lies."""
    return 3 if f"{p:.3f}" != f"{FAMILY_WISE:.3f}" else 5


def nats_digits(*values: float) -> int:
    """Four, or as many more as it takes to see of each on which side of 0 it lies."""
    return NLL.telling(*values)


def nats(*values: float) -> list[str]:
    """With signs and these digits, if they are not huge."""
    return [fixed(value, nats_digits(*values), sign=True) for value in values]
