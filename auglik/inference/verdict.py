"""What the data say of a difference in clean NLL, in one plain sentence."""

import math

from auglik.inference.power import SeedsNeeded


def verdict(
    cell: str, reference: str, mean: float, lower: float, upper: float, rope: float, needed: SeedsNeeded
) -> str:
    """From the posterior mean and the 95% HDI [lower, upper] of cell less reference, in nats (less is better)."""
    interval = f"{mean:+.4f} nats, 95% HDI [{lower:+.4f}, {upper:+.4f}]"
    if -rope <= lower and upper <= rope:
        return f"{cell} and {reference} are practically equal: {interval}, lies within +-{rope:g}."
    if lower <= 0 <= upper:
        return f"The data cannot tell {cell} from {reference}: {interval}; {needed.sentence}."
    better = "better" if mean < 0 else "worse"
    small = f", though it may be practically nothing (+-{rope:g})" if min(abs(lower), abs(upper)) < rope else ""
    return f"{cell} is {better} than {reference}: {interval}{small}."


def one_seed_verdict(cell: str, reference: str, mean: float, lower: float, upper: float) -> str:
    """With one seed only the networks at hand can be compared; [lower, upper] is over test images."""
    return (
        f"One seed says nothing about other seeds: these two networks of {cell} and {reference} differ by {mean:+.4f} "
        f"nats, 95% interval over test images [{lower:+.4f}, {upper:+.4f}]; run at least 3 seeds, better 5."
    )


def other_verdict(cell: str, reference: str, mean: float) -> str:
    """Where there's nothing to infer: a run's NLL is not finite, or all scores are the same."""
    if math.isfinite(mean):
        return f"{cell} and {reference} have the same clean NLL on every seed: is the one the other under another name?"
    return (
        f"No comparison of {cell} with {reference}: the mean difference is {mean}, as a run gave a label probability 0."
    )
