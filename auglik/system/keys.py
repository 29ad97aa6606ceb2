"""Explicit random generators, each keyed by what it draws: (seed, purpose, epoch, view, ...).

A draw depends on its key alone, never on what was drawn before it, on the objective or on the batch size. What is drawn
for every pixel has a separate key for each image: see `splitmix`.
So runs with one seed see the same views, K = 2 sees a prefix of K = 4, and a resumed run needs no saved state.
"""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def seed_sequence(seed: int, *key: int | str) -> np.random.SeedSequence:
    """NumPy's documented mixing of a seed with a key; words enter by their CRC-32."""
    words = tuple(zlib.crc32(part.encode()) if isinstance(part, str) else part for part in key)
    return np.random.SeedSequence(seed, spawn_key=words)


def host_generator(seed: int, *key: int | str) -> np.random.Generator:
    """A NumPy generator for draws that are made on the host, the same on every device."""
    return np.random.Generator(np.random.PCG64(seed_sequence(seed, *key)))


def stream_key(seed: int, *key: int | str) -> int:
    """The key of a stream of `splitmix`: 64 bits, as a signed integer."""
    return int(seed_sequence(seed, *key).generate_state(1, np.uint64).view(np.int64)[0])


def device_generator(device: torch.device, seed: int, *key: int | str) -> torch.Generator:
    """A torch generator on `device`; its draws are the same on every machine of that kind of device."""
    state = int(seed_sequence(seed, *key).generate_state(1, np.uint64)[0] >> np.uint64(1))
    return torch.Generator(device).manual_seed(state)


@contextmanager
def global_generator(seed: int) -> Iterator[None]:
    """torch's own generator of the CPU, at that seed, for code that asks no other one; afterwards it is as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
