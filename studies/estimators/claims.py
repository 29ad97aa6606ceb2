"""What the study of estimators claims."""

from typing import NamedTuple

import numpy as np
import torch

from auglik.objectives import AGGREGATORS, LIKELIHOODS, InputError, Objective
from auglik.studies.common.laws import Law
from auglik.studies.estimators.measure import CHUNK, CONSISTENT, VIEWS, Measured, fold, views_of
from auglik.studies.study import Claim, at_least, at_most, equal, true
from auglik.system.keys import host_generator

FIT_FROM = 8
"""The smallest K of a fitted slope: next-order terms move the exact slopes over 8..256 by up to 0.14 still."""
FINITE_K = 0.2


class Slope(NamedTuple):
    """d log|bias| / d log K by least squares over the K `fitted`."""

    value: float
    standard_error: float
    fitted: np.ndarray


def slope_of(views: np.ndarray, bias: np.ndarray, covariance: np.ndarray) -> Slope:
    """The fitted slope over FIT_FROM <= K with |bias| over 5 standard errors, and its error by the delta method."""
    fitted = (views >= FIT_FROM) & (np.abs(bias) > 5 * np.sqrt(np.diag(covariance)))
    if fitted.sum() < 2:
        return Slope(np.nan, np.nan, views[fitted])
    x = np.log(views[fitted]) - np.log(views[fitted]).mean()
    weights = x / (x @ x)
    gradient = weights / bias[fitted]
    variance = gradient @ covariance[np.ix_(fitted, fitted)] @ gradient
    return Slope(float(weights @ np.log(np.abs(bias[fitted]))), float(np.sqrt(variance)), views[fitted])


def bias_claims(law: Law, measured: dict[str, Measured], exact: dict[str, np.ndarray]) -> list[Claim]:
    """Every aggregator's mean is the exact one, at every K."""
    claims = []
    for name, found in measured.items():
        gap = np.abs(found.bias - exact[name])
        known = np.isfinite(gap)
        if (found.standard_error > 0).all():
            text = f"{law.title}: {name}'s bias against the exact one, at the worst K, in standard errors"
            claims.append(at_most(text, (gap / found.standard_error)[known].max(), 4.0))
        else:
            text = f"{law.title}: {name}'s bias (exact sums) against the exact one, at the worst K"
            claims.append(at_most(text, gap[known].max(), 1e-11))
    return claims


def slope_claims(
    law: Law, measured: dict[str, Measured], exact: dict[str, np.ndarray]
) -> tuple[list[Claim], dict[str, Slope]]:
    """The powers of K, against those of the exact biases over the same K."""
    claims, slopes = [], {}
    for name, power in CONSISTENT.items():
        found = measured[name]
        slope = slopes[name] = slope_of(views_of(name), found.bias, found.covariance)
        over = f"K = {FIT_FROM}..{slope.fitted.max(initial=FIT_FROM)}"
        same = np.isin(views_of(name), slope.fitted)
        reference = slope_of(slope.fitted, exact[name][same], np.zeros((same.sum(),) * 2))
        tolerance = max(4 * slope.standard_error, 1e-6)
        text = f"{law.title}: slope of {name}'s log|bias| over {over} (theory {power}), against the exact bias's"
        claims.append(equal(text, slope.value, reference.value, tolerance))
        text = f"{law.title}: slope of {name}'s log|bias| over {over}, against theory"
        claims.append(equal(text, slope.value, power, 4 * slope.standard_error + FINITE_K))
        text = f"{law.title}: numbers of views at which {name}'s bias is over 5 standard errors and is fitted"
        claims.append(at_least(text, len(slope.fitted), 3))
    return claims, slopes


def jensen_claims(law: Law, measured: dict[str, Measured]) -> list[Claim]:
    """Jensen's gap does not fall with K, and is the whole bias of a single view."""
    gap = law.mean_log - law.log_integral
    jensen, log_mean = measured["jensen"], measured["log-mean"]

    def tolerance(found: Measured, place: int) -> float:
        return max(4 * float(found.standard_error[place]), 1e-12)

    return [
        equal(f"{law.title}: jensen's bias at K = 256 is the whole Jensen gap, that of K = 1",
              jensen.bias[-1], gap, tolerance(jensen, -1)),
        equal(f"{law.title}: at K = 1 log-mean's bias is the whole Jensen gap E log p - log E p, not 0",
              log_mean.bias[0], gap, tolerance(log_mean, 0)),
    ]  # fmt: skip


def spread_claims(law: Law, measured: dict[str, Measured], replicates: int) -> list[Claim]:
    """Standard deviations: exact for jensen, the delta method for the consistent ones, which cost no variance."""
    jensen = measured["jensen"].deviation[-1] * np.sqrt(VIEWS[-1]) / law.deviation_log
    noise = 4 / np.sqrt(2 * replicates) if replicates else 1e-9
    claims = [equal(f"{law.title}: jensen's standard deviation at K = 256 over that of log p / sqrt(K)",
                    jensen, 1, noise)]  # fmt: skip
    for name in CONSISTENT:
        ratio = VIEWS[-1] * measured[name].deviation[-1] ** 2 / law.relative_variance
        text = f"{law.title}: variance of {name} at K = 256 over (Var p / I^2) / K, the delta method's"
        claims.append(equal(text, ratio, 1, 2 * noise + 8 / VIEWS[-1]))
    return claims


def order_claims(law: Law, seed: int) -> list[Claim]:
    """jensen <= log-mean <= durbin-koopman <= log-mean + 1/2 for every draw."""
    worst = np.zeros(3)
    for K in VIEWS[1:6]:
        log_p = law.draw(host_generator(seed, "estimators", "order", int(K)), (int(K), CHUNK))
        jensen, log_mean, corrected = (fold(name, log_p) for name in ("jensen", "log-mean", "durbin-koopman"))
        found = [(jensen - log_mean).max(), (log_mean - corrected).max(), (corrected - log_mean - 0.5).max()]
        worst = np.maximum(worst, found)
    texts = ("jensen over log-mean", "log-mean over durbin-koopman", "durbin-koopman over log-mean + 1/2")
    return [
        at_most(f"{law.title}: {text}, at the worst of 2000 draws, K = 2..32", value, 0, 1e-12)
        for text, value in zip(texts, worst, strict=True)
    ]


def design_claims(measured: dict[str, Measured]) -> list[Claim]:
    """The figures that the design states for Beta(2,2) views and K = 4, to their last digit."""
    stated = {"jensen": -0.140, "log-mean": -0.027, "durbin-koopman": 0.002, "jackknife": 0.003}
    claims = []
    for name, figure in stated.items():
        place = list(views_of(name)).index(4)
        found = measured[name]
        tolerance = 0.0005 + 4 * float(found.standard_error[place])
        claims.append(equal(f"Beta(2,2) views, K = 4: {name}'s bias as stated", found.bias[place], figure, tolerance))
    return claims


def single_view_claims() -> list[Claim]:
    """With one view there is nothing to estimate a variance from."""

    def refused(name: str) -> bool:
        objective = Objective(LIKELIHOODS["categorical"], AGGREGATORS[name])
        try:
            objective.fold(torch.zeros(1, 1, 2), torch.zeros(1, 1))
        except InputError:
            return True
        return False

    return [
        true(f"{name} refuses K = 1, where it would be 0/0", refused(name)) for name in CONSISTENT if name != "log-mean"
    ]
