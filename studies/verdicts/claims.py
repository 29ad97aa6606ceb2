"""What is claimed of the verdicts, with Monte Carlo tolerances of four standard errors: there are some 200."""

from collections.abc import Mapping

import numpy as np

from auglik.inference.differences.power import HELD
from auglik.scoring.intervals import FAMILY_WISE
from auglik.studies.study import Claim, at_least, at_most, equal
from auglik.studies.verdicts.measure import Assured, CorruptedRates, Rates
from auglik.studies.verdicts.worlds import World

ERRORS = 4
LOW, HIGH = 0.93, 0.97
"""Within which intervals of 95% are to hold."""

Key = tuple[World, int]
"""A world and a number of seeds."""


def error(share: float, experiments: int) -> float:
    """Four standard errors of a share that is expected."""
    return float(ERRORS * np.sqrt(share * (1 - share) / experiments))


def null_claims(found: Mapping[Key, Rates]) -> list[Claim]:
    """Of families whose cells are all equal in truth."""
    claims = []
    for (world, seeds), one in found.items():
        where = f"{world.name}, {seeds} seeds"
        allowed = error(FAMILY_WISE, one.experiments)
        if not world.honest:
            if seeds >= 5:
                text = f"{where}: a known limit, any of 8 equal cells called better or worse"
                claims.append(at_least(text, one.family, FAMILY_WISE))
            continue
        claims.append(
            at_most(f"{where}: any of 8 equal cells called better or worse", one.family, FAMILY_WISE, allowed)
        )
        for name, part in (("3 first", slice(0, 3)), ("3 last", slice(-3, None)), ("last cell", slice(-1, None))):
            covered = one.coverage[part]
            allowed = error(0.95, one.experiments)  # cells share a reference: as if they were one
            text = f"{where}: 95% intervals of the {name} hold the truth"
            claims.append(at_least(text, covered.mean(), LOW, allowed))
            if world.exact:
                claims.append(at_most(text, covered.mean(), HIGH, allowed))
    return claims


def edge_claims(found: Mapping[Key, Rates]) -> list[Claim]:
    """Of cells that differ by just what counts as practically nothing."""
    return [
        at_most(
            f"{world.name}, {seeds} seeds: any of 8 cells at the region's edge called practically equal",
            one.equal,
            FAMILY_WISE,
            error(FAMILY_WISE, one.experiments),
        )
        for (world, seeds), one in found.items()
    ]


def power_claims(found: Mapping[int, tuple[Rates, Rates]], reference: Mapping[int, float]) -> list[Claim]:
    """Of one cell of eight that differs by 2 sds: what Bonferroni's noncentral t says, at least, and not much more."""
    claims = []
    for seeds, (alone, every) in found.items():
        text = f"equal variances, {seeds} seeds: the one cell of eight that differs by 2 sds is decided"
        allowed = error(max(0.02, reference[seeds]), alone.experiments)
        claims += [
            equal(f"{text}, against scipy's noncentral t at 5% / 8", alone.right[0], reference[seeds], allowed + 0.02),
            at_least(
                f"{text}, with the right sign, all eight differing", every.right.mean(), reference[seeds], allowed
            ),
        ]
    return claims


def corrupted_claims(found: Mapping[int, CorruptedRates], experiments: int) -> list[Claim]:
    """Of null profiles, whose seeds move all corruptions together."""
    claims = []
    for seeds, one in found.items():
        for place, (name, rate) in enumerate(zip(("overall", "category", "corruption"), one[:3], strict=True)):
            where = f"corruption profiles, {seeds} seeds, {name}"
            allowed = error(FAMILY_WISE, experiments)
            claims.append(at_most(f"{where}: a false word about any cell", rate, FAMILY_WISE, allowed))
            covered, allowed = one.coverage[place], error(0.95, experiments)
            text = f"{where}: 95% intervals hold the truth"
            claims += [at_least(text, covered, LOW, allowed), at_most(text, covered, HIGH, allowed)]
    return claims


def assured_claims(found: Mapping[int, Assured]) -> list[Claim]:
    """Of the number of seeds that a cell needs whose true difference is 2 sds, which 100 seeds are far beyond."""
    claims = []
    for seeds, one in found.items():
        text = f"{seeds} seeds, a true difference of 2 sds"
        allowed = error(HELD, one.experiments)
        claims.append(at_least(f"{text}: the 80% interval holds the seeds that it takes", one.holds_any, HELD, allowed))
        if one.undecided >= 20:
            text = f"{text}, undecided: said to take more than 100 seeds for certain"
            claims.append(at_most(text, one.beyond, 0.02, error(0.02, one.undecided)))
    return claims
