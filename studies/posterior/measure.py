"""What is read off a posterior: held-out log-likelihood, concentration, leave-one-out scores, and their errors."""

import warnings
from dataclasses import dataclass

import numpy as np
import torch
import xarray
from arviz_base import from_dict
from arviz_stats import loo, psense  # type: ignore[attr-defined]
from arviz_stats.base import array_stats  # type: ignore[attr-defined]
from arviz_stats.utils import ELPDData
from scipy.interpolate import PchipInterpolator

from auglik.studies.posterior import torch as posterior_torch
from auglik.studies.posterior.problem import PAIRS, PRIOR, Problem, log_predictive
from auglik.studies.posterior.sampler import Draws, Setting
from auglik.system.array_types import Float64Array

DELTA = 0.05
"""Doublings of the likelihood's power on either side of none, for a difference quotient."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """Figures of a posterior, each with its Monte Carlo standard error."""

    held_out: float
    """Mean over test images of log E f_y, in nats."""
    held_out_error: float
    by_image: Float64Array
    """log E f_y: [M]"""
    spread: float
    """Root of the mean posterior variance over the prior's: 1 before any datum, smaller where concentrated."""
    spread_error: float
    power_slope: float
    """The derivative of E (mean over test images of log f_y) in log2 of the likelihood's power."""
    power_slope_error: float


def monte_carlo_error(series: Float64Array) -> float:
    """The standard error of the mean of a series [chain,draw]."""
    return float(array_stats.mcse(series, chain_axis=0, draw_axis=1, method="mean"))


def read_draws(problem: Problem, draws: Draws, log_likelihood: Float64Array) -> Reading:
    """Of NUTS draws and their log-likelihoods [chain,draw]; errors by the delta method.

    The slope is a difference of means under weights p^(2^(+-DELTA) - 1), as in power-scaling.
    """
    log_f = log_predictive(draws.phi, problem.test, problem.test_labels)
    f, score = np.exp(log_f), log_f.mean(-1)
    mean = f.mean((0, 1))
    square = ((draws.phi - draws.phi.mean((0, 1))) ** 2).mean(-1) / PRIOR**2
    spread = float(np.sqrt(square.mean()))
    return Reading(
        held_out=float(np.log(mean).mean()),
        held_out_error=monte_carlo_error((f / mean).mean(-1)),
        by_image=np.log(mean),
        spread=spread,
        spread_error=monte_carlo_error(square) / (2 * spread),
        power_slope=(scaled_mean(score, log_likelihood, DELTA) - scaled_mean(score, log_likelihood, -DELTA))
        / (2 * DELTA),
        power_slope_error=np.log(2)
        * monte_carlo_error((score - score.mean()) * (log_likelihood - log_likelihood.mean())),
    )


def scaled_mean(values: Float64Array, log_likelihood: Float64Array, doublings: float) -> float:
    """The mean of `values` under the posterior whose likelihood has the power 2^doublings, by importance weights."""
    weight = np.exp((2**doublings - 1) * (log_likelihood - log_likelihood.max()))
    return float((weight * values).sum() / weight.sum())


def read_sample(problem: Problem, setting: Setting, sample: posterior_torch.Sample) -> Reading:
    """Of weighted draws, torch's predictions included; the slope is the covariance with the log-likelihood."""
    log_f = posterior_torch.log_predictive(problem, PAIRS[setting.pair], sample.phi)
    f, w, score = np.exp(log_f), sample.weight, log_f.mean(1)
    products = (score - w @ score) * (sample.log_likelihood - w @ sample.log_likelihood)
    mean = w @ f
    square = ((sample.phi - w @ sample.phi) ** 2).mean(1) / PRIOR**2
    spread = float(np.sqrt(w @ square))
    return Reading(
        held_out=float(np.log(mean).mean()), held_out_error=weighted_error(w, (f / mean).mean(1)),
        by_image=np.log(mean), spread=spread, spread_error=weighted_error(w, square) / (2 * spread),
        power_slope=float(np.log(2) * (w @ products)),
        power_slope_error=float(np.log(2) * weighted_error(w, products)),
    )  # fmt: skip


def weighted_error(weight: Float64Array, values: Float64Array) -> float:
    """The standard error of a self-normalized mean: [S], [S]."""
    return float(np.sqrt((weight**2 * (values - weight @ values) ** 2).sum()))


def inference_data(problem: Problem, setting: Setting, draws: Draws) -> xarray.DataTree:
    """ArviZ's groups, the terms those of torch's objective: the posterior's own, and the categorical predictive's."""
    chains, count, size = draws.phi.shape
    flat = torch.from_numpy(draws.phi.reshape(-1, size))
    with torch.no_grad():
        terms = posterior_torch.image_terms(problem, setting, flat).T.reshape(chains, count, -1).numpy()
        prior = posterior_torch.log_prior(flat).reshape(chains, count).numpy()
    clean = log_predictive(draws.phi, problem.clean, problem.labels)
    held_out = log_predictive(draws.phi, problem.test, problem.test_labels).mean(-1)
    return from_dict(
        {
            "posterior": {"phi": draws.phi, "norm": np.sqrt((draws.phi**2).mean(-1)) / PRIOR, "held_out": held_out},
            "log_prior": {"normal": prior},
            "log_likelihood": {"objective": terms, "predictive": clean},
        },
        dims={"phi": ["coefficient"], "objective": ["image"], "predictive": ["image"]},
        attrs={"/": {"setting": setting.name}},
    )


def leave_one_out(data: xarray.DataTree) -> ELPDData:
    """PSIS-LOO: weights 1/p_b of the objective's own term of image b, score the categorical predictive."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Estimated shape parameter of Pareto", UserWarning)  # k is claimed
        weights = loo(data, var_name="objective", pointwise=True)
        return loo(
            data, var_name="predictive", pointwise=True, log_weights=weights.log_weights, pareto_k=weights.pareto_k
        )


def left_out_score(data: xarray.DataTree, scores: ELPDData, image: int) -> tuple[float, float]:
    """log E f_y of one training image under the posterior of the others, by PSIS, and its standard error."""
    log_weight = scores.log_weights.isel(image=image).transpose("chain", "draw").values.ravel()
    weight = np.exp(log_weight - np.logaddexp.reduce(log_weight))
    f = np.exp(data["log_likelihood/predictive"].isel(image=image).transpose("chain", "draw").values.ravel())
    mean = weight @ f
    return float(np.log(mean)), weighted_error(weight, f / mean)


def refitted_score(problem: Problem, draws: Draws, image: int) -> tuple[float, float]:
    """The same from draws of the posterior without that image."""
    one = slice(image, image + 1)
    f = np.exp(log_predictive(draws.phi, problem.clean[one], problem.labels[one]))[..., 0]
    return float(np.log(f.mean())), monte_carlo_error(f / f.mean())


def power_sensitivity(data: xarray.DataTree) -> dict[str, dict[str, float]]:
    """Kallioinen et al. 2024: how far powers of the prior and of the likelihood move norm and held-out score."""
    names = {"prior": "normal", "likelihood": "objective"}
    return {
        group: {
            name: float(value)
            for name, value in psense(
                data, var_names=["norm", "held_out"], group=group, group_var_names=[variable]
            ).items()
        }
        for group, variable in names.items()
    }


def matching_temperature(T: Float64Array, spread: Float64Array, target: float) -> tuple[float, float]:
    """Where spread(T), increasing and interpolated in logarithms, is `target`; and d log T / d spread there."""
    curve = PchipInterpolator(np.log(spread), np.log(T))
    inside = np.clip(np.log(target), *np.log(spread)[[0, -1]])
    return float(np.exp(curve(inside))), float(curve.derivative()(inside) / target)
