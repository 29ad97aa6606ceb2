"""Random draws of networks in training: uniforms from a key and a count in the state dict.

So a resumed run draws what an uninterrupted one would, every kind of device draws the same, and torch.compile sees
arithmetic. Image i of a batch gets the draws of index i: with K views in front, K = 2 draws the first of K = 4, and
an image of a part of the batch draws what it would in the whole.
"""

import math

import torch
from torch import Tensor, nn

from auglik.objectives.errors import InputError
from auglik.system.keys import stream_key
from auglik.system.processes import Part
from auglik.system.splitmix import SLICES, sixteenths, streams, words


class Uniforms(nn.Module):
    """Uniforms in (0,1) of any shape, other ones at each call, in steps of 2^-16: four come of one word."""

    key: Tensor
    calls: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("key", torch.zeros((), dtype=torch.int64))
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))
        self.part: Part | None = None
        """Which images of the step the network sees, in each view, where another process sees the rest."""

    def reset(self, seed: int, name: str) -> None:
        """Begins the stream of that seed and name."""
        self.key.fill_(stream_key(seed, "network", name))
        self.calls.zero_()

    def forward(self, *shape: int) -> Tensor:
        n = math.prod(shape)
        if self.part is None:
            places = self._places(0, n)
        else:
            start, stop, total = self.part
            row, views = n // shape[0], shape[0] // (stop - start)
            before = range(0, views * total, total)
            places = torch.cat([self._places((view + start) * row, (view + stop) * row) for view in before])
        self.calls.add_(1)
        return ((places.float() + 0.5) / SLICES).view(shape)

    def _places(self, start: int, stop: int) -> Tensor:
        """The draws numbered `start` to `stop` - 1 of this call, as integers."""
        first = start // 4
        drawn = words(streams(self.key, self.calls[None]), (stop + 3) // 4 - first, first)
        return sixteenths(drawn).flatten()[start - 4 * first : stop - 4 * first]


class Dropout(nn.Module):
    """x / (1-p) with probability 1-p for each element of [B,C,...], else 0; the identity in evaluation.

    `by_image` leaves out whole images: of the branch of a residual block, stochastic depth (Huang et al. 2016,
    arXiv:1603.09382).
    """

    def __init__(self, p: float, *, by_image: bool = False) -> None:
        super().__init__()
        self.p = p
        self.by_image = by_image
        self.uniforms = Uniforms()

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        B, C, *sides = x.shape
        if self.by_image:
            drawn = self.uniforms(B).view(-1, *[1] * (x.ndim - 1))
        else:
            drawn = self.uniforms(B, *sides, C).movedim(-1, 1)  # the order of channels_last
        return x * ((drawn >= self.p) / (1 - self.p)).to(x.dtype)


def draw_part(network: nn.Module, part: Part) -> None:
    """Lets the network draw for that part of a step's images."""
    for module in network.modules():
        if isinstance(module, Uniforms):
            module.part = part


def dropout(p: float) -> list[nn.Module]:
    """The layers of a dropout: none where p is 0."""
    return [Dropout(p)] if p > 0 else []


def check_rate(network: str, name: str, rate: float) -> None:
    """Raises InputError for a rate outside of [0,1)."""
    if not 0 <= rate < 1:
        raise InputError(f"{network}: expected a {name} rate in [0,1), got {rate}")
