"""Galleries that do not fit the device: the same views, weights and scores, bit for bit, and what is read when."""

import dataclasses
import math
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from auglik import RunConfig, change, open_dataset, read_facts, resolve
from auglik.data.images import LazyImages
from auglik.objectives import InputError, Schedule
from auglik.runs.resolved import settings_hash
from auglik.runs.results import Results
from auglik.runs.run import Job, execute
from auglik.views import Gallery, Mollification, Pipeline
from auglik.views.augmentations.fcr import FlipCropRotate, fetch
from auglik.views.memory import fits, free_bytes
from auglik.views.registry import read_augmentations
from auglik.views.streaming import AHEAD, ReadAhead, StreamedPixels
from tests import tiny
from tests.tiny import SETTINGS

CPU = torch.device("cpu")
STREAMED = "auglik.views.store.fits"


def no_room(*_: object) -> bool:
    return False


def galleries(images: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch) -> tuple[Gallery, Gallery]:
    """Resident and streamed, of the same images."""
    statistics = [0.4, 0.5, 0.6][: images.shape[1]], [0.2, 0.3, 0.25][: images.shape[1]]
    resident = Gallery.pack(images, *statistics, CPU)
    monkeypatch.setattr(STREAMED, no_room)
    streamed = Gallery.pack(images, *statistics, CPU)
    assert isinstance(resident.pixels, torch.Tensor)
    assert isinstance(streamed.pixels, StreamedPixels)
    return resident, streamed


@pytest.mark.parametrize("channels", [1, 3])
def test_a_streamed_gallery_shows_what_a_resident_one_does(
    channels: int, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = rng.integers(0, 256, (9, channels, 6, 5), dtype=np.uint8)
    resident, streamed = galleries(images, monkeypatch)
    assert (len(streamed), streamed.shape) == (len(resident), resident.shape)
    positions = torch.tensor([7, 0, 7, 3])
    assert streamed.clean(slice(2, 20)).equal(resident.clean(slice(2, 20)))
    assert streamed.levels(positions).equal(torch.from_numpy(images[[7, 0, 7, 3]]))
    assert streamed.clean(positions).equal(resident.clean(positions))
    drawn = FlipCropRotate().draw(rng, 4, resident.shape)
    parameters = [torch.from_numpy(drawn[name]) for name in ("flip", "top", "left", "cos", "sin")]
    assert fetch(streamed, positions, *parameters).equal(fetch(resident, positions, *parameters))


@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize("augment", ["none", "fcr", "mixup,fcr", "cutmix,trivial-augment,random-erasing"])
def test_views_are_the_same_bit_for_bit(
    augment: str, announced: bool, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    resident, streamed = galleries(rng.integers(0, 256, (40, 3, 8, 8), dtype=np.uint8), monkeypatch)
    mixing, steps = read_augmentations(augment, FlipCropRotate(padding=2))
    pipeline = Pipeline(resident.shape, steps, Mollification(Schedule()), mixing)
    draws = pipeline.draw(1, 0, 2, 40, CPU)
    labels = torch.arange(40) % 10
    order = rng.permutation(40)
    batches = [order[:16], order[16:32], order[32:]]
    if announced:
        pipeline.announce(streamed, draws, batches)
    for batch in batches:
        expected = pipeline.render(resident, draws, batch)
        found = pipeline.render(streamed, draws, batch)
        assert found.images.equal(expected.images)
        assert found.decay.equal(expected.decay)
        assert found.labels(labels, 10).equal(expected.labels(labels, 10))


def test_batches_are_read_ahead_each_once_and_in_order() -> None:
    read: list[tuple[str, int]] = []
    arrived = threading.Semaphore(0)

    def slow(positions: NDArray[np.int64]) -> torch.Tensor:
        read.append((threading.current_thread().name, int(positions[0])))
        arrived.release()
        return torch.from_numpy(positions * 2)

    ahead = ReadAhead(slow)
    batches = [np.array([index]) for index in range(5)]
    ahead.announce(batches)
    for _ in range(AHEAD):
        assert arrived.acquire(timeout=10)
    assert [position for _, position in read] == list(range(AHEAD))  # before any was asked for, and no more than these
    for batch in batches:
        assert ahead.take(batch).equal(torch.from_numpy(batch * 2))
    assert [position for _, position in read] == [0, 1, 2, 3, 4]
    assert {name.split("_")[0] for name, _ in read} == {"read ahead"}
    assert ahead.take(batches[3]).equal(torch.tensor([6]))
    assert read[-1] == (threading.current_thread().name, 3)


def test_what_goes_wrong_ahead_is_raised_where_it_is_asked_for() -> None:
    def damaged(positions: NDArray[np.int64]) -> torch.Tensor:
        raise InputError("cat.jpg: damaged")

    ahead = ReadAhead(damaged)
    ahead.announce([np.array([1])])
    with pytest.raises(InputError, match=r"cat\.jpg"):
        ahead.take(np.array([1]))


def test_lazy_images_that_fit_are_read_once(monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> None:
    images = rng.integers(0, 256, (10, 3, 4, 4), dtype=np.uint8)
    count = 0

    def read(rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        nonlocal count
        count += len(rows)
        return images[rows]

    monkeypatch.setattr("auglik.data.images.CHUNK_BYTES", 3 * 48)
    gallery = Gallery.pack(LazyImages(read, np.arange(10), (3, 4, 4)), [0.5] * 3, [0.2] * 3, CPU)
    whole = Gallery.pack(images, [0.5] * 3, [0.2] * 3, CPU)
    for _ in range(2):
        assert gallery.clean(slice(None)).equal(whole.clean(slice(None)))
    assert count == 10


def test_images_fit_by_half_of_what_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auglik.views.memory.free_bytes", lambda device: 2 * 10 * 12 * 4)
    nothing = LazyImages(lambda rows: np.empty(0, np.uint8), np.arange(10), (3, 4, 3))
    assert fits(nothing, CPU)
    assert not fits(dataclasses.replace(nothing, rows=np.arange(11)), CPU)
    assert fits(dataclasses.replace(nothing, rows=np.arange(40), image_shape=(1, 4, 3)), CPU)


def test_free_memory_heeds_control_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = free_bytes(CPU)
    assert 2**20 < machine < 2**50
    monkeypatch.setattr("auglik.system.cgroups.free_memory", lambda: 570_000)
    assert free_bytes(CPU) == 570_000
    monkeypatch.setattr("auglik.system.cgroups.free_memory", lambda: math.inf)
    assert free_bytes(CPU) > 2**20


def made_folder(root: Path) -> Path:
    """Thirty training and eight test images in two classes."""
    for part, count in (("train", 15), ("val", 4)):
        for label, name in enumerate(("dark", "light")):
            for index in range(count):
                noise = np.random.default_rng([label, index]).integers(100 * label, 100 * label + 100, (24, 20, 3))
                path = root / part / name / f"{index}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(noise.astype(np.uint8)).save(path)
    return root


def outcome(dataset: str, folder: Path, **changes: object) -> tuple[dict[str, torch.Tensor], Results]:
    """The weights of a tiny run, and what it says of itself but its times."""
    source = open_dataset(dataset)
    facts = read_facts(source)
    asked = change(RunConfig(), {**SETTINGS, "device": "cpu", "dataset": dataset, **changes})
    run = resolve(asked, source, facts)
    results = execute(
        Job(
            cell="cell",
            run=run,
            settings=settings_hash(run, facts.digest),
            folder=folder,
            data_dir=Path("data"),
            threads=1,
        )
    )
    weights = torch.load(folder / "checkpoint.pt", weights_only=False)["network"]
    return weights, tiny.without_times(results)


@pytest.mark.parametrize("augment", ["fcr", "mixup,fcr"])
def test_a_streamed_run_is_the_same_run(tmp_path: Path, augment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[Callable[[Path], tuple[dict[str, torch.Tensor], Results]]] = [
        lambda folder: outcome("digits", folder, augment=augment, validation_fraction=0.1),
        lambda folder: outcome(
            f"{made_folder(tmp_path / 'made')}:size=16", folder,
            augment=augment, validation_fraction=0.2, train_images=None, batch_size=8,
        ),
    ]  # fmt: skip
    for number, run in enumerate(compared):
        expected, results = run(tmp_path / f"resident-{number}")
        with monkeypatch.context() as patch:
            patch.setattr(STREAMED, no_room)
            found, streamed_results = run(tmp_path / f"streamed-{number}")
        assert streamed_results == results
        assert all(found[name].equal(value) for name, value in expected.items())


def test_memory_that_torch_keeps_for_itself_counts_as_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda device: (100, 1000))
    monkeypatch.setattr("torch.cuda.memory_reserved", lambda device: 70)
    monkeypatch.setattr("torch.cuda.memory_allocated", lambda device: 30)
    assert free_bytes(torch.device("cuda")) == 140
