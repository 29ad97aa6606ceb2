"""How many seeds it would take to tell a cell from its reference, and how little a few seeds say of that.

For each draw (theta, sd) of the posterior, the least number n of seeds by which a new experiment on the same test
images decides with a chance of POWER; the numbers' quantiles are its interval. Decided is what the interval for new
seeds and new test images decides at the level of the next of Holm's steps. Its half-width is taken as the root of
(t s / sqrt(n))^2 + (t' image_error)^2, which is Student's where images do not count and close to it elsewhere.
Assurance is the mean over the draws of the chance to decide (O'Hagan, Stevens & Campbell 2005).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import special

from auglik.inference.law import Law, draws
from auglik.scoring.intervals import FAMILY_WISE
from auglik.system.array_types import Float64Array

CAP = 100
POWER = 0.8
HELD = 0.8
"""How often the interval of the number of seeds is to hold it."""
DRAWS = 500
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(16)
PLANNED_SEEDS = (5, 10, 20, 50, CAP)


@dataclass(frozen=True, kw_only=True, slots=True)
class SeedsNeeded:
    """How many seeds in total decide with a chance of 80%: 80% interval; None means more than 100."""

    lower: int | None
    median: int | None
    upper: int | None
    assurance: Mapping[int, float]
    """By number of seeds, the chance that they decide."""
    images_limit: float
    """P(no number of seeds would tell on these test images)."""
    sentence: str


def chance(n: int, theta: Float64Array, sd: Float64Array, image_width: float, level: float) -> Float64Array:
    """P(n seeds decide) for true means over new seeds theta [D] and seeds' sds [D].

    Mean^2 > t^2 s^2 / n + image_width^2, the mean by quadrature, s^2 by chi-squared of n - 1 degrees of freedom.
    """
    t = special.stdtrit(n - 1, (1 + level) / 2)
    mean = theta[:, None] + sd[:, None] / np.sqrt(n) * NODES
    room = (np.square(mean) - image_width**2) * n / np.square(t * sd[:, None])
    return np.asarray(special.chdtr(n - 1, (n - 1) * np.maximum(room, 0)) @ WEIGHTS / np.sqrt(2 * np.pi))


def seeds_needed(law: Law, undecided: int, generator: np.random.Generator) -> SeedsNeeded:
    """From what is known of one difference, of which there are `undecided` in its family."""
    level = 1 - FAMILY_WISE / undecided
    image_width = float(special.stdtrit(float(law.images) - 1, (1 + level) / 2) * law.image_error)
    _, theta, sd = draws(law, (DRAWS,), generator)
    found = _least(theta, sd, image_width, level)
    ends = np.quantile(found, [(1 - HELD) / 2, 0.5, (1 + HELD) / 2], method="nearest")
    lower, median, upper = (None if one > CAP else int(one) for one in ends)
    assurance = {n: float(chance(n, theta, sd, image_width, level).mean()) for n in PLANNED_SEEDS}
    limit = float((np.abs(theta) <= image_width).mean())
    return SeedsNeeded(
        lower=lower, median=median, upper=upper, assurance=assurance, images_limit=limit,
        sentence=_sentence(law, lower, upper, assurance, limit, image_width),
    )  # fmt: skip


def _least(theta: Float64Array, sd: Float64Array, image_width: float, level: float) -> Float64Array:
    """The least n in 2..CAP of chance POWER, by bisection; CAP + 1 if there is none [D]."""
    low, high = np.full(theta.shape, 2), np.full(theta.shape, CAP + 1)
    while (low < high).any():
        middle = (low + high) // 2
        enough = np.zeros(theta.shape, bool)
        for n in np.unique(middle[low < high]):
            at = (middle == n) & (low < high)
            enough[at] = chance(int(n), theta[at], sd[at], image_width, level) >= POWER
        low, high = np.where(enough | (low >= high), low, middle + 1), np.where(enough, middle, high)
    return low.astype(np.float64)


def _sentence(
    law: Law, lower: int | None, upper: int | None, assurance: Mapping[int, float], limit: float, image_width: float
) -> str:
    images = f"the {int(law.images):,} test images leave ±{image_width:.2g} nats however many seeds there are"
    if limit > 0.5:
        return f"more test images are needed: {images}"
    S = int(law.seeds)
    if lower is None:
        said = f"more than {CAP} seeds would be needed"
    elif upper is None:
        said = (
            f"{S} seeds cannot tell how many would decide: between {lower} and more than {CAP} in all (80% interval); "
            f"{CAP} would with a chance of {assurance[CAP]:.0%}"
        )
    else:
        said = f"{lower} to {upper} seeds in all (80% interval) would tell with a chance of {POWER:.0%}"
    return f"{said}; {images}" if limit > 0.1 else said
