"""What the data say of a difference in clean NLL, in one plain sentence."""

import math

from auglik.inference.components import Bounds
from auglik.inference.differences.power import SeedsNeeded
from auglik.inference.differences.rows import Effect
from auglik.scoring.intervals import FAMILY_WISE


def verdict(
    cell: str, reference: str, outcome: str, effect: Effect, rope: float, family: int, needed: SeedsNeeded | None
) -> str:
    """Of an outcome that is not unknown. The interval is the cell's own; p allows for the family."""
    mean, lower, upper = effect.mean, effect.lower, effect.upper
    d = nats_digits(mean, lower, upper)
    numbers = f"{mean:+.{d}f} nats, 95% interval [{lower:+.{d}f}, {upper:+.{d}f}]"
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
        alone = "" if lower <= 0 <= upper else " of this cell alone"
        numbers = numbers.replace("95% interval", f"95% interval{alone}")
        more = f"; {needed.sentence}" if needed else ""
        return f"The data cannot tell {cell} from {reference}: {numbers}, {p}{allowing}{more}."
    small = f", though it may be practically nothing (±{rope:g})" if min(abs(lower), abs(upper)) < rope else ""
    return f"{cell} is {better} than {reference}: {numbers}, {p}{allowing}{small}."


def unknown_verdict(cell: str, reference: str, mean: float, seeds: Bounds, images: Bounds, S: int, N: int) -> str:
    """Why nothing can be concluded about new seeds and new test images, and what can be."""
    if not math.isfinite(mean):
        why = "a run gave a label probability 0"
        if math.isnan(mean):
            why = "predictions are not numbers, or runs of both gave a label probability 0"
        return f"No comparison of {cell} with {reference}: the mean difference is {mean}, as {why}."
    if S == 1:
        over = "" if math.isnan(images.lower) else f", 95% interval over test images {_bounds(images)}"
        return (
            f"One seed says nothing about other seeds: these two networks of {cell} and {reference} differ by "
            f"{mean:+.4f} nats{over}; run at least 3 seeds, better 5."
        )
    if mean == 0 and math.isnan(seeds.lower):
        return f"{cell} and {reference} have the same clean NLL on every seed: are they the same under two names?"
    if math.isnan(seeds.lower):
        return (
            f"No verdict on {cell} and {reference}: they differ by {mean:+.4f} nats on every seed alike, so nothing is "
            "known of how seeds differ."
        )
    return (
        f"{N} test image says nothing about other images: on this one {cell} and {reference} differ by {mean:+.4f} "
        f"nats, 95% interval over seeds {_bounds(seeds)}."
    )


def p_text(p: float) -> str:
    """`p = 0.012`, or `p < 0.001`."""
    return f"p = {p:.{p_digits(p)}f}" if p >= 0.001 else "p < 0.001"


def p_digits(p: float) -> int:
    """Three, but five where 0.050 would not say on which side of it p lies."""
    return 3 if f"{p:.3f}" != f"{FAMILY_WISE:.3f}" else 5


def nats_digits(*values: float) -> int:
    """Four, or as many more as it takes to see of each on which side of 0 it lies."""
    return digits_of(min((abs(value) for value in values if value and math.isfinite(value)), default=1.0), 4)


def digits_of(value: float, fewest: int) -> int:
    """As many as it takes to see that a value above 0 is that, at least `fewest`, at most 9."""
    return next((digits for digits in range(fewest, 9) if round(value, digits) > 0), 9)


def _bounds(found: Bounds) -> str:
    return f"[{found.lower:+.4f}, {found.upper:+.4f}]"
