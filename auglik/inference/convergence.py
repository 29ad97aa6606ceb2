"""When draws of Markov chains are reliable (Vehtari et al. 2021), and the warning when they are not.

A statistic that is not a number, as of a chain that never moved, is worse than any number. Quantities that are missing,
NaN in every draw, have none.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas
from scipy.fft import irfft, next_fast_len, rfft
from scipy.special import ndtri

from auglik.system.array_types import Float64Array


class Limits(NamedTuple):
    """What chains must reach."""

    r_hat: float = 1.01
    """At most."""
    ess: float = 400
    """At least."""
    divergent: float = 0.01
    """At most that share of the transitions."""


LIMITS = Limits()
TAILS = (1 - 0.89, 0.89)
"""Beyond these quantiles lie the tails, as arviz_stats has them."""
TOGETHER = 256
"""Quantities whose statistics are taken at once: more would take memory, not less time."""


class Worst(NamedTuple):
    """Of some quantities: NaN of none."""

    r_hat: float
    ess_bulk: float
    ess_tail: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Diagnostics:
    """Of a sampler, over all parameters of all posteriors."""

    r_hat: float
    """The worst."""
    ess_bulk: float
    """The smallest."""
    ess_tail: float
    divergences: int
    chains: int
    draws: int
    """Of each chain."""
    posteriors: int = 1

    def warnings(self, what: str, limits: Limits = LIMITS) -> list[str]:
        """Sentences for a report on what was sampled: that it cannot be relied on."""
        said = []
        if not (self.r_hat <= limits.r_hat and self.ess_bulk >= limits.ess):
            said.append(
                f"{what}'s sampler has not converged: R-hat {self.r_hat:.3f} (at most {limits.r_hat}), "
                f"effective sample size {self.ess_bulk:.0f} (at least {limits.ess})"
            )
        if self.divergences > limits.divergent * self.chains * self.draws * self.posteriors:
            said.append(f"{what} had {self.divergences} divergent transitions: its tails are less certain")
        return said


def worst(
    r_hat: npt.ArrayLike, ess_bulk: npt.ArrayLike, ess_tail: npt.ArrayLike, present: npt.ArrayLike = True
) -> Worst:
    """The largest R-hat and the smallest effective sample sizes of the quantities that are `present`; one shape."""
    columns = (np.asarray(column, float)[np.asarray(present, bool)] for column in (r_hat, ess_bulk, ess_tail))
    return Worst(*(float(pick(column)) if column.size else np.nan
                   for pick, column in zip((np.max, np.min, np.min), columns, strict=True)))  # fmt: skip


def diagnose(
    draws: Mapping[str, npt.NDArray[np.float64]], diverging: npt.NDArray[np.bool_] | npt.NDArray[np.float64]
) -> Diagnostics:
    """Of draws [chain,draw,...] of every quantity that was sampled, and of transitions [chain,draw,...]."""
    columns: list[tuple[npt.NDArray[np.generic], ...]] = []
    for values in draws.values():
        rows = np.moveaxis(np.asarray(values, float).reshape(*values.shape[:2], -1), 2, 0)
        for some in np.array_split(rows, 1 + len(rows) // TOGETHER):
            columns.append((*statistics(some), ~np.isnan(some).all((1, 2))))
    found = worst(*(np.concatenate(column) for column in zip(*columns, strict=True)))
    chains, count, *others = diverging.shape
    return Diagnostics(
        r_hat=found.r_hat,
        ess_bulk=found.ess_bulk,
        ess_tail=found.ess_tail,
        divergences=int(diverging.sum()),
        chains=chains,
        draws=count,
        posteriors=int(np.prod(others, initial=1)),
    )


def statistics(draws: Float64Array) -> tuple[Float64Array, Float64Array, Float64Array]:
    """R-hat and the effective sample sizes of bulk and tail [V] of draws [V,chain,draw], NaN of any that has a NaN.

    Those of arviz_stats, which takes one quantity after the other and three times as long.
    """
    half = draws.shape[2] // 2
    if half < 2:
        nothing = np.full(len(draws), np.nan)
        return nothing, nothing, nothing

    def split(x: npt.NDArray[np.generic]) -> Float64Array:
        return np.concatenate([x[..., :half], x[..., -half:]], 1).astype(float)

    halves = split(draws)
    bulk = _normal_scores(halves)
    with np.errstate(invalid="ignore", divide="ignore"):
        folded = _normal_scores(np.abs(halves - np.median(halves, (1, 2), keepdims=True)))
        limits = np.quantile(draws, TAILS, (1, 2), keepdims=True)
        low, high = (_effective(split(draws <= limit)) for limit in limits)
        found = np.stack([np.fmax(_r_hat(bulk), _r_hat(folded)), _effective(bulk), np.minimum(low, high)])
    found[:, np.isnan(draws).any((1, 2))] = np.nan
    return found[0], found[1], found[2]


def _normal_scores(x: Float64Array) -> Float64Array:
    """Normal quantiles of the ranks of every quantity's draws (Blom's); equals share the mean of theirs.

    By pandas, which is loaded anyhow: scipy.stats takes a second to import.
    """
    ranks = pandas.DataFrame(x.reshape(len(x), -1).T).rank().to_numpy().T
    return np.asarray(ndtri((ranks - 3 / 8) / (ranks.shape[1] + 1 / 4))).reshape(x.shape)


def _r_hat(x: Float64Array) -> Float64Array:
    n = x.shape[2]
    return np.sqrt((n * x.mean(2).var(1, ddof=1) / x.var(2, ddof=1).mean(1) + n - 1) / n)


def _effective(x: Float64Array) -> Float64Array:
    """Sample sizes by Geyer's initial monotone sequence of the autocorrelations' pairs."""
    V, chains, n = x.shape
    lags = next_fast_len(2 * n)
    spectrum = np.abs(rfft(x - x.mean(2, keepdims=True), lags)) ** 2
    covariance = irfft(spectrum, lags)[..., :n].mean(1) / n
    within = covariance[:, 0] * n / (n - 1)
    total = covariance[:, 0] + (x.mean(2).var(1, ddof=1) if chains > 1 else 0)
    rho = 1 - (within[:, None] - covariance) / total[:, None]
    rho[:, 0] = 1
    pairs = rho[:, : n - n % 2].reshape(V, -1, 2)[:, : max(1, (n - 1) // 2)]
    sums = pairs.sum(2)
    positive = np.logical_and.accumulate(sums > 0, 1)
    last = np.minimum(positive.sum(1), sums.shape[1] - 1)
    before = np.arange(sums.shape[1]) < last[:, None]
    decreasing = np.minimum.accumulate(sums, 1)
    even, odd = pairs[np.arange(V), last].T
    time = 2 * (decreasing * before).sum(1) - 1 + np.where(even + odd >= 0, even, np.maximum(even, 0))
    size = chains * n
    found = size / np.maximum(time, 1 / np.log10(size))
    return np.where(np.ptp(x, (1, 2)) < np.finfo(float).resolution, float(size), found)
