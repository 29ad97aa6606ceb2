"""MixUp and CutMix against torchvision's, image by image, on digits and three-channel images."""

import math
import os
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import stats
from sklearn.datasets import load_digits
from torch import Tensor
from torchvision.transforms import v2

from auglik import open_dataset
from auglik.objectives import InputError
from auglik.settings.names import parse
from auglik.views.augmentation import Parameters, Shape
from auglik.views.mixing.contract import MIXINGS, Mixing, soft_labels
from auglik.views.mixing.cutmix import CutMix
from auglik.views.mixing.mixup import MixUp
from auglik.views.store import Gallery
from tests.rendering import NoWaiting, p_value_same

CIFAR10 = os.environ.get("AUGLIK_CIFAR10", "")
Images = NDArray[np.uint8]


def digits() -> Images:
    """[60,1,8,8], levels from 0 to 255."""
    return np.asarray(load_digits().images[:60] * 255 / 16).astype(np.uint8)[:, None]


def colour() -> Images:
    """[60,3,H,W]"""
    if CIFAR10:
        return open_dataset(CIFAR10).train().images[:60]
    return np.random.default_rng(0).integers(0, 256, (60, 3, 12, 20), np.uint8)


def gallery_of(images: Images) -> Gallery:
    """Clean images of it are levels: mean 0, deviation 1/255."""
    channels = images.shape[1]
    return Gallery.pack(images, [0.0] * channels, [1 / 255] * channels, torch.device("cpu"))


def mixed(mixing: Mixing, images: Images, index: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
    """The mixed images of `index` as levels, and their parameters."""
    parameters = mixing.draw(np.random.default_rng(1), len(images), Shape(*images.shape[1:]))
    drawn = {name: torch.from_numpy(values)[index] for name, values in parameters.items()}
    with NoWaiting():
        result = mixing.mix(gallery_of(images), index, drawn)
    assert len(result) == len(index)
    assert result.pixels.dtype == gallery_of(images).pixels.dtype
    return result.clean(slice(None)), drawn


def by_torchvision(
    transform: v2.Transform,
    images: Images,
    index: Tensor,
    drawn: Mapping[str, Tensor],
    settings: list[dict[str, object]],
) -> Tensor:
    """Each pair as a batch of two, whose second image torchvision mixes with the first."""
    whole = torch.from_numpy(images).float()
    both = torch.stack([whole[drawn["partner"]], whole[index]], 1)
    common = {"labels": torch.zeros(2), "batch_size": 2}
    return torch.stack(
        [transform.transform(pair, {**common, **of})[1] for pair, of in zip(both, settings, strict=True)]
    )


INDEX = torch.tensor([5, 0, 59, 5, 31, *range(10, 50)])


@pytest.mark.parametrize("images", [digits(), colour()], ids=["digits", "colour"])
def test_mixup_is_torchvisions_rounded_to_a_level(images: Images) -> None:
    result, drawn = mixed(MixUp(0.7), images, INDEX)
    expected = by_torchvision(v2.MixUp(), images, INDEX, drawn, [{"lam": share} for share in drawn["share"].tolist()])
    torch.testing.assert_close(result, result.round(), rtol=0, atol=1e-4)
    assert (result - expected).abs().max() < 0.5 + 1e-3


@pytest.mark.parametrize("images", [digits(), colour()], ids=["digits", "colour"])
def test_cutmix_is_torchvisions(images: Images) -> None:
    result, drawn = mixed(CutMix(), images, INDEX)
    settings: list[dict[str, object]] = [{"box": (x, y, x + w, y + h)} for y, x, h, w in drawn["box"].tolist()]
    expected = by_torchvision(v2.CutMix(), images, INDEX, drawn, settings)
    torch.testing.assert_close(result, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("mixing", MIXINGS.values(), ids=MIXINGS)
def test_the_fourth_byte_of_packed_pixels_stays_zero_and_the_gallery_as_it_is(mixing: Mixing) -> None:
    gallery = gallery_of(colour())
    held = gallery.pixels
    assert isinstance(held, Tensor)
    before = held.clone()
    drawn = mixing.draw(np.random.default_rng(2), 60, Shape(*colour().shape[1:]))
    result = mixing.mix(gallery, torch.arange(60), {name: torch.from_numpy(values) for name, values in drawn.items()})
    assert torch.equal(held, before)
    assert isinstance(result.pixels, Tensor)
    assert (result.pixels.view(torch.uint8).unflatten(1, (-1, 4))[..., 3] == 0).all()


@pytest.mark.parametrize("mixing", MIXINGS.values(), ids=MIXINGS)
def test_every_image_is_the_partner_of_one(mixing: Mixing) -> None:
    parameters = mixing.draw(np.random.default_rng(3), 500, Shape(1, 32, 32))
    partner = parameters["partner"].astype(np.int64)
    assert np.array_equal(np.sort(partner), np.arange(500))
    assert parameters["share"].dtype == np.float32
    assert len(np.unique(parameters["share"])) > 50
    assert abs(stats.pearsonr(partner, np.arange(500)).statistic) < 4 / math.sqrt(500)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_shares_of_mixup_have_the_beta_distribution(alpha: float) -> None:
    share = MixUp(alpha).draw(np.random.default_rng(4), 5000, Shape(1, 8, 8))["share"].astype(np.float64)
    assert stats.kstest(share, "beta", (alpha, alpha)).pvalue > 1e-3


@pytest.mark.parametrize("alpha", [0.3, 1.0])
@pytest.mark.parametrize("shape", [Shape(1, 8, 8), Shape(3, 32, 32), Shape(3, 12, 20)])
def test_boxes_of_cutmix_have_torchvisions_distribution(shape: Shape, alpha: float) -> None:
    transform, image = v2.CutMix(alpha=alpha), torch.zeros(1, *shape)
    with torch.random.fork_rng():
        torch.manual_seed(5)
        theirs = [transform.make_params([image]) for _ in range(2500)]
    parameters = CutMix(alpha).draw(np.random.default_rng(5), 5000, shape)
    of_theirs = features(np.array([of["box"] for of in theirs]), np.array([of["lam_adjusted"] for of in theirs]))
    for a, b in zip(features(corners(parameters), parameters["share"].astype(np.float64)), of_theirs, strict=True):
        assert p_value_same(a, b) > 1e-3


def corners(parameters: Parameters) -> NDArray[np.int64]:
    """x1, y1, x2, y2 of the boxes, as torchvision has them."""
    top, left, h, w = parameters["box"].astype(np.int64).T
    return np.stack([left, top, left + w, top + h], 1)


def features(box: NDArray[np.int64], share: NDArray[np.float64]) -> list[NDArray[np.generic]]:
    x1, y1, x2, y2 = box.T
    return [x1, y1, x2, y2, x2 - x1, y2 - y1, (x2 - x1) - (y2 - y1), x1 - y1, np.round(share, 5)]


@pytest.mark.parametrize("shape", [Shape(1, 8, 8), Shape(3, 12, 20)])
def test_shares_of_cutmix_are_the_pixels_that_an_image_keeps(shape: Shape) -> None:
    """Images 0 and partners 1, so that the mean pixel is the partner's share."""
    parameters = CutMix().draw(np.random.default_rng(6), 100, shape)
    images = np.zeros((200, *shape), np.uint8)
    images[100:] = 1
    drawn = {name: torch.from_numpy(values) for name, values in parameters.items()}
    result = CutMix().mix(gallery_of(images), torch.arange(100), {**drawn, "partner": torch.arange(100, 200)})
    kept = 1 - result.clean(slice(None)).mean((1, 2, 3))
    torch.testing.assert_close(drawn["share"], kept, rtol=0, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_labels_are_torchvisions(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(7)
    labels, partners = torch.randint(0, 5, (2, 40), generator=generator)
    share = torch.rand(40, generator=generator, dtype=dtype)
    with NoWaiting():
        found = soft_labels(labels, partners, share, 5)
    transform = v2.MixUp(num_classes=5)
    pairs = torch.stack([partners, labels], 1)
    expected = [
        transform.transform(pair, {"labels": pair, "lam": of})[1]
        for pair, of in zip(pairs, share.tolist(), strict=True)
    ]
    torch.testing.assert_close(found, torch.stack(expected).to(dtype), rtol=0, atol=1e-6)
    torch.testing.assert_close(found.sum(1), torch.ones(40, dtype=dtype))
    assert (labels == partners).any()
    assert (found[labels == partners].max(1).values == 1).all()


@pytest.mark.parametrize("name", MIXINGS)
def test_mixings_are_named_with_their_settings(name: str) -> None:
    assert parse("augmentation", f"{name}:alpha=0.2", MIXINGS) in (MixUp(0.2), CutMix(0.2))
    for value in ("0", "-1", "nan", "inf"):
        with pytest.raises(InputError, match=f"{name} alpha: expected a number > 0, got {value}"):
            parse("augmentation", f"{name}:alpha={value}", MIXINGS)
