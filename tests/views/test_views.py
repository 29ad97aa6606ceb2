"""Views against their definitions, torchvision, torch_dct and SciPy, their pairing, and the images' layout.

AUGLIK_CIFAR10 may name a .npz of CIFAR-10, whose images then take the place of three-channel ones made of digits.
"""

import functools
import itertools
import math
import os
import shutil
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch_dct
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor
from torch.nn.functional import interpolate
from torchvision.transforms.v2 import functional as tv

from auglik import open_dataset
from auglik.data import channel_statistics
from auglik.objectives import ROLES, InputError, Schedule
from auglik.system.splitmix import normals, streams
from auglik.views import Draws, FlipCropRotate, Gallery, Mollification, Pipeline, Shape, Step, fetch
from auglik.views.mollification import add_noise, blur, heat_operator, heat_time, mollify
from auglik.views.pipeline import VIEWS_AT_ONCE
from auglik.views.registry import read_augmentations
from auglik.views.store import standardized
from tests.levels import among, rotated

CPU = torch.device("cpu")
CIFAR10 = os.environ.get("AUGLIK_CIFAR10", "")
Images = NDArray[np.uint8]
Parameters = tuple[bool, int, int, float]
"""flip, top, left, angle in degrees"""
CLEAN, NOISE, BLUR, BOTH = range(len(ROLES))


@functools.cache
def cifar10() -> Images:
    return open_dataset(CIFAR10).train().images[:200]


def digits(count: int) -> Images:
    """[count,1,8,8]"""
    return open_dataset("digits").train().images[:count]


def colour(count: int, height: int = 32, width: int = 32) -> Images:
    """Three-channel images: CIFAR-10's if there are any, or else three digits on top of each other."""
    images = cifar10()[:count] if CIFAR10 else digits(3 * count).reshape(count, 3, 8, 8)
    if images.shape[2:] == (height, width):
        return images
    resized = interpolate(torch.from_numpy(images).float(), (height, width), mode="bilinear", antialias=True)
    return resized.clamp(0, 255).round().to(torch.uint8).numpy()


def gallery_of(images: Images) -> Gallery:
    return Gallery.pack(images, *channel_statistics(images), CPU)


DIGIT, COLOUR = Shape(1, 8, 8), Shape(3, 32, 32)


def raw_gallery(images: Images) -> Gallery:
    """A gallery whose views are pixels in 0..255 as they are: mean 0 and deviation 1/255."""
    channels = images.shape[1]
    return Gallery.pack(images, [0.0] * channels, [1 / 255] * channels, CPU)


def fcr(schedule: Schedule, padding: int = 4) -> Pipeline:
    return Pipeline(COLOUR, (Step("fcr", FlipCropRotate(0.5, padding, 15.0)),), Mollification(schedule))


def is_rotation_of_crop(
    view: Tensor, image: Images, flip: bool, top: int, left: int, angle: float, padding: int
) -> bool:
    """Whether a view [c,H,W] of 0..255 is horizontal_flip -> pad -> crop -> rotate (nearest) of an image [c,H,W].

    But for ties of the rotation, as torchvision's view is, too.
    """
    x = torch.from_numpy(image)
    if flip:
        x = tv.horizontal_flip(x)
    x = tv.crop(tv.pad(x, [padding]), padding + top, padding + left, *image.shape[1:])
    allowed = rotated(x.numpy(), angle)
    assert among(tv.rotate(x, angle), allowed)
    return among(view, allowed)


def fetched(gallery: Gallery, index: Sequence[int], parameters: Sequence[Parameters]) -> Tensor:
    flip, top, left, angle = (np.array(values) for values in zip(*parameters, strict=True))
    drawn = (flip, top.astype(np.int32), left.astype(np.int32), *cos_and_sin(angle))
    return fetch(gallery, torch.tensor(index), *map(torch.from_numpy, drawn))


def cos_and_sin(angle: NDArray[np.float64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    radians = np.deg2rad(angle)
    return np.cos(radians).astype(np.float32), np.sin(radians).astype(np.float32)


# Flip, crop, rotation


@pytest.mark.parametrize(
    ("images", "padding", "degrees"),
    [
        (digits(150), 1, 15.0),
        (digits(150), 3, 180.0),
        (colour(150), 4, 15.0),
        (colour(100), 4, 180.0),
        (colour(60, 64, 64), 8, 30.0),
        (colour(60, 20, 33), 4, 40.0),
        (colour(60, 33, 20), 0, 180.0),
    ],
    ids=lambda value: "x".join(map(str, value.shape[1:])) if isinstance(value, np.ndarray) else str(value),
)
def test_views_are_flipped_cropped_and_rotated(
    images: Images, padding: int, degrees: float, rng: np.random.Generator
) -> None:
    N = len(images)
    flip, angle = rng.random(N) < 0.5, rng.uniform(-degrees, degrees, N)
    top, left = rng.integers(-padding, padding, (2, N), endpoint=True)
    parameters: list[Parameters] = list(zip(flip.tolist(), top.tolist(), left.tolist(), angle.tolist(), strict=True))
    views = fetched(raw_gallery(images), range(N), parameters)
    for view, image, drawn in zip(views, images, parameters, strict=True):
        assert is_rotation_of_crop(view, image, *drawn, padding)


@pytest.mark.parametrize("images", [digits(4), colour(4), colour(4, 20, 33)], ids=["8x8", "32x32", "20x33"])
def test_views_at_the_ends_of_every_range(images: Images) -> None:
    padding = 4
    ends = list(
        itertools.product((False, True), (-padding, 0, padding), (-padding, padding), (-180.0, -90, 0, 90, 180))
    )
    index = [i % len(images) for i in range(len(ends))]
    for view, i, drawn in zip(fetched(raw_gallery(images), index, ends), index, ends, strict=True):
        assert is_rotation_of_crop(view, images[i], *drawn, padding)


def test_rendered_views_are_those_of_the_draws() -> None:
    """The parameters' way through a pipeline: keyed draws, places in the epoch, chunks of a large batch."""
    images, padding, K = colour(150), 4, 2
    pipeline = fcr(Schedule(noise=0, blur=0), padding)
    draws = pipeline.draw(3, 1, K, len(images), CPU)
    batch = np.random.default_rng(0).permutation(len(images))[:140]
    assert K * len(batch) > VIEWS_AT_ONCE
    views = pipeline.render(raw_gallery(images), draws, batch).images
    drawn = {name.removeprefix("fcr."): values for name, values in draws.parameters.items()}
    degrees = np.rad2deg(np.arctan2(drawn["sin"], drawn["cos"], dtype=np.float64))
    for k, (position, i) in itertools.product(range(K), enumerate(batch)):
        flip, top, left = (int(drawn[name][k, i]) for name in ("flip", "top", "left"))
        # The angle is read back from its rounded sine, which moves a source by less than 1e-5 pixels.
        assert is_rotation_of_crop(views[k, position], images[i], bool(flip), top, left, float(degrees[k, i]), padding)


def test_parameters_of_views_have_their_distribution(rng: np.random.Generator) -> None:
    N = 20_000
    drawn = FlipCropRotate(0.3, 2, 20.0).draw(rng, N, COLOUR)
    assert stats.chisquare(np.bincount(drawn["flip"]), [0.7 * N, 0.3 * N]).pvalue > 1e-3
    for name in ("top", "left"):
        values, counts = np.unique(drawn[name], return_counts=True)
        assert values.tolist() == [-2, -1, 0, 1, 2]
        assert stats.chisquare(counts).pvalue > 1e-3
    cos, sin = (drawn[name].astype(np.float64) for name in ("cos", "sin"))
    angle = np.rad2deg(np.arctan2(sin, cos))
    assert stats.kstest(angle, "uniform", (-20, 40)).pvalue > 1e-3
    np.testing.assert_allclose(cos**2 + sin**2, 1, rtol=1e-6)


@pytest.mark.skipif(not any(map(shutil.which, ("g++", "clang++", "c++"))), reason="torch.compile needs a C++ compiler")
def test_compiled_views_equal_eager_ones() -> None:
    """The same pixels, standardized and mollified to within roundings: compiled code may fuse product and sum.

    A few images at first, then more: another number of them needs no other code.
    """
    images = colour(40)
    gallery = gallery_of(images)
    eager = fcr(Schedule(both=0.5))
    compiled = eager.compiled()
    draws = eager.draw(0, 0, 1, len(images), CPU)
    for batch in (np.arange(30), np.arange(10, 40)):
        found, expected = (p.render(gallery, draws, batch).images for p in (compiled, eager))
        torch.testing.assert_close(found, expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize(
    ("flip", "padding", "degrees", "message"),
    [
        (-0.1, 4, 15.0, r"flip: expected a probability in \[0,1\], got -0.1"),
        (1.1, 4, 15.0, r"flip: expected a probability in \[0,1\], got 1.1"),
        (math.nan, 4, 15.0, r"flip: expected a probability in \[0,1\], got nan"),
        (0.5, -1, 15.0, "crop padding: expected pixels in 0..4096, got -1"),
        (0.5, 4, -1.0, r"rotation: expected degrees in \[0,180\], got -1"),
        (0.5, 4, 181.0, r"rotation: expected degrees in \[0,180\], got 181"),
        (0.5, 4, math.inf, r"rotation: expected degrees in \[0,180\], got inf"),
    ],
)
def test_parameters_out_of_range_are_refused(flip: float, padding: int, degrees: float, message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}"):
        FlipCropRotate(flip, padding, degrees)


# Gallery


@pytest.mark.parametrize("images", [digits(50), colour(50), colour(20, 20, 33)], ids=["grey", "colour", "20x33"])
def test_a_gallery_holds_its_images(images: Images) -> None:
    gallery = raw_gallery(images)
    assert len(gallery) == len(images)
    assert (gallery.channels, gallery.height, gallery.width) == images.shape[1:]
    assert torch.equal(gallery.clean(slice(None)), torch.from_numpy(images).float())
    which = torch.tensor([3, 0, 3])
    assert torch.equal(gallery.clean(which), torch.from_numpy(images[which.numpy()]).float())


def test_a_gallery_holds_every_byte() -> None:
    """The channels of a pixel share an int32, whose sign is the fourth byte's."""
    every = np.stack([np.roll(np.arange(256, dtype=np.uint8).reshape(16, 16), shift) for shift in (0, 5, 99)])[None]
    assert torch.equal(raw_gallery(every).clean(slice(None)), torch.from_numpy(every).float())


@pytest.mark.parametrize("images", [digits(200), colour(200)], ids=["grey", "colour"])
def test_standardized_images_have_mean_zero_and_deviation_one(images: Images) -> None:
    mean, std = channel_statistics(images)
    found = Gallery.pack(images, mean, std, CPU).clean(slice(None))
    column = (slice(None), None, None)
    expected = (images / 255 - np.array(mean)[column]) / np.array(std)[column]
    np.testing.assert_allclose(found, expected, rtol=0, atol=4e-7 * np.abs(expected).max())
    np.testing.assert_allclose(found.double().mean((0, 2, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(found.double().std((0, 2, 3)), 1, atol=1e-4)


def test_standardizing_leaves_packed_pixels_alone() -> None:
    gallery = gallery_of(digits(3))
    held = gallery.pixels
    assert isinstance(held, Tensor)
    before = held.clone()
    standardized(held.unflatten(1, (8, 8)), 1, gallery.scale, gallery.shift)
    assert torch.equal(held, before)


# Mollification


def blur_by_torch_dct(images: Tensor, temperature: Tensor) -> Tensor:
    """V exp(-tau Lambda) V^T x of the design, in float64: tau = sigma^2/2, log sigma = (1-t) log 0.3 + t log W."""
    H, W = images.shape[-2:]
    t = temperature.double()
    tau = torch.exp((1 - t) * math.log(0.3) + t * math.log(W)) ** 2 / 2
    Lambda = math.pi**2 * ((torch.arange(H)[:, None] / H) ** 2 + (torch.arange(W) / W) ** 2)
    spectrum = torch_dct.dct_2d(images.double(), norm="ortho")
    return torch_dct.idct_2d(torch.exp(-tau[:, None, None, None] * Lambda) * spectrum, norm="ortho")


@pytest.mark.parametrize("images", [digits(60), colour(60), colour(30, 20, 33)], ids=["8x8", "32x32", "20x33"])
def test_blur_is_the_heat_equation_in_the_cosine_basis(images: Images, rng: np.random.Generator) -> None:
    x = gallery_of(images).clean(slice(None))
    t = torch.from_numpy(rng.uniform(0, 1, len(x)).astype(np.float32))
    t[:2] = torch.tensor([0.0, 1.0])
    error = (blur(x, t) - blur_by_torch_dct(x, t)).abs().max() / x.abs().max()
    assert float(error) < 2e-6


def test_heat_flows_on() -> None:
    """M(tau + tau') = M(tau) M(tau'), and M(0) changes nothing; each is symmetric, and its rows sum to one."""
    generator = torch.Generator().manual_seed(0)
    early, late = (torch.rand(20, generator=generator) * 10 for _ in range(2))
    matrices = heat_operator(early, 16)
    torch.testing.assert_close(matrices @ heat_operator(late, 16), heat_operator(early + late, 16), rtol=0, atol=1e-6)
    torch.testing.assert_close(matrices, matrices.mT, rtol=0, atol=1e-6)
    torch.testing.assert_close(matrices.sum(2), torch.ones(20, 16), rtol=0, atol=1e-6)
    torch.testing.assert_close(heat_operator(torch.zeros(1), 16)[0], torch.eye(16), rtol=0, atol=1e-6)


def test_blur_keeps_constant_images_and_ends_in_them() -> None:
    """At t = 1 the slowest mode of a square image is down to exp(-tau pi^2/W^2) = exp(-pi^2/2)."""
    constant = torch.tensor([-1.5, 0.0, 2.0])[:, None, None, None].expand(3, 3, 12, 20)
    torch.testing.assert_close(blur(constant, torch.tensor([0.0, 0.5, 1.0])), constant, rtol=2e-6, atol=2e-6)
    x = gallery_of(colour(5)).clean(slice(None))
    hottest = blur(x, torch.ones(5))
    torch.testing.assert_close(hottest.mean((2, 3)), x.mean((2, 3)), rtol=0, atol=1e-5)
    assert (hottest.std((2, 3)) <= math.exp(-(math.pi**2) / 2) * x.std((2, 3)) + 1e-5).all()


def test_blur_widens_from_sigma_min_to_the_images_width() -> None:
    sigma = (2 * heat_time(torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64), 32)).sqrt()
    np.testing.assert_allclose(sigma, [0.3, math.sqrt(0.3 * 32), 32], rtol=1e-12)


@pytest.mark.parametrize("shape", [(16, 16), (8, 24), (24, 8), (5, 40)])
def test_an_image_and_its_transpose_are_blurred_alike(shape: tuple[int, int]) -> None:
    """Of neither is anything left at t = 1, as its label is gone: the longer side tells how far the blur goes."""
    x = torch.rand(2, 1, *shape, generator=torch.Generator().manual_seed(1))
    for t in (0.3, 1.0):
        views = blur(x, torch.full((2,), t))
        torch.testing.assert_close(views.mT, blur(x.mT.contiguous(), torch.full((2,), t)), rtol=0, atol=1e-5)
    assert (views.std((2, 3)) <= math.exp(-(math.pi**2) / 2) * x.std((2, 3)) + 1e-5).all()


def test_noise_has_its_mean_and_variance() -> None:
    """x_t of one image over 4,000 draws: mean cos(t pi/2) x, deviation sin(t pi/2), within 5 standard errors."""
    draws, t = 4000, 0.3
    x = gallery_of(digits(1)).clean(slice(None))
    eps = normals(streams(0, torch.arange(draws)), *x.shape[1:])
    noised = add_noise(x.expand(draws, -1, -1, -1), torch.full((draws,), t), eps)
    mean, deviation = math.cos(t * math.pi / 2) * x[0], math.sin(t * math.pi / 2)
    assert float((noised.mean(0) - mean).abs().max()) < 5 * deviation / math.sqrt(draws)
    assert float((noised.std(0) / deviation - 1).abs().max()) < 5 / math.sqrt(2 * draws)
    z = ((noised - mean) / deviation).flatten().numpy()
    assert stats.kstest(z, "norm").pvalue > 1e-3


def test_noise_ends_in_nothing_but_noise() -> None:
    x = gallery_of(digits(2)).clean(slice(None))
    t = torch.tensor([0.0, 1.0])
    noise = normals(streams(0, torch.arange(2)), *x.shape[1:])
    found = add_noise(x, t, noise.clone())
    assert torch.equal(found[0], x[0])
    torch.testing.assert_close(found[1], noise[1], rtol=0, atol=1e-6)


def test_decay_of_every_role(rng: np.random.Generator) -> None:
    k_noise, k_blur = 0.7, 1.8
    mollification = Mollification(Schedule(both=1, k_noise=k_noise, k_blur=k_blur))
    t = rng.uniform(0.01, 0.99, (len(ROLES), 50)).astype(np.float32)
    role = np.arange(len(ROLES), dtype=np.uint8)[:, None].repeat(50, 1)
    found = mollification.decay(role, t)
    angle = t.astype(np.float64) * np.pi / 2
    signal_to_noise = (np.cos(angle) / np.sin(angle)) ** 2
    noise, blurring = (1 / (1 + signal_to_noise)) ** k_noise, t.astype(np.float64) ** k_blur
    assert found.dtype == np.float32
    assert (found[CLEAN] == 0).all()
    np.testing.assert_allclose(found[NOISE], noise[NOISE], rtol=2e-6)
    np.testing.assert_allclose(found[BLUR], blurring[BLUR], rtol=2e-6)
    np.testing.assert_allclose(found[BOTH], (1 - (1 - noise) * (1 - blurring))[BOTH], rtol=2e-6)


def test_temperatures_and_roles_have_their_distribution(rng: np.random.Generator) -> None:
    schedule = Schedule(clean=1, noise=2, blur=3, both=4, alpha=1.5, beta=2.5)
    role, temperature = Mollification(schedule).draw(rng, 20_000)
    assert stats.chisquare(np.bincount(role, minlength=4), 20_000 * np.array([0.1, 0.2, 0.3, 0.4])).pvalue > 1e-3
    for chosen in range(len(ROLES)):
        assert stats.kstest(temperature[role == chosen], "beta", (1.5, 2.5)).pvalue > 1e-3


def test_a_role_without_a_share_is_never_drawn(rng: np.random.Generator) -> None:
    role, _ = Mollification(Schedule(clean=0, noise=0, blur=1, both=0)).draw(rng, 5000)
    assert (role == BLUR).all()


def test_every_view_is_mollified_as_its_role_says() -> None:
    """Clean views stay bit for bit; a view of both roles is blurred, then noised."""
    K, B = 2, 12
    x = gallery_of(colour(K * B)).clean(slice(None))
    role = np.resize(np.arange(4, dtype=np.uint8), (K, B))
    t = torch.linspace(0.05, 0.95, K * B).view(K, B)
    found = x.clone()
    starts = streams(torch.arange(K)[:, None], torch.arange(B))
    mollify(found, role, t, starts)

    flat_role, flat_t = torch.from_numpy(role.flatten()), t.flatten()
    is_blurred = (flat_role == BLUR) | (flat_role == BOTH)
    expected = torch.where(is_blurred[:, None, None, None], blur(x, flat_t), x)
    where = torch.from_numpy(np.flatnonzero(np.isin(role, [NOISE, BOTH])))
    noise = normals(starts.flatten(), *x.shape[1:])
    expected[where] = add_noise(expected[where], flat_t[where], noise[where])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    assert torch.equal(found[flat_role == CLEAN], x[flat_role == CLEAN])


# Pairing

PIPELINE = fcr(Schedule(both=1))


def drawn(views: int, *, seed: int = 0, epoch: int = 0, purpose: str = "training", count: int = 60) -> Draws:
    return PIPELINE.draw(seed, epoch, views, count, CPU, purpose)


def parameters_of(draws: Draws) -> dict[str, NDArray[np.generic]]:
    return {"role": draws.role, "temperature": draws.temperature, "decay": draws.decay, **draws.parameters}


def equal_draws(one: Draws, other: Draws) -> bool:
    mine, theirs = parameters_of(one), parameters_of(other)
    return mine.keys() == theirs.keys() and all(np.array_equal(mine[name], theirs[name]) for name in mine)


def first(draws: Draws, views: int) -> Draws:
    return replace(
        draws,
        role=draws.role[:views],
        temperature=draws.temperature[:views],
        noise={name: keys[:views] for name, keys in draws.noise.items()},
        decay=draws.decay[:views],
        parameters={name: values[:views] for name, values in draws.parameters.items()},
    )


def test_the_same_key_gives_the_same_views_and_any_other_gives_others() -> None:
    assert equal_draws(drawn(2), drawn(2))
    others = [drawn(2), drawn(2, seed=1), drawn(2, epoch=1), drawn(2, purpose="evaluation")]
    digests = [digest for draws in others for digest in draws.view_digests()]
    assert len(set(digests)) == len(digests) == 8
    for name in parameters_of(others[0]):
        rows = [row.tobytes() for draws in others for row in parameters_of(draws)[name]]
        assert len(set(rows)) == len(rows) == 8, name


def test_few_views_are_the_first_of_many() -> None:
    """K = 2 sees a prefix of K = 4: its parameters, its digests and its rendered pixels, noise included."""
    gallery, batch = gallery_of(colour(60)), np.arange(59, 19, -1)
    two, four = drawn(2), drawn(4)
    assert equal_draws(two, first(four, 2))
    assert two.view_digests() == four.view_digests()[:2]
    few, many = (PIPELINE.render(gallery, draws, batch) for draws in (two, four))
    assert torch.equal(few.images, many.images[:2])
    assert torch.equal(few.decay, many.decay[:2])
    assert few.images.shape == (2, 40, 3, 32, 32)


def test_views_do_not_depend_on_the_batch_that_they_are_in() -> None:
    """All roles, both included; blur is a product of matrices, whose last bits the batch may change."""
    pipeline = fcr(Schedule(both=1))
    gallery, draws = gallery_of(colour(60)), pipeline.draw(0, 0, 2, 60, CPU)
    order = np.random.default_rng(0).permutation(60)
    whole = pipeline.render(gallery, draws, order)
    parts = [pipeline.render(gallery, draws, order[start : start + 15]) for start in range(0, 60, 15)]
    torch.testing.assert_close(torch.cat([part.images for part in parts], 1), whole.images, rtol=0, atol=2e-6)
    assert torch.equal(torch.cat([part.decay for part in parts], 1), whole.decay)
    assert torch.equal(torch.cat([part.positions for part in parts]), torch.from_numpy(order))


def test_a_view_carries_the_decay_of_its_own_draw() -> None:
    draws, batch = drawn(3), np.array([5, 50, 17])
    views = PIPELINE.render(gallery_of(colour(60)), draws, batch)
    np.testing.assert_array_equal(views.decay, draws.decay[:, batch])
    assert views.positions.tolist() == batch.tolist()


NOISY = "random-erasing:background=pixel,cutout:size=4:background=pixel,patch-noise:size=4,additive-noise"


@pytest.mark.parametrize("augment", ["none", NOISY, "soft-crop:background=pixel", "mixup,additive-noise"])
def test_an_image_has_its_noise_in_whatever_batch_it_is(augment: str) -> None:
    """Bit for bit for all 160 images, 20 or 40 a step and in any order; roles without blur round nothing by batch."""
    mixing, steps = read_augmentations(augment, FlipCropRotate())
    pipeline = Pipeline(COLOUR, steps, Mollification(Schedule(blur=0)), mixing)
    gallery, draws = gallery_of(colour(160)), pipeline.draw(0, 0, 2, 160, CPU)
    expected = pipeline.render(gallery, draws, np.arange(160)).images
    for size, seed in ((20, 0), (40, 1)):
        for batch in np.random.default_rng(seed).permutation(160).reshape(-1, size):
            assert torch.equal(pipeline.render(gallery, draws, batch).images, expected[:, batch])


def test_pixel_noise_is_of_its_seed_purpose_epoch_view_and_image() -> None:
    pipeline = Pipeline(COLOUR, (), Mollification(Schedule(clean=0, blur=0)))
    gallery, batch = gallery_of(colour(6)), np.arange(6)
    clean, noises = gallery.clean(slice(None)), []
    for seed, epoch, purpose in ((0, 0, "training"), (1, 0, "training"), (0, 1, "training"), (0, 0, "evaluation")):
        draws = pipeline.draw(seed, epoch, 2, 6, CPU, purpose)
        t = torch.from_numpy(draws.temperature)[:, :, None, None, None] * (math.pi / 2)
        views = pipeline.render(gallery, draws, batch).images
        noises.append(((views - torch.cos(t) * clean) / torch.sin(t)).flatten(0, 1).flatten(1))
    n = noises[0].shape[1]
    correlations = np.corrcoef(torch.cat(noises))[~np.eye(48, dtype=bool)]
    assert np.abs(correlations).max() < 5 / math.sqrt(n)


def test_the_key_of_noise_is_in_the_digest_of_views_that_may_have_noise() -> None:
    blur_only, noisy = (fcr(Schedule(noise=noise, both=0)).draw(0, 0, 2, 9, CPU) for noise in (0, 1))
    assert not blur_only.noise
    key = noisy.noise["mollification"]
    other = replace(noisy, noise={"mollification": key + np.array([0, 1])})
    assert other.view_digests()[0] == noisy.view_digests()[0]
    assert other.view_digests()[1] != noisy.view_digests()[1]


def test_without_augmentation_clean_views_are_the_images() -> None:
    pipeline = Pipeline(COLOUR, (), Mollification(Schedule(noise=0, blur=0)))
    gallery, batch = gallery_of(colour(20)), np.array([4, 4, 19])
    views = pipeline.render(gallery, pipeline.draw(0, 0, 2, 20, CPU), batch)
    assert torch.equal(views.images, gallery.clean(torch.from_numpy(batch)).expand(2, -1, -1, -1, -1))
    assert (views.decay == 0).all()


@pytest.mark.parametrize("name", ["role", "temperature", "fcr.flip", "fcr.top", "fcr.left", "fcr.cos", "fcr.sin"])
def test_a_digest_notices_every_parameter(name: str) -> None:
    draws = drawn(2)
    before = draws.view_digests()
    values = parameters_of(draws)[name][1]
    values[30] = not values[30] if name == "fcr.flip" else values[30] + 1
    after = draws.view_digests()
    assert after[0] == before[0]
    assert after[1] != before[1]


def test_rendering_leaves_gallery_and_draws_alone() -> None:
    gallery, draws = gallery_of(colour(60)), drawn(2)
    held, digests = gallery.pixels, draws.view_digests()
    assert isinstance(held, Tensor)
    pixels = held.clone()
    PIPELINE.render(gallery, draws, np.arange(60))
    assert torch.equal(held, pixels)
    assert draws.view_digests() == digests
