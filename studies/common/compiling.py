"""How the studies compile: each JAX function runs once or twice, so compiling it is nearly all of its time."""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import jax

from auglik.inference.chains import known_of

QUICKLY = {
    "xla_backend_optimization_level": "0",
    "xla_llvm_disable_expensive_passes": "True",
    "xla_cpu_use_fusion_emitters": "False",
}
"""Compiler options that make compilation quick rather than thorough; float64 results agree to rounding."""

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def quickly(function: Callable[Arguments, Result], **options: Any) -> Callable[Arguments, Result]:  # noqa: ANN401
    """`function` under jax.jit with these options, compiled QUICKLY; not to be traced by another function's jit.

    XLA is asked which options it has at the first call: asking starts JAX, which no import may.
    """

    @functools.cache
    def jitted() -> Callable[Arguments, Result]:
        return jax.jit(function, compiler_options=known_of(QUICKLY), **options)

    def run(*arguments: Arguments.args, **named: Arguments.kwargs) -> Result:
        return jitted()(*arguments, **named)

    return run
