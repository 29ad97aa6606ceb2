"""Erasing, cutout and noise against torchvision, all possible squares, and the normal distribution."""

import itertools
import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as tv

from auglik.objectives import InputError
from auglik.settings.names import parse
from auglik.views.augmentation import OPERATIONS, Augmentation, Parameters, Shape
from auglik.views.augmentations.additive_noise import AdditiveNoise
from auglik.views.augmentations.cutout import Cutout
from auglik.views.augmentations.patch_noise import PatchNoise
from auglik.views.augmentations.random_erasing import RandomErasing
from auglik.views.registry import AUGMENTATIONS
from tests.rendering import SHAPES, is_standard_normal, noise_images, p_value_same, render

ERASE, NOISE, IDENTITY = (OPERATIONS.index(name) for name in ("erase", "noise", "identity"))
BACKGROUNDS = ["constant", "pixel", "zero"]
ERASERS: list[RandomErasing | Cutout] = [RandomErasing(p=0.8, area=0.4), Cutout(5)]


def boxes_of(parameters: Parameters) -> NDArray[np.int64]:
    return parameters["box"].astype(np.int64)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("eraser", ERASERS)
def test_erased_pixels_are_torchvisions(eraser: Augmentation, shape: Shape) -> None:
    parameters, images = eraser.draw(np.random.default_rng(0), 40, shape), noise_images(40, shape)
    expected = [
        tv.erase(image, top, left, h, w, torch.zeros(1, 1, 1))
        for image, (top, left, h, w) in zip(images, boxes_of(parameters).tolist(), strict=True)
    ]
    views = render(eraser, images, parameters)
    assert torch.equal(views, torch.stack(expected))
    assert not torch.equal(views, images)


@pytest.mark.parametrize("background", BACKGROUNDS[:2])
@pytest.mark.parametrize("name", ["random-erasing", "cutout:size=7"])
def test_erased_pixels_show_the_background(name: str, background: str) -> None:
    shape = Shape(3, 20, 16)
    eraser = parse("augmentation", f"{name}:background={background}", AUGMENTATIONS)
    parameters, images = eraser.draw(np.random.default_rng(1), 80, shape), torch.full((80, *shape), 50.0)
    views = render(eraser, images, parameters)
    hidden = inside(boxes_of(parameters), shape)[:, None].expand_as(views)
    assert torch.equal(views[~hidden], images[~hidden])
    if background == "pixel":
        assert is_standard_normal(views[hidden])
    else:
        colour = torch.from_numpy(parameters["colour"])[:, :, None, None].expand_as(views)
        assert torch.equal(views[hidden], colour[hidden])


def inside(boxes: NDArray[np.int64], shape: Shape) -> Tensor:
    """Which pixels are in the boxes, slice by slice: bool [n,H,W]."""
    masks = torch.zeros(len(boxes), shape.height, shape.width, dtype=torch.bool)
    for mask, (top, left, h, w) in zip(masks, boxes.tolist(), strict=True):
        mask[top : top + h, left : left + w] = True
    return masks


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("eraser", ERASERS)
def test_erasing_reports_the_pixels_that_it_hides(eraser: Augmentation, shape: Shape) -> None:
    parameters = eraser.draw(np.random.default_rng(2), 100, shape)
    hidden = inside(boxes_of(parameters), shape).double().mean((1, 2)).numpy()
    (applied,) = eraser.applied(parameters, shape)
    np.testing.assert_allclose(applied.visibility[:, 0], 1 - hidden, atol=1e-6)
    np.testing.assert_allclose(applied.magnitude[:, 0], hidden, atol=1e-6)
    np.testing.assert_array_equal(applied.operation[:, 0], np.where(hidden > 0, ERASE, IDENTITY))
    np.testing.assert_array_equal(applied.share, 1)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("area", [0.33, 0.8])
def test_rectangles_of_random_erasing_have_torchvisions_distribution(shape: Shape, area: float) -> None:
    transform, image = v2.RandomErasing(1.0, (0.02, area)), torch.zeros(shape)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        drawn = [transform.make_params([image]) for _ in range(2500)]
    theirs = np.array([[of["i"], of["j"], of["h"], of["w"]] if of["v"] is not None else [0] * 4 for of in drawn])
    ours = boxes_of(RandomErasing(1.0, area).draw(np.random.default_rng(3), 5000, shape))
    for a, b in zip(features(ours), features(theirs), strict=True):
        assert p_value_same(a, b) > 1e-3


def test_defaults_of_random_erasing_are_torchvisions() -> None:
    ours, theirs = RandomErasing(), v2.RandomErasing()
    assert ours.p == theirs.p
    assert ((ours.min_area, ours.area), (ours.min_ratio, ours.max_ratio)) == (theirs.scale, theirs.ratio)


def features(boxes: NDArray[np.int64]) -> list[NDArray[np.generic]]:
    """Where, how large and of which ratio; areas of 0 are rectangles that did not fit."""
    top, left, h, w = boxes.T
    return [top, left, h, w, h * w, (h + 1) / (w + 1), top * w, left * h, top - left]


def test_rectangles_that_never_fit_leave_the_image_as_it_is() -> None:
    eraser, shape, images = RandomErasing(1.0, 1.0, 1.0), Shape(1, 8, 8), noise_images(50, Shape(1, 8, 8))
    parameters = eraser.draw(np.random.default_rng(4), 50, shape)
    assert torch.equal(render(eraser, images, parameters), images)
    (applied,) = eraser.applied(parameters, shape)
    assert (applied.visibility == 1).all()
    assert (applied.operation == IDENTITY).all()


@pytest.mark.parametrize("p", [0.25, 0.5, 0.75])
@pytest.mark.parametrize("name", ["random-erasing", "cutout:size=4", "patch-noise:size=4", "additive-noise"])
def test_augmentations_are_made_with_chance_p(name: str, p: float) -> None:
    augmentation, shape, count = parse("augmentation", f"{name}:p={p}", AUGMENTATIONS), Shape(3, 16, 16), 4000
    (applied,) = augmentation.applied(augmentation.draw(np.random.default_rng(5), count, shape), shape)
    made = int((applied.operation != IDENTITY).sum())
    assert abs(made - p * count) < 4 * math.sqrt(count * p * (1 - p))
    untouched = applied.operation == IDENTITY
    assert (applied.visibility[untouched] == 1).all()
    assert (applied.magnitude[untouched] == 0).all()
    assert (applied.magnitude[~untouched] > 0).all()


@pytest.mark.parametrize("name", ["random-erasing", "cutout:size=4", "patch-noise:size=4", "additive-noise"])
def test_views_that_are_not_chosen_stay_as_they_are(name: str) -> None:
    augmentation, shape = parse("augmentation", f"{name}:p=0.5", AUGMENTATIONS), Shape(3, 16, 16)
    parameters, images = augmentation.draw(np.random.default_rng(6), 60, shape), noise_images(60, shape)
    (applied,) = augmentation.applied(parameters, shape)
    chosen = torch.from_numpy(applied.operation[:, 0] != IDENTITY)
    unchanged = (render(augmentation, images, parameters) == images).flatten(1).all(1)
    assert torch.equal(unchanged, ~chosen)
    never = parse("augmentation", f"{name}:p=0", AUGMENTATIONS)
    assert torch.equal(render(never, images, never.draw(np.random.default_rng(6), 60, shape)), images)


@pytest.mark.parametrize("size", [3, 4, 8])
@pytest.mark.parametrize("shape", [Shape(1, 8, 8), Shape(3, 9, 14)])
def test_squares_of_cutout_have_their_centre_anywhere(size: int, shape: Shape) -> None:
    """Every pixel is the centre equally often; the square reaches from size // 2 before it, cut at the borders."""
    expected: dict[tuple[int, ...], int] = {}
    for y, x in itertools.product(range(shape.height), range(shape.width)):
        rows = sorted({y - size // 2 + i for i in range(size)} & set(range(shape.height)))
        columns = sorted({x - size // 2 + i for i in range(size)} & set(range(shape.width)))
        box = (rows[0], columns[0], len(rows), len(columns))
        expected[box] = expected.get(box, 0) + 1
    count = 100 * shape.height * shape.width
    found = dict.fromkeys(expected, 0)
    for box in map(tuple, boxes_of(Cutout(size).draw(np.random.default_rng(7), count, shape)).tolist()):
        found[box] += 1
    assert stats.chisquare(list(found.values()), [100 * of for of in expected.values()]).pvalue > 1e-3


def noise_in(augmentation: Augmentation, shape: Shape, count: int) -> tuple[Tensor, Parameters]:
    """What was added to each view, and its parameters."""
    parameters, images = augmentation.draw(np.random.default_rng(8), count, shape), noise_images(count, shape)
    return render(augmentation, images, parameters) - images, parameters


@pytest.mark.parametrize("shape", [Shape(1, 8, 8), Shape(3, 12, 20)])
def test_additive_noise_has_the_strength_that_was_drawn(shape: Shape) -> None:
    added, parameters = noise_in(AdditiveNoise(0.8), shape, 100)
    strength = torch.from_numpy(parameters["strength"])
    strong = strength > 0.05
    assert is_standard_normal((added / strength[:, None, None, None])[strong])
    drawn = AdditiveNoise(0.8).draw(np.random.default_rng(9), 5000, shape)["strength"].astype(np.float64)
    assert stats.kstest(drawn, "uniform", (0, 0.8)).pvalue > 1e-3


@pytest.mark.parametrize("shape", [Shape(1, 8, 8), Shape(3, 12, 20)])
def test_patch_noise_is_within_its_square(shape: Shape) -> None:
    added, parameters = noise_in(PatchNoise(6, 2.0), shape, 150)
    patch = inside(boxes_of(parameters), shape)[:, None].expand_as(added)
    assert (added[~patch] == 0).all()
    strength = torch.from_numpy(parameters["strength"])[:, None, None, None].expand_as(added)
    strong = patch & (strength > 0.1)
    assert is_standard_normal(added[strong] / strength[strong])


@pytest.mark.parametrize("augmentation", [AdditiveNoise(0.9), PatchNoise(5, 0.9)])
def test_visibility_of_noise_is_the_images_share_in_the_variance(augmentation: AdditiveNoise | PatchNoise) -> None:
    """On many images of independent standard normal pixels; every view has the strength sigma."""
    shape, count = Shape(3, 10, 10), 600
    parameters = dict(augmentation.draw(np.random.default_rng(10), count, shape))
    parameters["strength"] = np.full(count, augmentation.sigma, np.float32)
    (applied,) = augmentation.applied(parameters, shape)
    np.testing.assert_allclose(applied.magnitude, 1, rtol=1e-6)
    assert (applied.operation == NOISE).all()
    views = render(augmentation, noise_images(count, shape), parameters).double()
    variance = views.square().mean((0, 1))
    noised = inside(boxes_of(parameters), shape) if "box" in parameters else torch.ones(count, 10, 10)
    expected = 1 + 0.81 * noised.double().mean(0)
    assert ((variance / expected - 1).abs() < 6 * math.sqrt(2 / (3 * count))).all()
    share = noised.double().mean((1, 2)).numpy()
    np.testing.assert_allclose(applied.visibility[:, 0], 1 - share + share / 1.81, atol=1e-6)


@pytest.mark.parametrize(
    "name", ["random-erasing:background=pixel", "cutout:size=4:background=pixel", "additive-noise"]
)
def test_pixel_noise_is_keyed_by_view_and_image(name: str) -> None:
    augmentation, shape = parse("augmentation", name, AUGMENTATIONS), Shape(3, 16, 16)
    parameters = augmentation.draw(np.random.default_rng(11), 40, shape)
    images = noise_images(40, shape)
    first, again, other = (render(augmentation, images, parameters, key) for key in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    order = np.random.default_rng(1).permutation(40)[:17]
    some = {name: values[order] for name, values in parameters.items()}
    index = torch.from_numpy(order)
    assert torch.equal(render(augmentation, images[index], some, 1, index), first[index])


@pytest.mark.parametrize("name", ["cutout", "patch-noise"])
def test_squares_larger_than_the_image_are_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"{name}: expected images of at least .* got 8 x 30; .* at most 8"):
        AUGMENTATIONS[name].check(Shape(1, 8, 30))
    parse("augmentation", f"{name}:size=8", AUGMENTATIONS).check(Shape(1, 8, 30))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("random-erasing:p=1.2", r"p: expected a probability in \[0,1\], got 1.2"),
        ("random-erasing:area=0.01", "expected 0 <= min_area <= area <= 1"),
        ("random-erasing:area=nan", "expected 0 <= min_area <= area <= 1"),
        ("random-erasing:min_ratio=0", "expected 0 < min_ratio <= max_ratio"),
        ("random-erasing:background=grey", "expected one of constant, pixel, zero, got 'grey'"),
        ("cutout:size=0", "expected pixels >= 1, got 0"),
        ("cutout:size=4.5", "expected a whole number for size, as its default is"),
        ("cutout:background=grey", "expected one of"),
        ("patch-noise:sigma=-1", "expected a deviation > 0"),
        ("patch-noise:size=0", "expected pixels >= 1"),
        ("patch-noise:p=-0.1", "expected a probability"),
        ("additive-noise:sigma=inf", "expected a deviation > 0"),
        ("additive-noise:p=2", "expected a probability"),
    ],
)
def test_settings_out_of_range_are_refused_in_one_line(text: str, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint) as refusal:
        parse("augmentation", text, AUGMENTATIONS)
    assert "\n" not in str(refusal.value)
