"""Soft and resized crops against padding and slicing, torchvision, the truncated normal and counted pixels."""

import math
import re

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor
from torch.nn.functional import pad
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as tv

from auglik.objectives import InputError
from auglik.pretraining.views import PairViews
from auglik.settings.names import parse
from auglik.system.notices import say_once
from auglik.views.augmentation import OPERATIONS, Shape
from auglik.views.augmentations.resized_crop import ResizedCrop, draw_boxes, resample, share_seen
from auglik.views.augmentations.soft_crop import SoftCrop, shifted
from auglik.views.registry import AUGMENTATIONS
from tests.rendering import SHAPES, is_standard_normal, noise_images, p_value_same, render

BACKGROUNDS = ["constant", "pixel", "zero"]
CROP = OPERATIONS.index("crop")
SCALE, RATIO = (0.08, 1.0), (3 / 4, 4 / 3)


def padded_and_sliced(images: Tensor, offset: NDArray[np.generic]) -> Tensor:
    """Images shifted by (ty, tx), NaN where nothing of them is left."""
    H, W = images.shape[2:]
    L = max(H, W)
    return torch.stack(
        [
            pad(image, [L] * 4, value=math.nan)[:, L + ty : L + ty + H, L + tx : L + tx + W]
            for image, (ty, tx) in zip(images, offset.tolist(), strict=True)
        ]
    )


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("background", BACKGROUNDS)
def test_a_soft_crop_shifts_the_image_onto_its_background(shape: Shape, background: str) -> None:
    crop, images = SoftCrop(0.3, background), noise_images(24, shape)
    parameters = crop.draw(np.random.default_rng(0), 24, shape)
    views, expected = render(crop, images, parameters), padded_and_sliced(images, parameters["offset"])
    outside = expected.isnan()
    assert outside.any()
    assert torch.equal(views[~outside], expected[~outside])
    if background == "pixel":
        assert is_standard_normal(views[outside])
    else:
        colour = torch.from_numpy(parameters["colour"]) if background == "constant" else torch.zeros(24, 1)
        assert torch.equal(views[outside], colour[:, :, None, None].expand_as(views)[outside])


@pytest.mark.parametrize("shape", SHAPES)
def test_soft_crop_visibility_is_the_share_of_pixels_that_are_left(shape: Shape) -> None:
    crop = SoftCrop(0.6)
    parameters = crop.draw(np.random.default_rng(1), 60, shape)
    seen = (~padded_and_sliced(noise_images(60, shape), parameters["offset"]).isnan()).double().mean((1, 2, 3))
    (applied,) = crop.applied(parameters, shape)
    np.testing.assert_allclose(applied.visibility[:, 0], seen, atol=1e-6)
    np.testing.assert_allclose(applied.magnitude[:, 0], 1 - seen, atol=1e-6)
    np.testing.assert_array_equal(applied.operation[:, 0] == CROP, parameters["offset"].any(1))
    np.testing.assert_array_equal(applied.share, 1)


def test_soft_crop_visibility_is_the_papers_for_square_images() -> None:
    parameters = SoftCrop().draw(np.random.default_rng(2), 500, Shape(3, 32, 32))
    ty, tx = parameters["offset"].T.astype(float)
    (applied,) = SoftCrop().applied(parameters, Shape(3, 32, 32))
    np.testing.assert_allclose(applied.visibility[:, 0], (1 - abs(tx) / 32) * (1 - abs(ty) / 32), atol=1e-6)


@pytest.mark.parametrize("sigma", [0.05, 0.3, 2.0])
@pytest.mark.parametrize("shape", [Shape(1, 8, 8), Shape(3, 20, 32)])
def test_offsets_are_truncated_normal(sigma: float, shape: Shape) -> None:
    L, count = max(shape.height, shape.width), 20_000
    offset = SoftCrop(sigma).draw(np.random.default_rng(3), count, shape)["offset"].astype(np.int64)
    edges = np.clip(np.arange(-L, L + 2) - 0.5, -L, L)
    below = np.array([math.erf(edge / (sigma * L * math.sqrt(2))) for edge in edges])
    expected = count * np.diff(below) / (below[-1] - below[0])
    common = expected > 5
    for axis in range(2):
        found = np.bincount(offset[:, axis] + L, minlength=2 * L + 1).astype(float)
        cells = [np.append(of[common], of[~common].sum() + 1e-9) for of in (found, expected)]
        assert stats.chisquare(*cells, sum_check=False).pvalue > 1e-3
    assert abs(stats.pearsonr(*offset.T).statistic) < 4 / math.sqrt(count)


def test_backgrounds_repeat_with_their_keys() -> None:
    shape, images = Shape(3, 16, 16), noise_images(40, Shape(3, 16, 16))
    for background in ("constant", "pixel"):
        crop = SoftCrop(0.3, background)
        parameters = crop.draw(np.random.default_rng(4), 40, shape)
        first, again, other = (render(crop, images, parameters, key) for key in (1, 1, 2))
        assert torch.equal(first, again)
        assert torch.equal(first, other) == (background == "constant")
    colours = SoftCrop().draw(np.random.default_rng(5), 5000, shape)["colour"].astype(np.float64)
    assert stats.kstest(colours.ravel(), "norm").pvalue > 1e-3
    assert len(np.unique(colours)) > 14_000


@pytest.mark.parametrize("shape", [*SHAPES, Shape(1, 9, 28)])
@pytest.mark.parametrize("antialias", [False, True])
def test_resized_crops_are_torchvisions(shape: Shape, antialias: bool) -> None:
    images = noise_images(30, shape)
    box = draw_boxes(np.random.default_rng(6), 30, shape.height, shape.width, SCALE, RATIO)
    views, outside = resample(images, torch.from_numpy(box))
    expected = torch.stack(
        [
            tv.resized_crop(image, top, left, h, w, [shape.height, shape.width], antialias=antialias)
            for image, (top, left, h, w) in zip(images, box.tolist(), strict=True)
        ]
    )
    assert not outside.any()
    torch.testing.assert_close(views, expected, rtol=0, atol=2e-5)


def test_the_whole_image_as_crop_is_the_image() -> None:
    images = noise_images(3, Shape(3, 28, 20))
    views, _ = resample(images, torch.tensor([[0, 0, 28, 20]] * 3, dtype=torch.int32))
    torch.testing.assert_close(views, images, rtol=0, atol=2e-5)


@pytest.mark.parametrize("shape", [Shape(1, 8, 8), Shape(3, 32, 32), Shape(3, 12, 40), Shape(1, 64, 48)])
def test_boxes_of_resized_crops_have_torchvisions_distribution(shape: Shape) -> None:
    transform, image = v2.RandomResizedCrop((8, 8), SCALE, RATIO), torch.zeros(shape)
    with torch.random.fork_rng():
        torch.manual_seed(7)
        drawn = [transform.make_params([image]) for _ in range(3000)]
    theirs = np.array([[of[name] for name in ("top", "left", "height", "width")] for of in drawn])
    ours = draw_boxes(np.random.default_rng(7), 6000, shape.height, shape.width, SCALE, RATIO).astype(np.int64)
    for a, b in zip(features(ours), features(theirs), strict=True):
        assert p_value_same(a, b) > 1e-3


def test_defaults_of_resized_crops_are_torchvisions() -> None:
    ours, theirs = ResizedCrop(), v2.RandomResizedCrop((8, 8))
    assert ((ours.min_scale, ours.max_scale), (ours.min_ratio, ours.max_ratio)) == (theirs.scale, theirs.ratio)


def features(box: NDArray[np.int64]) -> list[NDArray[np.generic]]:
    """Each side and place, area, ratio, and places relative to sides, so that dependence shows."""
    top, left, h, w = box.T
    return [top, left, h, w, h * w, h / w, top * w, left * h, top - left]


@pytest.mark.parametrize("shape", [Shape(1, 60, 8), Shape(1, 8, 60), Shape(1, 11, 11)])
def test_crops_that_never_fit_are_torchvisions_central_ones(shape: Shape) -> None:
    ratio = (1.5, 1.6) if shape.height == shape.width else RATIO
    transform = v2.RandomResizedCrop((8, 8), (1.0, 1.0), ratio)
    central = transform.make_params([torch.zeros(shape)])
    box = draw_boxes(np.random.default_rng(8), 5, shape.height, shape.width, (1.0, 1.0), ratio, outside=0.5)
    assert box.tolist() == [[central[name] for name in ("top", "left", "height", "width")]] * 5


@pytest.mark.parametrize(
    ("shape", "smallest", "said"),
    [
        (Shape(3, 32, 32), 0.2, ""),
        (Shape(3, 24, 40), 0.2, ""),
        (Shape(3, 30, 120), 0.2, "of images of 30 x 120 pixels"),
        (Shape(1, 16, 160), 0.2, "of images of 16 x 160 pixels 100% fit in none of 10 tries"),
        (Shape(3, 32, 32), 0.95, "of images of 32 x 32 pixels"),
    ],
)
def test_crops_that_are_often_central_are_said(
    shape: Shape, smallest: float, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    for check in (ResizedCrop(min_scale=smallest).check, PairViews(smallest, 0, 0, 0, 0, 0).check):
        say_once.cache_clear()
        caplog.clear()
        check(shape)
        assert said in caplog.text
        assert bool(caplog.text) == bool(said)
    if said and shape.height != shape.width:
        share = int(re.findall(r"(\d+)%", caplog.text)[0]) / 100
        box = draw_boxes(np.random.default_rng(1), 4000, shape.height, shape.width, (smallest, 1), RATIO)
        assert abs(np.unique(box, axis=0, return_counts=True)[1].max() / 4000 - share) < 0.04


def test_crops_partly_outside_are_resized_from_the_padded_image() -> None:
    shape = Shape(3, 16, 24)
    crop, images = ResizedCrop(outside=0.5, background="zero"), noise_images(60, shape)
    parameters = crop.draw(np.random.default_rng(9), 60, shape)
    views = render(crop, images, parameters)
    grown = pad(images, [32] * 4, mode="replicate")
    for image, inner, (top, left, h, w) in zip(grown, views, parameters["box"].tolist(), strict=True):
        expected = tv.resized_crop(image, top + 32, left + 32, h, w, list(shape[1:]), antialias=False)
        row = top + (np.arange(16) + 0.5) * h / 16
        column = left + (np.arange(24) + 0.5) * w / 24
        inside = np.outer((row >= 0) & (row < 16), (column >= 0) & (column < 24))
        torch.testing.assert_close(inner, expected * torch.from_numpy(inside), rtol=0, atol=2e-5)


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_the_background_of_a_resized_crop_is_outside_the_image(background: str) -> None:
    shape = Shape(3, 16, 24)
    crop, images = ResizedCrop(outside=0.5, background=background), torch.full((60, *shape), 7.0)
    parameters = crop.draw(np.random.default_rng(10), 60, shape)
    views = render(crop, images, parameters)
    outside = resample(images, torch.from_numpy(parameters["box"].astype(np.int32)))[1][:, None].expand_as(views)
    torch.testing.assert_close(views[~outside], images[~outside])
    if background == "pixel":
        assert is_standard_normal(views[outside])
    else:
        colour = torch.from_numpy(parameters["colour"]) if background == "constant" else torch.zeros(60, 1)
        assert torch.equal(views[outside], colour[:, :, None, None].expand_as(views)[outside])


def test_places_partly_outside_are_uniform_and_visibility_counts_pixels() -> None:
    crop, shape = ResizedCrop(outside=0.5), Shape(1, 10, 13)
    parameters = crop.draw(np.random.default_rng(11), 4000, shape)
    box = parameters["box"].astype(np.int64)
    reach = np.floor(0.5 * box[:, 2]).astype(int)
    steps = shape.height - box[:, 2] + 2 * reach
    assert ((box[:, 0] >= -reach) & (box[:, 0] + reach <= steps)).all()
    for choices in np.unique(steps):
        position = (box[:, 0] + reach)[steps == choices]
        if len(position) > 10 * choices:
            assert stats.chisquare(np.bincount(position, minlength=choices + 1)).pvalue > 1e-3
    counted = []
    for top, left, h, w in box[:300]:
        row, column = top + (np.arange(10) + 0.5) * h / 10, left + (np.arange(13) + 0.5) * w / 13
        counted.append(np.outer((row >= 0) & (row < 10), (column >= 0) & (column < 13)).mean())
    (applied,) = crop.applied(parameters, shape)
    np.testing.assert_allclose(applied.visibility[:300, 0], counted, atol=1e-6)
    np.testing.assert_allclose(applied.magnitude, 1 - applied.visibility, atol=1e-6)


def test_a_box_beyond_the_image_shows_nothing_of_it() -> None:
    box = np.array([[0, 0, 8, 8], [-8, 0, 8, 8], [9, 9, 3, 3], [4, 0, 8, 8]], np.int32)
    np.testing.assert_array_equal(share_seen(box, 8, 8), [1, 0, 0, 0.5])
    assert resample(torch.ones(1, 1, 8, 8), torch.from_numpy(box[1:2]))[1].all()
    assert shifted(torch.ones(1, 1, 8, 8), torch.tensor([[8, 0]]))[1].all()


def test_crops_within_the_image_hide_nothing() -> None:
    parameters = ResizedCrop().draw(np.random.default_rng(12), 200, Shape(3, 32, 32))
    assert set(parameters) == {"box"}
    (applied,) = ResizedCrop().applied(parameters, Shape(3, 32, 32))
    assert (applied.visibility == 1).all()
    assert (applied.operation == CROP).mean() > 0.9


@pytest.mark.parametrize("text", ["soft-crop:sigma=0.1:background=pixel", "resized-crop:min_scale=0.2:outside=0.3"])
def test_crops_are_named_with_their_settings(text: str) -> None:
    crop, shape = parse("augmentation", text, AUGMENTATIONS), Shape(1, 8, 8)
    crop.check(shape)
    assert crop.domain == "standardized"
    views = render(crop, noise_images(4, shape), crop.draw(np.random.default_rng(0), 4, shape))
    assert views.shape == (4, *shape)
    assert crop in (SoftCrop(0.1, "pixel"), ResizedCrop(min_scale=0.2, outside=0.3))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("soft-crop:sigma=0", "sigma: expected a deviation > 0"),
        ("soft-crop:sigma=nan", "sigma: expected a deviation > 0"),
        ("soft-crop:background=black", "expected one of constant, pixel, zero, got 'black'"),
        ("resized-crop:min_scale=0", "expected 0 < min_scale <= max_scale <= 1"),
        ("resized-crop:min_scale=0.9,max_scale=0.5", r"got \(0.9, 0.5\)"),
        ("resized-crop:min_ratio=2", "expected 0 < min_ratio <= max_ratio"),
        ("resized-crop:outside=1.5", "expected a share of the crop"),
        ("resized-crop:background=", "expected one of"),
    ],
)
def test_settings_out_of_range_are_refused_in_one_line(text: str, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint) as refusal:
        parse("augmentation", text, AUGMENTATIONS)
    assert "\n" not in str(refusal.value)
