"""What is claimed of the posteriors."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import torch
import xarray
from arviz_stats.utils import ELPDData

from auglik.inference.convergence import Limits, Worst, worst
from auglik.studies.posterior import torch as posterior_torch
from auglik.studies.posterior.measure import Reading
from auglik.studies.posterior.problem import PAIRS, SIZE, VIEWS, Problem, logits_of
from auglik.studies.posterior.sampler import Draws, Sampler, Setting, smoothed_normalized
from auglik.studies.study import Claim, at_least, at_most, equal
from auglik.studies.twins import LIKELIHOOD_TWINS
from auglik.system.array_types import Float64Array

ERRORS = 4.0
"""A Monte Carlo claim may be off by that many standard errors."""
COLD = 1 / VIEWS
"""The temperature that counts every view as a datum."""


class Posterior(NamedTuple):
    """One posterior, and what was read off it."""

    draws: Draws
    reading: Reading
    data: xarray.DataTree
    scores: ELPDData


class Refit(NamedTuple):
    """The score of an image that was left out, by PSIS and by sampling without it, each with its standard error."""

    image: int
    pareto_k: float
    by_weights: tuple[float, float]
    by_sampling: tuple[float, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Match:
    """The temperature T at which `categorical + geometric:T` is as concentrated as a pair is at T = 1."""

    T: float
    T_error: float
    target: Reading
    reading: Reading
    shift: float
    """Root mean square distance of the two posterior means, in posterior standard deviations."""


Posteriors = Mapping[Setting, Posterior]


def spread_out(phi: Float64Array) -> Float64Array:
    """2P+1 of the draws, evenly: [chain,draw,P] -> [2P+1,P]."""
    flat = phi.reshape(-1, SIZE)
    return flat[np.linspace(0, len(flat) - 1, 2 * SIZE + 1).astype(int)]


def code_claims(problem: Problem, sampler: Sampler, posteriors: Posteriors) -> list[Claim]:
    """The densities that were sampled are those of the code that training uses, at the draws of every temperature."""
    claims = []
    singles: dict[str, float] = {}
    for number, pair in enumerate(PAIRS):
        values, gradients = [], []
        for setting, posterior in posteriors.items():
            if setting.pair != number:
                continue
            phi = spread_out(posterior.draws.phi)
            ours, gradient = posterior_torch.log_density(problem, setting, phi)
            twin, twin_gradient = sampler.log_density(setting, phi)
            values.append(np.abs(ours - twin).max())
            gradients.append(np.abs(gradient - twin_gradient).max())
            singles[setting.name] = single_precision_error(problem, setting, phi)
        claims += [
            at_most(f"{pair}: log-density, torch's objective against the JAX twin's, at draws of every T",
                    np.max(values), 0, 1e-9),
            at_most(f"{pair}: gradient of the log-density, torch's against the twin's, at draws of every T",
                    np.max(gradients), 0, 1e-9),
        ]  # fmt: skip
    worst = max(singles, key=lambda name: singles[name])
    single = f"torch's term of an image in float32 against float64, over 1 + its size, the worst ({worst})"
    claims.append(at_most(single, singles[worst], 0, 1e-4))
    return [*claims, quadrature_claim(problem, posteriors), every_view_claim(problem, posteriors)]


def single_precision_error(problem: Problem, setting: Setting, phi: Float64Array) -> float:
    """Largest |float32 - float64| / (1 + |float64|) of the images' terms."""
    with torch.no_grad():
        exact = posterior_torch.image_terms(problem, setting, torch.from_numpy(phi))
        single = posterior_torch.image_terms(problem, setting, torch.from_numpy(phi).float())
    return float(((single.double() - exact).abs() / (1 + exact.abs())).max())


def quadrature_claim(problem: Problem, posteriors: Posteriors) -> Claim:
    """The integral done by hand in the sampler is the twin's quadrature."""
    worst = 0.0
    for setting, posterior in posteriors.items():
        if PAIRS[setting.pair].likelihood == "smoothed-normalized":
            for phi in spread_out(posterior.draws.phi)[::10]:
                logits, decay = jnp.asarray(logits_of(phi, problem.views)), jnp.asarray(problem.decay)
                difference = smoothed_normalized(logits, decay) - LIKELIHOOD_TWINS["smoothed-normalized"](logits, decay)
                worst = max(worst, float(jnp.abs(difference).max()))
    return at_most("smoothed-normalized as sampled against the twin's quadrature of its definition", worst, 0, 1e-8)


def every_view_claim(problem: Problem, posteriors: Posteriors) -> Claim:
    """T = 1/K is the posterior of K N independent data, by NumPyro's categorical distribution."""
    setting = Setting(0, COLD)
    phi = spread_out(posteriors[setting].draws.phi)
    with torch.no_grad():
        ours = posterior_torch.image_terms(problem, setting, torch.from_numpy(phi)).sum(0).numpy()
    views = logits_of(phi, problem.views.reshape(-1, problem.views.shape[-1]))
    data = dist.Categorical(logits=views).log_prob(np.tile(problem.labels, VIEWS)).sum(-1)
    statement = f"categorical + geometric:T=1/{VIEWS} counts every view as a datum: against NumPyro's categorical"
    return at_most(statement, np.abs(ours - np.asarray(data)).max(), 0, 1e-9)


def sampling_claims(posteriors: Mapping[str, Draws], diagnostics: xarray.Dataset, quick: bool) -> list[Claim]:
    """NUTS has converged, by ArviZ's measures, everywhere."""
    limits = Limits(1.05, 100, 0.002) if quick else Limits(1.02, 400, 0.002)
    count = len(posteriors)
    divergences = sum(draws.divergences for draws in posteriors.values())
    total = sum(draws.phi.shape[0] * draws.phi.shape[1] for draws in posteriors.values())
    each = [worst(*(diagnostics[column].sel(posterior=name) for column in Worst._fields)) for name in posteriors]
    rhat, ess = np.array([one.r_hat for one in each]), np.array([np.minimum(*one[1:]) for one in each])
    loosest, shortest = (list(posteriors)[place] for place in (rhat.argmax(), ess.argmin()))
    return [
        at_most(f"R-hat, the worst coefficient of {count} posteriors ({loosest})", rhat.max(), limits.r_hat),
        at_least(f"effective sample size, bulk and tail, the worst of {count} posteriors ({shortest})",
                 ess.min(), limits.ess),
        at_most("share of NUTS transitions that diverge", divergences / total, 0.0, limits.divergent),
    ]  # fmt: skip


def agreement_claims(posteriors: Posteriors, sampled: Mapping[Setting, Reading], worst_k: float) -> list[Claim]:
    """NUTS with the twins and importance sampling with torch's objective find the same posterior."""
    claims = [at_most("Pareto's k of importance sampling with torch's objectives, the worst", worst_k, 0.7)]
    for number, pair in enumerate(PAIRS):
        warm, cold = (posteriors[Setting(number, T)].reading for T in (1.0, COLD))
        warm_, cold_ = (sampled[Setting(number, T)] for T in (1.0, COLD))
        one, gain = [warm, warm_], [warm, cold, warm_, cold_]
        claims += [
            equal(f"{pair}: held-out log-likelihood an image at T = 1, NUTS against torch's importance sampling",
                  warm.held_out, warm_.held_out, ERRORS * held_out_error(*one)),
            equal(f"{pair}: what T = {COLD:g} adds to it, NUTS against torch's importance sampling",
                  cold.held_out - warm.held_out, cold_.held_out - warm_.held_out, ERRORS * held_out_error(*gain)),
            equal(f"{pair}: spread of the posterior against the prior's at T = 1, NUTS against torch's",
                  warm.spread, warm_.spread, ERRORS * float(np.hypot(warm.spread_error, warm_.spread_error))),
            equal(f"{pair}: held-out slope in the doublings of the likelihood's power, weighted NUTS against torch",
                  warm.power_slope, warm_.power_slope,
                  ERRORS * float(np.hypot(warm.power_slope_error, warm_.power_slope_error))),
        ]  # fmt: skip
    return claims


def held_out_error(*readings: Reading) -> float:
    """The standard error of a sum or difference of held-out scores from independent draws."""
    return float(np.sqrt(sum(reading.held_out_error**2 for reading in readings)))


def match_claims(matches: Mapping[int, Match]) -> list[Claim]:
    """At the fitted temperature the concentration is that of the other objective, by a run of its own."""
    return [
        equal(f"categorical + geometric:T={match.T:.3g} is as concentrated as {PAIRS[number]} at T = 1: spread",
              match.reading.spread, match.target.spread,
              ERRORS * float(np.hypot(match.reading.spread_error, np.sqrt(2) * match.target.spread_error)))
        for number, match in matches.items()
    ]  # fmt: skip


def left_out_claims(posteriors: Posteriors, refits: Mapping[int, list[Refit]]) -> list[Claim]:
    """PSIS-LOO is what sampling without the image gives, where Pareto's k says that it can be trusted."""
    k = np.concatenate([posteriors[Setting(number)].scores.pareto_k.values for number in range(len(PAIRS))])
    claims = [at_least("share of images with Pareto's k under 0.7 in PSIS-LOO at T = 1", float((k < 0.7).mean()), 0.9)]
    for number, several in refits.items():
        weights, sampling = (
            np.array(scores) for scores in zip(*((fit.by_weights, fit.by_sampling) for fit in several), strict=True)
        )
        error = float(np.sqrt((weights[:, 1] ** 2 + sampling[:, 1] ** 2).sum()))
        claims.append(
            equal(f"{PAIRS[number]}: PSIS score of left-out images (weights of the objective's term) against refitting",
                  weights[:, 0].sum(), sampling[:, 0].sum(), ERRORS * error)
        )  # fmt: skip
    return claims
