"""What is said of the number of seeds that a difference takes, beside what the seeds seen say of it.

Of seeds y of mean m and sd s the posterior of the effect theta / sd under the reference prior is that of
m / s sqrt(chi2 / (S - 1)) + z / sqrt(S), chi2 of S - 1 degrees of freedom. An effect takes at most n seeds if it is at
least the one that n seeds tell, by scipy's noncentral t.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from auglik.inference.differences.power import CAP, seeds_needed
from auglik.inference.law import Law
from auglik.inference.rule import decide
from auglik.studies.verdicts import worlds as verdicts_worlds
from auglik.studies.verdicts.worlds import CELLS
from auglik.system.array_types import Float64Array

DRAWS = 20_000
CERTAIN = 10**8
"""Seeds after which mean and sd are known."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Assured:
    """Of what undecided cells are told of the seeds that they need, when their true difference is 2 sds."""

    undecided: int
    holds: float
    """The 80% interval holds the number of seeds that it takes."""
    holds_any: float
    """The same of all cells, decided or not: what the interval promises."""
    beyond: float
    """The whole interval lies above 100 seeds."""
    beyond_any: float
    """The same of all cells."""
    open: float
    """The interval reaches from below 100 to beyond."""
    tails: Float64Array
    """P(fewer seeds than the interval's end do), P(no more do), given the seeds seen: of both ends [2,2], the mean."""
    experiments: int


def assured(rng: np.random.Generator, experiments: int, seeds: int, effect: float = 2.0) -> Assured:
    """One cell of a family of eight, the other seven undecided."""
    needed = verdicts_worlds.seeds_that_tell(effect, CELLS)
    held, lost, over, told, tails = [], [], [], [], []
    (beside,) = rng.spawn(1)
    for y in rng.normal(effect, 1, (experiments, seeds)):
        law = Law(
            mean=float(y.mean()), seed_error=float(y.std(ddof=1) / np.sqrt(seeds)), image_error=0.0, seeds=seeds,
            images=2,
        )  # fmt: skip
        found = seeds_needed(law, CELLS, rng)
        lower, upper = found.lower or np.inf, found.upper or np.inf
        held.append(lower <= needed <= upper)
        lost.append(found.lower is None)
        over.append(found.lower is not None and found.upper is None)
        padded = Law(
            mean=np.r_[law.mean, np.zeros(CELLS - 1)], seed_error=np.r_[law.seed_error, np.ones(CELLS - 1)],
            image_error=0.0, seeds=seeds, images=2,
        )  # fmt: skip
        told.append(bool(decide(padded, 0.0).decided[0]))
        tails.append(shares_at(y, (found.lower, found.upper), beside))
    undecided = ~np.array(told)

    def share(of: Sequence[bool]) -> float:
        return float(np.mean(np.array(of)[undecided])) if undecided.any() else float("nan")

    return Assured(
        undecided=int(undecided.sum()), holds=share(held), holds_any=float(np.mean(held)), beyond=share(lost),
        beyond_any=float(np.mean(lost)), open=share(over), tails=np.mean(tails, 0), experiments=experiments,
    )  # fmt: skip


def shares_at(y: Float64Array, ends: Sequence[int | None], rng: np.random.Generator) -> list[tuple[float, float]]:
    """The chance that fewer seeds than an end suffice, and that no more than it do; None is more than CAP."""
    S = len(y)
    scale = np.sqrt(rng.chisquare(S - 1, DRAWS) / (S - 1))
    effects = np.abs(y.mean() / y.std(ddof=1) * scale + rng.standard_normal(DRAWS) / np.sqrt(S))

    def suffice(seeds: int) -> float:
        return 0.0 if seeds < 2 else float((effects >= verdicts_worlds.effect_that_takes(seeds, CELLS)).mean())

    return [(suffice(CAP), 1.0) if end is None else (suffice(end - 1), suffice(end)) for end in ends]


def told_for_certain(effect: float, rng: np.random.Generator) -> list[int | None]:
    """What the interval and the median become where the effect is known."""
    law = Law(mean=effect, seed_error=CERTAIN**-0.5, image_error=0.0, seeds=CERTAIN, images=2)
    found = seeds_needed(law, CELLS, rng)
    return [found.lower, found.median, found.upper]
