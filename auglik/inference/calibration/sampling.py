"""HMC on every cell at once, vectorized over cells and chains.

The cells' posteriors are sampled apart, each in coordinates in which its Laplace approximation is standard normal.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from numpyro.handlers import seed as seeded
from numpyro.handlers import trace
from numpyro.infer.util import constrain_fn, log_density
from scipy import optimize

from auglik.inference.calibration.data import CellData, mean_logit
from auglik.inference.calibration.model import ModelData, model
from auglik.inference.chains import COMPILER, OVERDISPERSED, Chain, compiled, double_precision, whitened
from auglik.system.array_types import Float64Array
from auglik.system.keys import host_generator, seed_sequence

CHAINS = 4
STEP = 1e-4
TRAJECTORY = 1.5
"""Near pi/2, after which a standard normal has forgotten where it came from; NUTS takes three times as many steps."""
LARGEST_VARIANCE = 3.0
"""Of a whitened coordinate, in units of its prior's."""


class Draws(NamedTuple):
    """What HMC drew of M cells."""

    sites: Mapping[str, Float64Array]
    """Sites and deterministic values of the model, each [chain,draw,M,...]."""
    statistics: Mapping[str, Float64Array]
    """Of the sampler, each [chain,draw,M]."""


def sample(cells: Sequence[CellData], seed: int, warmup: int, draws: int) -> Draws:
    """Draws of every cell's posterior."""
    with double_precision():
        data = model_data(cells)
        flat, unravel = ravel_pytree(_zeros(jax.tree.map(lambda column: column[0], data)))

        def log_p(z: jax.Array, cell: ModelData) -> jax.Array:
            return log_density(model, (cell,), {}, unravel(z))[0]

        mode, root = _laplace(log_p, data, len(cells), flat.size)
        z, statistics = _chains(log_p, data, mode, root, seed, warmup, draws)

        def deterministic(z: jax.Array, cell: ModelData) -> dict[str, jax.Array]:
            return constrain_fn(model, (cell,), {}, unravel(z), return_deterministic=True)

        values = jax.jit(jax.vmap(jax.vmap(deterministic, in_axes=(0, None))), compiler_options=COMPILER)(z, data)
        shape = (len(cells), CHAINS, draws)
        arranged = {
            name: np.moveaxis(np.asarray(value).reshape(shape + value.shape[2:]), 0, 2)
            for name, value in values.items()
        }
        return Draws(arranged, statistics)


def _zeros(cell: ModelData) -> dict[str, jax.Array]:
    """Zero for every site that is sampled. Only shapes are computed: to run the model op by op takes seconds."""

    def sites() -> dict[str, jax.Array]:
        found = trace(seeded(model, jax.random.PRNGKey(0))).get_trace(cell)
        return {
            name: site["value"] for name, site in found.items() if site["type"] == "sample" and not site["is_observed"]
        }

    return {name: jnp.zeros(shape.shape, shape.dtype) for name, shape in jax.eval_shape(sites).items()}


def _laplace(
    log_p: Callable[[jax.Array, ModelData], jax.Array], data: ModelData, M: int, size: int
) -> tuple[jax.Array, jax.Array]:
    """Modes [M,D] and roots [M,D,D] of the inverse Hessians there, by central differences of the gradients."""
    gradients = jax.jit(jax.vmap(jax.value_and_grad(log_p)), compiler_options=COMPILER)

    def loss(z: Float64Array) -> tuple[float, Float64Array]:
        value, slope = gradients(jnp.asarray(z.reshape(M, size)), data)
        return -float(value.sum()), -np.asarray(slope).ravel()

    found = optimize.minimize(loss, np.zeros(M * size), jac=True, method="L-BFGS-B", options={"maxiter": 500})
    mode = found.x.reshape(M, size)
    columns = [
        (gradients(jnp.asarray(mode - step), data)[1] - gradients(jnp.asarray(mode + step), data)[1]) / (2 * STEP)
        for step in STEP * np.eye(size)
    ]
    hessian = np.stack([np.asarray(column) for column in columns], -1)
    precision, axes = np.linalg.eigh((hessian + hessian.swapaxes(1, 2)) / 2)
    deviation = 1 / np.sqrt(np.maximum(precision, 1 / LARGEST_VARIANCE))
    return jnp.asarray(mode), jnp.asarray(axes * deviation[:, None, :])


def _chains(
    log_p: Callable[[jax.Array, ModelData], jax.Array],
    data: ModelData,
    mode: jax.Array,
    root: jax.Array,
    seed: int,
    warmup: int,
    draws: int,
) -> tuple[jax.Array, Mapping[str, Float64Array]]:
    """Draws [M, chain * draw, D] and the sampler's statistics [chain,draw,M]."""
    M, size = mode.shape
    over_cells = jax.vmap(whitened(log_p, "HMC", warmup, draws, TRAJECTORY))
    over_chains = compiled(jax.vmap(over_cells, in_axes=(0, 0, None, None, None)))
    words = seed_sequence(seed, "calibration", "keys").generate_state(CHAINS * M).reshape(CHAINS, M)
    first = OVERDISPERSED * host_generator(seed, "calibration", "start").normal(size=(CHAINS, M, size))
    keys = jax.vmap(jax.vmap(jax.random.PRNGKey))(words)
    z, *traces = over_chains(keys, first, data, mode, root)
    drawn = np.asarray(mode)[:, None, None] + z.swapaxes(0, 1) @ np.asarray(root)[:, None].swapaxes(-1, -2)
    return jnp.asarray(drawn.reshape(M, -1, size)), {
        name: np.asarray(trace).swapaxes(1, 2) for name, trace in zip(Chain._fields[1:], traces, strict=True)
    }


def model_data(cells: Sequence[CellData]) -> ModelData:
    """Of all cells, stacked along a first axis."""
    columns = {name: np.stack([np.asarray(getattr(cell, name), float) for cell in cells]) for name in CellData._fields}
    own, own_anywhere, centre, scale = (
        columns[name][:, None, None] for name in ("shared", "shared_anywhere", "centre", "scale")
    )
    host = {
        "images": columns["images"] / (1 - own),
        "correct": columns["correct"] / (1 - own),
        "logit": mean_logit(columns["confidence"], columns["images"]),
        "luck": columns["luck"],
        "common_luck": columns["common_luck"],
        "group_images": columns["group_images"] / (1 - own_anywhere),
        "group_correct": columns["group_correct"] / (1 - own_anywhere),
        "group_logit": columns["group_logit"],
        "group_x": (columns["group_logit"] - centre) / scale,
        "luck_root": columns["luck_root"],
        "seed_line": columns["seed_line"],
        "own_variance": columns["own_variance"],
        "several": columns["several"],
    }
    return ModelData(**{name: jnp.asarray(value) for name, value in host.items()})
