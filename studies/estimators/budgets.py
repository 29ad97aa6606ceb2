"""Which estimator of log I at which number of forward passes: jackknives, a drawn number of views, coupled views.

Beta(2,4) views, whose p is a function of one uniform number, so that views can be coupled; the best case, as p of real
views depends on many numbers. Estimators of a drawn number of views cost its mean; over it their mean is that of the
log-mean of the most views.

Under the permutations of M = 2^m views that send view i to i xor s, s < M, the first K = 2^n views are every aligned
block of K equally often, and so are their parts. The mean over s of sum_K P(K) fold(first K) is thus the log-mean of
the M views for each draw of them, of blocks (multilevel) as of prefixes (sumo).
"""

from collections import defaultdict
from collections.abc import Callable

import numpy as np
import torch
import xarray
from scipy.special import betaincinv
from scipy.stats import kstwobign  # type: ignore[attr-defined]

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
SURVIVAL: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "sumo": lambda k: 1 / k,
    "multilevel": lambda k: 2 ** (-1.5 * np.ceil(np.log2(k))),
    "multilevel:power=1.25": lambda k: 2 ** (-1.25 * np.ceil(np.log2(k))),
}
"""P(at least k views), as published."""
EXACT_DRAWS = 50
GRID = 2**16
COUPLED_ROUNDS = 10
ONE_IN = 1e-4
"""The chance that any coupling's numbers are called not uniform though they are."""

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


def coupled(name: str, seed: int, rounds: int) -> np.ndarray:
    """Numbers [K,R,2] of a coupling, uniform on (0,1)."""
    coupling, views = COUPLINGS[name], FIXED_VIEWS[-1]
    return np.concatenate([coupling.uniforms(seed, "estimators", r, views, ROUND, 2) for r in range(rounds)], 1)


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
    return found


def drawn_claims(name: str, seed: int) -> list[Claim]:
    """The numbers of views have their law, and the mean over it is the log-mean's, draw by draw."""
    aggregator, k = DRAWN[name], np.arange(1, MOST[-1] + 1)
    numbers = (np.arange(GRID) + 0.5) / GRID
    counts = drawn_views(aggregator, MOST[-1], torch.from_numpy(numbers)).numpy()
    off = np.abs((counts >= k[:, None]).mean(1) - SURVIVAL[name](k)).max()
    text = f"{name}: P(at least k views) over {GRID} evenly spaced numbers off the published law, at the worst k"
    claims = [at_most(text, off, 0.5 / GRID, 1e-12)]
    for most in MOST:
        log_p = LAW.draw(host_generator(seed, "estimators", "exact budgets", most), (most, EXACT_DRAWS))
        order = np.arange(most)[:, None] ^ np.arange(most)
        permuted = log_p[order].reshape(most, -1)
        law = law_of_views(aggregator, most)
        mean = sum(share * folded(aggregator, permuted[:K]).reshape(most, -1).mean(0) for K, share in law.items())
        gap = np.abs(mean - np.log(np.exp(log_p).mean(0))).max()
        text = (
            f"{name}: mean over its number of views and their blocks off the log-mean of {most} views, the worst draw"
        )
        claims.append(at_most(text, gap, 1e-12))
    return claims


def coupling_claims(name: str, numbers: np.ndarray, log_p: np.ndarray) -> list[Claim]:
    """Every view keeps its own law: of numbers [K,R,D], and of the views [K,R] made of the last."""
    K, R, D = numbers.shape
    ordered = np.sort(numbers.swapaxes(1, 2), 2)
    step = np.arange(R) / R
    distance = np.maximum(ordered - step, step + 1 / R - ordered).max()
    critical = kstwobign.isf(ONE_IN / (len(COUPLINGS) * K * D))
    text = f"{name}: Kolmogorov-Smirnov distance of a view's {R} numbers from uniform, the furthest, times sqrt({R})"
    claims = [at_most(text, distance * np.sqrt(R), critical)]
    for views in FIXED_VIEWS:
        means = np.exp(log_p[:views]).mean(0)
        z = abs(means.mean() - ALPHA / (ALPHA + BETA)) / (means.std() / np.sqrt(R))
        text = f"{name}: mean likelihood of {views} views off a / (a + b), in standard errors"
        claims.append(at_most(text, z, 4.0))
    return claims


def budgets(context: Context) -> tuple[list[Claim], xarray.Dataset, str]:
    """Claims, the table by estimator and cost, and a remark."""
    rounds = 2 if context.quick else 50
    found = {key: np.concatenate(parts) for key, parts in sampled(context.seed, rounds).items()}
    expected = dict(zip(MOST, exact.expected(LAW.atoms, LAW.weights, list(MOST))["log-mean"], strict=True))
    claims = []
    for name in DRAWN:
        for most in MOST:
            values = found[name, most]
            z = abs(values.mean() - expected[most]) / (values.std() / np.sqrt(len(values)))
            text = f"{name}: mean of {len(values)} draws off that of the log-mean of {most} views, in standard errors"
            claims.append(at_most(text, z, 4.0))
        claims += drawn_claims(name, context.seed)
    for name in COUPLINGS:
        numbers = coupled(name, context.seed, min(rounds, COUPLED_ROUNDS))
        log_p = np.log(betaincinv(ALPHA, BETA, numbers[..., 1]))
        claims += coupling_claims(name, numbers, log_p)
        for K in FIXED_VIEWS:
            found[f"log-mean, {name} views", K] = folded(AGGREGATORS["log-mean"], log_p[:K])
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
