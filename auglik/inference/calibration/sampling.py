"""HMC on every cell at once, vectorized over cells and chains.

The cells' posteriors are sampled apart, each in coordinates in which its Laplace approximation is standard normal.
Two threads draw two chains each, on however many cores: a chain's numbers round by those that are drawn with it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray
from numpyro.handlers import seed as seeded
from numpyro.handlers import trace
from numpyro.infer.util import ParamInfo, constrain_fn, log_density
from scipy import optimize

from auglik.inference.calibration.data import CellData, mean_logit
from auglik.inference.calibration.model import ModelData, model
from auglik.inference.chains import OVERDISPERSED, SOONER, Chain, compiled, double_precision, lowered, whitened
from auglik.system.array_types import Float64Array
from auglik.system.keys import host_generator, seed_sequence

CHAINS, THREADS = 4, 2
STEP = 1e-4
TRAJECTORY = 1.5
"""Near pi/2, after which a standard normal has forgotten where it came from; NUTS takes three times as many steps."""
LARGEST_VARIANCE = 3.0
"""Of a whitened coordinate, in units of its prior's."""


Words = NDArray[np.uint32]
Gradients = Callable[[Float64Array], tuple[Float64Array, Float64Array]]
"""Of every cell at its own point, [M,D]: the log-densities [M] and their slopes [M,D]."""


class Draws(NamedTuple):
    """What HMC drew of M cells."""

    sites: Mapping[str, Float64Array]
    """Sites and deterministic values of the model, each [chain,draw,M,...]."""
    statistics: Mapping[str, Float64Array]
    """Of the sampler, each [chain,draw,M]."""


def sample(cells: Sequence[CellData], seed: int, warmup: int, draws: int) -> Draws:
    """Draws of every cell's posterior."""
    data = model_data(cells)
    size, unravel = _coordinates(ModelData(*(column[0] for column in data)))

    @jax.jit  # traced once for both programs
    def log_p(z: jax.Array, cell: ModelData) -> jax.Array:
        return log_density(model, (cell,), {}, unravel(z))[0]

    def deterministic(z: jax.Array | Float64Array, cell: ModelData) -> dict[str, jax.Array]:
        return constrain_fn(model, (cell,), {}, unravel(z), return_deterministic=True)

    gradients = compiled(jax.vmap(jax.value_and_grad(log_p)), SOONER)
    compile_chains = _chains(log_p, data, size, warmup, draws)
    with ThreadPoolExecutor(THREADS) as pool:
        chains = pool.submit(compile_chains)  # takes as long as finding the modes
        mode, root = _laplace(lambda z: gradients(z, data), len(cells), size)
        words, start = _starts(lambda z: gradients(z, data), mode, root, seed)
        run = chains.result()
        parts = pool.map(lambda part: run(*part, data, mode, root), _parts((words, start)))
        z, *traces = map(np.concatenate, zip(*parts, strict=True))
    z = (mode[:, None, None] + z.swapaxes(0, 1) @ root[:, None].swapaxes(-1, -2)).reshape(len(cells), -1, size)
    statistics = {name: trace.swapaxes(1, 2) for name, trace in zip(Chain._fields[1:], traces, strict=True)}
    values = compiled(jax.vmap(jax.vmap(deterministic, in_axes=(0, None))), SOONER)(z, data)
    shape = (len(cells), CHAINS, draws)
    arranged = {
        name: np.moveaxis(np.asarray(value).reshape(shape + value.shape[2:]), 0, 2) for name, value in values.items()
    }
    return Draws(arranged, statistics)


def _coordinates(cell: ModelData) -> tuple[int, Callable[[jax.Array | Float64Array], dict[str, jax.Array]]]:
    """How many coordinates all sites that are sampled have, and the sites of those of a point [D]."""

    def sites() -> dict[str, jax.Array]:
        found = trace(seeded(model, jax.random.PRNGKey(0))).get_trace(cell)
        return {
            name: site["value"] for name, site in found.items() if site["type"] == "sample" and not site["is_observed"]
        }

    with double_precision():
        shapes = {name: found.shape for name, found in jax.eval_shape(sites).items()}  # to run it takes seconds
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes.values()])

    def unravel(z: jax.Array | Float64Array) -> dict[str, jax.Array]:
        parts = jnp.split(z, ends[:-1])
        return {name: part.reshape(shape) for part, (name, shape) in zip(parts, shapes.items(), strict=True)}

    return int(ends[-1]), unravel


def _laplace(gradients: Gradients, M: int, size: int) -> tuple[Float64Array, Float64Array]:
    """Modes [M,D] and symmetric roots [M,D,D] of the inverse Hessians there, by central differences of the gradients.

    Another root would turn with the rounding of the Hessian, whose axes are no axes where eigenvalues are equal.
    """

    def loss(z: Float64Array) -> tuple[float, Float64Array]:
        value, slope = gradients(z.reshape(M, size))
        return -float(value.sum()), -slope.ravel()

    found = optimize.minimize(loss, np.zeros(M * size), jac=True, method="L-BFGS-B", options={"maxiter": 500})
    mode = found.x.reshape(M, size)
    columns = [(gradients(mode - step)[1] - gradients(mode + step)[1]) / (2 * STEP) for step in STEP * np.eye(size)]
    hessian = np.stack(columns, -1)
    precision, axes = np.linalg.eigh((hessian + hessian.swapaxes(1, 2)) / 2)
    deviation = 1 / np.sqrt(np.maximum(precision, 1 / LARGEST_VARIANCE))
    return mode, (axes * deviation[:, None, :]) @ axes.swapaxes(1, 2)


def _chains(
    log_p: Callable[[jax.Array, ModelData], jax.Array], data: ModelData, size: int, warmup: int, draws: int
) -> Callable[[], Callable[..., Chain]]:
    """What compiles the chains of one thread: fields [chain,M,draw,...] from their starts, data, modes and roots."""
    chain = whitened(log_p, "HMC", warmup, draws, TRAJECTORY)
    over_cells = jax.vmap(lambda word, *rest: chain(jax.random.PRNGKey(word), *rest))
    over_chains = jax.vmap(over_cells, in_axes=(0, 0, None, None, None))
    mode, root = np.zeros((len(data.luck), size)), np.zeros((len(data.luck), size, size))
    words, z = np.zeros((CHAINS, len(mode)), np.uint32), np.zeros((CHAINS, *mode.shape))
    return lowered(over_chains, *next(_parts((words, ParamInfo(z, z[..., 0], z)))), data, mode, root)


def _starts(gradients: Gradients, mode: Float64Array, root: Float64Array, seed: int) -> tuple[Words, ParamInfo]:
    """The word of every chain's key [chain,M] and where it starts.

    The sampler would work out the latter itself, in a second copy of the gradient that takes seconds to compile.
    """
    M, size = mode.shape
    words = seed_sequence(seed, "calibration", "keys").generate_state(CHAINS * M).reshape(CHAINS, M).astype(np.uint32)
    first = OVERDISPERSED * host_generator(seed, "calibration", "start").normal(size=(CHAINS, M, size))
    values, slopes = map(np.stack, zip(*(gradients(mode + _times(root, z)) for z in first), strict=True))
    return words, ParamInfo(first, -values, -_times(root.swapaxes(1, 2), slopes))


def _parts(chains: tuple[Words, ParamInfo]) -> Iterator[tuple[Words, ParamInfo]]:
    """The chains of every thread."""
    words, start = chains
    for first in range(0, CHAINS, CHAINS // THREADS):
        part = slice(first, first + CHAINS // THREADS)
        yield words[part], ParamInfo(*(values[part] for values in start))


def _times(matrices: Float64Array, vectors: Float64Array) -> Float64Array:
    """[...,D,D], [...,D] -> [...,D]."""
    return np.asarray((matrices @ vectors[..., None])[..., 0])


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
    return ModelData(**{name: cast(jax.Array, value) for name, value in host.items()})  # which compiled code takes
