"""An orbit's views: all of them, in every epoch, what slices of padded images are; their log-mean is the exact one."""

import re

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, logsumexp

from auglik import InputError, ViewTransform, change
from auglik.runs.resolve import initial_network, training_pipeline
from auglik.runs.settings import RunConfig
from auglik.system.array_types import Float64Array
from auglik.views import Gallery, Mollification, Pipeline, Shape, Step
from auglik.views.augmentations.orbit import Orbit
from tests import tiny

CPU = torch.device("cpu")
ORBIT: dict[str, object] = {
    "augment": "orbit", "views": 9, "mollify": "none", "likelihood": "categorical", "aggregator": "log-mean",
}  # fmt: skip


def pipeline_of(orbit: Orbit, shape: Shape) -> Pipeline:
    return Pipeline(shape, (Step("orbit", orbit),), Mollification(tiny.config(mollify="none").view.schedule()))


def slices(images: Float64Array, shifts: int, flips: bool) -> Float64Array:
    """Every view of images [N,c,H,W], from those padded with zeros: [K,N,c,H,W]."""
    H, W, found = *images.shape[2:], []
    for mirrored in (images, images[..., ::-1])[: 1 + flips]:
        padded = np.pad(mirrored, ((0, 0), (0, 0), (shifts, shifts), (shifts, shifts)))
        for top in range(2 * shifts + 1):
            found += [padded[..., top : top + H, left : left + W] for left in range(2 * shifts + 1)]
    return np.stack(found)


@pytest.mark.parametrize(("shifts", "flips", "shape"), [(1, False, Shape(1, 8, 8)), (2, True, Shape(3, 12, 20))])
def test_views_are_slices_of_padded_images_and_no_two_alike(shifts: int, flips: bool, shape: Shape) -> None:
    levels = np.random.default_rng(0).integers(1, 256, (5, *shape), np.uint8)
    gallery = Gallery.pack(levels, [0.0] * shape.channels, [1.0] * shape.channels, CPU)
    orbit = Orbit(shifts, flips)
    pipeline = pipeline_of(orbit, shape)
    draws = pipeline.draw(3, 4, orbit.size, 5, CPU)
    views = pipeline.render(gallery, draws, np.arange(5)).images.numpy()
    np.testing.assert_allclose(views, slices(levels / 255, shifts, flips), atol=1e-6)
    for image in range(5):
        assert len({view.tobytes() for view in views[:, image]}) == orbit.size
    assert pipeline.operations() == {"identity", "crop", *(["flip"] if flips else [])}


def test_views_depend_on_no_seed_or_epoch_and_fewer_are_the_first() -> None:
    pipeline = pipeline_of(Orbit(1, True), Shape(1, 8, 8))
    whole, other = (pipeline.draw(seed, 5 * seed, 18, 7, CPU) for seed in (0, 1))
    assert all(np.array_equal(whole.parameters[name], other.parameters[name]) for name in whole.parameters)
    assert pipeline.draw(0, 0, 4, 7, CPU).view_digests() == whole.view_digests()[:4]
    with pytest.raises(InputError, match=re.escape("expected at most the 18 of Orbit(shifts=1, flips=True), got 19")):
        pipeline.draw(0, 0, 19, 7, CPU)


def test_a_view_drawn_at_random_is_any_of_them() -> None:
    orbit = Orbit(1, True)
    drawn = orbit.draw(np.random.default_rng(0), 18_000, Shape(1, 8, 8))
    counts = np.unique(np.stack([drawn["flip"], drawn["top"], drawn["left"]]), axis=1, return_counts=True)[1]
    assert len(counts) == 18
    assert np.abs(counts - 1000).max() < 5 * 1000**0.5


def test_the_log_mean_of_an_orbit_is_the_log_of_the_mean_over_it() -> None:
    """In NumPy, from the network's outputs for slices of padded images."""
    run = tiny.run(**ORBIT)
    pixels = np.random.default_rng(1).random((6, 1, 8, 8))
    labels = np.arange(6)
    levels = np.round(pixels * 255).astype(np.uint8)
    network = initial_network(run, 1, 10).eval()
    gallery = Gallery.pack(levels, [0.0], [1.0], CPU)
    pipeline = training_pipeline(run, gallery.shape, 10)
    views = pipeline.render(gallery, pipeline.draw(0, 0, 9, 6, CPU), np.arange(6))
    with torch.no_grad():
        logits = network(views.images.flatten(0, 1)).unflatten(0, (9, 6))
        ours = run.objective.loss(logits, views.decay, torch.from_numpy(labels), views.weight)
        sliced = torch.from_numpy(slices(levels / 255, 1, False)).float()
        theirs = torch.stack([network(images) for images in sliced]).double().numpy()
    at_label = log_softmax(theirs, -1)[:, np.arange(6), labels]
    exact = logsumexp(at_label, 0) - np.log(9)
    assert np.ptp(at_label, 0).min() > 1e-3
    assert float(ours) == pytest.approx(-exact.mean(), rel=1e-5)


def test_a_batch_transform_gives_all_views() -> None:
    transform = ViewTransform(views=9, augment="orbit", mollify="none", mean=(0.0,), std=(1.0,))
    images = torch.from_numpy(np.random.default_rng(2).integers(0, 256, (3, 1, 8, 8), np.uint8))
    views = transform(images, generator=torch.Generator().manual_seed(0)).images.numpy()
    np.testing.assert_allclose(views, slices(images.numpy() / 255, 1, False), atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"views": 4}, "views: expected 9, all views of orbit, got 4"),
        ({"augment": "orbit:flips=true"}, "views: expected 18, all views of orbit:flips=true, got 9"),
        ({"mollify": "noise"}, "augment: expected nothing beside orbit, and --mollify none, got orbit with"),
        ({"augment": "mixup,orbit"}, "augment: expected nothing beside orbit"),
        ({"augment": "orbit,cutout"}, "augment: expected nothing beside orbit"),
        ({"coupling": "sobol"}, "coupling: expected independent with orbit, got sobol"),
        ({"augment": "orbit:shifts=8", "views": 289}, "orbit shifts: expected pixels below the 8 of"),
        ({"evaluation_augment": "orbit", "evaluation_mollify": "none"}, "evaluation_augment: expected views"),
    ],
)
def test_what_is_not_the_whole_orbit_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        tiny.run(**ORBIT | changes)
    assert "\n" not in str(caught.value)


def test_an_aggregator_that_draws_numbers_of_views_has_no_orbit() -> None:
    with pytest.raises(InputError, match="aggregator: expected one of all views with orbit, got sumo"):
        change(RunConfig(), ORBIT | {"aggregator": "sumo"})
