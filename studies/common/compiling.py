"""How the studies compile: each JAX function runs once or twice, so compiling it is nearly all of its time."""

from typing import Any

QUICKLY: dict[str, Any] = {"xla_backend_optimization_level": "0", "xla_llvm_disable_expensive_passes": "True"}
"""Compiler options that make compilation quick rather than thorough; float64 results agree to rounding."""
