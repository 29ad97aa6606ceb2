"""One hierarchical model of paired differences under corruption: d[c,s,j], cell less reference, mean over severities.

The J targets are the mean over the corruptions, the means over each category, and each corruption, in that order:

    d[c,s,j] = theta[c,j] + e[c,s,j]                 e ~ N(0, sd[c,j]^2), the luck of seed s
    theta[c,j] ~ N(location[c,group of j], tau^2)    tau_category[c] for categories, tau_corruption[c] for corruptions
    log tau[c] ~ N(m, spread^2) over cells
    log sd[c,j] = m + spread y_j + z_cj
    location flat; every m ~ N(-1, 1); every spread ~ HalfNormal(0.5); y, z ~ N(0, 1)

theta is the difference for new seeds on these corrupted images. Corruptions are shrunk to their category's location,
categories to that of all. The mean has no other target in its group, so it is not shrunk. Seeds' effects are not split
into shared and own ones: seeds move corruptions together across categories (brightness with frost), and an interval
for the mean that rests on a wrong split is too narrow by half. So every target's luck has a variance of its own, pooled
over cells, and draws of two targets say nothing of how these go together. A cell's differences are in units
of their root mean square, as cells that differ most are noisiest. That targets share seeds, and cells a reference, is
not in the likelihood, which takes sds for better known than they are: so the spread of z is not learnt, and a cell has
no level of its own.

Rows over seeds are sqrt(S) mean, and S - 1 contrasts in which theta cancels. theta is integrated out, then drawn given
the sds. Gelman et al. 2013, ch. 5; restricted likelihood: Patterson & Thompson 1971; HMC: Neal 2011, in NumPyro.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
import numpyro
import numpyro.distributions as dist
import xarray
from arviz_base import from_dict
from arviz_stats import ess, rhat  # type: ignore[attr-defined]
from jax import Array
from jax.flatten_util import ravel_pytree
from numpyro.infer.hmc import HMCState, hmc
from numpyro.infer.util import constrain_fn, potential_energy
from scipy.linalg import helmert

from auglik.robustness.score import ALL, MEAN

Floats = npt.NDArray[np.float64]

CHAINS, WARMUP, DRAWS = 4, 600, 1500
STEPS = 16
"""Leapfrog steps a draw. With a trajectory of fixed length a step size that warm-up makes tiny takes minutes."""
COMPILER = {  # compiles in half the time, runs as fast
    "xla_llvm_disable_expensive_passes": "True",
    "xla_backend_optimization_level": "1",
}


class Data(NamedTuple):
    """What the model is given of C cells, S seeds (the most that a cell has) and J targets in groups."""

    rows: Array
    """Over seeds [C,S,J]: sqrt(S_c) mean, then contrasts, then zeros where a cell has fewer seeds."""
    there: Array
    """1 for a row, 0 for those zeros [C,S]."""
    member: Array
    """1 where a target is of a group [2+G,J]: the mean alone, the categories, the corruptions of each category."""


class Posterior(NamedTuple):
    """Draws in the units of d, as ArviZ keeps them, and whether they can be relied on."""

    data: xarray.DataTree
    """posterior: theta, seed_sd [chain,draw,cell,target], tau_category, tau_corruption [chain,draw,cell]; the data."""
    rhat: float
    """The greatest."""
    ess: float
    """The least, bulk."""
    divergences: int


def pooled(x: Array, variance: Array, member: Array) -> tuple[Array, Array, Array]:
    """log c, m, v with prod_j N(x_j; y, variance_j) = c N(m; y, v) for every y; x [...,J], member [G,J] -> [...,G].

    v = 1 / sum 1/variance, m = v sum x/variance over a group's members; c is the likelihood restricted to contrasts.
    """
    weight = 1 / variance
    v = 1 / (weight @ member.T)
    m = v * ((weight * x) @ member.T)
    terms = jnp.log(2 * jnp.pi * variance) + weight * jnp.square(x - m @ member)
    return (jnp.log(2 * jnp.pi * v) - terms @ member.T) / 2, m, v


def model(data: Data, key: Array | None = None) -> None:
    """The module's model, in units of each cell's root mean square; `key` has theta drawn as well."""
    C, _, J = data.rows.shape
    centre = jnp.asarray(numpyro.sample("centre", dist.Normal(-1, 1).expand([3])))
    spread = jnp.asarray(numpyro.sample("spread", dist.HalfNormal(0.5).expand([3])))
    of_tau = numpyro.sample("of_tau", dist.Normal(0, 1).expand([2, C]))
    of_target = numpyro.sample("of_target", dist.Normal(0, 1).expand([J]))
    of_both = numpyro.sample("of_both", dist.Normal(0, 1).expand([C, J]))
    tau = jnp.exp(centre[:2, None] + spread[:2, None] * of_tau)
    numpyro.deterministic("tau_category", tau[0])
    numpyro.deterministic("tau_corruption", tau[1])
    sd = jnp.exp(centre[2] + spread[2] * of_target + of_both)
    numpyro.deterministic("seed_sd", sd)
    corruption = data.member[2:].sum(0)
    effect, noise = jnp.square(jnp.where(corruption, tau[1][:, None], tau[0][:, None])), jnp.square(sd)
    seeds = data.there.sum(1)[:, None]
    first, contrasts = data.rows[:, 0], data.rows[:, 1:]
    numpyro.factor("means", pooled(first, noise + seeds * effect, data.member)[0].sum())
    log_p = dist.Normal(0, sd[:, None]).log_prob(contrasts).sum(-1)
    numpyro.factor("contrasts", (data.there[:, 1:] * log_p).sum())
    if key is not None:
        numpyro.deterministic("theta", draw_theta(key, first / jnp.sqrt(seeds), effect, noise / seeds, data.member))


def draw_theta(key: Array, mean: Array, effect: Array, noise: Array, member: Array) -> Array:
    """theta [C,J] given its mean over seeds and both variances: the group's location, then what is left of theta."""
    normal = jax.random.normal(key, (2, *mean.shape))
    _, m, v = pooled(mean, effect + noise, member)
    location = (m + jnp.sqrt(v) * normal[0, :, : len(member)]) @ member
    share = effect / (effect + noise)
    return location + share * (mean - location) + jnp.sqrt(share * noise) * normal[1]


def targets(categories: Sequence[str]) -> tuple[list[str], Floats, Floats]:
    """Categories in order, what makes targets [J,K] of corruptions [K], and the targets' membership [2+G,J]."""
    groups = list(dict.fromkeys(categories))
    of_group = np.array([[one == group for one in categories] for group in groups], float)
    K, G = len(categories), len(groups)
    weights = np.concatenate([np.full((1, K), 1 / K), of_group / of_group.sum(1, keepdims=True), np.eye(K)])
    member = np.zeros((2 + G, 1 + G + K))
    member[0, 0], member[1, 1 : 1 + G], member[2:, 1 + G :] = 1, 1, of_group
    return groups, weights, member


def sample(
    differences: Sequence[Floats],
    corruptions: Mapping[str, str],
    *,
    cells: Sequence[str],
    seed: int = 0,
    draws: int = DRAWS,
) -> Posterior:
    """Draws given d [S_c,K] of every cell, S_c >= 2, finite, not all 0, and the corruptions with their categories."""
    groups, weights, member = targets(list(corruptions.values()))
    scale = np.array([np.sqrt(np.square(d).mean()) for d in differences])
    data = _data([d @ weights.T / unit for d, unit in zip(differences, scale, strict=True)], member)
    with jax.numpy_dtype_promotion("standard"):  # NumPyro mixes integers and floats
        keys = jax.random.split(jax.random.key(seed), CHAINS)
        drawn, diverging = _program(data.rows.shape, draws)(keys, data)
    found = {
        name: np.asarray(drawn[name], np.float64) for name in ("theta", "seed_sd", "tau_category", "tau_corruption")
    }
    kept = {name: value * (scale[:, None] if value.ndim == 4 else scale) for name, value in found.items()}
    names = [MEAN, *(f"{ALL} {group}" for group in groups), *corruptions]
    return _posterior(kept, np.asarray(diverging), list(cells), names, data.rows)


def _data(differences: Sequence[Floats], member: Floats) -> Data:
    rows = np.zeros((len(differences), max(map(len, differences)), member.shape[1]))
    there = np.zeros(rows.shape[:2])
    for place, d in enumerate(differences):
        rows[place, : len(d)], there[place, : len(d)] = helmert(len(d), full=True) @ d, 1
    return Data(*(jnp.asarray(value, dtype=float) for value in (rows, there, member)))


@lru_cache(maxsize=16)
def _program(shape: tuple[int, int, int], draws: int) -> Callable[[Array, Data], tuple[dict[str, Array], Array]]:
    """HMC with step size and diagonal mass adapted: keys of the chains -> draws [chain,draw,...], which diverged."""
    C, _, J = shape
    blank = {"centre": 3, "spread": 3, "of_tau": (2, C), "of_target": J, "of_both": (C, J)}
    flat, unravel = ravel_pytree({name: jnp.zeros(one) for name, one in blank.items()})

    def potential(*given: Data) -> Callable[[Array], Array]:
        return lambda z: potential_energy(model, given, {}, unravel(z))

    start, step = hmc(potential_fn_gen=potential, algo="HMC")

    def chain(key: Array, data: Data) -> tuple[dict[str, Array], Array]:
        begin, run, effects = jax.random.split(key, 3)
        z = jax.random.uniform(begin, flat.shape, flat.dtype, -1, 1)
        state = start(z, WARMUP, num_steps=STEPS, trajectory_length=None, model_args=(data,), rng_key=run)

        def advance(state: HMCState, _: None) -> tuple[HMCState, tuple[Array, Array]]:
            state = step(state, (data,))
            return state, (state.z, state.diverging)

        def named(key: Array, z: Array) -> dict[str, Array]:
            return constrain_fn(model, (data, key), {}, unravel(z), return_deterministic=True)

        drawn, diverging = jax.lax.scan(advance, state, None, length=WARMUP + draws)[1]
        return jax.vmap(named)(jax.random.split(effects, draws), drawn[WARMUP:]), diverging[WARMUP:]

    return jax.jit(jax.vmap(chain, in_axes=(0, None)), compiler_options=COMPILER)


def _posterior(
    kept: dict[str, Floats], diverging: npt.NDArray[np.bool_], cells: list[str], names: list[str], rows: Array
) -> Posterior:
    by_target = ["cell", "target"]
    tree = from_dict(
        {"posterior": kept, "sample_stats": {"diverging": diverging}, "observed_data": {"rows": np.asarray(rows)}},
        dims={
            "theta": by_target,
            "seed_sd": by_target,
            "tau_category": ["cell"],
            "tau_corruption": ["cell"],
            "rows": ["cell", "row", "target"],
        },
        coords={"cell": cells, "target": names},
    )
    draws = tree["posterior"].to_dataset()
    return Posterior(
        tree,
        rhat=max(float(column.max()) for column in rhat(draws).values()),
        ess=min(float(column.min()) for column in ess(draws).values()),
        divergences=int(diverging.sum()),
    )
