"""What posterior does each objective make of the same images and views, and does it pay to cool it?

A Bayesian softmax regression on principal components of confusable digits, each training image seen in K clean or noisy
views that auglik renders, under six objectives at several temperatures T of the likelihood (the prior is kept; under
jensen that is `geometric:T`). NUTS samples the JAX twins; the torch objectives are compared with them at the draws,
and sample the same posteriors once more by importance. Scores: the categorical log-likelihood of clean images, held out
or left out (PSIS-LOO with the weights of the objective's own term; some images are left out by sampling anew).

Sources: Hoffman & Gelman 2014 (NUTS); Vehtari et al. 2017, 2024 (PSIS-LOO); Kallioinen et al. 2024 (power-scaling);
Wenzel et al. 2020 and Kapoor et al. 2022 (cold posteriors; theirs cool the prior too or not).
"""

from collections.abc import Callable, Mapping

import numpy as np
import xarray

from auglik.studies.posterior import torch as posterior_torch
from auglik.studies.posterior.claims import (
    COLD,
    Match,
    Posterior,
    Posteriors,
    Refit,
    agreement_claims,
    code_claims,
    held_out_error,
    left_out_claims,
    match_claims,
    sampling_claims,
)
from auglik.studies.posterior.datasets import (
    comparison,
    grid_dataset,
    matched_dataset,
    refits_dataset,
    sensitivities,
    summary,
)
from auglik.studies.posterior.figures import comparison_figure, temperature_figure
from auglik.studies.posterior.measure import (
    Reading,
    inference_data,
    leave_one_out,
    left_out_score,
    matching_temperature,
    read_draws,
    read_sample,
    refitted_score,
)
from auglik.studies.posterior.problem import PAIRS, SIZE, Problem, make_problem
from auglik.studies.posterior.sampler import Draws, Sampler, Setting
from auglik.studies.study import Context, Findings


def settings(quick: bool) -> list[Setting]:
    """Every pair at every temperature, the categorical model (`geometric:T`) at more of them."""
    common = (COLD, 1.0, 4.0) if quick else (1 / 8, COLD, 1 / 2, 1.0, 2.0, 4.0)
    more = (1 / 16, 16.0) if quick else (1 / 16, 8.0, 16.0)
    grid = [Setting(number, T) for number in range(len(PAIRS)) for T in common]
    return sorted(grid + [Setting(0, T) for T in more])


def examine(problem: Problem, setting: Setting, draws: Draws) -> Posterior:
    """Reads a posterior off its draws."""
    data = inference_data(problem, setting, draws)
    log_likelihood = data["log_likelihood/objective"].sum("image").transpose("chain", "draw").values
    return Posterior(draws, read_draws(problem, draws, log_likelihood), data, leave_one_out(data))


def by_importance(
    problem: Problem, posteriors: Posteriors, count: int, seed: int
) -> tuple[dict[Setting, Reading], float]:
    """The posteriors at T = 1 and T = 1/K once more, from torch alone; and the worst Pareto k."""
    readings, worst = {}, -np.inf
    for setting in (Setting(number, T) for number in range(len(PAIRS)) for T in (1.0, COLD)):
        pilot = posteriors[setting].draws.phi.reshape(-1, SIZE)
        sample = posterior_torch.importance_sample(problem, setting, pilot, count, seed)
        readings[setting], worst = read_sample(problem, setting, sample), max(worst, sample.pareto_k)
    return readings, worst


def match(problem: Problem, number: int, posteriors: Posteriors, draw: Callable[[Setting], Draws]) -> Match:
    """Finds T on the curve of the categorical model's concentration, and samples there."""
    curve = sorted(
        (setting.T, posterior.reading.spread) for setting, posterior in posteriors.items() if not setting.pair
    )
    target = posteriors[Setting(number)]
    temperatures, spreads = np.array(curve).T
    T, slope = matching_temperature(temperatures, spreads, target.reading.spread)
    draws = draw(Setting(0, T))
    reading = examine(problem, Setting(0, T), draws).reading
    error = T * abs(slope) * float(np.hypot(target.reading.spread_error, reading.spread_error))
    here, there = (phi.reshape(-1, SIZE) for phi in (draws.phi, target.draws.phi))
    shift = np.sqrt(np.mean((here.mean(0) - there.mean(0)) ** 2 / there.var(0)))
    return Match(T=T, T_error=error, target=target.reading, reading=reading, shift=float(shift))


def refit(
    problem: Problem, number: int, posterior: Posterior, count: int, draw: Callable[[Setting], Draws]
) -> list[Refit]:
    """Leaves out the `count` images of the largest Pareto k at which PSIS is still said to work."""
    k = posterior.scores.pareto_k.values
    trusted = np.flatnonzero(k < posterior.scores.good_k)
    fits = []
    for image in trusted[np.argsort(k[trusted])][-count:].tolist():
        by_weights = left_out_score(posterior.data, posterior.scores, image)
        by_sampling = refitted_score(problem, draw(Setting(number, 1.0, image)), image)
        fits.append(Refit(image, float(k[image]), by_weights, by_sampling))
    return fits


def posterior(context: Context) -> Findings:
    """Samples, compares and draws the posteriors."""
    problem = make_problem()
    chains, warmup, count, left_out = (2, 150, 300, 1) if context.quick else (4, 200, 1000, 3)
    sampler = Sampler(problem, chains, warmup, count, context.seed)
    grid = settings(context.quick)
    planned = len(grid) + (len(PAIRS) - 1) + left_out * len(PAIRS)
    drawn: dict[str, Draws] = {}

    def draw(setting: Setting) -> Draws:
        drawn[setting.name] = draws = sampler.sample(setting)
        context.progress(0.95 * len(drawn) / planned)
        return draws

    posteriors = {setting: examine(problem, setting, draw(setting)) for setting in grid}
    matches = {number: match(problem, number, posteriors, draw) for number in range(1, len(PAIRS))}
    refits = {
        number: refit(problem, number, posteriors[Setting(number)], left_out, draw) for number in range(len(PAIRS))
    }
    sampled, worst_k = by_importance(problem, posteriors, 6 * count, context.seed)
    diagnostics = summary(drawn)
    sensitivity = sensitivities(posteriors)
    table = comparison(posteriors)
    claims = [
        *sampling_claims(drawn, diagnostics, context.quick),
        *code_claims(problem, sampler, posteriors),
        *agreement_claims(posteriors, sampled, worst_k),
        *match_claims(matches),
        *left_out_claims(posteriors, refits),
    ]
    readings, matched = grid_dataset(posteriors), matched_dataset(matches)
    tree = xarray.DataTree.from_dict(
        {
            "temperatures": readings,
            "matched": matched,
            "refits": refits_dataset(refits),
            "comparison": table,
            "sensitivity": sensitivity.to_dataset(),
            "summary": diagnostics,
        }
    )
    gains = cold_gains(posteriors)
    winners = [str(PAIRS[number]) for number, (gain, error, _) in gains.items() if gain > 2 * error]
    figures = {
        "posterior_temperature": temperature_figure(
            readings, f"Cooling to T = {COLD:g} predicts better under {len(winners)} of {len(PAIRS)} objectives"
        ),
        "posterior_comparison": comparison_figure(
            table, readings, matched, "The objective sets the posterior's temperature: scores, and how sure it is"
        ),
    }
    context.progress(1.0)
    return Findings(claims, tree, figures, remarks(posteriors, gains, matches, table, sensitivity))


def cold_gains(posteriors: Posteriors) -> dict[int, tuple[float, float, float]]:
    """For every pair: what T = 1/K adds to the held-out score of T = 1, its Monte Carlo and image errors."""
    gains = {}
    for number in range(len(PAIRS)):
        warm, cold = (posteriors[Setting(number, T)].reading for T in (1.0, COLD))
        by_image = cold.by_image - warm.by_image
        over_images = float(by_image.std(ddof=1) / np.sqrt(len(by_image)))
        gains[number] = cold.held_out - warm.held_out, held_out_error(warm, cold), over_images
    return gains


def remarks(
    posteriors: Posteriors,
    gains: Mapping[int, tuple[float, float, float]],
    matches: Mapping[int, Match],
    table: xarray.Dataset,
    sensitivity: xarray.DataArray,
) -> list[str]:
    """The findings in words."""
    said = [
        f"{PAIRS[number]}: T = {COLD:g} against T = 1 on held-out images: {gain:+.4f} nats an image"
        f" (standard error {error:.4f} Monte Carlo, {over:.4f} over images): {verdict(gain, error, over)}"
        for number, (gain, error, over) in gains.items()
    ]
    said += [
        f"{PAIRS[number]} at T = 1 is as concentrated as categorical + geometric:T={one.T:.3g}"
        f" (± {2 * one.T_error:.2g}), the means {one.shift:.2f} posterior standard deviations apart;"
        f" held-out {one.target.held_out:.4f} against {one.reading.held_out:.4f}"
        for number, one in matches.items()
    ]
    k = np.array([posteriors[Setting(number)].scores.pareto_k.max() for number in range(len(PAIRS))])
    order = ", ".join(table["pair"].values)
    said.append(f"PSIS-LOO at T = 1, best first: {order}; the largest Pareto k of each {k.min():.2f} to {k.max():.2f}")
    prior = sensitivity.sel(power_of="prior", quantity="norm")
    said.append(
        f"the prior matters most under {prior.idxmax().item()} (power-scaling sensitivity of the norm"
        f" {prior.max().item():.2f}), least under {prior.idxmin().item()} ({prior.min().item():.2f})"
    )
    said.append(
        "T scales the likelihood alone; the papers' cold posteriors that cool the prior too would shrink it by T"
    )
    return said


def verdict(gain: float, error: float, over_images: float) -> str:
    """Whether the cold posterior wins: on these test images, and beyond them."""
    if abs(gain) <= 2 * error:
        return "no difference that the draws resolve"
    winner = "colder wins" if gain > 0 else "colder loses"
    beyond = abs(gain) > 2 * float(np.hypot(error, over_images))
    return winner if beyond else f"{winner} on these images, not surely on others"
