"""Operations on levels beside their definitions in float64 and torchvision's v2 functional ones."""

import functools
import itertools
import math
import os
import shutil
from collections.abc import Callable

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as F  # noqa: N812

from auglik import open_dataset
from auglik.objectives import InputError
from auglik.views import OPERATIONS
from auglik.views.operations import BATCHED, BILINEAR, Grouping, as_is, coefficients_of, compiled, operate
from auglik.views.operations.blends import gray
from auglik.views.operations.geometry import nearest
from auglik.views.operations.running import COMPILABLE, COMPILABLE_ELSEWHERE
from auglik.views.operations.sharpness import sharpen
from tests.levels import among, at_ties, outcomes

MODES = {"nearest": BATCHED, "bilinear": BILINEAR}
GEOMETRIC = ("rotate", "shear-x", "shear-y", "translate-x", "translate-y")
NOTHING = (0.0,)
BOTH_WAYS = (-0.99, -0.9, -0.5, -0.27, -0.033, 0.0, 0.1, 0.33, 0.5, 0.66, 0.9, 0.99)
PIXELS = (-40.0, -32.0, -8.53, -3.99, -1.0, 0.0, 0.5, 1.07, 4.0, 12.0, 31.0)
MAGNITUDES: dict[str, tuple[float, ...]] = {
    "identity": NOTHING,
    "flip": (0.0, 1.0),
    "rotate": (-180.0, -135.0, -90.0, -30.0, -4.5, 0.0, 0.25, 9.0, 45.0, 90.0, 121.5, 180.0),
    "shear-x": BOTH_WAYS,
    "shear-y": BOTH_WAYS,
    "translate-x": PIXELS,
    "translate-y": PIXELS,
    "brightness": (-1.0, *BOTH_WAYS, 2.0),
    "color": (-1.0, *BOTH_WAYS, 2.0),
    "contrast": (-1.0, *BOTH_WAYS, 2.0),
    "sharpness": (-1.0, *BOTH_WAYS, 2.0),
    "posterize": (0.0, 1.0, 2.0, 4.0, 6.5, 7.0, 8.0),
    "solarize": (0.0, 0.1, 0.5, 0.7, 1.0),
    "autocontrast": NOTHING,
    "equalize": NOTHING,
    "invert": NOTHING,
}


def digits() -> Tensor:
    return torch.from_numpy((load_digits().images[:12] * 15).astype(np.uint8))[:, None]


def uniform(*shape: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8))


def narrow() -> Tensor:
    """Images of few levels, some channels of only one."""
    levels = torch.from_numpy(np.random.default_rng(1).integers(90, 140, (12, 3, 16, 24), dtype=np.uint8))
    levels[:4, 1] = 77
    levels[4:6] = 0
    return levels


@functools.cache
def cifar() -> Tensor:
    return torch.from_numpy(open_dataset(os.environ["AUGLIK_CIFAR10"]).train().images[:16])


IMAGES: dict[str, Callable[[], Tensor]] = {
    "digits": digits,
    "color": lambda: uniform(8, 3, 32, 32),
    "oblong": lambda: uniform(6, 3, 24, 40),
    "gray": lambda: uniform(8, 1, 28, 28),
    "narrow": narrow,
    **({"cifar": cifar} if "AUGLIK_CIFAR10" in os.environ else {}),
}


def test_gray_is_exact_for_every_color() -> None:
    """The whole part of 0.2989 R + 0.587 G + 0.114 B; torchvision's floats fall short only where all of it is whole."""
    level = torch.arange(256, dtype=torch.uint8)
    for red in range(256):
        colors = torch.stack(torch.meshgrid(level[red : red + 1], level, level, indexing="ij"), 1)
        parts = (colors.int() * torch.tensor([2989, 5870, 1140])[:, None, None]).sum(1)
        found, rounded = gray(colors), F.rgb_to_grayscale(colors)[:, 0].float()
        assert torch.equal(found, (parts // 10_000).float())
        assert torch.equal(rounded, torch.where((rounded < found) & (parts % 10_000 == 0), found - 1, found))


def sheared(image: Tensor, x: float, y: float, mode: InterpolationMode) -> Tensor:
    shear = [math.degrees(math.atan(x)), math.degrees(math.atan(y))]
    return F.affine(image, 0.0, [0, 0], 1.0, shear, interpolation=mode, center=[0, 0])


def shifted(image: Tensor, x: float, y: float, mode: InterpolationMode) -> Tensor:
    return F.affine(image, 0.0, [int(x), int(y)], 1.0, [0.0, 0.0], interpolation=mode)


REFERENCE: dict[str, Callable[[Tensor, float, InterpolationMode], Tensor]] = {
    "identity": lambda image, m, mode: image,
    "flip": lambda image, m, mode: F.horizontal_flip(image) if m else image,
    "rotate": lambda image, m, mode: F.rotate(image, m, interpolation=mode),
    "shear-x": lambda image, m, mode: sheared(image, m, 0, mode),
    "shear-y": lambda image, m, mode: sheared(image, 0, m, mode),
    "translate-x": lambda image, m, mode: shifted(image, m, 0, mode),
    "translate-y": lambda image, m, mode: shifted(image, 0, m, mode),
    "brightness": lambda image, m, mode: F.adjust_brightness(image, 1 + m),
    "color": lambda image, m, mode: F.adjust_saturation(image, 1 + m),
    "contrast": lambda image, m, mode: F.adjust_contrast(image, 1 + m),
    "sharpness": lambda image, m, mode: F.adjust_sharpness(image, 1 + m),
    "posterize": lambda image, m, mode: F.posterize(image, int(m)),
    "solarize": lambda image, m, mode: F.solarize(image, 255.0 * m),
    "autocontrast": lambda image, m, mode: F.autocontrast(image),
    "equalize": lambda image, m, mode: F.equalize(image),
    "invert": lambda image, m, mode: F.invert(image),
}


def test_every_operation_is_walked() -> None:
    assert set(MAGNITUDES) == set(REFERENCE) == set(BATCHED) == set(BILINEAR)
    assert set(OPERATIONS) - set(BATCHED) == {"crop", "erase", "noise"}


@pytest.mark.parametrize("kind", IMAGES)
@pytest.mark.parametrize(
    ("mode", "name"), [*(("nearest", name) for name in BATCHED), *(("bilinear", name) for name in GEOMETRIC)]
)
def test_equal_to_the_definition_and_to_torchvision(mode: str, name: str, kind: str) -> None:
    """Both give what float64 gives but at ties, less than a third of the pixels over all magnitudes."""
    images, magnitudes = IMAGES[kind](), torch.tensor(MAGNITUDES[name])
    each = images.repeat_interleave(len(magnitudes), 0)
    found = MODES[mode][name].apply(each.clone(), magnitudes.repeat(len(images)))
    assert found.dtype == torch.uint8
    every = [(image, m) for image in images for m in magnitudes.tolist()]
    ties = []
    for ours, (image, m) in zip(found, every, strict=True):
        allowed = outcomes(name, image, m, mode)
        assert among(ours, allowed)
        assert among(REFERENCE[name](image, m, InterpolationMode(mode)), allowed)
        ties.append(at_ties(allowed))
    assert np.mean(ties) < 1 / 3


@pytest.mark.parametrize("size", [(2, 2), (3, 3), (3, 4), (5, 5)])
def test_contrast_of_small_images(size: tuple[int, int]) -> None:
    """Their mean, which float32 rounds, decides every pixel at once."""
    for image, magnitude in itertools.product(uniform(15, 3, *size), torch.tensor(MAGNITUDES["contrast"])):
        allowed = outcomes("contrast", image, magnitude.item())
        assert among(BATCHED["contrast"].apply(image[None].clone(), magnitude[None])[0], allowed)
        assert among(REFERENCE["contrast"](image, magnitude.item(), InterpolationMode.NEAREST), allowed)


@pytest.mark.parametrize("name", BATCHED)
def test_images_without_inner_pixels(name: str) -> None:
    images = uniform(6, 1, 2, 2)
    magnitude = MAGNITUDES[name][len(MAGNITUDES[name]) // 2]
    found = BATCHED[name].apply(images, torch.full((6,), magnitude))
    assert found.shape == images.shape
    if name == "sharpness":
        assert torch.equal(found, images)


@pytest.mark.parametrize("kind", ["digits", "oblong"])
def test_gathering_and_sampling_do_the_same(kind: str) -> None:
    images = IMAGES[kind]().repeat(8, 1, 1, 1)
    H, W = images.shape[2:]
    names = [GEOMETRIC[view % 5] for view in range(len(images))]
    operation = np.array([OPERATIONS.index(name) for name in names], np.uint8)
    magnitude = np.random.default_rng(0).uniform(-1, 1, len(images)).astype(np.float32) * 9
    coefficients = torch.from_numpy(coefficients_of(operation, magnitude, H, W, BATCHED))
    gathered, sampled = (kernel(images, coefficients) for kernel in (COMPILABLE[nearest], nearest))
    for one, other, image, name, m in zip(gathered, sampled, images, names, magnitude.tolist(), strict=True):
        allowed = outcomes(name, image, m)
        assert among(one, allowed)
        assert among(other, allowed)


@pytest.mark.parametrize("kind", ["digits", "oblong", "narrow"])
def test_sharpness_for_a_gpus_compiler_is_the_same(kind: str) -> None:
    images = IMAGES[kind]()
    coefficients = torch.linspace(-9, 1, len(images))[:, None].expand(-1, 6)
    assert torch.equal(COMPILABLE_ELSEWHERE[sharpen](images, coefficients), sharpen(images, coefficients))


@pytest.mark.skipif(not any(map(shutil.which, ("g++", "clang++"))), reason="torch.compile needs a C++ compiler")
def test_compiled_kernels_serve_any_number_of_views() -> None:
    solarize = BATCHED["solarize"]
    for count in (1, 2, 7, 30):
        images = uniform(count, 3, 8, 8)
        coefficients = solarize.coefficients(torch.linspace(0, 1, count), 8, 8)
        expected = as_is(solarize.kernel, images, coefficients)
        assert torch.equal(compiled(solarize.kernel, images, coefficients), expected)


@pytest.mark.parametrize("count", [1, 2, 150])
@pytest.mark.parametrize("mode", MODES)
def test_mixed_batches_are_operated_on_view_by_view(mode: str, count: int) -> None:
    table, generator = MODES[mode], np.random.default_rng(2)
    names = generator.choice(list(table), count)
    magnitude = np.array([generator.choice(MAGNITUDES[name]) for name in names], np.float32)
    operation = np.array([OPERATIONS.index(name) for name in names], np.uint8)
    images = uniform(count, 3, 16, 16)
    coefficients = torch.from_numpy(coefficients_of(operation, magnitude, 16, 16, table))
    found = operate(images.clone(), operation[:, None], coefficients[:, None], Grouping.of(table), as_is)
    for view, name in enumerate(names):
        one = table[name].apply(images[view : view + 1], torch.from_numpy(magnitude[view : view + 1]))
        assert torch.equal(found[view], one[0])


@pytest.mark.parametrize("name", BATCHED)
def test_visibility_is_the_share_left_in_the_frame(name: str) -> None:
    magnitude = np.array(MAGNITUDES[name], np.float32)
    seen = BATCHED[name].visibility(magnitude, 10, 16)
    assert seen.dtype == np.float32
    if not name.startswith("translate"):
        assert (seen == 1).all()
        return
    white = torch.full((len(magnitude), 1, 10, 16), 255, dtype=torch.uint8)
    left = (BATCHED[name].apply(white, torch.from_numpy(magnitude)) > 0).float().mean((1, 2, 3))
    np.testing.assert_allclose(seen, left, atol=1e-6)


@pytest.mark.parametrize("name", BATCHED)
def test_magnitudes_out_of_range_are_refused_in_one_line(name: str) -> None:
    operation = BATCHED[name]
    low, high = operation.limits
    operation.check(name, np.array([low, high, *MAGNITUDES[name]], np.float32))
    for wrong in (np.nextafter(low, -math.inf), np.nextafter(high, math.inf), math.nan):
        with pytest.raises(InputError, match=f"^{name}: expected magnitudes in .* got [^\n]*$"):
            operation.check(name, np.array([low, wrong]))
