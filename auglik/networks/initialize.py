"""A network's initial weights, which depend on the seed and on each parameter's name alone."""

import math

import torch
from torch import Tensor, nn

from auglik.networks.layers import FilterResponseNorm
from auglik.networks.libraries import LibraryModule
from auglik.networks.randomness import Uniforms
from auglik.system.keys import device_generator


def initialize(network: nn.Module, classes: int, seed: int, kept: bool = False) -> None:
    """Sets every parameter in place: convolutions and linear layers U(+-1/sqrt(fan_in)), norms as they reset.

    That is torch's default rule. The rows of `head` beyond `classes` (a sink) have separate generators, so that all
    the rest is bit-identical with and without them. The body that a library has initialized keeps its weights, and so
    does all but the head where they are to be `kept`. What the network draws while it trains gets its key. Raises
    TypeError for parameters that the rule does not cover.
    """
    initialized = kept or (isinstance(network, LibraryModule) and network.initialized)
    for name, module in network.named_modules():
        if isinstance(module, Uniforms):
            module.reset(seed, name)
        elif initialized and module is not network.head:
            continue
        elif isinstance(module, nn.Conv2d | nn.Linear):
            rows = classes if module is network.head else len(module.weight)
            bound = 1 / math.sqrt(module.weight[0].numel())
            for key, parameter in module.named_parameters(prefix=name):
                draw_uniform(parameter.detach()[:rows], bound, seed, key)
                draw_uniform(parameter.detach()[rows:], bound, seed, key, "sink")
        elif isinstance(module, nn.BatchNorm2d | FilterResponseNorm):
            module.reset_parameters()
        elif [*module.parameters(recurse=False)]:
            raise TypeError(
                "expected convolutions, linear layers, batch and filter response norms,"
                f" got {type(module).__name__} at {name!r}"
            )


def draw_uniform(values: Tensor, bound: float, seed: int, *key: str) -> None:
    """Fills `values` from U(-bound, bound), by the key."""
    values.uniform_(-bound, bound, generator=device_generator(torch.device("cpu"), seed, "initial weights", *key))
