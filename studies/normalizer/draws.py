"""Draws of (label, level) from the smoothed density by NUTS, which needs no normalizer, against torch's density.

The label is enumerated: the level is sampled from the sum over labels, and the label given the level.
"""

import itertools

import arviz_base
import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import torch
import xarray
from arviz_stats.sampling_diagnostics import ess, mcse, rhat
from jax import Array
from matplotlib.figure import Figure

from auglik.inference.chains import compiled, of_model
from auglik.inference.convergence import LIMITS
from auglik.objectives import LIKELIHOODS
from auglik.studies.common.compiling import QUICKLY
from auglik.studies.common.pictures import BLUE, ORANGE, panels
from auglik.studies.normalizer.references import LEVEL_WEIGHTS, LEVELS
from auglik.studies.study import Claim, at_least, at_most, equal

LOGITS = (2.0, -1.5, 0.5, 0.0, -0.5)
EDGES = np.linspace(0, 1, 11)


def _log_masses(logits: Array, level: Array) -> Array:
    """log prod_c f_c^{q_c(level, e_j)} for every label j: [C], [] -> [C]; f by NumPyro's Categorical."""
    log_f = dist.Categorical(logits=logits).log_prob(jnp.arange(len(logits)))
    return (1 - level) * log_f + level * log_f.mean()


def _level(logits: Array) -> None:
    """The model: a level uniform on [0,1], weighted by the sum of the labels' masses."""
    level = numpyro.sample("level", dist.Uniform(0.0, 1.0))
    numpyro.factor("labels", jax.nn.logsumexp(_log_masses(logits, jnp.asarray(level))))


def sample(seed: int, draws: int, chains: int = 4, warmup: int = 300) -> xarray.DataTree:
    """Chains of NUTS with their own adaptation: level and label [chain, draw]."""
    chain = of_model(_level, "level", warmup, draws)

    def levels_and_labels(key: Array, logits: Array) -> tuple[Array, Array]:
        of_levels, of_labels = jax.random.split(key)
        levels = chain(of_levels, logits).z
        masses = jax.vmap(lambda level: _log_masses(logits, level))(levels)
        return levels, dist.Categorical(logits=masses).sample(of_labels)

    run = compiled(jax.vmap(lambda key: levels_and_labels(key, jnp.array(LOGITS))), QUICKLY)
    level, label = run(jax.random.split(jax.random.key(seed), chains))
    return arviz_base.from_dict({"posterior": {"level": np.asarray(level), "label": np.asarray(label)}})


def torch_marginals() -> tuple[np.ndarray, np.ndarray]:
    """The shares of the labels [C], and of the levels between EDGES, under exp of the torch table, by quadrature."""

    def density(levels: np.ndarray) -> np.ndarray:
        decay = torch.tensor(levels)[None]
        logits = torch.tensor(LOGITS, dtype=torch.float64).expand(1, len(levels), -1)
        return LIKELIHOODS["smoothed-normalized"].table(logits, decay)[0].exp().numpy()

    width = EDGES[1] - EDGES[0]
    levels = np.array([LEVEL_WEIGHTS @ density(low + width * LEVELS).sum(-1) * width for low in EDGES[:-1]])
    return LEVEL_WEIGHTS @ density(LEVELS), levels


def _shares(drawn: xarray.Dataset) -> xarray.Dataset:
    """Which label and which bin a draw is in, as 0 and 1: their means are shares, whose errors ArviZ knows."""
    labels = xarray.concat([(drawn["label"] == c).astype(float) for c in range(len(LOGITS))], "class")
    bins = [(drawn["level"] >= a) & (drawn["level"] < b) for a, b in itertools.pairwise(EDGES)]
    return xarray.Dataset({"label": labels, "level": xarray.concat(bins, "bin").astype(float)})


def compare(drawn: xarray.DataTree) -> tuple[list[Claim], xarray.Dataset]:
    """Convergence of the chains, and the shares of labels and levels within four Monte Carlo standard errors."""
    posterior = drawn["posterior"].to_dataset()
    shares = _shares(posterior)
    error = mcse(shares)
    labels, levels = torch_marginals()
    data = xarray.Dataset(
        {
            "label_share": ("class", shares["label"].mean(("chain", "draw")).values),
            "label_error": ("class", error["label"].values),
            "label_exact": ("class", labels),
            "level_share": ("bin", shares["level"].mean(("chain", "draw")).values),
            "level_error": ("bin", error["level"].values),
            "level_exact": ("bin", levels),
        },
        {"class": range(len(LOGITS)), "bin": EDGES[:-1]},
        attrs={"units": "1", "meaning": "shares of NUTS draws, their Monte Carlo standard errors, torch's shares"},
    )
    claims = [
        at_most("NUTS over levels: R-hat", float(rhat(posterior)["level"]), LIMITS.r_hat),
        at_least("NUTS over levels: effective sample size", float(ess(posterior)["level"]), LIMITS.ess),
    ]
    for name, dimension in (("label", "class"), ("level", "bin")):
        z = (abs(data[f"{name}_share"] - data[f"{name}_exact"]) / data[f"{name}_error"]).values
        # NaN, of a broken density, is never skipped over.
        at = int(np.argmax(np.nan_to_num(z, nan=np.inf)))
        worst = data.isel({dimension: at})
        where = f"label {at}" if name == "label" else f"a level in {EDGES[at]:.1f}..{EDGES[at + 1]:.1f}"
        text = f"smoothed-normalized: share of {where} among draws by NUTS is the density's (the worst of {len(z)})"
        exact, share = worst[f"{name}_exact"], worst[f"{name}_share"]
        claims.append(equal(text, exact.item(), share.item(), 4 * worst[f"{name}_error"].item()))
    return claims, data


def figure_of(data: xarray.Dataset) -> Figure:
    """Shares of labels and levels: draws with four standard errors, and torch's density."""
    figure, axes = panels(1, 2, (9.2, 3.8))
    bars = {
        "label": ("class", 0.0, 0.8, "label (class)"),
        "level": ("bin", 0.05, 0.095, "level of smoothing gamma"),
    }
    for axis, (name, (dimension, shift, width, title)) in zip(axes, bars.items(), strict=True):
        place = data[dimension] + shift
        axis.bar(place, data[f"{name}_exact"], width, color=ORANGE, label="torch density, integrated")
        error = 4 * data[f"{name}_error"]
        axis.errorbar(
            place, data[f"{name}_share"], error, fmt="o", color=BLUE, label="draws by NUTS, 4 s.e.", capsize=3
        )
        axis.set_xlabel(title)
        axis.set_ylabel("share of draws")
    axes[0].legend(frameon=False)
    figure.suptitle("NUTS draws of (label, level) have the marginals of the normalized density")
    return figure
