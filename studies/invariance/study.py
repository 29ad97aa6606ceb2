"""Does label uncertainty hinder invariance, or does the diversity of views regularize already?

Soft labels that follow a view's strength differ from hard ones in three ways: they are soft, views differ in how soft,
and softness follows the view. Arms of *equal label entropy* take these apart: one constant decay; the same decays as
followed, shuffled over views; and following. What hinders invariance because labels follow the view is the last less
the second, in the share of the variance of logits that lies between views of an image. Whether diversity regularizes
already is what soft labels of any kind gain over hard ones where every image has one view, less what they gain where
views are drawn anew. Seeds train on other images; in a seed all arms and diversities share images and initial weights,
arms also views: every contrast is paired. Shuffling a second time is the placebo.
"""

from collections.abc import Mapping

import numpy as np
import xarray
from matplotlib.figure import Figure
from scipy import special, stats

from auglik.studies.common.pictures import BLACK, BLUE, GREEN, ORANGE, SKY, panels
from auglik.studies.invariance.training import CPU, Measured, trained
from auglik.studies.invariance.views import ARMS, DIVERSITIES, digits
from auglik.studies.study import Claim, Context, Findings, at_least, at_most, equal
from auglik.system.keys import device_generator

LEVEL = 0.999
"""Of each interval: a study has several, and should hold at every seed."""
IMAGES, TESTS = 128, 200
UNITS: Mapping[str, str] = {
    "within": "1", "nll": "nats", "overconfidence": "1", "accuracy": "1", "clean_nll": "nats", "entropy": "nats"
}  # fmt: skip


def invariance(context: Context) -> Findings:
    """Trains every arm in every diversity, and takes the accounts apart."""
    seeds, steps = (8, 150) if context.quick else (24, 400)
    data = digits(seeds, IMAGES, TESTS, device_generator(CPU, context.seed, "invariance", "images"))
    found = []
    for number, diversity in enumerate(DIVERSITIES):
        found.append(trained(data, diversity, steps, context.seed))
        context.progress((number + 1) / len(DIVERSITIES))
    dims = ("diversity", "arm", "seed")
    whole = xarray.Dataset(
        {name: (dims, np.stack(values), {"units": UNITS[name]})
         for name, values in zip(Measured._fields, zip(*found, strict=True), strict=True)},
        {"diversity": list(DIVERSITIES), "arm": list(ARMS)},
    )  # fmt: skip
    return Findings(
        claims_of(whole), xarray.DataTree(whole), {"invariance": figure(whole)}, [told(whole), of_softness(whole)]
    )


def contrast(whole: xarray.Dataset, name: str, arm: str, other: str, diversity: str) -> np.ndarray:
    """What `arm` has more than `other`, by seed [R]."""
    of = whole[name].sel(diversity=diversity)
    difference: np.ndarray = (of.sel(arm=arm) - of.sel(arm=other)).values
    return difference


def limits(differences: np.ndarray) -> tuple[float, float, float]:
    """The mean of paired differences [R] and its Student interval at LEVEL."""
    mean, error = float(differences.mean()), float(stats.sem(differences))
    half = float(special.stdtrit(len(differences) - 1, (1 + LEVEL) / 2)) * error
    return mean, mean - half, mean + half


def claims_of(whole: xarray.Dataset) -> list[Claim]:
    """Of effects that a paired interval must hold clear of 0, and of a placebo that it must not."""
    entropy = whole["entropy"].mean("seed")
    follows = {one: contrast(whole, "within", "following", "shuffled", one) for one in DIVERSITIES}
    gains = {one: contrast(whole, "nll", "hard", "constant", one) for one in DIVERSITIES}
    hard = whole["overconfidence"].sel(arm="hard")
    lowest, at = f"lower {100 * LEVEL:g}% limit, paired by seed", "on rotated test images"
    claims = [
        equal(f"{one}, {arm}: mean label entropy is that of labels that follow, in nats",
              float(entropy.sel(diversity=one, arm=arm)), float(entropy.sel(diversity=one, arm="following")), 1e-9)
        for one in DIVERSITIES for arm in ("constant", "shuffled")
    ]  # fmt: skip
    for one in DIVERSITIES:
        mean, low, high = limits(contrast(whole, "within", "shuffled again", "shuffled", one))
        claims.append(equal(f"{one}: shuffled again less shuffled, which is a placebo", mean, 0, (high - low) / 2))
    return [
        *claims,
        at_least(f"one operation: variance within images {at} that following adds to shuffled; {lowest}",
                 limits(follows["one"])[1], 0),
        at_least(f"one operation: the same that constant softness adds to hard labels; {lowest}",
                 limits(contrast(whole, "within", "constant", "hard", "one"))[1], 0),
        at_least(f"what following adds, one operation less many; {lowest}",
                 limits(follows["one"] - follows["many"])[1], 0),
        at_least(f"one view of each image: nats {at} that constant softness saves; {lowest}",
                 limits(gains["fixed"])[1], 0),
        at_least(f"nats that it saves, one view of each image less new views; {lowest}",
                 limits(gains["fixed"] - gains["one"])[1], 0),
        at_least(f"overconfidence of hard labels, one view of each image less new views; {lowest}",
                 limits((hard.sel(diversity="fixed") - hard.sel(diversity="one")).values)[1], 0),
        at_most("overconfidence of constant softness with new views, less that of hard labels; upper limit",
                limits(contrast(whole, "overconfidence", "constant", "hard", "one"))[2], 0),
    ]  # fmt: skip


def told(whole: xarray.Dataset) -> str:
    """Which of the two accounts the paired intervals hold clear of 0."""
    mean, low, high = limits(contrast(whole, "within", "following", "shuffled", "one"))
    hinders = "hinders" if low > 0 else "helps" if high < 0 else "is not told to change"
    many = limits(contrast(whole, "within", "following", "shuffled", "many"))
    gains = [contrast(whole, "nll", "hard", "constant", one) for one in ("fixed", "one")]
    less, lower, upper = limits(gains[0] - gains[1])
    already = "regularizes already" if lower > 0 else "is not told to regularize already"
    return (
        f"uncertainty that follows the view {hinders} invariance: {mean:+.3f} [{low:+.3f}, {high:+.3f}] with one"
        f" operation, {many[0]:+.3f} [{many[1]:+.3f}, {many[2]:+.3f}] with many; diversity {already}: softness saves"
        f" {less:+.3f} [{lower:+.3f}, {upper:+.3f}] nats less with new views than with one view of each image"
    )


def of_softness(whole: xarray.Dataset) -> str:
    """What the calibration of all arms is with one operation."""
    means = whole["overconfidence"].sel(diversity="one").mean("seed")
    said = ", ".join(f"{arm} {float(means.sel(arm=arm)):+.3f}" for arm in ARMS if arm != "shuffled again")
    return f"confidence less accuracy with one operation, on rotated test images: {said}"


def figure(whole: xarray.Dataset) -> Figure:
    """Invariance and calibration of every arm in every diversity; a dot a seed."""
    drawn, axes = panels(1, 2, (10, 3.8))
    titles = {"within": "variance of logits within images (0: invariant)", "nll": "NLL in nats"}
    for axis, (name, title) in zip(axes, titles.items(), strict=True):
        for number, (arm, colour) in enumerate(zip(ARMS, (BLACK, SKY, ORANGE, BLUE, GREEN), strict=True)):
            values = whole[name].sel(arm=arm).values
            place = np.arange(len(DIVERSITIES))[:, None] + (number - 2) * 0.15 + np.zeros_like(values)
            axis.plot(place, values, ".", color=colour, markersize=4)
            axis.plot(place[:, 0], values.mean(1), "_", color=colour, markersize=12, markeredgewidth=2, label=arm)
        axis.set_xticks(np.arange(len(DIVERSITIES)), ["one view each", "new rotations", "many operations"])
        axis.set_title(title, fontsize=10)
    axes[0].legend(frameon=False, fontsize=8)
    drawn.suptitle("Labels of equal entropy, on rotated test images")
    return drawn
