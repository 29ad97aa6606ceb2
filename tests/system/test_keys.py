"""Keyed generators: a draw depends on its key alone."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from auglik.system.keys import device_generator, host_generator

CPU = torch.device("cpu")
Key = tuple[int, tuple[int | str, ...]]
KEYS: list[Key] = [
    (0, ()),
    (1, ()),
    (2**40, ()),
    (0, (0, 1)),
    (0, (1, 0)),
    (0, (1,)),
    (0, ("training",)),
    (0, ("evaluation",)),
    (0, ("tracking",)),
    (0, ("training", 0, 1)),
    (0, ("training", 1, 0)),
    (1, ("training", 1, 0)),
]


def host_draws(key: Key) -> bytes:
    return host_generator(key[0], *key[1]).random(4).tobytes()


def device_draws(key: Key) -> bytes:
    return torch.rand(4, generator=device_generator(CPU, key[0], *key[1])).numpy().tobytes()


@pytest.mark.parametrize("draws", [host_draws, device_draws])
def test_a_key_determines_its_draws_and_no_other_key_shares_them(draws: Callable[[Key], bytes]) -> None:
    drawn = [draws(key) for key in KEYS]
    assert len(set(drawn)) == len(KEYS)
    assert [draws(key) for key in reversed(KEYS)] == drawn[::-1]


def test_neither_other_draws_nor_global_seeds_matter() -> None:
    expected = host_draws(KEYS[-1]), device_draws(KEYS[-1])
    torch.manual_seed(1)
    generators = [host_generator(seed, *key) for seed, key in KEYS]
    for generator in generators[:-1]:
        generator.random(7)
    assert generators[-1].random(4).tobytes() == expected[0]
    before = torch.random.get_rng_state()
    assert device_draws(KEYS[-1]) == expected[1]
    assert torch.equal(torch.random.get_rng_state(), before)


def test_views_of_neighbouring_keys_are_uncorrelated() -> None:
    """64 keys, of neighbouring seeds, epochs and views: correlations of 4,000 draws within 5 standard errors of 0."""
    keys = [(seed, epoch, view) for seed in range(4) for epoch in range(4) for view in range(4)]
    drawn = np.stack([host_generator(seed, "views", epoch, view).random(4000) for seed, epoch, view in keys])
    standardized = (drawn - 0.5) * np.sqrt(12)
    correlations = standardized @ standardized.T / 4000
    assert np.abs(correlations[~np.eye(len(keys), dtype=bool)]).max() < 5 / np.sqrt(4000)
