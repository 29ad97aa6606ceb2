"""Do verdicts hold at the rates that they state? Comparisons with known truth, decided by the product's own rule.

One reference and eight cells over 2, 3, 5 and 10 seeds, in worlds that the rule does not assume: seeds' standard
deviations two decades apart, an outlier, heavy tails, skewed seeds, a noisy reference, image noise; and in worlds where
it breaks: a few images that count for much, images that are alike. Counted are false words about cells that are equal,
coverage, cells at the edge of practical equivalence, power, words about corruptions, and what undecided cells are told
about the seeds that they need.

Source: Holm 1979; Fisher 1935, for the sum of two Student variables; and each world's own definition.
"""

import numpy as np
import xarray
from scipy.stats import t as student  # type: ignore[attr-defined]

from auglik.inference.differences.infer import ROPE, SKEWED_IMAGES
from auglik.studies.study import Context, Findings, true
from auglik.studies.verdicts.claims import (
    Key,
    assured_claims,
    certain_claims,
    corrupted_claims,
    edge_claims,
    image_claims,
    noted_claims,
    null_claims,
    power_claims,
    student_claims,
)
from auglik.studies.verdicts.figures import rates_figure
from auglik.studies.verdicts.measure import (
    Rates,
    agreement,
    corrupted_rates,
    noted,
    rates,
    satterthwaite,
    second_look,
    student_gap,
)
from auglik.studies.verdicts.needed import assured, told_for_certain
from auglik.studies.verdicts.worlds import (
    CELLS,
    DECADES,
    IMAGE_WORLDS,
    SKEWED,
    WORLDS,
    World,
    normal,
    seeds_that_tell,
    t_power,
)
from auglik.system.keys import host_generator

SEEDS = (2, 3, 5, 10)
SOME_IMAGES = next(world for world in WORLDS if world.name == "some image noise")
QUICK, FULL = 400, 4000
"""Experiments of a world and a number of seeds; an eighth where images count, as they take longer."""
OF_EXACT, OF_PROFILES, OF_ASSURANCE = {True: 2000, False: FULL}, {True: 40, False: 200}, {True: 20, False: 200}
KNOWN = (0.8, 1.0, 1.5, 2.0, 3.0)
"""Effects in sds that are taken for known."""
DISTANCE = 2.0
"""Of cells that differ, in sds of a difference over seeds."""


def verdicts(context: Context) -> Findings:
    """The study."""
    equal, two_decades = WORLDS[0], WORLDS[1]
    full = QUICK if context.quick else FULL

    def generator(*key: int | str) -> np.random.Generator:
        return host_generator(context.seed, "verdicts", *key)

    null: dict[Key, Rates] = {}
    for place, world in enumerate(WORLDS):
        for seeds in SEEDS:
            E = full // 8 if world.image_sd else OF_EXACT[context.quick] if world.exact else full
            null[world, seeds] = rates(world, generator(world.name, seeds), E, seeds, np.zeros(CELLS))
        context.progress(0.6 * (place + 1) / len(WORLDS))
    images = {
        (world, seeds): rates(world, generator(world.name, seeds), full // 4, seeds, np.zeros(CELLS))
        for world in IMAGE_WORLDS
        for seeds in SEEDS
    }
    skewed_told, normal_told = (
        noted(SKEWED[0], noise, generator("noted", place), full)
        for place, noise in enumerate((IMAGE_WORLDS[0].image_noise, normal))
    )
    signs = np.where(np.arange(CELLS) % 2, -1.0, 1.0)
    close = World("close cells", 0.0004, tuple(sd / 10 for sd in DECADES))
    edge = {
        (world, seeds): rates(world, generator("edge", world.name, seeds), full, seeds, ROPE * signs)
        for world in (two_decades, close)
        for seeds in SEEDS
    }
    alone = np.where(np.arange(CELLS) == 0, DISTANCE, 0) * equal.difference_sds
    power = {
        seeds: (
            rates(equal, generator("one", seeds), full, seeds, alone),
            rates(equal, generator("every", seeds), full, seeds, DISTANCE * equal.difference_sds * signs),
        )
        for seeds in SEEDS
    }
    context.progress(0.7)
    corrupted = {
        seeds: corrupted_rates(generator("profiles", seeds), OF_PROFILES[context.quick], seeds) for seeds in SEEDS[1:]
    }
    context.progress(0.85)
    needed = {seeds: assured(generator("assurance", seeds), OF_ASSURANCE[context.quick], seeds) for seeds in SEEDS}
    known = {effect: told_for_certain(effect, generator("known")) for effect in KNOWN}
    exact = [world for world in WORLDS if world.exact]
    gaps = {
        seeds: max(student_gap(world, generator("student", world.name, seeds), 100, seeds) for world in exact)
        for seeds in SEEDS
    }
    same = list(agreement(two_decades, generator("agreement"), 3, 5))
    crossed = {seeds: satterthwaite(SOME_IMAGES, generator("crossed", seeds), full // 8, seeds) for seeds in SEEDS}
    looks = second_look(two_decades, generator("looks"), full, (3, 5, 10))
    claims = [
        *null_claims(null),
        *image_claims(images),
        *noted_claims(skewed_told[0], normal_told[1]),
        *student_claims(gaps),
        *edge_claims(edge),
        *power_claims(power, {seeds: t_power(DISTANCE, seeds, CELLS) for seeds in SEEDS}),
        *corrupted_claims(corrupted, OF_PROFILES[context.quick]),
        *assured_claims(needed),
        *certain_claims(known),
        true(
            "the report's verdicts on 24 cells are those of the arrays that were counted", all(a == b for a, b in same)
        ),
        true("some of these cells are decided, and some are not", len({a for a, _ in same}) == 2),
    ]
    remarks = [
        *(
            null_remark(world, {seeds: of[world, seeds] for seeds in SEEDS})
            for of, worlds in ((null, WORLDS), (images, IMAGE_WORLDS))
            for world in worlds
        ),
        f"skewness over sqrt(N) above {SKEWED_IMAGES:g}, {SKEWED[0]} skewed images: noted of {skewed_told[0]:.2f} of"
        f" the intervals that wrongly exclude 0, of {skewed_told[1]:.2f} of all; normal ones: {normal_told[1]:.3f}",
        f"standard errors that the first of {CELLS} cells, and a single one, take for {listed(SEEDS)} seeds: "
        + ", ".join(listed(f"{student.ppf(1 - 0.025 / m, s - 1):.3g}" for s in SEEDS) for m in (CELLS, 1)),
        f"power at {DISTANCE:g} sds for {listed(SEEDS)} seeds: one cell of eight "
        f"{listed(f'{power[s][0].right[0]:.2f}' for s in SEEDS)}, all eight "
        f"{listed(f'{power[s][1].right.mean():.2f}' for s in SEEDS)}",
        f"cells at the edge of ±{ROPE:g} nats, any called practically equal: "
        f"{listed(f'{one.equal:.3f}' for one in edge.values())} (two decades, then a tenth of that noise)",
        *(
            f"corruption, {s} seeds: a false word overall {one.overall:.3f}, on a category {one.category:.3f}, on a "
            f"corruption {one.single:.3f}; coverage {listed(f'{share:.3f}' for share in one.coverage)}"
            for s, one in corrupted.items()
        ),
        *(
            f"seeds needed, told after {s} seeds ({seeds_that_tell(DISTANCE, CELLS)} in truth): the 80% interval holds "
            f"it for {one.holds_any:.2f} of cells, {one.holds:.2f} of the {one.undecided} undecided; these are told "
            f"more than 100 for certain in {one.beyond:.2f}, from below 100 to beyond in {one.open:.2f}"
            for s, one in needed.items()
        ),
        f"{SOME_IMAGES.name}, Satterthwaite's crossed interval with Holm, as before, for {listed(SEEDS)} seeds: "
        f"family-wise {listed(f'{share:.3f}' for share in crossed.values())}",
        f"a look at 3 seeds, then at 5, then at 10, until some cell is decided: {looks:.3f} family-wise, not 0.05",
    ]
    return Findings(claims, tree(null), {"verdicts-rates": rates_figure(null)}, remarks)


def null_remark(world: World, found: dict[int, Rates]) -> str:
    """A row of the documentation's table."""
    parts = (
        f"{s} seeds: {one.family:.3f}, {one.coverage[:3].mean():.3f} / {one.coverage[-3:].mean():.3f} / "
        f"{one.coverage[-1]:.3f}"
        for s, one in found.items()
    )
    return f"{world.name} (family-wise, coverage of the 3 first / 3 last / last cell): {'; '.join(parts)}"


def listed(parts: object) -> str:
    """`a / b / c`."""
    return " / ".join(str(part) for part in parts)  # type: ignore[attr-defined]


def tree(null: dict[Key, Rates]) -> xarray.DataTree:
    """Rates by world and number of seeds."""
    names = [world.name for world in WORLDS]
    shape = len(WORLDS), len(SEEDS)
    return xarray.DataTree(
        xarray.Dataset(
            {
                "family_wise": (("world", "seeds"), np.array([one.family for one in null.values()]).reshape(shape)),
                "cell": (("world", "seeds"), np.array([one.word for one in null.values()]).reshape(shape)),
                "coverage": (
                    ("world", "seeds", "cell_number"),
                    np.array([one.coverage for one in null.values()]).reshape(*shape, CELLS),
                ),
                "experiments": (
                    ("world", "seeds"),
                    np.array([one.experiments for one in null.values()]).reshape(shape),
                ),
            },
            {"world": names, "seeds": list(SEEDS), "cell_number": np.arange(CELLS)},
        )
    )
