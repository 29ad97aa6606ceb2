"""Networks by name, and one at its initial weights."""

import torch
from torch import nn

from auglik.networks.fast_resnet import FastResnet
from auglik.networks.initialize import initialize
from auglik.networks.network import Network
from auglik.networks.preact_resnet import PreactResnet
from auglik.networks.small_cnn import SmallCnn
from objectives.errors import InputError
from objectives.names import parse

__all__ = ["NETWORKS", "FastResnet", "Network", "PreactResnet", "SmallCnn", "build_network", "initialize"]

NETWORKS: dict[str, Network] = {
    "small-cnn": SmallCnn(),
    "fast-resnet": FastResnet(),
    "preact-resnet-18": PreactResnet(depth=18),
    "preact-resnet-34": PreactResnet(depth=34),
    "preact-resnet-50": PreactResnet(depth=50),
    "preact-resnet-101": PreactResnet(depth=101),
}


def build_network(name: str, channels: int, classes: int, outputs: int, seed: int) -> nn.Module:
    """The network of that name on the CPU, [B,channels,H,W] -> [B,outputs], at its initial weights of that seed.

    outputs exceeds classes by what an objective adds (a sink). The global random state is left as it was.
    Raises InputError for an unknown name or parameter, and for counts that make no network.
    """
    specification = parse("network", name, NETWORKS)
    if channels < 1 or classes < 1 or outputs < classes:
        raise InputError(
            f"network {name!r}: expected channels >= 1 and outputs >= classes >= 1, "
            f"got {channels} channels, {classes} classes, {outputs} outputs"
        )
    with torch.random.fork_rng(devices=[]):
        network = specification.build(channels, outputs)
    initialize(network, classes, seed)
    return network
