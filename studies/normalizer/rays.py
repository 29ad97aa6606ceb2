"""What each loss does as a network grows sure of a clean label, and which likelihoods are distributions over labels.

Along logits s e_y with decay 0, s -> infinity. The limits and rates are from scipy's special functions; a rate under
a schedule without a clean role is Watson's lemma for E e^(-d gamma), gamma a power of t next to t = 0.
"""

import math
from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import torch
import xarray
from matplotlib.figure import Figure
from scipy import optimize, special

from auglik.objectives import LIKELIHOODS, Likelihood, Schedule, SmoothedNormalizedSchedule
from auglik.studies.common.pictures import BLACK, BLUE, GREEN, PURPLE, SKY, VERMILION, panels
from auglik.studies.study import Claim, at_least, at_most, equal
from auglik.system.keys import host_generator

CLASSES = 10
LENGTHS = np.geomspace(0.1, 1e6, 57)
FAR = 1e5
NOISE_ALONE, BLUR_ALONE = Schedule(clean=0, blur=0), Schedule(clean=0, noise=0)
PROPER = ("categorical", "tempered-normalized")
UNBOUNDED: Mapping[str, Likelihood] = {
    "smoothed-normalized": LIKELIHOODS["smoothed-normalized"],
    "smoothed-normalized-schedule, noise alone": SmoothedNormalizedSchedule(NOISE_ALONE),
    "smoothed-normalized-schedule, blur alone": SmoothedNormalizedSchedule(BLUR_ALONE),
}


def _limits() -> dict[str, tuple[Likelihood, float]]:
    """What the loss on a clean label tends to, by likelihood, where it tends to anything."""
    zero = ("categorical", "tempered", "tempered-normalized", "smoothed", "sink")
    limits = {name: (LIKELIHOODS[name], 0.0) for name in zero}
    limits["dirichlet"] = LIKELIHOODS["dirichlet"], -float(special.gammaln(CLASSES + 1))
    limits["smoothed-normalized-schedule"] = LIKELIHOODS["smoothed-normalized-schedule"], math.log(Schedule().clean / 3)
    return limits


def loss_on_ray(likelihood: Likelihood, lengths: np.ndarray) -> np.ndarray:
    """Minus the table at the clean label y, logits s e_y, for every s: [S] -> [S]."""
    logits = torch.zeros(1, len(lengths), CLASSES + likelihood.extra_outputs, dtype=torch.float64)
    logits[0, :, 0] = torch.tensor(lengths)
    return -likelihood.table(logits, torch.zeros(1, len(lengths), dtype=torch.float64))[0, :, 0].numpy()


def asymptote(name: str, lengths: np.ndarray) -> np.ndarray:
    """What the loss of an unbounded likelihood approaches: [S] -> [S]. d = s (C-1)/C is log f_y - log fbar.

    Uniform level: log d. Level c t^m next to t = 0, t ~ Beta(alpha, beta): log of Gamma(alpha/m) (c d)^(-alpha/m) /
    (m B(alpha, beta)) (Watson's lemma).
    """
    d = lengths * (CLASSES - 1) / CLASSES
    if name == "smoothed-normalized":
        return -np.log(d)
    schedule, noise = (NOISE_ALONE, True) if "noise" in name else (BLUR_ALONE, False)
    m = 2 * schedule.k_noise if noise else schedule.k_blur
    c = (math.pi / 2) ** m if noise else 1.0
    power = schedule.alpha / m
    constant = special.gammaln(power) - math.log(m) - special.betaln(schedule.alpha, schedule.beta)
    return np.asarray(constant - power * np.log(c * d))


def lowest_noisy_dirichlet() -> tuple[float, float]:
    """The least loss over all logits on a clean label, and the least that the normal densities of its terms allow."""
    likelihood = LIKELIHOODS["noisy-dirichlet"]

    def loss(logits: np.ndarray) -> tuple[float, np.ndarray]:
        leaf = torch.tensor(logits).requires_grad_()
        value = -likelihood.table(leaf[None, None], torch.zeros(1, 1, dtype=torch.float64))[0, 0, 0]
        (gradient,) = torch.autograd.grad(value, leaf)
        return value.item(), gradient.numpy()

    found = optimize.minimize(loss, np.zeros(CLASSES), jac=True, method="BFGS", options={"gtol": 1e-10})
    alpha = 0.01 + np.eye(CLASSES)[0]
    peak = dist.Normal(0.0, jnp.sqrt(jnp.log1p(1 / alpha))).log_prob(0.0).sum()
    return float(found.fun), -float(peak)


def label_masses(seed: int) -> xarray.DataArray:
    """sum_c exp table_c at known levels, for ordinary logits: 1 for a distribution over labels."""
    rng = host_generator(seed, "normalizer", "masses")
    levels = np.array([0.0, 0.25, 0.5, 1.0])
    rows = []
    for likelihood in LIKELIHOODS.values():
        logits = torch.tensor(rng.normal(0, 2, (1, 1, CLASSES + likelihood.extra_outputs)))
        decay = torch.tensor(levels)[None]
        rows.append(likelihood.table(logits.expand(1, len(levels), -1), decay)[0].exp().sum(-1).numpy())
    return xarray.DataArray(
        np.stack(rows),
        {"likelihood": list(LIKELIHOODS), "level": levels},
        attrs={"long_name": "sum over labels of exp table, at a known level", "units": "1"},
    )


def data_of(seed: int) -> xarray.Dataset:
    """The loss along the ray under every likelihood, and the mass that each gives to all labels together."""
    losses = {name: likelihood for name, (likelihood, _) in _limits().items()}
    losses |= {**UNBOUNDED, "noisy-dirichlet": LIKELIHOODS["noisy-dirichlet"]}
    values = np.stack([loss_on_ray(likelihood, LENGTHS) for likelihood in losses.values()])
    attrs = {"units": "nat", "long_name": "loss on a clean label, logits s e_y"}
    loss = xarray.DataArray(values, {"objective": list(losses), "s": LENGTHS}, attrs=attrs)
    return xarray.Dataset({"loss": loss, "label_mass": label_masses(seed)})


def claims_of(data: xarray.Dataset) -> list[Claim]:
    """Limits of the bounded losses, rates of the unbounded ones, and which masses over labels are one."""
    far = np.array([FAR])
    claims = []
    for name, (likelihood, limit) in _limits().items():
        # Beside its point mass at 0 the schedule's level has a density, of which d^(-1/2) is left.
        tolerance = 5e-3 if "schedule" in name else 1e-12
        value = loss_on_ray(likelihood, far)[0]
        claims.append(equal(f"loss of {name} on a clean label, logits 1e5 e_y: its limit", value, limit, tolerance))
    least, bound = lowest_noisy_dirichlet()
    claims.append(equal("loss of noisy-dirichlet on a clean label: its minimum over all logits", least, bound, 1e-8))
    for name, likelihood in UNBOUNDED.items():
        tolerance = 1e-9 if name == "smoothed-normalized" else 5e-3
        value, reference = loss_on_ray(likelihood, far)[0], asymptote(name, far)[0]
        claims.append(equal(f"loss of {name}, logits 1e5 e_y: its asymptote", value, reference, tolerance))
        low, high = loss_on_ray(likelihood, np.array([1e2, 1e5]))
        claims.append(at_most(f"loss of {name} falls without bound: from s = 1e2 to 1e5 by", high - low, -3.0))
    for name in data["likelihood"].values.tolist():
        mass = data["label_mass"].sel(likelihood=name).values
        gap = np.abs(mass - 1).max()
        if name in PROPER:
            claims.append(equal(f"{name}: mass over labels at a known level", 1 + gap, 1.0, 1e-12))
        else:
            claims.append(at_least(f"{name}: mass over labels at a known level, distance from 1", gap, 0.01))
    return claims


def remark(data: xarray.Dataset) -> str:
    """Which values may never be tabulated next to an NLL."""
    at = data["loss"].sel(s=1e3, method="nearest")
    least, _ = lowest_noisy_dirichlet()
    low = {name: f"{at.sel(objective=name):.2f}" for name in UNBOUNDED}
    return (
        "Never tabulate as an NLL: smoothed-normalized (loss"
        f" {low['smoothed-normalized']} at logits 1000 e_y, falling as -log s),"
        f" smoothed-normalized-schedule (without a clean role {low['smoothed-normalized-schedule, noise alone']} under"
        " noise, falling as -1/2 log s; with the default shares it is bounded by the log of the clean share,"
        f" {math.log(1 / 3):.3f}), dirichlet (bounded by -log C! = {-special.gammaln(CLASSES + 1):.2f} for C = 10) and"
        f" noisy-dirichlet (bounded by {least:.2f}): they are log densities, of a label and a level or of f itself."
        " Nor tempered, smoothed and sink: their masses over labels are not one. Only categorical and"
        " tempered-normalized are distributions over labels, the latter of a degraded label; runs are scored by the"
        " categorical one."
    )


def figure_of(data: xarray.Dataset) -> Figure:
    """The losses along the ray, with limits and asymptotes."""
    figure, (axes,) = panels(1, 1, (8.8, 5.0))
    styles = {
        "categorical": (BLACK, 0.0, "categorical, tempered, tempered-\nnormalized, smoothed, sink: 0"),
        "smoothed-normalized-schedule": (GREEN, -2.2, "smoothed-normalized-schedule:\nlog of the clean share"),
        "smoothed-normalized-schedule, noise alone": (SKY, -6.7, "noise alone: -(1/2) log s"),
        "smoothed-normalized-schedule, blur alone": (BLUE, -12.2, "blur alone: -log s"),
        "smoothed-normalized": (VERMILION, -13.7, "smoothed-normalized: -log s"),
        "dirichlet": (PURPLE, -15.2, "dirichlet: -log C!"),
    }
    for name, (colour, height, label) in styles.items():
        axes.plot(data["s"], data["loss"].sel(objective=name), color=colour, linewidth=1.8)
        axes.annotate(label, (1.3e6, height), color=colour, va="center", fontsize=9, annotation_clip=False)
    tail = data["s"].values[data["s"].values > 30]
    for name in UNBOUNDED:
        axes.plot(tail, asymptote(name, tail), ":", color="black", linewidth=1)
    axes.axhline(math.log(1 / 3), color="0.6", linewidth=0.8, linestyle="--")
    axes.set(xscale="log", ylim=(-17, 4), xlim=(0.1, 1e6))
    axes.set_xlabel("length s of the logits s e_y (dotted: the rates; noisy-dirichlet grows, above the frame)")
    axes.set_ylabel("loss on the clean label y, 10 classes (nat)")
    axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle("On clean labels a density over (label, level) rewards confidence without bound")
    return figure
