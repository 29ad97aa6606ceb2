"""Any optimizer of torch.optim, by the name of its class."""

import difflib
import inspect
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import torch
from torch import nn

from auglik.objectives import InputError
from auglik.settings.names import Value, read_values, with_values

SHARED_ARGUMENTS = {"params", "lr", "weight_decay"}
"""Arguments that settings of their own give."""
IMPLEMENTATION = {"foreach", "fused", "maximize", "capturable", "differentiable"}
INSTEAD = {
    "SGD": "it is called sgd here, with the settings momentum and nesterov",
    "AdamW": "it is called adamw here",
    "LBFGS": "it computes the loss several times a step, and a step of a run has one",
    "SparseAdam": "it takes sparse gradients alone, and networks have dense ones",
    "Muon": "it takes matrices alone, and networks have convolutions and biases too",
    "Rprop": "it chooses its own step sizes, so that no learning rate or schedule would act on it",
}
"""Why classes of torch.optim are not taken."""


@dataclass(frozen=True)
class TorchOptimizer:
    """A class of torch.optim with the values in which it differs from torch's defaults."""

    name: str
    changed: tuple[tuple[str, Value], ...]
    takes_momentum: ClassVar[bool] = False

    @property
    def learning_rate(self) -> float | None:
        return float(inspect.signature(class_of(self.name)).parameters["lr"].default)

    @property
    def weight_decay(self) -> float:
        return float(inspect.signature(class_of(self.name)).parameters["weight_decay"].default)

    def build(
        self, parameters: Iterable[nn.Parameter], *, weight_decay: float, momentum: float, nesterov: bool
    ) -> torch.optim.Optimizer:
        return class_of(self.name)(parameters, lr=0.0, weight_decay=weight_decay, **dict(self.changed))


def classes() -> dict[str, Callable[..., torch.optim.Optimizer]]:
    """All of torch.optim by name."""
    return {
        key: value
        for key, value in vars(torch.optim).items()
        if isinstance(value, type) and issubclass(value, torch.optim.Optimizer) and value is not torch.optim.Optimizer
    }


def class_of(name: str) -> Callable[..., torch.optim.Optimizer]:
    """Raises InputError for a class that torch.optim lacks, and for one that cannot train a network here."""
    found = classes()
    if name in INSTEAD:
        raise InputError(f"optimizer torch:{name}: {INSTEAD[name]}")
    if name not in found:
        lower = {key.lower(): key for key in found if key not in INSTEAD}
        near = [lower[key] for key in difflib.get_close_matches(name.lower(), lower, n=1, cutoff=0.5)]
        hint = f"did you mean 'torch:{near[0]}'?" if near else f"known: {', '.join(sorted(lower.values()))}"
        raise InputError(f"unknown optimizer 'torch:{name}'; {hint}")
    return found[name]


def values_of(name: str) -> dict[str, Value]:
    """The parameters of a class that are numbers, several numbers, or true and false, at torch's defaults."""
    values: dict[str, Value] = {}
    for key, parameter in inspect.signature(class_of(name)).parameters.items():
        default = parameter.default
        if key in SHARED_ARGUMENTS | IMPLEMENTATION:
            continue
        if isinstance(default, bool):
            values[key] = default
        elif isinstance(default, int | float):
            values[key] = float(default)
        elif isinstance(default, tuple) and all(isinstance(value, int | float) for value in default):
            values[key] = tuple(map(float, default))
    return values


@lru_cache(maxsize=64)
def find(text: str) -> TorchOptimizer:
    """`NAME` or `NAME:key=value:...`. Raises InputError for unknown names and parameters, and where a step fails."""
    name, _, rest = text.partition(":")
    known = values_of(name)
    given = read_values("optimizer", f"torch:{text}", rest, known) if rest else {}
    for key, value in given.items():
        default, numbers = known[key], value if isinstance(value, tuple) else (float(value),)
        count = len(default) if isinstance(default, tuple) else 1
        if len(numbers) != count or not all(map(math.isfinite, numbers)):
            expected = "a finite number" if count == 1 else f"{count} finite numbers"
            raise InputError(f"optimizer 'torch:{text}': expected {expected} for {key}")
    found = TorchOptimizer(name, tuple((key, given[key]) for key in known if given.get(key, known[key]) != known[key]))
    _check_steps(found, f"torch:{text}")
    return found


def canonical(text: str) -> str:
    """With only the values that differ from torch's, in torch's order. Raises InputError as `find` does."""
    found = find(text)
    return with_values(found.name, dict(found.changed))


def _check_steps(found: TorchOptimizer, text: str) -> None:
    """That it moves weights of the shapes that networks have, once it has their gradients."""
    weights = [nn.Parameter(torch.ones(shape)) for shape in ((2, 2, 3, 3), (2, 2), (2,))]
    try:
        optimizer = found.build(weights, weight_decay=found.weight_decay, momentum=0.0, nesterov=False)
        for weight in weights:
            weight.grad = torch.ones_like(weight)
        for group in optimizer.param_groups:
            group["lr"] = found.learning_rate
        optimizer.step()
    except (ValueError, TypeError, RuntimeError, IndexError, KeyError, AttributeError, ArithmeticError) as error:
        reason = " ".join(str(error).split())[:120]
        raise InputError(f"optimizer {text!r}: expected one that can take a step of a network, but {reason}") from None
