"""Whether chains can be relied on: temperatures, mixing in function space, agreement of chains; and in words if not.

Temperatures after Wenzel et al. 2020 (arXiv:2002.02405, appendix): the mean square of the momenta, and the mean of
theta U'(theta) over the weights, are T under exp(-U / T). R-hat and effective sample size (Vehtari et al. 2021) are of
the log-probability of every test image's label, as weights that make one function may differ (Izmailov et al. 2021,
arXiv:2104.14421). ArviZ is imported where it is asked, as reports without chains would wait for it.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from auglik.sampling.files import ChainFile, load_chain
from auglik.scoring.columns import fixed
from auglik.scoring.predictions import Predictions
from auglik.system.array_types import Float32Array, Float64Array

ERRORS = 3.0
"""A temperature may be off by that many standard errors,"""
TOLERANCE = 0.1
"""and by that share of T beyond them, as bias of the step size."""
MOST_R_HAT, LEAST_ESS = 1.1, 10.0
"""For all but TAIL of the images; the effective sample size is of each chain, as Gelman et al. 2013 (BDA3) ask for."""
TAIL = 0.05
FEWEST = 10
"""Draws of a chain without which neither can be measured: ArviZ's effective sample size is a constant of fewer."""


@dataclass(frozen=True)
class Temperature:
    """The mean over the steps of all chains, and its Monte Carlo standard error; NaN if it was not measured."""

    name: str
    mean: float
    error: float

    def failure(self, T: float) -> str | None:
        """In words, if it is not T."""
        if math.isnan(self.mean):
            return None
        said = f"{self.name} temperature {self.mean:.3g} ± {self.error:.2g} against T = {T:g}"
        if not ERRORS * self.error < T:
            return f"{said}: too uncertain to tell; a shorter step, if it is large, or more steps cure it"
        if abs(self.mean - T) <= TOLERANCE * T + ERRORS * self.error:
            return None
        cause = "a shorter step or larger batches" if self.mean > T else "a longer burn-in or shorter steps"
        return f"{said}: {cause} may cure it"


@dataclass(frozen=True, kw_only=True)
class Examined:
    """What the diagnostics say of several chains of one posterior."""

    T: float
    chains: int
    draws: int
    """Of each chain."""
    kinetic: Temperature
    configurational: Temperature
    r_hat: float
    """The quantile 1 - TAIL over test images; NaN of too few draws, of such as never move, and of NaN."""
    ess: float
    """The quantile TAIL, of all chains together."""
    disagreement: float
    """The share of test images whose likeliest class differs between two chains, on average; NaN of one chain."""
    member_nll: float
    """The mean NLL of single draws on clean test images."""

    def said(self) -> str:
        """All of it in a line."""
        kinetic, weights = self.kinetic, self.configurational
        momenta = (
            f"kinetic {fixed(kinetic.mean, 3)} ± {fixed(kinetic.error, 3)} and " if not math.isnan(kinetic.mean) else ""
        )
        apart = f"; chains disagree on {self.disagreement:.1%} of images" if not math.isnan(self.disagreement) else ""
        return (
            f"{self.chains} x {self.draws} draws at T = {self.T:g}: {momenta}configurational temperature"
            f" {fixed(weights.mean, 3)} ± {fixed(weights.error, 3)}; function-space R-hat {fixed(self.r_hat, 3)} and"
            f" effective sample size {self.ess:.0f} for all but {TAIL:.0%} of images{apart}"
        )

    def failures(self) -> dict[str, str]:
        """Why the draws are not of the posterior, a clause by what was measured; none if nothing was found."""
        parts = (self.kinetic, self.configurational)
        found = {f"{part.name} temperature": text for part in parts if (text := part.failure(self.T)) is not None}
        if self.draws < FEWEST:
            found["R-hat"] = f"{self.draws} draws are too few to say whether it mixes (at least {FEWEST})"
        elif math.isnan(self.r_hat):
            why = "a draw predicts no numbers" if math.isnan(self.member_nll) else "no draw moves"
            found["R-hat"] = f"{why}: R-hat cannot be measured"
        elif self.r_hat > MOST_R_HAT:
            found["R-hat"] = f"R-hat {self.r_hat:.3f} in function space, over {MOST_R_HAT:g}: chains have not mixed"
        if self.ess < LEAST_ESS * self.chains:
            found["effective sample size"] = (
                f"effective sample size {self.ess:.0f} of {self.chains * self.draws} draws, under {LEAST_ESS:g} a chain"
            )
        return found


def examine(T: float, chains: Sequence[ChainFile], predicted: Sequence[Float32Array]) -> Examined:
    """Of chains at posterior temperature T, each with its clean predictive [N,C]."""
    draws = min(len(chain.draw_log_likelihoods) for chain in chains)
    together = np.stack([chain.draw_log_likelihoods[:draws] for chain in chains]).astype(np.float64)
    r_hat, ess = mixing(np.maximum(together, np.finfo(np.float32).min))
    return Examined(
        T=T,
        chains=len(chains),
        draws=draws,
        kinetic=temperature("kinetic", chains, 0),
        configurational=temperature("configurational", chains, 1),
        r_hat=float(np.quantile(r_hat, 1 - TAIL, method="higher")) if r_hat.size else math.nan,  # may be infinite
        ess=float(np.quantile(ess, TAIL)) if ess.size else math.nan,
        disagreement=disagreement(predicted),
        member_nll=-float(together.mean()),
    )


def examine_folders(T: float, folders: Sequence[Path], predictions: Sequence[Predictions]) -> Examined | None:
    """Of finished runs; None if they sampled nothing. Raises InputError as `load_chain` does."""
    chains = [chain for folder in folders if (chain := load_chain(folder)) is not None]
    return examine(T, chains, [one.log_probabilities for one in predictions]) if chains else None


def temperature(name: str, chains: Sequence[ChainFile], column: int) -> Temperature:
    """One of the two temperatures of chains of one length."""
    from arviz_stats.base import array_stats  # type: ignore[attr-defined]

    steps = min(len(chain.temperatures) for chain in chains)
    values = np.stack([chain.temperatures[:steps, column] for chain in chains]).astype(np.float64)
    if np.isnan(values).all() or steps < FEWEST:
        return Temperature(name, math.nan, math.nan)
    if not np.isfinite(values).all():
        return Temperature(name, math.inf, math.inf)
    error = float(array_stats.mcse(values, chain_axis=0, draw_axis=1))
    between = float(values.mean(1).std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0
    return Temperature(name, float(values.mean()), max(error, between))


def mixing(log_likelihoods: Float64Array) -> tuple[Float64Array, Float64Array]:
    """R-hat and bulk effective sample size of every image whose value moves: [chain,draw,N]; none of too few draws.

    An image that moves only in the middle draw, which halves of chains leave out, does not; NaN moves.
    """
    from arviz_stats.base import array_stats  # type: ignore[attr-defined]

    moving = log_likelihoods[:, :, np.ptp(log_likelihoods, axis=(0, 1)) != 0]
    if moving.shape[1] < FEWEST or not moving.size:
        return np.empty(0), np.empty(0)
    chains, draws, images = moving.shape
    halves = moving[:, : draws // 2 * 2].reshape(2, -1, images) if chains == 1 else moving  # R-hat asks for two
    with np.errstate(divide="ignore", invalid="ignore"):  # of chains that stand still, each at its own value
        r_hat = np.atleast_1d(array_stats.rhat(halves, chain_axis=0, draw_axis=1))
        ess = np.atleast_1d(array_stats.ess(moving, chain_axis=0, draw_axis=1, method="bulk"))
    measured = ~np.isnan(r_hat) | np.isnan(moving).any((0, 1))
    return r_hat[measured], ess[measured]


def disagreement(predicted: Sequence[NDArray[np.floating]]) -> float:
    """The share of images on which the likeliest classes of two chains differ, over all pairs of chains."""
    classes = [log_p.argmax(-1) for log_p in predicted]
    pairs = [float(np.mean(one != other)) for one, other in itertools.combinations(classes, 2)]
    return float(np.mean(pairs)) if pairs else math.nan
