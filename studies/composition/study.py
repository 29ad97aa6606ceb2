"""What is wrong with the product of what several operations keep of a label: the product, or that images differ?

Three worlds in which it is known what one image keeps under two operations. Where images are alike and the operations
independent, the kept masses multiply. Where images differ, the product of *means* over images is too small by the
covariance over images, though in each image the masses multiply: tables that tell images apart mend that, `--compose
minimum` does not. Where the operations destroy the same, the product is too small in every image, and the minimum is
right. The confidence of the composition itself, against both products, tells the three apart; measured and used
(`--compose measured`), it is right on average in all three, of two operations, and nearly so of three.
"""

import numpy as np
import xarray
from matplotlib.figure import Figure
from scipy import integrate, special

from auglik.studies.common.pictures import BLUE, GREEN, ORANGE, PURPLE, panels
from auglik.studies.composition.worlds import (
    MEAN,
    RULES,
    WORLDS,
    A,
    B,
    C,
    excess_loss,
    kept,
    kept_by,
    named,
    pair_table,
)
from auglik.studies.study import Claim, Context, Findings, at_least, at_most, equal
from auglik.system.array_types import Float64Array
from auglik.system.keys import host_generator

SINGLE = 1e-6
"""Rounding of masses in single precision."""
ANSWERS = 20
"""Views of each image and operation that tell what it keeps, where that is measured."""


def moment(order: int) -> float:
    """E u^order of the Beta distribution, by quadrature."""
    return float(integrate.quad(lambda u: u ** (A - 1 + order) * (1 - u) ** (B - 1), 0, 1)[0] / special.beta(A, B))


def squared() -> float:
    """E u^2."""
    return moment(2)


def composition(context: Context) -> Findings:
    """Kept masses and losses under every rule in every world, and how often the world is told."""
    count, experiments = (20_000, 200) if context.quick else (200_000, 1000)
    generator = host_generator(context.seed, "composition")
    worlds = {name: make(generator, count) for name, make in WORLDS.items()}
    tables = ("by operation", "by image")
    bias, loss = np.empty((2, len(worlds), len(tables), len(RULES)))
    for w, world in enumerate(worlds.values()):
        for t in range(len(tables)):
            for r, rule in enumerate(RULES):
                kept = kept_by(world, rule, by_image=bool(t))
                bias[w, t, r] = (kept - world.both).mean()
                loss[w, t, r] = excess_loss(world.both, kept)
        context.progress((w + 1) / (len(worlds) + 1))
    data = xarray.Dataset(
        {"bias": (("world", "table", "rule"), bias), "loss": (("world", "table", "rule"), loss)},
        {"world": list(worlds), "table": list(tables), "rule": list(RULES)},
    )
    data["bias"].attrs = {"meaning": "mean label mass kept, less the true one", "units": "1"}
    data["loss"].attrs = {"meaning": "divergence of the labels from the true ones", "units": "nats"}
    told = {name: share_told(name, context.seed, experiments) for name in worlds}
    data["told"] = ("world", list(told.values()))
    data["told"].attrs = {"meaning": "share of experiments of 4000 images in which the world is told", "units": "1"}
    error = float(np.std(worlds["heterogeneous"].both, ddof=1) / np.sqrt(count))
    claims = claims_of(data, error) + together_claims(data) + measured_claims(context.seed, count)
    context.progress(1.0)
    return Findings(claims, xarray.DataTree(data), {"composition": figure(data)})


def claims_of(data: xarray.Dataset, error: float) -> list[Claim]:
    """What is claimed of the table; `error` is the standard error of a mean over heterogeneous images."""

    def bias(world: str, table: str, rule: str = "kept") -> float:
        return float(data["bias"].sel(world=world, table=table, rule=rule))

    loss = data["loss"].sel(world="heterogeneous", rule="kept")
    covariance = squared() - MEAN**2
    p = MEAN + (1 - MEAN) / C
    return [
        *(equal(f"independent operations, images alike: bias of the product, {table}", bias("apart", table), 0, SINGLE)
          for table in ("by operation", "by image")),
        equal("images differ: bias of the product of means is minus their covariance, by quadrature",
              bias("heterogeneous", "by operation"), -covariance, 4 * error),
        equal("images differ: bias of the product by image", bias("heterogeneous", "by image"), 0, SINGLE),
        equal("images differ: bias of the minimum of means, which is too large, by quadrature",
              bias("heterogeneous", "by operation", "minimum"), MEAN - squared(), 4 * error),
        at_least("images differ: nats that labels lose by the product of means, less by the product by image",
                 float(loss.sel(table="by operation") - loss.sel(table="by image")), 0.01),
        *(equal(f"the same destroyed twice: bias of the product, {table}, which no table mends",
                bias("overlapping", table), MEAN**2 - MEAN, SINGLE) for table in ("by operation", "by image")),
        equal("the same destroyed twice: bias of the minimum", bias("overlapping", "by operation", "minimum"), 0,
              SINGLE),
        equal("confidences multiplied as published: bias in the mass kept, from p itself",
              bias("apart", "by operation", "published"), 1 - (1 - p**2) * C / (C - 1) - MEAN**2, SINGLE),
        *(at_least(f"{name}: share of experiments in which the world is told", float(told), 0.97)
          for name, told in zip(data["world"].values.tolist(), data["told"].values, strict=True)),
    ]  # fmt: skip


def together_claims(data: xarray.Dataset) -> list[Claim]:
    """Of the confidence of the composition itself: of two operations, as measured; of three, from their pairs."""
    loss = data["loss"].sel(world="heterogeneous")
    measured, by_image = (loss.sel(table=table, rule=rule) for table, rule in (
        ("by operation", "measured"), ("by image", "kept")
    ))  # fmt: skip
    bias = data["bias"].sel(table="by operation", rule="measured")

    def of_three(one: float, two: float) -> float:
        return float(kept(pair_table(one, two), "pairs", "measured", 1, 3)[0])

    from_pairs = of_three(MEAN, squared())
    return [
        *(equal(f"{name}: bias of the mass measured under both operations", float(bias.sel(world=name)), 0,
                SINGLE) for name in data["world"].values.tolist()),
        at_least("images differ: nats that labels lose by the mass measured, less by the product by image",
                 float(measured - by_image), 0.01),
        at_most("images differ: nats that labels lose by the mass measured, against the product of means",
                float(measured), float(loss.sel(table="by operation", rule="kept"))),
        equal("three independent operations, images alike: mass from pairs", of_three(MEAN, MEAN**2), MEAN**3, SINGLE),
        equal("the same destroyed three times: mass from pairs", of_three(MEAN, MEAN), MEAN, SINGLE),
        equal("three operations, images differ: mass from pairs, (E u^2)^3 / (E u)^3 by quadrature", from_pairs,
              (moment(2) / moment(1)) ** 3, SINGLE),
        at_most("three operations, images differ: error of the mass from pairs, against the product of means",
                abs(from_pairs - moment(3)), 0.25 * abs(MEAN**3 - moment(3))),
    ]  # fmt: skip


def share_told(name: str, seed: int, experiments: int, images: int = 4000) -> float:
    """The share of experiments in which `named` tells the world."""
    right = 0
    for number in range(experiments):
        generator = host_generator(seed, "composition", name, number)
        world = WORLDS[name](generator, images)
        recognized = generator.random(images) < world.both + (1 - world.both) / C
        right += named(world.each, recognized.astype(float)) == name
    return right / experiments


def measured_claims(seed: int, count: int) -> list[Claim]:
    """By image from a few answers each: errors of two operations that go together do not cancel in their product."""
    generator = host_generator(seed, "composition", "answers")
    kept = WORLDS["heterogeneous"](generator, count).each[:, 0]
    own = generator.binomial(ANSWERS, kept[:, None], (count, 2)) / ANSWERS
    products: dict[str, Float64Array] = {"apart": own.prod(1) - kept**2, "shared": own[:, 0] ** 2 - kept**2}
    error = {name: float(values.std(ddof=1) / np.sqrt(count)) for name, values in products.items()}
    shared = (MEAN - squared()) / ANSWERS
    return [
        equal(f"by image from {ANSWERS} answers to each operation: bias of their product", products["apart"].mean(), 0,
              4 * error["apart"]),
        equal(f"the same {ANSWERS} answers for both operations: bias of their product, E u (1-u) / {ANSWERS}",
              products["shared"].mean(), shared, 4 * error["shared"]),
        at_most("what shared errors add, against what the product of means lacks", products["shared"].mean(),
                squared() - MEAN**2, 4 * error["shared"]),
    ]  # fmt: skip


def figure(data: xarray.Dataset) -> Figure:
    """The bias of every rule in every world, by operation and by image."""
    drawn, axes = panels(1, 2, (10, 3.8), share=True)
    place = np.arange(data.sizes["world"])
    for axis, table in zip(axes, data["table"].values.tolist(), strict=True):
        for number, (rule, colour) in enumerate(zip(RULES, (BLUE, ORANGE, GREEN, PURPLE), strict=True)):
            values = data["bias"].sel(table=table, rule=rule).values
            axis.bar(place + (number - 1.5) * 0.21, values, 0.19, color=colour, label=rule)
        axis.axhline(0, color="0.3", linewidth=0.8)
        axis.set_xticks(place, data["world"].values.tolist())
        axis.set_title(f"confidence {table}", fontsize=10)
    axes[0].set_ylabel("label mass kept, less the true")
    axes[0].legend(frameon=False, fontsize=8)
    drawn.suptitle("By image mends heterogeneity, the minimum what is destroyed twice, measured both on average")
    return drawn
