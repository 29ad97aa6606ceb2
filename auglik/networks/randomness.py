"""What networks draw while they train: uniforms of a key and a count that the state dict holds.

So a resumed run draws what an uninterrupted one would, every kind of device draws the same, and torch.compile sees
arithmetic. Image i of a batch gets the draws of index i: with K views in front, K = 2 draws the first of K = 4.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn

from auglik.keys import seed_sequence
from objectives.errors import InputError

WORD = 0xFFFFFFFF
ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
PARITY = 0x1BD11BDA
LEVELS = 2**16


def threefry(key: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Threefry-2x32-20 of the counters (x, y) under the key [2], all int64 that hold 32 bits each.

    Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3". No sum or shift here overflows int64.
    """
    keys = (key[0], key[1], key[0] ^ key[1] ^ PARITY)
    x, y = x + keys[0], (y + keys[1]) & WORD
    for injection in range(1, 6):
        for rotation in ROTATIONS[(injection + 1) % 2]:
            x = (x + y) & WORD
            y = (((y << rotation) | (y >> (32 - rotation))) ^ x) & WORD
        x = x + keys[injection % 3]
        y = (y + keys[(injection + 1) % 3] + injection) & WORD
    return x & WORD, y


class Uniforms(nn.Module):
    """Uniforms in (0,1) of any shape, other ones at each call, in steps of 2^-16: four come of one evaluation."""

    key: Tensor
    calls: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("key", torch.zeros(2, dtype=torch.int64))
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def reset(self, seed: int, name: str) -> None:
        """Begins the stream of that seed and name."""
        words = seed_sequence(seed, "network", name).generate_state(2, np.uint32)
        self.key.copy_(torch.from_numpy(words.astype(np.int64)))
        self.calls.zero_()

    def forward(self, *shape: int) -> Tensor:
        n = math.prod(shape)
        index = torch.arange((n + 3) // 4, device=self.key.device)
        words = torch.stack(threefry(self.key, index, self.calls), dim=-1)
        self.calls.add_(1)
        halves = torch.stack((words & (LEVELS - 1), words >> 16), dim=-1)
        return ((halves.flatten()[:n].float() + 0.5) / LEVELS).view(shape)


class Dropout(nn.Module):
    """x / (1-p) with probability 1-p for each element of [B,C,...], else 0; the identity in evaluation."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p
        self.uniforms = Uniforms()

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        B, C, *sides = x.shape
        drawn = self.uniforms(B, *sides, C).movedim(-1, 1)  # the order of channels_last
        return x * ((drawn >= self.p) / (1 - self.p)).to(x.dtype)


class StochasticDepth(nn.Module):
    """A branch of a residual block that whole images skip with probability p (Huang et al. 2016, arXiv:1603.09382)."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p
        self.uniforms = Uniforms()

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        kept = self.uniforms(len(x)) >= self.p
        return x * (kept / (1 - self.p)).to(x.dtype).view(-1, *[1] * (x.ndim - 1))


def dropout(p: float) -> list[nn.Module]:
    """The layers of a dropout: none where p is 0."""
    return [Dropout(p)] if p > 0 else []


def check_rate(network: str, name: str, rate: float) -> None:
    """Raises InputError for a rate outside of [0,1)."""
    if not 0 <= rate < 1:
        raise InputError(f"{network}: expected a {name} rate in [0,1), got {rate}")
