"""SplitMix64 against its published values, and its normals against N(0,1)."""

import shutil

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import special, stats

from auglik.system import splitmix
from auglik.system.keys import stream_key
from auglik.system.splitmix import GRID, SLICES, normal_slices, normals, sixteenths, streams, words

CPU = torch.device("cpu")
MASK = 2**64 - 1


def splitmix64(state: int) -> int:
    """The reference implementation's next(), in Python's integers: the word after the counter `state`."""
    z = (state + 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def unsigned(values: torch.Tensor) -> list[int]:
    return [value & MASK for value in values.flatten().tolist()]


def keyed(images: int, *key: int | str) -> NDArray[np.float64]:
    """Normals of images of 3x32x32 under a key, [images,3072]."""
    return normals(streams(stream_key(0, *key), torch.arange(images)), 3072).double().numpy()


def test_words_are_the_published_ones_of_splitmix64() -> None:
    found = unsigned(words(torch.tensor([1234567]), 5))
    assert found == [
        6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821,
    ]  # fmt: skip
    starts = torch.from_numpy(np.random.default_rng(0).integers(-(2**63), 2**63, 20))
    gamma = 0x9E3779B97F4A7C15
    expected = [splitmix64((start + j * gamma) & MASK) for start in unsigned(starts) for j in range(7)]
    assert unsigned(words(starts, 7)) == expected
    assert unsigned(streams(5, torch.arange(9))) == [splitmix64((5 + j * gamma) & MASK) for j in range(9)]


def test_sixteenths_are_the_parts_of_a_word() -> None:
    drawn = words(torch.tensor([3]), 50)
    shifts = torch.tensor([0, 16, 32, 48])
    expected = (((drawn[..., None] >> shifts) & 0xFFFF) + SLICES // 2) % SLICES  # int16 counts from -2^15
    assert torch.equal(sixteenths(drawn), expected.flatten(1).int())


def test_words_are_uniform() -> None:
    places = sixteenths(words(streams(1, torch.arange(500)), 2000)).flatten().numpy()
    counts = np.bincount(places, minlength=SLICES)
    assert stats.chisquare(counts).pvalue > 1e-3
    pairs = places[::2] // 256 * 256 + places[1::2] // 256
    assert stats.chisquare(np.bincount(pairs, minlength=SLICES)).pvalue > 1e-3


def test_slices_are_exact_multiples_with_the_moments_of_half_a_normal() -> None:
    slices = normal_slices(CPU).double().numpy()
    assert np.array_equal(slices * GRID, np.rint(slices * GRID))
    assert np.array_equal(slices, -slices[::-1])
    assert (np.diff(slices) > 0).all()
    m2, m4 = np.mean(slices**2), np.mean(slices**4)
    assert 2 * m2 == pytest.approx(1, abs=1e-8)
    assert (2 * m4 + 6 * m2**2) / (2 * m2) ** 2 == pytest.approx(2.9999, abs=1e-5)
    edges = special.ndtri(np.arange(SLICES + 1) / SLICES)
    means = SLICES * -np.diff(np.exp(-(edges**2) / 2)) / np.sqrt(4 * np.pi)
    np.testing.assert_allclose(slices[1:-1], means[1:-1], atol=2e-5)
    assert slices[-1] == pytest.approx(means[-1], abs=5e-3)


def test_normals_are_standard_normal() -> None:
    z = normals(streams(7, torch.arange(400)), 2500).double().numpy().ravel()
    n = len(z)
    assert abs(z.mean()) < 4 / np.sqrt(n)
    assert abs(z.var() - 1) < 4 * np.sqrt(2 / n)
    assert abs(stats.skew(z)) < 4 * np.sqrt(6 / n)
    assert abs(stats.kurtosis(z)) < 4 * np.sqrt(24 / n)
    assert stats.kstest(z, "norm").pvalue > 1e-3
    tail = special.ndtr(-4.0)
    assert abs(int((np.abs(z) > 4).sum()) - 2 * n * tail) < 4 * np.sqrt(2 * n * tail)
    assert np.abs(z).max() <= 2 * float(normal_slices(CPU).max())


def test_neighbours_are_independent() -> None:
    """Pixels of an image, images, views, epochs and seeds: of each other, and of each other's squares."""
    base = keyed(60, "training", "pixel noise", 0, 0)
    others = [
        keyed(60, "training", "pixel noise", 0, 1),
        keyed(60, "training", "pixel noise", 1, 0),
        keyed(60, "evaluation", "pixel noise", 0, 0),
        np.roll(base, 1, axis=0),
        *(np.roll(base, lag, axis=1) for lag in (1, 2, 3, 32, 1024, 1536)),
    ]
    for other in others:
        for power in (1, 2):
            found = np.corrcoef(base.ravel() ** power, other.ravel() ** power)[0, 1]
            assert abs(found) < 4.5 / np.sqrt(base.size)


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 8, 8), (3, 5, 5), (1,)])
def test_an_image_has_its_noise_wherever_it_is_drawn(shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    index = torch.arange(100)
    whole = normals(streams(3, index), *shape)
    assert whole.shape == (100, *shape)
    order = torch.from_numpy(np.random.default_rng(0).permutation(100))
    assert torch.equal(normals(streams(3, index[order]), *shape), whole[order])
    monkeypatch.setattr(splitmix, "CACHED", 100)
    assert torch.equal(normals(streams(3, index), *shape), whole)
    assert normals(streams(3, index[:0]), *shape).shape == (0, *shape)


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_compiled_words_are_the_same() -> None:
    torch.compiler.reset()
    starts = streams(3, torch.arange(40))
    backend = "inductor" if torch.backends.cpu.get_cpu_capability() != "DEFAULT" else "aot_eager"
    compiled = torch.compile(lambda start: sixteenths(words(start, 50)), fullgraph=True, backend=backend)
    assert torch.equal(compiled(starts), sixteenths(words(starts, 50)))
    for shape in ((3, 4, 5), (7,)):
        drawn = torch.compile(lambda start, shape=shape: normals(start, *shape), fullgraph=True, backend=backend)
        assert torch.equal(drawn(starts), normals(starts, *shape))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_cuda_device_draws_the_same() -> None:
    index = torch.arange(50)
    assert torch.equal(normals(streams(3, index.cuda()), 3, 32, 32).cpu(), normals(streams(3, index), 3, 32, 32))
