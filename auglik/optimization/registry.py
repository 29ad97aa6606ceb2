"""Optimizers and rate schedules by name.

An optimizer is one of OPTIMIZERS, or `torch:NAME` for a class of torch.optim, with parameters where it has some.
"""

from auglik.objectives import InputError
from auglik.optimization import torch_optimizers
from auglik.optimization.adamw import AdamW
from auglik.optimization.contract import Optimizer, RateSchedule
from auglik.optimization.schedules import SCHEDULES
from auglik.optimization.sgd import Sgd
from auglik.settings.names import canonical, nearest, parse

OPTIMIZERS: dict[str, Optimizer] = {"sgd": Sgd(), "adamw": AdamW()}
TORCH = "torch"


def find_optimizer(text: str) -> Optimizer:
    """The optimizer that `text` names. Raises InputError for unknown names and parameters, and values out of range."""
    library, _, name = text.partition(":")
    if library == TORCH:
        return torch_optimizers.find(name)
    of_torch = {key.lower(): key for key in torch_optimizers.classes()}
    if library not in OPTIMIZERS and library.lower() in of_torch and library.lower() not in OPTIMIZERS:
        raise InputError(f"unknown optimizer {library!r}; did you mean 'torch:{of_torch[library.lower()]}'?")
    if library not in OPTIMIZERS and (known := nearest(library, OPTIMIZERS)).startswith("; known"):
        raise InputError(f"unknown optimizer {library!r}{known}, and torch:NAME for a class of torch.optim")
    return parse("optimizer", text, OPTIMIZERS)


def canonical_optimizer(text: str) -> str:
    """`text` with only the parameters that differ from their defaults. Raises InputError as `find_optimizer` does."""
    library, _, name = text.partition(":")
    find_optimizer(text)
    if library == TORCH:
        return f"{TORCH}:{torch_optimizers.canonical(name)}"
    return canonical("optimizer", text, OPTIMIZERS)


def find_schedule(text: str) -> RateSchedule:
    """The schedule that `text` names. Raises InputError as `find_optimizer` does."""
    return parse("rate schedule", text, SCHEDULES)


def canonical_schedule(text: str) -> str:
    """Likewise of a schedule."""
    return canonical("rate schedule", text, SCHEDULES)
