"""Do the intervals of the calibration error hold the truth as often as they say?

Test sets are drawn from worlds of known error (worlds.py), and counted is how often `ece_interval` holds it: for
calibrated networks, whose error is 0; for overconfident, timid and otherwise wrong ones; for one network and for
several that are judged on the same images; limit by limit for timid ones that are hardly ever wrong; and where images
are copies of each other, for which no interval allows. Beside it the bias of the debiased and of the plug-in estimates.
Unless quick, the models of curve and line as well, of calibrated, overconfident and far underconfident networks.
"""

import functools
from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
import xarray
from scipy.stats import norm  # type: ignore[attr-defined]

from auglik.inference.calibration import errors, interval
from auglik.inference.calibration.bins import Outcomes, count, equal_width
from auglik.studies.calibration.figures import coverage_figure
from auglik.studies.calibration.models import model_claims
from auglik.studies.calibration.worlds import BINS, TIMID, WORLDS, World, answers, true_error
from auglik.studies.study import Claim, Context, Findings, at_least, at_most
from auglik.system.keys import host_generator

SIZES = ((200, 3), (500, 1), (2000, 5), (10000, 1))
"""Images and networks."""
QUICK_WORLDS = ("calibrated", "T = 0.67", "T = 0.9", "overconfident above .9 only")
QUICK_SIZES = ((500, 3), (5000, 1))
FEW_IMAGES = ((1, 1), (20, 1))
TIMID_SIZES = ((100, 1), (200, 3))
COPIED, COPIED_IMAGES = (1, 2, 5), 1000
LEVEL, LEAST, MOST = 0.95, 0.93, 0.97
ERRORS = 3.5
"""Standard errors that a share may be off."""
CLEAR = 8.0
"""An error is well determined if that many times the standard deviation of its debiased estimate."""


class Condition(NamedTuple):
    """A world, the images of a test set, and the networks that are judged on them."""

    world: World
    images: int
    networks: int
    copies: int = 1
    """How often each image is there."""


class Often(NamedTuple):
    """Worlds of well determined errors, whose intervals are nearly exact, so often that 90% is not taken for 95%."""

    worlds: tuple[str, ...]
    images: int
    repeats: int
    estimates: int
    """Test sets of which only the estimate is taken, for its standard deviation."""


OFTEN = Often(("T = 0.67", "T = 1.5", "T = 0.67, 2 classes"), 8000, 400, 4000)
QUICK_OFTEN = Often(("T = 0.67, 2 classes",), 6000, 150, 2000)


def measure(condition: Condition, repeats: int, seed: int) -> xarray.Dataset:
    """Limits and estimates of many test sets, over `repeat`."""
    world, images, networks, copies = condition
    key = (copies,) if copies > 1 else ()
    generator = host_generator(seed, "calibration study", world.name, images, networks, *key)
    edges, rows = equal_width(BINS), []
    for _ in range(repeats):
        seen = answers(world, networks, images // copies, generator)
        runs = [Outcomes(c, c, k) for c, k in zip(*(np.repeat(part, copies, -1) for part in seen), strict=True)]
        limits = interval.ece_interval(runs, edges, generator, LEVEL)
        debiased = np.mean([errors.debiased(run, edges) for run in runs])
        plug_in = np.mean([errors.plug_in(count(run.confidence, run.correct, edges)) for run in runs])
        rows.append((*limits, debiased, plug_in, seen.correct.mean()))
    names = ("lower", "upper", "debiased", "plug_in", "accuracy")
    columns = dict(zip(names, np.array(rows).T, strict=True))
    return xarray.Dataset({name: ("repeat", values) for name, values in columns.items()})


def deviation(condition: Condition, count: int, seed: int) -> float:
    """The standard deviation of the debiased estimate of one network over test sets."""
    generator = host_generator(seed, "calibration deviation", condition.world.name, condition.images)
    edges, found = equal_width(BINS), []
    for _ in range(count):
        seen = answers(condition.world, 1, condition.images, generator)
        found.append(errors.debiased(Outcomes(seen.confidence[0], seen.confidence[0], seen.correct[0]), edges))
    return float(np.std(found, ddof=1))


@functools.cache
def truth(world: World, seed: int, images: int) -> float:
    """The world's error; 0 if calibrated, whatever a finite population says."""
    if world.calibrated:
        return 0.0
    return true_error(world, host_generator(seed, "calibration truth", world.name), images)


def covers(found: xarray.Dataset) -> xarray.DataArray:
    """Whether each interval holds the truth [condition,repeat]."""
    return (found["lower"] <= found["truth"]) & (found["truth"] <= found["upper"])


def share(text: str, held: xarray.DataArray, least: float) -> Claim:
    """That the share of `held` is at least that, within ERRORS standard errors."""
    return at_least(text, float(held.mean()), least, ERRORS * np.sqrt(least * (1 - least) / held.size))


def interval_claims(found: xarray.Dataset) -> list[Claim]:
    """Of all conditions of more than a few images."""
    held, calibrated = covers(found), found["truth"] == 0
    claims = []
    for name in dict.fromkeys(found["world"].values.tolist()):
        mine = found["world"] == name
        if bool((mine & calibrated).any()):
            claims.append(share(f"{name}: share of intervals whose lower limit is 0", held[mine], (1 + LEVEL) / 2))
        else:
            claims.append(share(f"{name}: share of intervals that hold the error", held[mine], LEAST))
    return claims


def clear_claims(parts: Sequence[xarray.Dataset]) -> list[Claim]:
    """Of all conditions in which the error is well determined."""
    held = np.concatenate([
        covers(found)[found["truth"] > CLEAR * found["debiased"].std("repeat")].values.ravel() for found in parts
    ])  # fmt: skip
    text = f"errors of more than {CLEAR:.0f} standard deviations: share of {held.size} intervals that hold them"
    value, allowed = float(held.mean()), ERRORS * np.sqrt(MOST * (1 - MOST) / held.size)
    return [share(text, xarray.DataArray(held), LEVEL), at_most(text, value, MOST, allowed)]


def length_claims(found: xarray.Dataset, deviations: Sequence[float], count: int) -> list[Claim]:
    """Of well determined errors, estimates of which are nearly normal: their `deviations` are from `count` each."""
    claims = []
    for place, sd in enumerate(deviations):
        one = found.isel(condition=place)
        half = (one["upper"] - one["lower"]).values / 2 / sd
        value = float(half.mean())
        allowed = ERRORS * value * np.hypot(half.std() / value / np.sqrt(half.size), 1 / np.sqrt(2 * count))
        text = f"{one['world'].item()}: half the mean length of intervals, in standard deviations of the estimate"
        claims.append(at_least(text, value, norm.ppf((1 + LEVEL) / 2), allowed))
        claims.append(at_most(text, value, norm.ppf((1 + MOST) / 2), allowed))
    return claims


def copies_claims(found: xarray.Dataset) -> list[Claim]:
    """Of calibrated networks on test images of which some are copies."""
    claims = []
    for place, copies in enumerate(COPIED):
        held = found["lower"][place] == 0
        text = f"calibrated, {COPIED_IMAGES:,} images, each there {copies} times: share"
        if copies == 1:
            claims.append(share(f"{text} of intervals whose lower limit is 0", held, (1 + LEVEL) / 2))
        else:
            claims.append(at_least(f"{text} called miscalibrated, a known limit", 1 - float(held.mean()), 1 - LEVEL))
    return claims


def estimate_claims(found: xarray.Dataset) -> list[Claim]:
    """Of the biases of the estimates."""
    bias = {name: (found[name] - found["truth"]).mean("repeat") for name in ("debiased", "plug_in")}
    error = {name: found[name].std("repeat") / np.sqrt(found.sizes["repeat"]) for name in bias}
    null = found["truth"] == 0
    off = (np.abs(bias["debiased"]) / error["debiased"])[null]
    above = (bias["debiased"] / error["debiased"])[~null]
    below = (-bias["plug_in"] / error["plug_in"])[~null]
    small = null & (found["images"] <= 500)
    return [
        at_most(
            "calibrated: bias of the debiased ECE, largest of all conditions in standard errors", off.max(), ERRORS
        ),
        at_least(
            "calibrated, up to 500 images: least bias of the plug-in ECE", float(bias["plug_in"][small].min()), 0.01
        ),
        at_most("miscalibrated: excess of the debiased ECE over the truth, in standard errors", above.max(), ERRORS),
        at_most("miscalibrated: what the plug-in ECE lacks of the truth, in standard errors", below.max(), ERRORS),
    ]


def few_claims(found: xarray.Dataset) -> list[Claim]:
    """Of test sets of one and of twenty images."""
    return [share("1 or 20 images: share of intervals that hold the error", covers(found), LEVEL)]


def timid_claims(found: xarray.Dataset) -> list[Claim]:
    """Of few errors, for which each limit has a law of its own."""
    claims = []
    for name in dict.fromkeys(found["world"].values.tolist()):
        mine = found["world"] == name
        for limit, held in (("lower", found["lower"] <= found["truth"]), ("upper", found["upper"] >= found["truth"])):
            text = f"{name}: share of {limit} limits on their side of the error"
            claims.append(share(text, held[mine], (1 + LEVEL) / 2))
    return claims


def all_measured(conditions: Sequence[Condition], repeats: int, context: Context, part: float) -> xarray.Dataset:
    """Over conditions; `part` is this measurement's share of the study."""
    population = 300_000 if context.quick else 1_000_000
    truths = {c.world.name: truth(c.world, context.seed, population) for c in conditions}
    found = []
    for number, one in enumerate(conditions):
        found.append(measure(one, repeats, context.seed))
        context.progress(part * (number + 1) / len(conditions))
    columns = {
        "world": [c.world.name for c in conditions],
        "images": [c.images for c in conditions],
        "networks": [c.networks for c in conditions],
        "truth": [truths[c.world.name] for c in conditions],
    }
    return xarray.concat(found, "condition").assign({name: ("condition", values) for name, values in columns.items()})


def remarks_on(found: xarray.Dataset) -> list[str]:
    """A line a condition."""
    held = covers(found)
    lines = []
    for place in range(found.sizes["condition"]):
        one = found.isel(condition=place)
        lower, upper, debiased, plug_in = (float(one[n].mean()) for n in ("lower", "upper", "debiased", "plug_in"))
        lines.append(
            f"{one['world'].item()}, {one['images'].item()} images, networks: {one['networks'].item()}; true ECE"
            f" {float(one['truth']):.4f}, debiased {debiased:.4f}, plug-in {plug_in:.4f}, mean limits"
            f" [{lower:.4f}, {upper:.4f}], hold the truth in {float(held[place].mean()):.3f}"
        )
    return lines


def calibration(context: Context) -> Findings:
    """Simulates test sets and counts."""
    worlds = [w for w in WORLDS if w.name in QUICK_WORLDS] if context.quick else list(WORLDS)
    sizes, repeats = (QUICK_SIZES, 60) if context.quick else (SIZES, 50)
    conditions = [Condition(world, *size) for world, size in product(worlds, sizes)]
    few = [Condition(world, *size) for world, size in product(worlds, FEW_IMAGES)]
    found = all_measured(conditions, repeats, context, 0.7)
    found_few = all_measured(few, 30 if context.quick else repeats, context, 0.0)
    timid = [Condition(world, *size) for world, size in product(TIMID, TIMID_SIZES)]
    found_timid = all_measured(timid, 60 if context.quick else 200, context, 0.0)
    copied = [Condition(WORLDS[0], COPIED_IMAGES, 1, copies) for copies in COPIED]
    found_copied = all_measured(copied, 100 if context.quick else 1000, context, 0.0)
    often = QUICK_OFTEN if context.quick else OFTEN
    sure = [Condition(world, often.images, 1) for world in WORLDS if world.name in often.worlds]
    found_often = all_measured(sure, often.repeats, context, 0.9)
    deviations = [deviation(one, often.estimates, context.seed) for one in sure]
    claims = [*interval_claims(found), *clear_claims([found, found_often]), *few_claims(found_few)]
    claims += length_claims(found_often, deviations, often.estimates)
    claims += [*timid_claims(found_timid), *copies_claims(found_copied), *estimate_claims(found)]
    if not context.quick:
        claims += model_claims(context.seed)
    data = xarray.DataTree.from_dict({"intervals": found, "often": found_often, "few": found_few, "timid": found_timid})
    figures = {"calibration-coverage": coverage_figure(found, covers(found))}
    called = " / ".join(f"{float(share):.3f}" for share in (found_copied["lower"] > 0).mean("repeat"))
    remarks = [*remarks_on(found), *remarks_on(found_often), *remarks_on(found_timid)]
    remarks.append(
        f"calibrated, {COPIED_IMAGES:,} images, each there {' / '.join(map(str, COPIED))} times: called miscalibrated"
        f" in {called}"
    )
    return Findings(claims, data, figures, remarks)
