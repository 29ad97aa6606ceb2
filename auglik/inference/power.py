"""How many seeds it would take to tell a cell from its reference, were the difference what it seems to be."""

import math
from typing import NamedTuple

from scipy import special

from auglik.inference.components import student_quantile
from objectives.errors import InputError

CAP = 100
POWER = 0.8


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
    """The least number above `seeds` whose interval leaves 0 out with a chance of POWER, were the difference true.

    half-width + z_POWER sqrt(v_seed / S) < |difference|: the mean over new seeds of the same images varies too.
    """
    images_alone = half_width(10**9, 0.0, image_variance, level)
    images = f"the test images alone leave +-{images_alone:.2g} {unit}"
    if abs(difference) <= images_alone:
        return SeedsNeeded(None, None, f"no number of seeds would tell: {images}, so more test images are needed")
    mostly_images = images_alone > abs(difference) / 2
    for count in range(max(seeds, 1) + 1, cap + 1):
        margin = float(special.ndtri(POWER)) * math.sqrt(seed_variance / count)
        if half_width(count, seed_variance, image_variance, level) + margin < abs(difference):
            more = count - seeds
            aside = f"; {images}, which only more images reduce" if mostly_images else ""
            return SeedsNeeded(
                count,
                more,
                f"about {more} more seed{'s' * (more != 1)} ({count} in all) would tell, for new seeds and new test "
                f"images and with a chance of {POWER:.0%}, if the difference is what it seems{aside}",
            )
    smallest = half_width(max(cap, 2), seed_variance, image_variance, level)
    aside = f", and {images}: more test images are needed" if mostly_images else ""
    return SeedsNeeded(
        None, None, f"more than {cap} seeds would be needed: even {cap} leave +-{smallest:.2g} {unit}{aside}"
    )
