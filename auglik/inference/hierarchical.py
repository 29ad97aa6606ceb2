"""One hierarchical model of all cells' paired differences: y[c,s], the mean over N test images of cell less reference.

    y[c,s] = theta_c + u[c,s] - u_ref[s]           u[c,s] ~ N(0, tau_c^2), u_ref[s] ~ N(0, tau_ref^2)
    theta_c = delta_c + m_c                        m ~ N(0, V), V known: what these test images do to all cells
    delta_c ~ StudentT(4, 0, 5)
    log tau_c ~ N(log tau, 0.7^2)                  tau ~ HalfNormal(1)

delta_c is the difference for new seeds and new test images, theta_c for new seeds and these images. A reference's luck
with a seed is shared by all differences to it; otherwise cells are independent given the seed. Pooled over cells are
their variances over seeds, which few seeds leave most uncertain. The differences are not: the cells of an ablation are
chosen, not drawn, and a noisy one would be given the sign of its neighbours. Scales are in units of the root mean
square of y. The seeds' effects are integrated out. Gelman et al. 2013, ch. 5; NUTS: Hoffman & Gelman 2014, in NumPyro.
"""

from collections.abc import Callable
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
from arviz_stats import ci_in_rope, ess, hdi, rhat  # type: ignore[attr-defined]
from jax import Array
from jax.flatten_util import ravel_pytree
from numpyro.infer.hmc import HMCState, hmc
from numpyro.infer.util import constrain_fn, potential_energy

from auglik.inference.model_data import Data, Floats
from objectives.errors import InputError

CHAINS, WARMUP, DRAWS = 4, 500, 1000
WEAK = 5.0
SPREAD_OF_SDS = 0.7  # a priori, 95% of the cells' sds over seeds are within a factor of 4 of their median
LEAST_SPREAD = 1e-4  # of theta's coordinates: seeds that agree to the last digit still leave a scale to step in
COMPILER = {"xla_llvm_disable_expensive_passes": "True"}  # compiles faster, runs as fast

Arguments = tuple[Array, ...]
"""Those of `model`."""
Program = Callable[[Array, Arguments], tuple[dict[str, Array], Array]]
"""Keys of the chains and data -> draws of all that the model names [chain,draw,...], which diverged [chain,draw]."""


class Posterior(NamedTuple):
    """Draws in the units of y, as ArviZ keeps them, and whether they can be relied on."""

    data: xarray.DataTree
    """posterior: delta, theta, seed_sd (of a difference) [chain,draw,cell], tau; sample_stats; the data."""
    rhat: float
    """The greatest of delta, theta and seed_sd."""
    ess: float
    """The least, bulk."""
    divergences: int


class Summary(NamedTuple):
    """Of a difference [C], in units of y."""

    mean: Floats
    lower: Floats
    upper: Floats
    """The highest-density interval."""
    below_zero: Floats
    """P(difference < 0 given the data)."""
    in_rope: Floats
    """P(|difference| <= rope given the data)."""
    interval_in_rope: Floats
    """Share of the HDI's draws that lie within +-rope (Kruschke 2014)."""


def summarize(posterior: Posterior, rope: float, *, variable: str = "delta", level: float = 0.95) -> Summary:
    """Reads `delta` (new images) or `theta` (these images) off the draws."""
    values = posterior.data["posterior"].to_dataset()[[variable]]
    interval = hdi(values, prob=level)[variable].transpose("ci_bound", "cell").values
    inside = ci_in_rope(values, rope=(-rope, rope), ci_prob=level, ci_kind="hdi")[variable].values / 100
    draws = values[variable].values.reshape(-1, values.sizes["cell"])
    return Summary(
        draws.mean(0),
        interval[0],
        interval[1],
        (draws < 0).mean(0),
        (np.abs(draws) <= rope).mean(0),
        np.asarray(inside, np.float64),
    )


def model(y: Array, there: Array, member: Array, root: Array, centre: Array, width: Array) -> None:
    """The module's model in units of the root mean square of y.

    y, there [C,S]; member [R,C] is 1 where a cell is compared with a reference; V = root root^T;
    theta = centre + width x, so that x is about standard normal.
    """
    references, C = member.shape
    tau = numpyro.sample("tau", dist.HalfNormal(1.0))
    z = numpyro.sample("z", dist.Normal(0, 1).expand([C + references]))
    x = numpyro.sample("x", dist.ImproperUniform(dist.constraints.real, (C,), ()))
    images = numpyro.sample("images", dist.Normal(0, 1).expand([C]))
    theta = jnp.asarray(numpyro.deterministic("theta", centre + width @ x))
    delta = numpyro.deterministic("delta", theta - root @ images)
    variance = jnp.square(tau * jnp.exp(SPREAD_OF_SDS * z))
    own, shared = jnp.split(variance, [C])
    numpyro.deterministic("seed_sd", jnp.sqrt(own + shared @ member))
    numpyro.factor("prior", dist.StudentT(4, 0, WEAK).log_prob(delta).sum())
    numpyro.factor("likelihood", log_likelihood(y - theta[:, None], there, member, own, shared))


def log_likelihood(residual: Array, there: Array, member: Array, own: Array, shared: Array) -> Array:
    """log N of the residuals r [C,S], independent between seeds; within one diag(own) + shared where references agree.

    With w = 1/own, A = 1/shared + sum_c w and b = sum_c w r, both [R,S]:
    log det = -sum log w + log(A shared), quadratic form = sum w r^2 - b^2/A (Sherman & Morrison 1950).
    """
    weight = there / own[:, None]
    A = 1 / shared[:, None] + member @ weight
    b = member @ (weight * residual)
    log_det = (there * jnp.log(own)[:, None]).sum() + jnp.log(A * shared[:, None]).sum()
    quadratic = (weight * jnp.square(residual)).sum() - (jnp.square(b) / A).sum()
    return -(log_det + quadratic + there.sum() * jnp.log(2 * jnp.pi)) / 2


def sample(data: Data, *, cells: list[str], seed: int = 0, chains: int = CHAINS, draws: int = DRAWS) -> Posterior:
    """Draws from the posterior; a second call with the same shapes doesn't compile again.

    Raises InputError where a cell has fewer than two seeds, or where every difference is 0.
    """
    if (data.there.sum(1) < 2).any() or not np.isfinite(data.y[data.there]).all():
        raise InputError("expected finite differences of at least 2 seeds a cell, got fewer: leave such cells out")
    scale = float(np.sqrt(np.square(data.y[data.there]).mean()))
    if scale == 0:
        raise InputError("expected cells that differ from their references, got the same scores: is it the same run?")
    arguments, shape = _arguments(data, scale), (*data.y.shape, int(data.reference.max()) + 1)
    with jax.numpy_dtype_promotion("standard"):  # NumPyro mixes integers and floats
        drawn, diverging = _program(shape, draws)(jax.random.split(jax.random.key(seed), chains), arguments)
    found = {name: np.asarray(value, np.float64) for name, value in drawn.items()}
    return _posterior(data, found, np.asarray(diverging), scale, cells)


def _arguments(data: Data, scale: float) -> Arguments:
    """The model's, in units of `scale`; theta is centred at the means and spread as for equal seed variances."""
    y = np.where(data.there, data.y, 0) / scale
    count = data.there.sum(1)
    centre = y.sum(1) / count
    deviation = np.where(data.there, y - centre[:, None], 0)
    spread = max(LEAST_SPREAD, float(np.sqrt(np.square(deviation).sum() / (count - 1).sum())))
    member = (data.reference == np.arange(data.reference.max() + 1)[:, None]).astype(np.float64)
    width = spread / np.sqrt(count)[:, None] * np.linalg.cholesky((np.eye(len(y)) + member.T @ member) / 2)
    eigenvalues, vectors = np.linalg.eigh(data.image_covariance / scale**2)
    root = vectors * np.sqrt(np.maximum(eigenvalues, 0))
    return tuple(jnp.asarray(value, dtype=float) for value in (y, data.there, member, root, centre, width))


@lru_cache(maxsize=16)
def _program(shape: tuple[int, int, int], draws: int) -> Program:
    """NUTS with step size and diagonal mass adapted, compiled once for C cells, S seeds and R references."""
    C, _, R = shape
    blank = {"tau": (), "z": (C + R,), "x": (C,), "images": (C,)}
    flat, unravel = ravel_pytree({name: jnp.zeros(one) for name, one in blank.items()})  # compiles faster than a tree

    def potential(*data: Array) -> Callable[[Array], Array]:
        return lambda z: potential_energy(model, data, {}, unravel(z))

    start, step = hmc(potential_fn_gen=potential, algo="NUTS")

    def chain(key: Array, data: Arguments) -> tuple[dict[str, Array], Array]:
        begin, run = jax.random.split(key)
        z = jax.random.uniform(begin, flat.shape, flat.dtype, -1, 1)
        state = start(z, WARMUP, target_accept_prob=0.9, trajectory_length=None, model_args=data, rng_key=run)

        def advance(state: HMCState, _: None) -> tuple[HMCState, tuple[Array, Array]]:
            state = step(state, data)
            return state, (state.z, state.diverging)

        drawn, diverging = jax.lax.scan(advance, state, None, length=WARMUP + draws)[1]
        named = jax.vmap(lambda z: constrain_fn(model, data, {}, unravel(z), return_deterministic=True))
        return named(drawn[WARMUP:]), diverging[WARMUP:]

    return jax.jit(jax.vmap(chain, in_axes=(0, None)), compiler_options=COMPILER)


def _posterior(
    data: Data, found: dict[str, Floats], diverging: npt.NDArray[np.bool_], scale: float, cells: list[str]
) -> Posterior:
    kept = {name: scale * found[name] for name in ("delta", "theta", "seed_sd", "tau")}
    tree = from_dict(
        {
            "posterior": kept,
            "sample_stats": {"diverging": diverging},
            "observed_data": {"y": np.where(data.there, data.y, np.nan)},
            "constant_data": {"image_covariance": data.image_covariance, "reference": data.reference},
        },
        dims={
            **{name: ["cell"] for name in ("delta", "theta", "seed_sd", "reference")},
            "y": ["cell", "seed"],
            "image_covariance": ["cell", "other_cell"],
        },
        coords={"cell": cells, "other_cell": cells},
    )
    of_cells = tree["posterior"].to_dataset()[["delta", "theta", "seed_sd"]]
    return Posterior(
        tree,
        rhat=float(rhat(of_cells).to_array().max()),
        ess=float(ess(of_cells).to_array().min()),
        divergences=int(diverging.sum()),
    )
