"""SimSiam (Chen & He 2021, arXiv:2011.10566): a network that predicts its own output for another view of the image."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity, normalize

from auglik.networks import Network, build_network
from auglik.networks.initialize import draw_uniform

WIDEST = 2048
"""The paper's projection; backbones of fewer than 512 features get four times their number."""


class Outputs(NamedTuple):
    """Projections z and their predictions p of two views, [B,d] each."""

    z: tuple[Tensor, Tensor]
    p: tuple[Tensor, Tensor]


class SimSiam(nn.Module):
    """A backbone to features, a projector of three layers, a predictor of two with a bottleneck."""

    def __init__(self, backbone: nn.Module, features: int, projection: int, bottleneck: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.projector = nn.Sequential(
            *layer(features, projection),
            *layer(projection, projection),
            nn.Linear(projection, projection, bias=False),
            nn.BatchNorm1d(projection, affine=False),
        )
        self.width = projection
        """Of the outputs."""
        self.predictor = nn.Sequential(*layer(projection, bottleneck), nn.Linear(bottleneck, projection))

    def forward(self, first: Tensor, second: Tensor) -> Outputs:
        """Views [B,c,H,W]; each passes by itself, so that batch norm sees one view of every image at a time."""
        one, two = (self.projector(self.backbone(view)) for view in (first, second))
        return Outputs((one, two), (self.predictor(one), self.predictor(two)))


def layer(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs), nn.ReLU(inplace=True)]


def build_simsiam(
    network: str | Network, channels: int, projection: int | None, bottleneck: int | None, seed: int
) -> SimSiam:
    """SimSiam on the CPU around the network (or that of the name) without its head, at its initial weights of a seed.

    projection d is four times the features, at most 2048, and bottleneck a quarter of it, where they are None.
    Weights depend on the seed and their names alone; the global random state is left as it was.
    """
    backbone = build_network(network, channels, 1, 1, seed)
    head = backbone.head
    assert isinstance(head, nn.Linear)
    backbone.head = nn.Identity()
    width = projection or min(WIDEST, 4 * head.in_features)
    with torch.random.fork_rng(devices=[]):
        model = SimSiam(backbone, head.in_features, width, bottleneck or max(1, width // 4))
    for part in ("projector", "predictor"):
        for name, module in model.get_submodule(part).named_modules():
            if isinstance(module, nn.Linear):
                for key, parameter in module.named_parameters(prefix=f"{part}.{name}"):
                    draw_uniform(parameter.detach(), 1 / math.sqrt(module.in_features), seed, key)
    return model


def pair_losses(outputs: Outputs) -> Tensor:
    """-1/2 cos(p1, sg z2) - 1/2 cos(p2, sg z1), one value a pair [B] in [-1,1]; sg stops the gradient."""
    (z1, z2), (p1, p2) = ((a.float(), b.float()) for a, b in outputs)
    return -0.5 * (cosine_similarity(p1, z2.detach()) + cosine_similarity(p2, z1.detach()))


def output_std(z: Tensor) -> Tensor:
    """Standard deviation over the batch of z/|z| [B,d], averaged over d: 0 after a collapse, at best 1/sqrt(d)."""
    return normalize(z.detach().float()).std(0, correction=0).mean()
