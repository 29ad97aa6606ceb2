"""Hamiltonian Monte Carlo: chains of NumPyro's kernels, in one compiled program and in float64 whatever JAX is set to.

numpyro.infer.MCMC would compile the same kernel three times, and thoroughly.
"""

import functools
import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple, ParamSpec, TypeVar

import jax
import numpy as np
from jax import Array
from numpyro.infer import NUTS
from numpyro.infer.hmc import HMCState, hmc
from numpyro.infer.util import ParamInfo

OVERDISPERSED = 1.5
"""Chains start that many standard deviations of the Laplace approximation from the mode."""
COMPILER = {"xla_llvm_disable_expensive_passes": "True"}  # compiles in 2/3 of the time, runs as fast
SOONER = COMPILER | {"xla_backend_optimization_level": "1", "xla_cpu_use_fusion_emitters": "False"}
"""In 1/3 of the time, which long trajectories lose again."""

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class Chain(NamedTuple):
    """The draws of one chain, those of its warm-up left out, and of each draw the sampler's statistics [draw]."""

    z: Array
    """[draw,...]"""
    diverging: Array
    n_steps: Array
    """Leapfrog steps."""
    acceptance_rate: Array
    energy: Array


@contextmanager
def double_precision() -> Iterator[None]:
    """JAX in float64 with its usual promotions, in this thread and for the while."""
    home = jax if hasattr(jax, "enable_x64") else importlib.import_module("jax.experimental")  # before JAX 0.8
    with home.enable_x64(True), jax.numpy_dtype_promotion("standard"):  # NumPyro divides floats by integers
        yield


def compiled(
    function: Callable[Arguments, Result], options: Mapping[str, str] = COMPILER
) -> Callable[Arguments, Result]:
    """`function`, compiled at its first call and run in double precision; what it returns lies on the host."""
    return _in_double_precision(jax.jit(function, compiler_options=known_of(options)))


def lowered(
    function: Callable[Arguments, Result], *like: Arguments.args, **named: Arguments.kwargs
) -> Callable[[], Callable[Arguments, Result]]:
    """What compiles `function` SOONER, for arguments like these, in any thread; several may then run it at once.

    NumPyro keeps its handlers for all threads together, so that two may not trace models at once.
    """
    with double_precision():
        program = jax.jit(function, compiler_options=known_of(SOONER)).lower(*like, **named)
    return lambda: _in_double_precision(program.compile())


def _in_double_precision(run: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    def in_double_precision(*arguments: Arguments.args, **named: Arguments.kwargs) -> Result:
        with double_precision():
            return jax.tree.map(np.asarray, run(*arguments, **named))

    return in_double_precision


def known_of(options: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in options.items() if _known(name, value)}


@functools.lru_cache
def _known(name: str, value: str) -> bool:
    """Whether this version of XLA has the option: they come and go, and one that it lacks is an error."""
    try:
        jax.jit(lambda: 0, compiler_options={name: value}).lower().compile()
    except RuntimeError:
        return False
    return True


def whitened(
    log_density: Callable[..., Array],
    algorithm: Literal["HMC", "NUTS"],
    warmup: int,
    draws: int,
    trajectory: float = 2 * np.pi,
) -> Callable[..., Chain]:
    """Chains of exp log_density(phi, *data), to be mapped over and compiled.

    chain(key, start z [D], *data, mode [D], root [D,D]) draws z with phi = mode + root z; where root root^T is the
    inverse Hessian at the mode, z is about standard normal: the step alone is adapted. HMC goes `trajectory` a draw.
    The start may be NumPyro's ParamInfo, of z, minus log_density there and the slope of that in z.
    """

    def potential(*posterior: Array) -> Callable[[Array], Array]:
        *data, mode, root = posterior
        return lambda z: -log_density(mode + root @ z, *data)

    start, step = hmc(potential_fn_gen=potential, algo=algorithm)

    def chain(key: Array, z: Array | ParamInfo, *posterior: Array) -> Chain:
        state = start(
            z,
            warmup,
            step_size=0.5,
            adapt_mass_matrix=False,
            trajectory_length=trajectory,
            model_args=posterior,
            rng_key=key,
        )
        return _run(state, lambda state: step(state, posterior), lambda z: z, warmup, draws)

    return chain


def one_by_one(chain: Callable[..., Chain], keys: Array, starts: Iterable[Any], *posterior: Any) -> Chain:  # noqa: ANN401
    """Chains of a compiled `chain` [chain,draw], one after the other: half of what a map takes to trace and compile."""
    found = [chain(key, start, *posterior) for key, start in zip(keys, starts, strict=False)]
    return jax.tree.map(lambda *columns: np.stack(columns), *found)


def of_model(model: Callable[..., None], site: str, warmup: int, draws: int) -> Callable[..., Chain]:
    """Chains of NUTS, with its own adaptation, of a NumPyro model: chain(key, *data) draws z, the values of `site`."""

    def chain(key: Array, *data: Array) -> Chain:
        kernel = NUTS(model)
        state = kernel.init(key, warmup, None, data, {})
        constrain = kernel.postprocess_fn(data, {})
        return _run(state, lambda state: kernel.sample(state, data, {}), lambda z: constrain(z)[site], warmup, draws)

    return chain


def _run(
    state: HMCState,
    advance: Callable[[HMCState], HMCState],
    place: Callable[[Array], Array],
    warmup: int,
    draws: int,
) -> Chain:
    def step(state: HMCState, _: None) -> tuple[HMCState, Chain]:
        state = advance(state)
        return state, Chain(
            z=place(state.z),
            diverging=state.diverging,
            n_steps=state.num_steps,
            acceptance_rate=state.accept_prob,
            energy=state.energy,
        )

    _, chain = jax.lax.scan(step, state, None, length=warmup + draws)
    return Chain(*(column[warmup:] for column in chain))
