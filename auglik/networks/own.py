"""A user's own network: a class or function `(channels, outputs)` that returns a module, or a specification."""

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import nn

from auglik.networks.libraries import keyed
from auglik.networks.network import Network
from auglik.objectives.errors import InputError
from auglik.objectives.probes import cause, expect
from auglik.settings.registry import conforming

FACTS = {"learning_rate": 0.05, "warmup": 0.0, "nesterov": False, "small": False}
"""Of a network that does not say otherwise, as members of its class or function."""

KEPT = "a network that leaves its images as they are"
CHANGED = "one that changes them in place (its first layer has inplace=True, or calls a method like x.mul_(2)?)"

_OWN: set[type] = set()
"""The specifications that foreign code gave or meant."""


def accept(value: object) -> Network:
    """The specification that foreign code gives or means. Raises InputError for anything else."""
    if hasattr(value, "build"):
        given = conforming(value, "a network", Network)
        # Of a type of its own: the given one may be built in, and is then not initialized as foreign code is.
        own = dataclasses.make_dataclass(type(given).__name__, [], bases=(type(given),), frozen=True)
        _OWN.add(own)
        return cast(
            Network, own(**{item.name: getattr(given, item.name) for item in dataclasses.fields(own) if item.init})
        )
    if not callable(value):
        raise InputError(f"expected a network: a class or function (channels, outputs), got {value!r:.60}")
    fields: list[tuple[str, Any, object]] = []
    parameters = list(inspect.signature(value).parameters.values())
    if len(parameters) < 2:
        raise InputError("expected a network that takes channels and outputs, got fewer parameters")
    for place, item in enumerate(parameters):
        default = item.default
        if place < 2:
            if item.kind is not item.POSITIONAL_OR_KEYWORD or default is not item.empty:
                raise InputError(f"expected a network that takes channels and outputs first, got {item}")
        elif isinstance(default, int | float | str):
            said = type(default) if item.annotation is item.empty else item.annotation
            fields.append((item.name, said, dataclasses.field(default=default)))
        elif default is item.empty and item.kind is not item.VAR_KEYWORD:
            raise InputError(f"expected a default for every parameter after the first two, got none for {item.name}")
    facts = {name: getattr(value, name, default) for name, default in FACTS.items()}
    name = getattr(value, "__name__", "network")
    members = {"build": _build(value), **facts}
    made = dataclasses.make_dataclass(name, fields, namespace=members, frozen=True)
    _OWN.add(made)
    return cast(Network, made())


def is_own(network: Network) -> bool:
    """Whether the specification is foreign code's."""
    return type(network) in _OWN


def _build(value: Callable[..., nn.Module]) -> Callable[[object, int, int], nn.Module]:
    def build(self: object, channels: int, outputs: int) -> nn.Module:
        return value(channels, outputs, **dataclasses.asdict(self))  # type: ignore[call-overload]

    return build


def build_own(network: Network, channels: int, classes: int, outputs: int) -> nn.Module:
    """Its module, whose head gets the outputs that an objective adds once the rest has its weights.

    So these are the same with and without. Dropout and stochastic depth of torch, torchvision and timm become keyed.
    Raises InputError for a module without a linear layer `head` with that many outputs.
    """
    module = network.build(channels, classes)
    if not isinstance(module, nn.Module):
        raise InputError(f"expected a network that gives an nn.Module, got {type(module).__name__}")
    head = getattr(module, "head", None)
    if not isinstance(head, nn.Linear) or head.out_features != classes:
        got = "no such layer" if head is None else str(head)
        raise InputError(f"expected a network whose last layer is head = nn.Linear(features, outputs), got {got}")
    lazy = [name for name, part in module.named_parameters() if isinstance(part, nn.parameter.UninitializedParameter)]
    if lazy:
        raise InputError(f"expected parameters of known shapes, got lazy ones ({', '.join(lazy)})")
    if outputs != classes:
        module.head = nn.Linear(head.in_features, outputs)
    return keyed(module)


def check_forward(module: nn.Module, images: torch.Tensor, classes: int) -> None:
    """Raises InputError unless the network gives logits [B,classes] in training and in evaluation, with a gradient.

    Images that are given to it serve several networks, so it must leave them as they are.
    """
    module.train()  # which may return nothing, where a network keeps parts of it at rest
    with torch.enable_grad():
        found = _of_kept(module, images.clone())
        check_outputs(found, len(images), classes)
        if not found.requires_grad:
            raise InputError("expected logits with a gradient, got none: is the network's forward in torch.no_grad()?")
        try:
            found.sum().backward()
        except RuntimeError as error:
            raise InputError(f"expected logits that gradients go back through, got {cause(error)}") from None
    module.eval()
    with torch.no_grad():
        check_outputs(_of_kept(module, images.clone()), len(images), classes)


def _of_kept(module: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """What it gives. Raises InputError where that changes the images."""
    before = images._version  # counts changes, which values of black images need not show
    found = module(images)
    expect(images._version == before, KEPT, CHANGED)
    return cast(torch.Tensor, found)


def check_outputs(found: object, images: int, classes: int) -> None:
    """Raises InputError unless the network gave finite logits [images,classes]."""
    logits = found if isinstance(found, torch.Tensor) else torch.empty(0)
    if logits.shape != (images, classes) or not logits.is_floating_point():
        got = list(logits.shape) if logits is found else type(found).__name__
        raise InputError(f"expected floating logits [B,C] = {[images, classes]}, got {got}")
    if not bool(logits.isfinite().all()):
        raise InputError("expected finite logits of black images, got NaN or inf")
