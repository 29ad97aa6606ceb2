"""Networks by name, and one at its initial weights.

A name is one of NETWORKS, with parameters where it has some, `torchvision:NAME` or `timm:NAME`, or a user's own.
"""

import contextlib
from functools import lru_cache

import torch
from torch import nn

from auglik.networks.all_conv import AllConv
from auglik.networks.densenet import Densenet
from auglik.networks.efficientnet import EfficientnetB0
from auglik.networks.fast_resnet import FastResnet
from auglik.networks.googlenet import Googlenet
from auglik.networks.initialize import initialize
from auglik.networks.libraries import LIBRARIES
from auglik.networks.nasnet import Nasnet
from auglik.networks.network import Network
from auglik.networks.own import accept, build_own, check_forward, is_own
from auglik.networks.preact_resnet import PreactResnet
from auglik.networks.pyramidnet import Pyramidnet
from auglik.networks.resnet import Resnet
from auglik.networks.resnet_frn import ResnetFrn
from auglik.networks.resnext import Resnext
from auglik.networks.small_cnn import SmallCnn
from auglik.networks.wide_resnet import WideResnet
from auglik.objectives.errors import InputError
from auglik.settings.foreign import Code, said_of
from auglik.settings.registry import Registry
from auglik.system.keys import global_generator, seed_sequence

__all__ = [
    "LIBRARIES",
    "NETWORKS",
    "NETWORK_NAMES",
    "AllConv",
    "Densenet",
    "EfficientnetB0",
    "FastResnet",
    "Googlenet",
    "Nasnet",
    "Network",
    "PreactResnet",
    "Pyramidnet",
    "Resnet",
    "ResnetFrn",
    "Resnext",
    "SmallCnn",
    "WideResnet",
    "build_network",
    "canonical_network",
    "check_images",
    "find_network",
    "initialize",
]

ALL_SIZES_FROM = 4
"""Pixels a side from which those of NETWORKS take images of any size."""
NETWORKS: dict[str, Network] = {
    "small-cnn": SmallCnn(),
    "fast-resnet": FastResnet(),
    "preact-resnet-18": PreactResnet(depth=18),
    "preact-resnet-34": PreactResnet(depth=34),
    "preact-resnet-50": PreactResnet(depth=50),
    "preact-resnet-101": PreactResnet(depth=101),
    "resnet-18": Resnet(depth=18),
    "resnet-34": Resnet(depth=34),
    "resnet-50": Resnet(depth=50),
    "resnet-101": Resnet(depth=101),
    "resnet-20-frn": ResnetFrn(),
    "wide-resnet-28-10": WideResnet(depth=28, widen=10),
    "wide-resnet-40-2": WideResnet(depth=40, widen=2),
    "wide-resnet-40-10": WideResnet(depth=40, widen=10),
    "resnext-29": Resnext(),
    "densenet-40": Densenet(depth=40),
    "densenet-100": Densenet(depth=100),
    "all-conv": AllConv(),
    "googlenet": Googlenet(),
    "nasnet": Nasnet(),
    "pyramidnet-272": Pyramidnet(),
    "efficientnet-b0": EfficientnetB0(),
}

NETWORK_NAMES = Registry(
    kind="network", built_in=NETWORKS, group="auglik.networks", accept=accept, probe=lambda network: None
)

DEEPEST = 2000
"""The deepest published residual network has 1202 layers."""


def find_network(text: str) -> Network:
    """The network that `text` names.

    Raises InputError for an unknown name or parameter, and for a library that is not installed.
    """
    library, colon, model = text.partition(":")
    if library not in LIBRARIES:
        network = NETWORK_NAMES.parse(text)
        if (depth := getattr(network, "depth", 0)) > DEEPEST:
            raise InputError(f"network {text!r}: expected a depth of at most {DEEPEST:,}, got {depth:,}")
        return network
    if not colon:
        raise InputError(f"network {text!r}: expected {library}:NAME, the name of one of {library}'s models")
    return LIBRARIES[library](model)


def canonical_network(text: str) -> str:
    """`text` as it names a run: with only the parameters that differ from their defaults, a library's model as it is.

    The library need not be installed. Raises InputError for an unknown name or parameter of a network of NETWORKS.
    """
    return text if text.partition(":")[0] in LIBRARIES else NETWORK_NAMES.canonical(text)


def build_network(network: str | Network, channels: int, classes: int, outputs: int, seed: int) -> nn.Module:
    """The network (or that of the name) on the CPU, [B,channels,H,W] -> [B,outputs], at its initial weights of a seed.

    outputs exceeds classes by what an objective adds (a sink). The global random state is left as it was.
    Raises InputError for an unknown name or parameter, and for impossible counts.
    """
    specification = find_network(network) if isinstance(network, str) else network
    if channels < 1 or classes < 1 or outputs < classes:
        raise InputError(
            f"network {network!r}: expected channels >= 1 and outputs >= classes >= 1, "
            f"got {channels} channels, {classes} classes, {outputs} outputs"
        )
    # A library draws its initial weights from this generator; all other weights are drawn again.
    with global_generator(int(seed_sequence(seed, "library weights").generate_state(1)[0])):
        own = is_own(specification)
        built = build_own(specification, channels, classes, outputs) if own else specification.build(channels, outputs)
    initialize(built, classes, seed, kept=own)
    return built


def own_code(name: str) -> Code | None:
    """The foreign code of a network; None for those of NETWORKS and of libraries."""
    named = None if name.partition(":")[0] in LIBRARIES else NETWORK_NAMES.code(name)
    return None if named is None else named[1]


@lru_cache(maxsize=64)
def check_images(name: str, channels: int, height: int, width: int, images: int) -> None:
    """Raises InputError unless the network takes images of that shape, `images` of them in a training step."""
    if name.partition(":")[0] in NETWORKS and images > 1 and min(height, width) >= ALL_SIZES_FROM:
        return
    own, seen = own_code(name), min(images, 2)
    with torch.no_grad(), contextlib.nullcontext() if own is None else said_of(own):
        network = build_network(name, channels, 2, 2, seed=0)
        try:
            black = torch.zeros(seen, channels, height, width)
            if own is None:
                network(black)
            else:
                check_forward(network, black, 2)
        except InputError:
            raise
        except (RuntimeError, AssertionError, ValueError, IndexError, TypeError) as error:
            got = f"{channels} x {height} x {width} values{', one in a step' if images == 1 else ''}"
            reason = " ".join(str(error).split())[:120]
            raise InputError(f"network {name!r}: expected images that it can take, got {got} ({reason})") from None
