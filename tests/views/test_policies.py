"""Policies beside torchvision's v2 transforms: what they draw, in distribution; what they make of it."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import stats
from scipy.stats import contingency
from sklearn.datasets import load_digits
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import AutoAugmentPolicy, InterpolationMode

from auglik.objectives import InputError
from auglik.settings.names import parse
from auglik.views import OPERATIONS, Augmentation, Drawn, Shape
from auglik.views.augmentation import Compilable, Parameters
from auglik.views.operations import BATCHED, BILINEAR, as_is
from auglik.views.policies.augmix import AugMix
from auglik.views.policies.trivial_augment import WIDE
from auglik.views.registry import AUGMENTATIONS
from tests.levels import among, cut, outcomes

SHAPE = Shape(3, 24, 32)
N = 40_000
THEIRS = {name: "".join(map(str.capitalize, name.split("-"))).replace("oc", "oC") for name in OPERATIONS}
"""torchvision's names of the operations."""


class Pair(NamedTuple):
    """A policy by its name here, and torchvision's."""

    name: str
    theirs: v2.Transform

    @property
    def ours(self) -> Augmentation:
        return parse("augmentation", self.name, AUGMENTATIONS)


PAIRS = [
    Pair("trivial-augment", v2.TrivialAugmentWide()),
    Pair("trivial-augment:bins=5", v2.TrivialAugmentWide(5)),
    Pair("rand-augment", v2.RandAugment()),
    Pair("rand-augment:operations=3:magnitude=15:bins=20", v2.RandAugment(3, 15, 20)),
    Pair("auto-augment", v2.AutoAugment(AutoAugmentPolicy.CIFAR10)),
    Pair("auto-augment:policy=imagenet", v2.AutoAugment(AutoAugmentPolicy.IMAGENET)),
    Pair("auto-augment:policy=svhn", v2.AutoAugment(AutoAugmentPolicy.SVHN)),
    Pair("augmix", v2.AugMix()),
    Pair("augmix:severity=10,width=1,depth=2,all_ops=false", v2.AugMix(10, 1, 2, all_ops=False)),
]
every_pair = pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
every_policy = pytest.mark.parametrize("name", ["trivial-augment", "rand-augment", "auto-augment", "augmix", "single"])

Steps = tuple[tuple[str, float], ...]
"""Operations and magnitudes, in turn."""


def draw(policy: Augmentation, count: int, shape: Shape = SHAPE) -> Parameters:
    return policy.draw(np.random.default_rng(3), count, shape)


def drawn(parameters: Parameters, views: slice = slice(None)) -> Drawn:
    host = {name: values[views] for name, values in parameters.items()}
    return Drawn(host, {name: torch.from_numpy(values) for name, values in host.items()})


def images_of(count: int, shape: Shape = SHAPE) -> Tensor:
    drawn = np.random.default_rng(4).integers(256, size=(count, *shape), dtype=np.uint8)
    return torch.from_numpy(drawn)


def our_steps(parameters: Parameters) -> list[Steps]:
    """What is done to each view, chain after chain, but for identity in AugMix, which pads its chains."""
    padded = "share" in parameters
    flat = [np.asarray(parameters[name]).reshape(N, -1).tolist() for name in ("operation", "magnitude")]
    return [
        tuple((OPERATIONS[o], m) for o, m in zip(*view, strict=True) if not (padded and OPERATIONS[o] == "identity"))
        for view in zip(*flat, strict=True)
    ]


def their_steps(transform: v2.Transform, count: int) -> list[Steps]:
    """What torchvision does to each of `count` images, observed where it applies an operation."""
    seen: list[tuple[str, float]] = []
    names = {theirs: ours for ours, theirs in THEIRS.items()}

    def observe(image: Tensor, name: str, magnitude: float, **_: object) -> Tensor:
        seen.append((names[name], magnitude))
        return image

    image, found = torch.zeros(tuple(SHAPE), dtype=torch.uint8), []
    with pytest.MonkeyPatch.context() as patch, torch.random.fork_rng():
        patch.setattr(transform, "_apply_image_or_video_transform", observe)
        torch.manual_seed(5)
        for _ in range(count):
            transform(image)
            found.append(tuple(seen))
            seen.clear()
    return found


def same_frequencies(ours: Iterable[object], theirs: Iterable[object]) -> float:
    """The p-value of a chi-square test that two samples have one distribution; rare values are pooled."""
    first, second = Counter(ours), Counter(theirs)
    rare = [key for key in first | second if first[key] * second.total() < 8 * first.total()]
    table = [[counts[key] for key in first if key not in rare] for counts in (first, second)]
    pooled = [sum(counts[key] for key in rare) for counts in (first, second)]
    if sum(pooled):
        table = [[*row, rest] for row, rest in zip(table, pooled, strict=True)]
    return float(contingency.chi2_contingency(table).pvalue) if len(table[0]) > 1 else 1.0


@every_pair
def test_draws_are_distributed_as_torchvisions(pair: Pair) -> None:
    ours, theirs = our_steps(draw(pair.ours, N)), their_steps(pair.theirs, 2500)
    skips = pair.name.startswith("auto-augment")
    ours = [tuple(step for step in view if not (skips and step[0] == "identity")) for view in ours]
    assert same_frequencies(map(len, ours), map(len, theirs)) > 1e-3
    assert {step for view in theirs for step in view} <= {step for view in ours for step in view}
    first_two = [[tuple(name for name, _ in view[:2]) for view in views] for views in (ours, theirs)]
    assert same_frequencies(*first_two) > 1e-3
    magnitudes = [[step for view in views for step in view[-1:]] for views in (ours, theirs)]
    assert same_frequencies(*magnitudes) > 1e-3


@every_pair
def test_pixels_are_distributed_as_torchvisions(pair: Pair) -> None:
    count = 1200
    digits = torch.from_numpy((load_digits().images[:count] * 15).astype(np.uint8))
    images = digits.repeat_interleave(2, 1).repeat_interleave(2, 2)[:, None].repeat(1, 3, 1, 1)
    parameters = draw(pair.ours, count, Shape(3, 16, 16))
    ours = pair.ours.render(images.clone(), drawn(parameters))
    with torch.random.fork_rng():
        torch.manual_seed(6)
        theirs = torch.stack([pair.theirs(image) for image in images])
    for statistic in (lambda x: x.mean((1, 2, 3)), lambda x: x.std((1, 2, 3)), lambda x: x[:, :, :4].mean((1, 2, 3))):
        assert stats.ks_2samp(statistic(ours.float()), statistic(theirs.float())).pvalue > 1e-3


def in_steps(image: Tensor, steps: Steps, mode: str) -> Tensor:
    """One view, step by step; from each of its images torchvision and the definition make the same, but for ties."""
    table = BILINEAR if mode == "bilinear" else BATCHED
    for name, magnitude in steps:
        ours = table[name].apply(image[None].clone(), torch.tensor([magnitude]))[0]
        theirs = v2.AugMix()._apply_image_or_video_transform(
            image, THEIRS[name], magnitude, InterpolationMode(mode), {"others": None}
        )
        assert isinstance(theirs, Tensor)
        allowed = outcomes(name, image, magnitude, mode)
        assert among(ours, allowed)
        assert among(theirs, allowed)
        image = ours
    return image


@every_policy
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("bilinear", [False, True])
def test_rendered_views_are_the_operations_in_turn(name: str, channels: int, bilinear: bool) -> None:
    """Bit for bit our own, which are torchvision's wherever no tie decides."""
    policy, shape = (
        parse("augmentation", f"{name}:bilinear={str(bilinear).lower()}", AUGMENTATIONS),
        Shape(channels, 16, 16),
    )
    images, parameters = images_of(60, shape), draw(policy, 60, shape)
    found = policy.render(images.clone(), drawn(parameters))
    branches = policy.applied(parameters, shape)
    for view, image in enumerate(images):
        made = []
        for branch in branches:
            positions, magnitudes = branch.operation[view].tolist(), branch.magnitude[view].tolist()
            steps = tuple(
                (OPERATIONS[position], magnitude) for position, magnitude in zip(positions, magnitudes, strict=True)
            )
            made.append(in_steps(image, steps, "bilinear" if bilinear else "nearest"))
        if isinstance(policy, AugMix):
            shares = [float(branch.share[view]) for branch in branches]
            mix = np.tensordot(shares, torch.stack(made).double().numpy(), 1)
            assert among(found[view], cut(mix, mix))
        else:
            assert torch.equal(found[view], made[0])


@every_policy
def test_views_do_not_depend_on_the_batch(name: str) -> None:
    policy, images = AUGMENTATIONS[name], images_of(70)
    parameters = draw(policy, 70)
    whole = policy.render(images.clone(), drawn(parameters))
    parts = [slice(0, 1), slice(1, 33), slice(33, 70)]
    pieces = [policy.render(images[part].clone(), drawn(parameters, part)) for part in parts]
    assert torch.equal(whole, torch.cat(pieces))


@every_policy
def test_reports_are_complete(name: str) -> None:
    policy = AUGMENTATIONS[name]
    parameters = draw(policy, 500)
    branches = policy.applied(parameters, SHAPE)
    np.testing.assert_allclose(sum(branch.share for branch in branches), 1, atol=1e-6)
    for branch in branches:
        assert branch.operation.shape == branch.magnitude.shape == branch.visibility.shape
        assert branch.operation.dtype == np.uint8
        assert branch.magnitude.dtype == branch.visibility.dtype == branch.share.dtype == np.float32
        assert ((branch.visibility >= 0) & (branch.visibility <= 1)).all()
        moved = np.isin(branch.operation, [OPERATIONS.index("translate-x"), OPERATIONS.index("translate-y")])
        assert (branch.visibility[~moved] == 1).all()
        assert (branch.magnitude[branch.operation == OPERATIONS.index("identity")] == 0).all()


def test_augmix_shares_are_beta_and_dirichlet() -> None:
    policy = AugMix(width=4, alpha=0.7)
    share = np.asarray(draw(policy, N)["share"], float)
    assert stats.kstest(share[:, 0], "beta", (0.7, 0.7)).pvalue > 1e-3
    of_chains: NDArray[np.float64] = share[:, 1:] / (1 - share[:, :1])
    whole = np.isfinite(of_chains).all(1) & (share[:, 0] < 0.999)
    for chain in of_chains[whole].T:
        assert stats.kstest(chain, "beta", (0.7, 3 * 0.7)).pvalue > 1e-3


@pytest.mark.parametrize("operation", [*WIDE, "invert"])
def test_single_draws_as_trivial_augment(operation: str) -> None:
    single = draw(parse("augmentation", f"single:operation={operation}", AUGMENTATIONS), N)
    assert set(np.unique(single["operation"])) == {OPERATIONS.index(operation)}
    if operation == "invert":
        assert (single["magnitude"] == 0).all()
        return
    trivial = draw(AUGMENTATIONS["trivial-augment"], N)
    wide = trivial["magnitude"][trivial["operation"] == OPERATIONS.index(operation)]
    assert same_frequencies(single["magnitude"].ravel().tolist(), wide.tolist()) > 1e-3


def test_the_range_of_a_single_operation() -> None:
    policy = parse("augmentation", "single:operation=rotate,range=5..30,bins=6", AUGMENTATIONS)
    magnitude = np.asarray(draw(policy, N)["magnitude"], float)
    assert np.unique(magnitude).tolist() == [-30, -25, -20, -15, -10, -5, 5, 10, 15, 20, 25, 30]
    assert abs((magnitude < 0).mean() - 0.5) < 3.3 * (0.25 / N) ** 0.5


def test_compiled_policies_keep_their_settings() -> None:
    policy = parse("augmentation", "rand-augment:operations=1", AUGMENTATIONS)
    assert isinstance(policy, Compilable)
    compiled = policy.compiled()
    assert replace(compiled, run=as_is) == policy != compiled  # type: ignore[type-var]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("trivial-augment:bins=1", "trivial-augment bins: expected 2 or more, got 1"),
        ("rand-augment:operations=0", "rand-augment operations: expected 1 or more, got 0"),
        ("rand-augment:magnitude=31", r"rand-augment magnitude: expected 0..30, got 31"),
        ("auto-augment:policy=cifar", "unknown auto-augment policy 'cifar'; did you mean 'cifar10'?"),
        ("augmix:severity=11", "augmix severity: expected 1..10, got 11"),
        ("augmix:depth=0", "augmix depth: expected 1 or more, or -1 for one to three, got 0"),
        ("augmix:alpha=nan", "augmix alpha: expected a positive number, got nan"),
        ("augmix:width=0", "augmix width: expected 1 or more, got 0"),
        ("single:operation=crop", "unknown operation 'crop'"),
        ("single:range=fat", "single range: expected wide or LOW..HIGH, e.g. 0..30, got 'fat'"),
        ("single:operation=posterize,range=4..9", "single posterize: expected magnitudes in [0,8] (bits), got 9"),
        ("single:bins=1", "single bins: expected 2 or more, got 1"),
    ],
)
def test_settings_out_of_range_are_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(InputError) as refusal:
        parse("augmentation", text, AUGMENTATIONS)
    assert str(refusal.value).startswith(message)
    assert "\n" not in str(refusal.value)


@every_policy
@pytest.mark.parametrize("shape", [Shape(3, 2, 32), Shape(1, 8, 1), Shape(2, 8, 8)])
def test_unusable_images_are_refused(name: str, shape: Shape) -> None:
    with pytest.raises(InputError, match=f"^{name}: expected [^\n]*$"):
        AUGMENTATIONS[name].check(shape)
    AUGMENTATIONS[name].check(Shape(1, 3, 3))
