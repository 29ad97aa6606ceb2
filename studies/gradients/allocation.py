"""The gradient of a step whose views are shared out among images, against equal numbers at the same mean cost.

Images have 2 to 16 views, 4 on average, more where 4 views of ten earlier passes disagreed, drawn toward their mean as
in training; or where those of one pass did, as they are; or by the true variances of the orbit. A view costs a forward
and a backward pass, whichever image has it, so all steps cost 12 forward passes an image.
"""

import numpy as np
import torch
import xarray

from auglik.objectives.view_counts import relative_variance
from auglik.studies.common import exact
from auglik.studies.gradients.measure import Orbit, scattered, torch_weights
from auglik.studies.study import Claim, Context, at_least, at_most
from auglik.system.keys import host_generator
from auglik.views.allocation import MEMORY, shared_out, steadied, stops

NAMES = ("log-mean", "durbin-koopman")
LEAST, MEAN, MOST = 2, 4, 16
EQUAL, EARLIER, ONE, KNOWN = "equal", "by ten earlier passes", "by one earlier pass", "by the true variance"


def counts_of(spread: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Of every image in every draw, from relative variances [B,R]: [B,R]."""
    ties = generator.random(spread.shape)
    pairs = zip(spread.T, ties.T, strict=True)
    return np.stack([shared_out(one, LEAST, MOST, MEAN, tie) for one, tie in pairs], 1)


def seen(orbit: Orbit, generator: np.random.Generator, draws: int) -> np.ndarray:
    """The relative variances that MEAN views of every image show, in every draw [B,R]."""
    B, m = orbit.log_p.shape
    p = np.exp(orbit.log_p)[np.arange(B)[:, None], generator.integers(0, m, (MEAN, B, draws))]
    return relative_variance(torch.from_numpy(p.reshape(MEAN, -1))).numpy().reshape(B, draws)


def allocated(orbit: Orbit, context: Context, draws: int) -> xarray.Dataset:
    """Gradients by rule and aggregator, on the same views."""
    B, m = orbit.log_p.shape
    generator = host_generator(context.seed, "gradients", "allocation")
    picks, p = generator.integers(0, m, (MOST, B, draws)), np.exp(orbit.log_p)
    ten = np.mean([seen(orbit, generator, draws) for _ in range(MEMORY)], 0)
    steady = np.stack([steadied(one, np.full(B, float(MEMORY))) for one in ten.T], 1)
    true = p.var(1) / p.mean(1) ** 2
    rules = {
        EQUAL: np.full((B, draws), MEAN),
        EARLIER: counts_of(steady, generator),
        ONE: counts_of(seen(orbit, generator, draws), generator),
        KNOWN: counts_of(true[:, None].repeat(draws, 1), generator),
    }
    target = orbit.combined(orbit.responsibilities)
    steps = stops(LEAST, MOST)
    known = exact.expected_weights(orbit.log_p, orbit.uniform, steps)
    of_views = {name: {K: torch_weights(name, orbit, picks[:K]) for K in steps} for name in NAMES}
    names = ("signal_to_noise", "relative_bias", "variance", "largest_z", "views")
    columns = {name: np.zeros((len(rules), len(NAMES))) for name in names}
    for row, counts in enumerate(rules.values()):
        shares = np.stack([(counts == K).mean(1) for K in steps])
        for column, name in enumerate(NAMES):
            weights = np.zeros(picks.shape)
            for K in steps:
                weights[:K] += np.where(counts == K, of_views[name][K], 0.0)
            gradients = orbit.combined(scattered(weights, picks, m))
            mean = orbit.combined(np.einsum("sb,sbm->bm", shares, known[name]))
            directions = np.stack([target, gradients.std(0)])
            directions /= np.linalg.norm(directions, axis=1, keepdims=True)
            along = (gradients - mean) @ directions.T
            variance = ((gradients - mean) ** 2).sum(1).mean()
            columns["signal_to_noise"][row, column] = np.linalg.norm(mean) / np.sqrt(variance)
            columns["relative_bias"][row, column] = np.linalg.norm(mean - target) / np.linalg.norm(target)
            columns["variance"][row, column] = variance
            columns["largest_z"][row, column] = np.abs(along.mean(0) / (along.std(0) / np.sqrt(draws))).max()
            columns["views"][row, column] = counts.mean()
    return xarray.Dataset(
        {key: (("rule", "aggregator"), value) for key, value in columns.items()},
        {"rule": list(rules), "aggregator": list(NAMES)},
        {
            "meaning": "relative_bias: |E g - g*| / |g*|, exact for the numbers that were drawn; variance: tr Cov",
            "least_relative_variance": true.min(),
            "largest_relative_variance": true.max(),
        },
    )


def allocated_claims(data: xarray.Dataset) -> list[Claim]:
    """The mean gradient is the exact one of the numbers of views, and the cost is what it says."""
    claims = []
    for rule in data.rule.values:
        for name in NAMES:
            row = data.sel(rule=rule, aggregator=name)
            text = f"{name}, views shared out, {rule}: mean gradient off the exact one, in standard errors"
            claims.append(at_most(text, row.largest_z, 4.0))
        views = data.views.sel(rule=rule).max()
        claims.append(at_most(f"views shared out, {rule}: mean number of views", views, MEAN))
    variance = data.variance.sel(aggregator="log-mean")
    text = "log-mean, views shared out: variance of the gradient by one earlier pass over that by ten, steadied"
    claims.append(at_least(text, variance.sel(rule=ONE) / variance.sel(rule=EARLIER), 1.1))
    return claims


def allocated_remark(data: xarray.Dataset) -> str:
    """Noise and bias side by side, at equal cost."""
    parts = []
    for rule in data.rule.values:
        cells = [
            f"{name} {float(row.signal_to_noise):.2f}, bias {float(row.relative_bias):.3f}"
            for name in NAMES for row in [data.sel(rule=rule, aggregator=name)]
        ]  # fmt: skip
        views = float(data.views.sel(rule=rule, aggregator=NAMES[0]))
        parts.append(f"{rule} ({views:.2f} views): {', '.join(cells)}")
    return (
        "Views shared out among images at the same cost, signal-to-noise ratio of the batch's gradient and its relative"
        f" bias: {'; '.join(parts)}. The relative variance of p is {data.attrs['least_relative_variance']:.2f} to"
        f" {data.attrs['largest_relative_variance']:.2f} by image: below a factor of 4 equal numbers are best."
    )
