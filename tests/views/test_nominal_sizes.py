"""What augmentations say that they hid, pasted and moved, against counted pixels of oblong and tiny images."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from auglik.confidence.strength import OCCLUSIONS as HIDING
from auglik.confidence_tables.probes import PROBED, choose_probes
from auglik.objectives import InputError
from auglik.settings.names import parse
from auglik.views import OPERATIONS, Applied, Gallery
from auglik.views.augmentation import Augmentation, Parameters, Shape
from auglik.views.augmentations.fcr import FlipCropRotate
from auglik.views.mixing.contract import MIXINGS, soft_labels
from auglik.views.registry import AUGMENTATIONS
from tests.rendering import render

COUNT = 200
SHAPES = [Shape(3, 13, 29), Shape(1, 64, 33), Shape(1, 8, 8), Shape(1, 1, 1), Shape(3, 1, 20), Shape(1, 20, 1)]
SEEN = 9.0
"""The value of an image's every pixel, where the background is 0."""

every_shape = pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"{shape.height}x{shape.width}")


def refused(augmentation: Augmentation, shape: Shape) -> bool:
    try:
        augmentation.check(shape)
    except InputError:
        return True
    return False


def seen(augmentation: Augmentation, parameters: Parameters, shape: Shape, value: float = SEEN) -> NDArray[np.float64]:
    """The share of pixels in which an image of `value` everywhere can be seen, in views of zero background: [n]."""
    kind = torch.uint8 if augmentation.domain == "levels" else torch.float32
    views = render(augmentation, torch.full((COUNT, *shape), value).to(kind), parameters)
    return (views[:, 0] != 0).double().mean((1, 2)).numpy()


def visibility(applied: list[Applied]) -> NDArray[np.float64]:
    return np.prod([branch.visibility.astype(np.float64).prod(1) for branch in applied], 0)


@every_shape
@pytest.mark.parametrize(
    "name",
    [
        "random-erasing:p=1",
        "random-erasing:p=1,area=0.9,min_area=0.5,min_ratio=0.1,max_ratio=10",
        "cutout:size=1",
        "cutout:size=8",
        "soft-crop:background=zero",
        "soft-crop:background=zero,sigma=3",
        "resized-crop:outside=0.5,background=zero",
        "resized-crop:outside=1,min_scale=0.02,max_scale=0.2,background=zero",
    ],
)
def test_visibility_is_the_share_of_pixels_that_still_show_the_image(name: str, shape: Shape) -> None:
    augmentation = parse("augmentation", name, AUGMENTATIONS)
    if refused(augmentation, shape):
        assert min(shape[1:]) < 8
        return
    parameters = augmentation.draw(np.random.default_rng(0), COUNT, shape)
    applied = list(augmentation.applied(parameters, shape))
    counted = seen(augmentation, parameters, shape)
    np.testing.assert_allclose(visibility(applied), counted, atol=1e-6)
    (branch,) = applied
    np.testing.assert_allclose(branch.magnitude[:, 0], 1 - counted, atol=1e-6)
    untouched = branch.operation[:, 0] == OPERATIONS.index("identity")
    assert (counted[untouched] == 1).all()


@every_shape
@pytest.mark.parametrize("size", [1, 5])
def test_noised_patches_are_of_the_area_that_their_visibility_says(size: int, shape: Shape) -> None:
    augmentation = parse("augmentation", f"patch-noise:size={size},sigma=2", AUGMENTATIONS)
    if refused(augmentation, shape):
        assert min(shape[1:]) < size
        return
    parameters = dict(augmentation.draw(np.random.default_rng(1), COUNT, shape))
    parameters["strength"] = np.full(COUNT, 2, np.float32)
    noised = 1 - (render(augmentation, torch.zeros(COUNT, *shape), parameters)[:, 0] == 0).double().mean((1, 2))
    expected = 1 - noised.numpy() * 4 / 5  # a variance of 4 beside that of the image, 1
    np.testing.assert_allclose(visibility(list(augmentation.applied(parameters, shape))), expected, atol=1e-6)


@every_shape
@pytest.mark.parametrize("padding", [0, 4, 40])
def test_crops_of_flip_crop_rotate_show_what_they_say(padding: int, shape: Shape) -> None:
    augmentation = FlipCropRotate(0.5, padding, 0.0)
    parameters = augmentation.draw(np.random.default_rng(2), COUNT, shape)
    applied = list(augmentation.applied(parameters, shape))
    counted = seen(augmentation, parameters, shape)
    np.testing.assert_allclose(visibility(applied), counted, atol=1e-6)
    np.testing.assert_allclose(applied[0].magnitude[:, 1], 1 - counted, atol=1e-6)


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if min(shape[1:]) >= 3], ids=str)
@pytest.mark.parametrize("bilinear", [False, True])
@pytest.mark.parametrize("axis", ["x", "y"])
def test_translations_are_by_the_pixels_that_are_reported(axis: str, bilinear: bool, shape: Shape) -> None:
    """The image is a row or column of ones within zeros, so that its shift can be read off; it may leave the frame."""
    name = f"single:operation=translate-{axis},range=0..9.7,bins=40,bilinear={str(bilinear).lower()}"
    policy = parse("augmentation", name, AUGMENTATIONS)
    parameters = policy.draw(np.random.default_rng(3), COUNT, shape)
    (branch,) = policy.applied(parameters, shape)
    assert (branch.magnitude == np.trunc(branch.magnitude)).all()
    np.testing.assert_allclose(branch.visibility[:, 0], seen(policy, parameters, shape), atol=1e-6)
    length = shape.width if axis == "x" else shape.height
    images = torch.zeros(COUNT, *shape, dtype=torch.uint8)
    images.transpose(2, 3 if axis == "x" else 2)[:, :, length // 2] = 200
    moved = render(policy, images, parameters)[:, 0].sum(1 if axis == "x" else 2)
    for row, shift in zip(moved, branch.magnitude[:, 0].astype(int).tolist(), strict=True):
        assert (row > 0).nonzero().ravel().tolist() == [x for x in [length // 2 + shift] if 0 <= x < length]


def test_a_translation_of_less_than_a_pixel_is_none() -> None:
    policy = parse("augmentation", "single:operation=translate-x,range=0..0.9,bins=5", AUGMENTATIONS)
    parameters = policy.draw(np.random.default_rng(4), COUNT, Shape(1, 8, 8))
    assert len(np.unique(parameters["magnitude"])) > 5
    (branch,) = policy.applied(parameters, Shape(1, 8, 8))
    assert (branch.magnitude == 0).all()
    assert not np.signbit(branch.magnitude).any()
    assert (branch.visibility == 1).all()


@pytest.mark.parametrize("alpha", [0.3, 1.0])
@every_shape
def test_labels_of_cutmix_are_the_pixels_that_were_pasted(shape: Shape, alpha: float) -> None:
    """Image n shows n + 1 everywhere, and is of class n: its label is the histogram of its pixels."""
    N = 200
    images = np.arange(1, N + 1, dtype=np.uint8)[:, None, None, None] * np.ones(shape, np.uint8)
    gallery = Gallery.pack(images, [0.0] * shape.channels, [1 / 255] * shape.channels, torch.device("cpu"))
    mixing = parse("augmentation", f"cutmix:alpha={alpha}", MIXINGS)
    drawn = {name: torch.from_numpy(values) for name, values in mixing.draw(np.random.default_rng(5), N, shape).items()}
    index = torch.arange(N)
    shown = mixing.mix(gallery, index, drawn).levels(index)[:, 0].flatten(1).long() - 1
    counted = torch.zeros(N, N).scatter_add_(1, shown, torch.ones(shown.shape)) / shown.shape[1]
    torch.testing.assert_close(soft_labels(index, drawn["partner"], drawn["share"], N), counted, rtol=0, atol=1e-6)


@every_shape
def test_confidence_is_measured_at_the_visibility_that_was_really_left(shape: Shape) -> None:
    assert {"crop", "erase", "translate-x", "translate-y"} <= set(HIDING) & set(PROBED)
    images = torch.full((20, *shape), 9, dtype=torch.uint8)
    for name, probe in choose_probes("crop,erase,translate-x,translate-y", shape, 9, 0).items():
        edge = shape.width if name == "translate-x" else shape.height
        for at in probe.at.tolist():
            left = (probe.apply(images, at)[:, 0] > 0).double().mean((1, 2))
            expected = at if probe.axis == "visibility" else 1 - abs(at) / edge
            np.testing.assert_allclose(left, expected, atol=1e-12)
