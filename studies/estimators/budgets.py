"""Which estimator of log I at which number of forward passes: jackknives, a drawn number of views, coupled views.

Beta(2,4) views, whose p is a function of one uniform number, so that views can be coupled; the best case, as p of real
views depends on many numbers. Estimators of a drawn number of views cost its mean; over it their mean is that of the
log-mean of the most views.
"""

from collections import defaultdict

import numpy as np
import torch
import xarray
from scipy.special import betaincinv

from auglik.objectives import AGGREGATORS, Jackknife, Multilevel, Sumo
from auglik.objectives.contracts import Aggregator
from auglik.objectives.view_counts import drawn_views, law_of_views, mean_views
from auglik.studies.common import exact
from auglik.studies.common.laws import beta
from auglik.studies.study import Claim, Context, at_least, at_most
from auglik.system.keys import host_generator
from auglik.views.couplings import COUPLINGS

ALPHA, BETA = 2, 4
LAW = beta(ALPHA, BETA)
FIXED_VIEWS = (2, 4, 8, 16)
MOST = (4, 16, 64)
ROUND = 20_000

FIXED: dict[str, Aggregator] = {
    **{name: AGGREGATORS[name] for name in ("jensen", "thermodynamic", "log-mean", "durbin-koopman")},
    "jackknife": Jackknife(),
    "jackknife:order=2": Jackknife(2),
}
DRAWN: dict[str, Aggregator] = {"sumo": Sumo(), "multilevel": Multilevel(), "multilevel:power=1.25": Multilevel(1.25)}

Estimates = dict[tuple[str, float], list[np.ndarray]]
"""Values [R] of rounds, by estimator and its number of views, or of the most that may be drawn."""


def folded(aggregator: Aggregator, log_p: np.ndarray) -> np.ndarray:
    """[K,R] -> [R]."""
    return aggregator.fold(torch.from_numpy(log_p)[..., None])[:, 0].numpy()


def of_drawn(aggregator: Aggregator, log_p: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
    """The values of R images, each of its own number of the views [K,R]."""
    counts = drawn_views(aggregator, len(log_p), torch.from_numpy(uniforms)).numpy()
    values = np.empty(len(uniforms))
    for K in law_of_views(aggregator, len(log_p)):
        values[counts == K] = folded(aggregator, log_p[:K, counts == K])
    return values


def coupled(name: str, seed: int, index: int, views: int, count: int) -> np.ndarray:
    """log p of views [K,R] by a coupling's numbers."""
    numbers = COUPLINGS[name].uniforms(seed, "estimators", index, views, count, 2)[..., 1]
    return np.log(betaincinv(ALPHA, BETA, numbers))


def sampled(seed: int, rounds: int) -> Estimates:
    """Every estimator, those of independent views on the same ones."""
    found: Estimates = defaultdict(list)
    for index in range(rounds):
        generator = host_generator(seed, "estimators", "budgets", index)
        log_p, uniforms = LAW.draw(generator, (MOST[-1], ROUND)), generator.random(ROUND)
        for name, aggregator in FIXED.items():
            for K in FIXED_VIEWS:
                if aggregator.minimum_views <= K:
                    found[name, K].append(folded(aggregator, log_p[:K]))
        for name, aggregator in DRAWN.items():
            for most in MOST:
                found[name, most].append(of_drawn(aggregator, log_p[:most], uniforms))
        if index < 10:
            for name in COUPLINGS:
                views = coupled(name, seed, index, FIXED_VIEWS[-1], ROUND)
                for K in FIXED_VIEWS:
                    found[f"log-mean, {name} views", K].append(folded(AGGREGATORS["log-mean"], views[:K]))
    return found


def budgets(context: Context) -> tuple[list[Claim], xarray.Dataset, str]:
    """Claims, the table by estimator and cost, and a remark."""
    found = {key: np.concatenate(parts) for key, parts in sampled(context.seed, 2 if context.quick else 50).items()}
    expected = dict(zip(MOST, exact.expected(LAW.atoms, LAW.weights, list(MOST))["log-mean"], strict=True))
    claims = []
    for name in DRAWN:
        for most in MOST:
            values = found[name, most]
            z = abs(values.mean() - expected[most]) / (values.std() / np.sqrt(len(values)))
            text = f"{name}: mean of {len(values)} draws off that of the log-mean of {most} views, in standard errors"
            claims.append(at_most(text, z, 4.0))
    for name in COUPLINGS:
        for K in FIXED_VIEWS:
            ratio = found["log-mean", K].var() / found[f"log-mean, {name} views", K].var()
            text = f"log-mean of {K} {name} views: variance of that of independent ones over its own"
            claims.append(at_least(text, ratio, 1.5))
    rows = [measured(name, views, values) for (name, views), values in found.items()]
    data = xarray.Dataset({key: ("row", [row[key] for row in rows]) for key in rows[0]}, attrs={"law": LAW.title})
    return claims, data, remark(rows)


def measured(name: str, views: float, values: np.ndarray) -> dict[str, float | str]:
    """A row of the table: bias, its standard error, standard deviation and RMSE of values [R] against log I."""
    errors = values - LAW.log_integral
    drawn = DRAWN.get(name)
    return {
        "estimator": name if drawn is None else f"{name}, most {views}",
        "cost": views if drawn is None else mean_views(drawn, int(views)),
        "bias": float(errors.mean()),
        "bias_error": float(errors.std() / np.sqrt(len(errors))),
        "deviation": float(errors.std()),
        "rmse": float(np.sqrt((errors**2).mean())),
    }


def remark(rows: list[dict[str, float | str]]) -> str:
    """The whole table on one line."""
    cells = []
    for row in rows:
        cost, bias, error, deviation = (float(row[key]) for key in ("cost", "bias", "bias_error", "deviation"))
        cells.append(f"{row['estimator']} at {cost:.2f}: {bias:+.4f} ± {error:.4f}, {deviation:.3f}")
    return f"{LAW.title}: bias and standard deviation in nats at a mean number of views: {'; '.join(cells)}."
