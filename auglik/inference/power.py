"""How many seeds it would take to tell a cell from its reference, were the difference what it seems to be."""

import math
from typing import NamedTuple

from auglik.inference.components import student_quantile
from objectives.errors import InputError

CAP = 100


class SeedsNeeded(NamedTuple):
    """`seeds` in all and `more` beside those there are, None where no number up to the cap suffices; and why."""

    seeds: int | None
    more: int | None
    sentence: str


def half_width(seeds: int, seed_variance: float, image_variance: float, level: float = 0.95) -> float:
    """Expected half-width for new seeds and images: t sqrt(v_seed / S + v_image), Satterthwaite's degrees of freedom.

    `seed_variance` is that of one seed's mean over the test images, `image_variance` that of the mean over images,
    which more seeds don't reduce. Raises InputError for fewer than two seeds.
    """
    if seeds < 2:
        raise InputError(f"expected at least 2 seeds, got {seeds}: one seed says nothing about the next")
    over_seeds = seed_variance / seeds
    variance = over_seeds + image_variance
    if variance == 0:
        return 0.0
    freedom = math.inf if over_seeds == 0 else (seeds - 1) * (variance / over_seeds) ** 2
    return student_quantile(min(freedom, 1e9), level) * math.sqrt(variance)


def seeds_needed(
    difference: float,
    seed_variance: float,
    image_variance: float,
    seeds: int,
    *,
    level: float = 0.95,
    cap: int = CAP,
    unit: str = "nats",
) -> SeedsNeeded:
    """The least number of seeds above `seeds` whose expected interval around `difference` leaves 0 out."""
    beyond_seeds = half_width(10**9, 0.0, image_variance, level)
    if abs(difference) <= beyond_seeds:
        return SeedsNeeded(
            None,
            None,
            f"no number of seeds would tell: the test images alone leave +-{beyond_seeds:.2g} {unit}, "
            "so more test images are needed",
        )
    for count in range(max(seeds, 1) + 1, cap + 1):
        if half_width(count, seed_variance, image_variance, level) < abs(difference):
            more = count - seeds
            return SeedsNeeded(
                count, more, f"about {more} more seed{'s' * (more != 1)} ({count} in all) would, if it is what it seems"
            )
    smallest = half_width(max(cap, 2), seed_variance, image_variance, level)
    return SeedsNeeded(None, None, f"more than {cap} seeds would be needed: even {cap} leave +-{smallest:.2g} {unit}")
