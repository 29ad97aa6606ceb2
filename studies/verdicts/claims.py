"""What is claimed of the verdicts, with Monte Carlo tolerances of four standard errors: there are some 200."""

from collections.abc import Mapping, Sequence

import numpy as np

from auglik.inference.differences.power import CAP, DRAWS, HELD
from auglik.scoring.intervals import FAMILY_WISE
from auglik.studies.study import Claim, at_least, at_most, equal
from auglik.studies.verdicts.measure import CorruptedRates, Rates
from auglik.studies.verdicts.needed import Assured
from auglik.studies.verdicts.worlds import CELLS, World, seeds_that_tell
from auglik.system.array_types import Float64Array

ERRORS = 4
LOW, HIGH = 0.93, 0.97
"""Intervals of 95% are to hold at least as often as the one; a picture's band ends at the other."""

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
        claims += coverage_claims(where, one)
    return [*claims, *exact_claims(found)]


def coverage_claims(where: str, one: Rates) -> list[Claim]:
    """Of the first, the last and the very last cells."""
    allowed = error(0.95, one.experiments)  # cells share a reference: as if they were one
    return [
        at_least(f"{where}: 95% intervals of the {name} hold the truth", one.coverage[part].mean(), LOW, allowed)
        for name, part in (("3 first", slice(0, 3)), ("3 last", slice(-3, None)), ("last cell", slice(-1, None)))
    ]


def image_claims(found: Mapping[Key, Rates]) -> list[Claim]:
    """Of worlds in which the images count: of many skewed ones intervals hold, and words err more often."""
    skewed = {key: one for key, one in found.items() if key[0].honest and not key[0].reference_images}
    claims = null_claims({key: one for key, one in found.items() if key not in skewed})
    for (world, seeds), one in skewed.items():
        claims += coverage_claims(f"{world.name}, {seeds} seeds", one)
    return claims


def noted_claims(of_skewed: float, of_normal: float) -> list[Claim]:
    """Of the note that a report makes of a few images that count for much."""
    return [
        at_least("skewed images, 100: share of decided comparisons of which it is noted", of_skewed, 0.8),
        at_most("the same of normal ones", of_normal, 0.001),
    ]


def exact_claims(found: Mapping[Key, Rates]) -> list[Claim]:
    """Of worlds where Student's interval is exact, all numbers of seeds together."""
    claims = []
    for world in dict.fromkeys(world for world, _ in found if world.exact):
        of = [one.covered for (other, _), one in found.items() if other is world]
        for name, part in (("all cells", slice(None)), ("the 3 first", slice(0, 3)), ("the 3 last", slice(-3, None)),
                           ("the last cell", slice(-1, None))):  # fmt: skip
            text = f"{world.name}, all numbers of seeds: 95% intervals of {name} hold the truth"
            claims.append(pooled(text, [covered[:, part].mean(1) for covered in of]))
    return claims


def pooled(text: str, shares: Sequence[Float64Array]) -> Claim:
    """That shares of intervals [E], by number of seeds, are 95% on average, by their errors between experiments."""
    value = np.mean([one.mean() for one in shares])
    error = np.sqrt(sum(one.var(ddof=1) / len(one) for one in shares)) / len(shares)
    return equal(text, value, 0.95, ERRORS * error)


def student_claims(gaps: Mapping[int, float]) -> list[Claim]:
    """Of p where images don't count."""
    return [
        at_most(
            f"{seeds} seeds, exact worlds: p of no difference off scipy's paired t test, the worst cell", gap, 1e-12
        )
        for seeds, gap in gaps.items()
    ]


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
            claims.append(at_least(text, covered, LOW, allowed))
    for place, name in enumerate(("overall", "category", "corruption")):
        text = f"corruption profiles, all numbers of seeds, {name}: 95% intervals hold the truth"
        claims.append(pooled(text, [one.covered[:, place] for one in found.values()]))
    return claims


def assured_claims(found: Mapping[int, Assured]) -> list[Claim]:
    """Of the number of seeds that a cell needs whose true difference is 2 sds, which 100 seeds are far beyond."""
    claims = []
    for seeds, one in found.items():
        text = f"{seeds} seeds, a true difference of 2 sds"
        allowed = error(HELD, one.experiments)
        claims.append(at_least(f"{text}: the 80% interval holds the seeds that it takes", one.holds_any, HELD, allowed))
        claims.append(
            at_most(
                f"{text}: said to take more than 100 seeds for certain", one.beyond_any, 0.02,
                error(0.02, one.experiments),
            )
        )  # fmt: skip
        for place, (name, share) in enumerate((("lower", (1 - HELD) / 2), ("upper", (1 + HELD) / 2))):
            fewer, no_more = one.tails[place]
            allowed = error(share, DRAWS * one.experiments) + 1 / DRAWS
            claims += [
                at_most(
                    f"{text}: chance that fewer seeds than the interval's {name} end suffice", fewer, share, allowed
                ),
                at_least(f"{text}: chance that no more than its {name} end are needed", no_more, share, allowed),
            ]
    return claims


def certain_claims(told: Mapping[float, Sequence[int | None]]) -> list[Claim]:
    """Of effects that are known."""
    return [
        equal(f"{name} number of seeds told of a known difference of {effect:g} sds, against scipy's noncentral t",
              CAP + 1 if seeds is None else seeds, seeds_that_tell(effect, CELLS), 0)
        for effect, three in told.items()
        for name, seeds in zip(("least", "median", "largest"), three, strict=True)
    ]  # fmt: skip
