"""More views for images whose views disagree, at the same mean number of views, and what stopping on them costs.

Images of three laws, Beta(1,3), Beta(3,1) and Beta(30,1) in equal parts, get 2 to 16 views, 4 on average, shared out by
their relative variances V: the true ones; those seen in 4 views of ten earlier passes and drawn toward their mean, as
in training; those of one pass as they are; or those of the image's own first 2 views, which are then among the views of
its estimate. The last is biased even for E p: an image whose first views happen to agree stops on them. Two-point views
show it exactly.
"""

import itertools
from collections import defaultdict
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
import xarray

from auglik.objectives import AGGREGATORS
from auglik.objectives.view_counts import relative_variance
from auglik.studies.common import exact
from auglik.studies.common.laws import beta
from auglik.studies.study import Claim, Context, at_least, at_most, equal
from auglik.system.keys import host_generator
from auglik.views.allocation import MEMORY, shared_out, steadied, stops

LAWS = (beta(1, 3), beta(3, 1), beta(30, 1))
OF_LAW = 500
"""Images of each law in a round."""
LEAST, MEAN, MOST = 2, 4, 16
NAMES = ("log-mean", "durbin-koopman")
LOG_INTEGRAL = np.repeat([law.log_integral for law in LAWS], OF_LAW)
VARIANCE = np.repeat([law.relative_variance for law in LAWS], OF_LAW)

Rule = Callable[[np.ndarray, np.random.Generator], np.ndarray]
"""The numbers of views [N] of images, from log p of their views [MOST,N] and a generator."""


def views(generator: np.random.Generator, count: int) -> np.ndarray:
    """log p of views of all images [K,N]."""
    return np.concatenate([law.draw(generator, (count, OF_LAW)) for law in LAWS], 1)


def by_spread(spread: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    return shared_out(spread, LEAST, MOST, MEAN, generator.random(len(spread)))


def seen(log_p: np.ndarray) -> np.ndarray:
    """The relative variances that views [K,N] show."""
    return relative_variance(torch.from_numpy(np.exp(log_p))).numpy()


def earlier(generator: np.random.Generator, passes: int) -> np.ndarray:
    """Their means over passes of MEAN views."""
    return np.mean([seen(views(generator, MEAN)) for _ in range(passes)], 0)


EQUAL, EARLIER, OWN = "equal", "by ten earlier passes", "by its own first views"
RULES: dict[str, Rule] = {
    EQUAL: lambda log_p, generator: np.full(log_p.shape[1], MEAN),
    "by the true variance": lambda log_p, generator: by_spread(VARIANCE, generator),
    EARLIER: lambda log_p, generator: by_spread(
        steadied(earlier(generator, MEMORY), np.full(log_p.shape[1], float(MEMORY))), generator
    ),
    "by one earlier pass": lambda log_p, generator: by_spread(earlier(generator, 1), generator),
    OWN: lambda log_p, generator: by_spread(seen(log_p[:LEAST]), generator),
}


def of_first(log_p: np.ndarray, counts: np.ndarray, fold: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """`fold` of the first K views of every image, K by image: [MOST,N], [N] -> [N]."""
    values = np.empty(len(counts))
    for K in np.unique(counts):
        values[counts == K] = fold(log_p[:K, counts == K])
    return values


def folded(name: str) -> Callable[[np.ndarray], np.ndarray]:
    return lambda log_p: AGGREGATORS[name].fold(torch.from_numpy(log_p)[..., None])[:, 0].numpy()


def stopping_bias(low: float, high: float, share: float) -> tuple[float, float]:
    """E of the mean of 2 views, or of 4 where the first two differ, less E p: by all 16 outcomes, and as a formula.

    p is `high` with probability `share`. Where the first two differ their mean is (low + high)/2, and half of the
    estimate is I in place of it.
    """
    bound, total = 1e-9, 0.0
    for bits in itertools.product((0, 1), repeat=4):
        log_p = np.log(np.where(np.array(bits) == 1, high, low))[:, None]
        K = np.array([4 if seen(log_p[:2])[0] > bound else 2])
        total += share ** sum(bits) * (1 - share) ** (4 - sum(bits)) * np.exp(of_first(log_p, K, folded("log-mean"))[0])
    mean = share * high + (1 - share) * low
    return float(total - mean), 2 * share * (1 - share) * (mean - (low + high) / 2) / 2


class Round(NamedTuple):
    """Of one rule in one round, means over images."""

    ratio: float
    """The mean likelihood of the views over E p, less 1."""
    surprise: np.ndarray
    """Values less their exact expectations under these numbers of views, by aggregator [2]."""
    error: np.ndarray
    """Values less log E p by aggregator and image [2,N]."""
    mean_views: float


def rounds_of(seed: int, rounds: int) -> dict[str, list[Round]]:
    """Every rule on the same views."""
    steps, found = stops(LEAST, MOST), defaultdict[str, list[Round]](list)
    of_laws = [exact.expected_of_two(law.atoms, law.weights, steps) for law in LAWS]
    expected = [np.stack([law[name] for law in of_laws]).repeat(OF_LAW, 0) for name in NAMES]
    for index in range(rounds):
        log_p = views(host_generator(seed, "estimators", "allocation", index), MOST)
        for rule, choose in RULES.items():
            counts = choose(log_p, host_generator(seed, "estimators", "allocation", index, rule))
            values = np.stack([of_first(log_p, counts, folded(name)) for name in NAMES])
            place = np.arange(len(counts)), np.searchsorted(steps, counts)
            surprise = (values - np.stack([of_one[place] for of_one in expected])).mean(1)
            error = values - LOG_INTEGRAL
            found[rule].append(Round(float(np.expm1(error[0]).mean()), surprise, error, float(counts.mean())))
    return found


def allocation(context: Context) -> tuple[list[Claim], xarray.Dataset, str]:
    """Claims, the table by rule and aggregator, and a remark."""
    rounds = 20 if context.quick else 400
    claims, rows = list[Claim](), []
    for rule, found in rounds_of(context.seed, rounds).items():
        ratios, surprises = (np.array([getattr(one, name) for one in found]) for name in ("ratio", "surprise"))
        off = abs(ratios.mean()) / (ratios.std() / np.sqrt(rounds))
        text = f"views shared out, {rule}: mean of the estimate of E p off it, in standard errors"
        claims.append(at_least(text, off, 5.0) if rule == OWN else at_most(text, off, 4.0))
        z = np.abs(surprises.mean(0)) / (surprises.std(0) / np.sqrt(rounds))
        for name, value in zip(NAMES, z, strict=True):
            if rule != OWN:
                text = (
                    f"views shared out, {rule}: {name} off its expectation at its numbers of views, in standard errors"
                )
                claims.append(at_most(text, value, 4.0))
        errors = np.stack([one.error for one in found])
        mean_views = float(np.mean([one.mean_views for one in found]))
        rows.append((errors.mean((0, 2)), errors.std(0).mean(1), np.sqrt((errors**2).mean((0, 2))), mean_views))
    for law in ((0.3, 0.9, 0.7), (0.1, 0.8, 0.2)):
        text = f"two-point views {law}, two more where the first two differ: bias of the mean, by all outcomes"
        claims.append(equal(text, *stopping_bias(*law), 1e-12))
    *columns, numbers = zip(*rows, strict=True)
    named = zip(("bias", "deviation", "rmse"), columns, strict=True)
    data = xarray.Dataset(
        {**{key: (("rule", "aggregator"), np.stack(values), {"units": "nat"}) for key, values in named},
         "mean_views": ("rule", list(numbers))},
        {"rule": list(RULES), "aggregator": list(NAMES)},
    )  # fmt: skip
    one = data.rmse.sel(aggregator="log-mean")
    text = f"views shared out, {EARLIER}: squared error of log-mean of equal numbers over its own"
    claims.append(at_least(text, (one.sel(rule=EQUAL) / one.sel(rule=EARLIER)) ** 2, 1.1))
    return claims, data, remark(data)


def remark(data: xarray.Dataset) -> str:
    """The table on one line."""
    parts = []
    for rule in data.rule.values:
        row = data.sel(rule=rule)
        cells = [
            f"{name} {float(of.bias):+.4f}, {float(of.deviation):.3f}"
            for name in NAMES for of in [row.sel(aggregator=name)]
        ]  # fmt: skip
        parts.append(f"{rule} ({float(row.mean_views):.3f} views): {', '.join(cells)}")
    return f"Views shared out among images, bias and standard deviation in nats: {'; '.join(parts)}."
