"""The batch transform: it shows what a run trains on, draws from its generator alone, and refuses what is not clear."""

import json
import pickle
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset, default_collate

from auglik import InputError, Views, ViewTransform, build_network, load_training, open_dataset, train
from auglik.objectives import AGGREGATORS, LIKELIHOODS, Objective
from auglik.runs.transform import pipeline
from auglik.views import Gallery, Shape
from tests import tiny
from tests.views.test_pinned_draws import of_values

GRAY = {"mean": [0.4], "std": [0.3]}
COLOUR = {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.25]}
EVERYTHING: dict[str, object] = {
    "augment": "cutmix,fcr,trivial-augment,random-erasing:background=pixel,additive-noise",
    "mollify": "noise,blur,both",
    "views": 3,
    "soften": "all:smoothed",
    "soften_into": "both",
}
"""Every stage of a view, with settings of a run."""


def transform(**settings: object) -> ViewTransform:
    return ViewTransform(**{**GRAY, **settings})  # type: ignore[arg-type]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def levels(rng: np.random.Generator, *shape: int) -> Tensor:
    return torch.from_numpy(rng.integers(0, 256, shape, dtype=np.uint8))


def assert_same(found: Views, expected: Views) -> None:
    assert torch.equal(found.images, expected.images)
    assert torch.equal(found.decay, expected.decay)
    assert (found.weight is None) == (expected.weight is None)
    if found.weight is not None and expected.weight is not None:
        assert torch.equal(found.weight, expected.weight)


@pytest.mark.parametrize(
    "settings", [{}, EVERYTHING, {"augment": "mixup,resized-crop", "mollify": "none", "compose": "published"}]
)
def test_a_loop_of_ones_own_has_the_losses_of_a_run(settings: dict[str, object], tmp_path: Path) -> None:
    """Bit for bit, with one number of threads."""
    run = tiny.run(seed=2, **settings)
    data = load_training(run, open_dataset("digits"))
    train(run, data, "hash", tmp_path)
    expected = [json.loads(line)["loss"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]

    standard = {"mean": data.mean, "std": data.std, "flip": 0.0, "classes": 10}
    augment = transform(**{"views": tiny.SETTINGS["views"], **settings, **standard})
    gallery, labels = data.training
    dataset = TensorDataset(gallery.levels(torch.arange(len(labels))), labels)
    network = build_network("small-cnn:width=4", 1, 10, 10, seed=2).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4, fused=True)
    steps = 2 * (len(dataset) // 32)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5 * (1 + np.cos(np.pi * step / steps)))
    objective, losses = Objective(LIKELIHOODS["smoothed"], AGGREGATORS["jensen"]), []
    for epoch in range(2):
        drawn = augment.epoch((len(labels), 1, 8, 8), seed=2, epoch=epoch)
        batches, total = drawn.batches(32), 0.0
        for where, (images, own) in zip(batches, DataLoader(dataset, batch_sampler=batches), strict=True):
            views = drawn(images, where)
            logits = network(views.images.flatten(0, 1)).unflatten(0, (augment.views, -1))
            loss = objective.loss(logits, views.decay, views.labels(own, 10), views.weight)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        losses.append(total / len(batches))
    assert losses == expected


@pytest.mark.parametrize("settings", [{}, EVERYTHING], ids=["default", "everything"])
@pytest.mark.parametrize("kind", ["levels", "unit", "standardized"])
def test_an_image_has_its_own_views_in_every_batch_and_from_every_kind_of_pixels(
    settings: dict[str, object], kind: str, rng: np.random.Generator
) -> None:
    images = levels(rng, 13, 3, 12, 9)
    augment = transform(**{**settings, **COLOUR, "pixels": kind, "classes": 10})
    gallery = Gallery.pack(images.numpy(), COLOUR["mean"], COLOUR["std"], torch.device("cpu"))
    run = pipeline(augment, Shape(3, 12, 9))
    draws = run.draw(5, 1, augment.views, 13, torch.device("cpu"))
    given = {"levels": images, "unit": images / 255, "standardized": gallery.standardize(images)}[kind]
    drawn = augment.epoch(images.shape, seed=5, epoch=1)
    for size in (1, 4, 13):
        for where in drawn.batches(size):
            own = np.array(where[:size])
            batch = given[where]
            views = drawn(batch, torch.tensor(where, dtype=torch.int32))
            assert torch.equal(batch, given[where])
            expected = run.render(gallery, draws, own)
            assert_same(views, expected)
            labels = torch.arange(13) % 10
            assert torch.equal(views.labels(labels[where], 10), expected.labels(labels, 10))


def test_an_epoch_is_cut_into_whole_steps() -> None:
    first, second = (transform().epoch((10, 1, 8, 8), seed=0, epoch=epoch) for epoch in (0, 1))
    [order] = first.batches(99)
    assert sorted(order) == list(range(10))
    assert first.batches(4) == [order[:4], order[4:8]]
    assert second.batches(10) != [order]


def test_views_come_from_the_generator_alone(rng: np.random.Generator) -> None:
    images, augment = levels(rng, 6, 3, 8, 8), transform(**COLOUR, views=4, augment="fcr,additive-noise")
    torch.manual_seed(1)
    state, generator = torch.get_rng_state(), seeded()
    first, second = augment(images, generator=generator), augment(images, generator=generator)
    assert first.images.shape == (4, 6, 3, 8, 8)
    assert first.images.dtype == torch.float32
    assert first.decay.shape == (4, 6)
    assert not torch.equal(first.images, second.images)
    assert not torch.equal(first.decay, second.decay)
    torch.manual_seed(2)
    assert_same(augment(images, generator=seeded()), first)
    torch.manual_seed(1)
    assert torch.equal(torch.get_rng_state(), state)
    fewer = transform(**COLOUR, views=2, augment="fcr,additive-noise")(images, generator=seeded())
    assert torch.equal(fewer.images, first.images[:2])


def test_what_a_generator_draws_is_pinned() -> None:
    """Views that are moved by whole pixels are the same on every machine."""
    images = (torch.arange(5 * 64) % 256).to(torch.uint8).view(5, 1, 8, 8)
    augment = ViewTransform("fcr", mollify="none", rotation=0.0, mean=[0.0], std=[1.0])
    assert of_values(augment(images, generator=seeded()).images) == "31744298ac211dc5"


def test_the_distribution_is_that_of_the_settings(rng: np.random.Generator) -> None:
    """Without augmentation a view is the standardized image, mollified for a third each as its decay says."""
    images = levels(rng, 3000, 1, 4, 4)
    views = transform(augment="none", views=1)(images, generator=seeded())
    clean = views.decay[0] == 0
    assert abs(float(clean.float().mean()) - 1 / 3) < 4 * (2 / 9 / 3000) ** 0.5
    expected = (images.double() / 255 - 0.4) / 0.3
    torch.testing.assert_close(views.images[0][clean].double(), expected[clean], rtol=0, atol=1e-6)
    assert not np.allclose(views.images[0][~clean], expected[~clean])


def test_mixed_images_come_with_soft_labels(rng: np.random.Generator) -> None:
    images = torch.full((6, 1, 4, 4), 255, dtype=torch.uint8) * torch.tensor([0, 1, 0, 1, 0, 1])[:, None, None, None]
    augment = ViewTransform("mixup", mollify="none", views=2, mean=[0.0], std=[1.0])
    views = augment(images.to(torch.uint8), generator=seeded())
    labels = views.labels(torch.tensor([0, 1, 0, 1, 0, 1]), 2)
    assert labels.shape == (6, 2)
    torch.testing.assert_close(labels.sum(1), torch.ones(6))
    assert ((labels > 0.01) & (labels < 0.99)).any()
    torch.testing.assert_close(views.images.mean((2, 3, 4)), labels[:, 1].expand(2, -1), rtol=0, atol=0.5 / 255 + 1e-6)


def test_batches_of_other_sizes_and_shapes_go_through_one_transform(rng: np.random.Generator) -> None:
    augment = transform()
    for shape in ((1, 1, 8, 8), (5, 1, 8, 8), (2, 1, 32, 28)):
        assert augment(levels(rng, *shape), generator=seeded()).images.shape == (4, *shape)
    wide = augment(levels(rng, 4, 8, 8, 1).permute(0, 3, 1, 2), generator=seeded())
    assert wide.images.shape == (4, 4, 1, 8, 8)
    assert "padding=1," in pipeline(augment, Shape(1, 8, 8)).describe()
    assert "padding=4," in pipeline(augment, Shape(1, 28, 32)).describe()


def test_pickled_it_is_the_same(rng: np.random.Generator) -> None:
    augment, images = transform(**EVERYTHING, classes=10), levels(rng, 4, 1, 8, 8)
    views = augment(images, generator=seeded())
    again = pickle.loads(pickle.dumps(augment))
    assert again == augment
    assert_same(again(images, generator=seeded()), views)
    drawn = augment.epoch((4, 1, 8, 8), seed=0, epoch=0)
    [where] = drawn.batches(4)
    expected = drawn(images[where], where)
    assert_same(pickle.loads(pickle.dumps(drawn))(images[where], where), expected)


def collate(samples: list[tuple[Tensor, Tensor]], augment: ViewTransform, generator: torch.Generator | None) -> Views:
    images, _ = default_collate(samples)
    return augment(images, generator=torch.default_generator if generator is None else generator)


@pytest.mark.parametrize("copied", [True, False])
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning", "ignore:.*fork:RuntimeWarning")
def test_workers_of_a_loader_draw_apart_and_repeat_themselves(copied: bool) -> None:
    """Workers hold copies of one generator, anew each epoch, or their own: their seeds keep their draws apart."""
    dataset = TensorDataset(torch.zeros(8, 1, 4, 4, dtype=torch.uint8), torch.zeros(8))

    def epochs() -> list[Tensor]:
        work = partial(collate, augment=transform(), generator=seeded(3) if copied else None)
        loader = DataLoader(
            dataset, 2, num_workers=2, collate_fn=work, generator=seeded(4), multiprocessing_context="fork"
        )
        return [views.decay for _ in range(2) for views in loader]

    drawn, again = epochs(), epochs()
    assert len(drawn) == 8
    assert all(torch.equal(one, other) for one, other in zip(drawn, again, strict=True))
    assert not any(torch.equal(drawn[i], drawn[j]) for i in range(8) for j in range(i))


@pytest.mark.parametrize("mixed", ["fcr", "cutmix,fcr,trivial-augment"])
def test_within_compiled_code_and_autocast_its_numbers_are_the_same(mixed: str, rng: np.random.Generator) -> None:
    augment, images = transform(augment=mixed, views=2), levels(rng, 4, 1, 8, 8)
    drawn = augment.epoch((4, 1, 8, 8), seed=0, epoch=0)
    [where] = drawn.batches(4)

    def step(images: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        views = augment(images, generator=generator)
        return views.images * 2, views.decay, drawn(images[where], where).images

    expected = step(images, seeded())
    compiled = torch.compile(step, backend="eager")
    with torch.autocast("cpu", torch.bfloat16):
        for call in (step, compiled):
            for found, value in zip(call(images, seeded()), expected, strict=True):
                assert torch.equal(found, value)


IMAGES = torch.zeros(2, 1, 8, 8, dtype=torch.uint8)
UNIT = torch.full((2, 1, 8, 8), 0.5)


@pytest.mark.parametrize(
    ("settings", "images", "message"),
    [
        ({}, UNIT, "floats may be in \\[0,1\\] or standardized: choose"),
        ({}, IMAGES.long(), "expected levels of torch.uint8, got torch.int64"),
        ({"pixels": "unit"}, IMAGES, "expected unit of torch.float32, got torch.uint8"),
        ({"pixels": "unit"}, UNIT.half(), "augment before casting"),
        ({"pixels": "unit"}, UNIT * 510, "expected unit pixels of levels 0..255, got 65025"),
        ({"pixels": "unit"}, UNIT - 1.5, "got -255..-255"),
        ({"pixels": "unit"}, UNIT * torch.nan, "NaN"),
        ({"pixels": "standardized"}, UNIT * 10, "other statistics than mean and std"),
        ({"pixels": "standardized"}, UNIT / 7, "between two levels \\(different statistics, floats in \\[0,1\\]"),
        ({}, IMAGES[0], "expected a tensor \\[B,c,H,W\\] with c = 1 or 3, got \\[1, 8, 8\\] \\(a single image"),
        ({}, IMAGES.permute(0, 2, 3, 1), "channels last"),
        ({}, IMAGES[:0], "got \\[0, 1, 8, 8\\]"),
        ({}, IMAGES.numpy(), "got ndarray"),
        ({}, IMAGES.expand(-1, 3, -1, -1), "expected 1 channels, as in mean, got 3"),
        ({}, IMAGES.to("meta"), "on cpu or cuda, got meta"),
        ({"soften": "rotate:smoothed", "classes": 10, "rotation": 0.0}, IMAGES, "rotate.*never occurs"),
    ],
)
def test_images_that_are_not_clear_are_refused(settings: dict[str, object], images: Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message) as refusal:
        transform(**settings)(images, generator=seeded())
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"mean": [125.3]},
            "mean: expected 1 or 3 numbers from 0 to 1, one per channel, got \\[125.3\\].*divide by 255",
        ),
        ({"std": [0.0]}, "std: expected 1 or 3 numbers above 0 and up to 1"),
        ({"std": [0.1, 0.2]}, "std: expected 1 or 3"),
        ({"std": [0.1, 0.2, 0.3]}, "std: expected one number per channel, as in mean, got 3 for 1"),
        ({"mean": 0.5}, "mean: expected 1 or 3 numbers from 0 to 1, one per channel, got 0.5"),
        ({"mean": [float("nan")]}, "mean: expected"),
        ({"pixels": "floats"}, "pixels: expected levels, unit, standardized, got 'floats'"),
        ({"views": 0}, "views: expected an integer >= 1, got 0"),
        ({"augment": "fcrr"}, "unknown augmentation 'fcrr'; did you mean 'fcr'"),
        ({"mollify": "nois"}, "mollify: unknown role"),
        ({"soften": "all:smoothed"}, "soften: expected classes=C"),
        ({"flip": 2.0}, "flip: expected a probability"),
    ],
)
def test_settings_that_are_wrong_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message) as refusal:
        transform(**settings)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("generator", "message"), [(0, "got int"), (np.random.default_rng(0), "got Generator: draws are made on the host")]
)
def test_other_generators_are_refused(generator: torch.Generator, message: str) -> None:
    with pytest.raises(InputError, match=f"generator: expected a CPU torch.Generator, {message}"):
        transform()(IMAGES, generator=generator)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ([0], "expected the position of each image"),
        ([0.0, 1.0], "of float64"),
        ([0, -1], "expected positions 0..3, got -1..0"),
        ([0, 4], "expected positions 0..3, got 0..4"),
        (torch.zeros(2, dtype=torch.int64, device="meta"), "expected positions on the host, got meta"),
        ([0, 1], "images followed by their mixing partners"),
    ],
)
def test_places_that_are_not_the_images_are_refused(where: list[int], message: str) -> None:
    drawn = transform(augment="mixup").epoch((4, 1, 8, 8), seed=0, epoch=0)
    assert drawn.draws.mixing["partner"][0] != 1
    with pytest.raises(InputError, match=message):
        drawn(IMAGES, where)
    with pytest.raises(InputError, match="for images \\[1, 8, 8\\]"):
        drawn(torch.zeros(2, 1, 9, 9, dtype=torch.uint8), [0, 1])


def test_epochs_that_cannot_be_are_refused() -> None:
    for shape, seed, epoch in (((1, 8, 8), 0, 0), ((0, 1, 8, 8), 0, 0), ((4, 1, 8, 8), -1, 0), ((4, 1, 8, 8), 0, -1)):
        with pytest.raises(InputError, match="epoch: expected the shape \\[N,c,H,W\\] of all images"):
            transform().epoch(shape, seed=seed, epoch=epoch)
    with pytest.raises(InputError, match="batches: expected at least one image per step, got 0"):
        transform().epoch((4, 1, 8, 8), seed=0, epoch=0).batches(0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
def test_on_cuda_nothing_waits_and_the_draws_are_the_same(rng: np.random.Generator) -> None:
    augment, images = transform(**EVERYTHING, classes=10), levels(rng, 4, 1, 8, 8)
    drawn = augment.epoch((4, 1, 8, 8), seed=0, epoch=0)
    [where] = drawn.batches(4)
    expected = [augment(images, generator=seeded()), drawn(images[where], where)]
    on_device, generator = images.cuda(), seeded()
    mixed = on_device[where]
    for look in ("default", "error"):  # the first call copies statistics and tables
        torch.cuda.set_sync_debug_mode(look)
        found = [augment(on_device, generator=generator.manual_seed(0)), drawn(mixed, where)]
        torch.cuda.set_sync_debug_mode("default")
    for views, same in zip(found, expected, strict=True):
        assert views.images.is_cuda
        torch.testing.assert_close(views.decay.cpu(), same.decay)
        assert float((views.images.cpu() - same.images).abs().median()) < 1e-4
