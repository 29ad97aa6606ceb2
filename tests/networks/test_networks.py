"""Networks: published sizes, initial weights by key, gradients, precisions and memory formats."""

import math

import pytest
import scipy.fft
import scipy.stats
import torch
from torch import Tensor, nn

from auglik.networks import NETWORKS, PreactResnet, build_network, check_images, initialize
from auglik.networks.fast_resnet import WhiteningStem, dct_matrix
from auglik.networks.layers import GridMaxima
from auglik.networks.own import accept
from auglik.objectives.errors import InputError
from auglik.settings.names import parse
from auglik.system.devices import send
from tests.cuda.guard import cuda

LIGHT = [
    "small-cnn",
    "small-cnn:width=5",
    "small-cnn:norm=frn",
    "small-cnn:norm=none",
    "fast-resnet",
    "fast-resnet:width=8",
]
ALL = [*LIGHT, "preact-resnet-18"]


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def size(name: str, channels: int, classes: int) -> int:
    with torch.device("meta"):
        network = NETWORKS[name].build(channels, classes)
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("name", "classes", "millions"),
    [
        ("preact-resnet-18", 10, "11.17"),
        ("preact-resnet-34", 10, "21.28"),
        ("preact-resnet-50", 10, "23.51"),
        ("preact-resnet-101", 10, "42.50"),
        ("preact-resnet-50", 100, "23.7"),
    ],
)
def test_preact_resnets_have_the_published_sizes(name: str, classes: int, millions: str) -> None:
    decimals = len(millions.partition(".")[2])
    assert f"{size(name, 3, classes) / 1e6:.{decimals}f}" == millions


def test_small_networks_have_the_sizes_that_their_layers_add_up_to() -> None:
    w = 16
    assert size("small-cnn", 1, 10) == 9 * (w + w * w + 2 * w * w) + 2 * (w + w + 2 * w) + (8 * w + 1) * 10
    w = 32
    network = build_network("fast-resnet", 3, 10, 10, seed=0)
    convolutions = 4 * 54 * w + 9 * (2 * w * w + (2 * w) ** 2 + 8 * w * w + (4 * w) ** 2)
    norms = 2 * (w + 2 * 2 * w + 2 * 4 * w)
    assert sum(parameter.numel() for parameter in network.parameters()) == convolutions + norms + (16 * w + 1) * 10


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("small-cnn", [(4, 4), (5, 7), (8, 8), (28, 28)]),
        ("fast-resnet", [(8, 8), (9, 13), (32, 32)]),
        ("preact-resnet-18", [(8, 9), (32, 32)]),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_logits_of_images_of_several_sizes(name: str, sizes: list[tuple[int, int]], channels: int) -> None:
    network = build_network(name, channels, 10, 11, seed=0).eval()
    with torch.no_grad():
        for height, width in sizes:
            logits = network(randn(2, channels, height, width))
            assert logits.shape == (2, 11)
            assert logits.isfinite().all()


@pytest.mark.parametrize("name", ALL)
def test_initial_weights_follow_the_seed_alone(name: str) -> None:
    torch.manual_seed(1)
    first = build_network(name, 3, 10, 10, seed=7).state_dict()
    torch.manual_seed(2)
    again = build_network(name, 3, 10, 10, seed=7).state_dict()
    other = build_network(name, 3, 10, 10, seed=8).state_dict()
    assert first.keys() == again.keys() == other.keys()
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert all(not torch.equal(first[key], other[key]) for key in first if first[key].ndim > 1)


@pytest.mark.parametrize("name", ALL)
def test_a_sink_row_leaves_everything_else_as_it_was(name: str) -> None:
    plain = build_network(name, 1, 10, 10, seed=3).state_dict()
    sink = build_network(name, 1, 10, 11, seed=3).state_dict()
    for key, values in plain.items():
        assert torch.equal(sink[key][: len(values)] if key.startswith("head.") else sink[key], values)
    assert not (sink["head.weight"][10] == plain["head.weight"]).any()


@pytest.mark.parametrize("name", LIGHT)
def test_building_leaves_the_global_random_state_alone(name: str) -> None:
    before = torch.random.get_rng_state()
    build_network(name, 3, 10, 11, seed=0)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("name", ["small-cnn:width=64", "fast-resnet", "preact-resnet-18"])
def test_initial_weights_are_uniform_within_one_over_root_fan_in(name: str) -> None:
    network = build_network(name, 3, 100, 101, seed=0)
    layers = {key: layer for key, layer in network.named_modules() if isinstance(layer, nn.Conv2d | nn.Linear)}
    p_values = []
    for layer in layers.values():
        fan_in = layer.weight[0].numel()
        scaled = layer.weight.detach().flatten()[:20_000] * math.sqrt(fan_in)
        p_values.append(float(scipy.stats.kstest(scaled.numpy(), "uniform", args=(-1, 2)).pvalue))
    assert min(p_values) > 1e-3 / len(p_values)
    bias = network.get_parameter("head.bias").detach()
    assert float(bias.abs().max()) * math.sqrt(layers["head"].weight[0].numel()) == pytest.approx(1, abs=0.1)


def test_the_spread_of_initial_weights_is_that_of_torch_itself() -> None:
    ours = build_network("fast-resnet", 3, 10, 10, seed=0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        theirs = NETWORKS["fast-resnet"].build(3, 10)
    for (key, mine), reference in zip(ours.state_dict().items(), theirs.state_dict().values(), strict=True):
        if mine.ndim > 1:
            assert float(mine.std()) == pytest.approx(float(reference.std()), rel=6 / math.sqrt(mine.numel())), key
        elif key != "head.bias":
            assert torch.equal(mine, reference), key


def test_initialize_refuses_parameters_that_it_has_no_rule_for() -> None:
    network = build_network("small-cnn", 1, 10, 10, seed=0)
    network.add_module("norm", nn.LayerNorm(3))
    with pytest.raises(TypeError, match="LayerNorm at 'norm'"):
        initialize(network, 10, seed=0)


@pytest.mark.parametrize("name", ALL)
def test_every_parameter_gets_a_finite_gradient(name: str) -> None:
    network = build_network(name, 3, 10, 11, seed=0)
    nn.functional.cross_entropy(network(randn(4, 3, 16, 16)), torch.tensor([0, 3, 9, 10])).backward()
    for key, parameter in network.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key
        assert parameter.grad.any(), key


@pytest.mark.parametrize("name", LIGHT)
def test_fits_one_batch_of_random_labels_at_its_default_rate(name: str) -> None:
    network = build_network(name, 1, 10, 10, seed=0)
    images, labels = randn(32, 1, 8, 8), torch.arange(32) % 10
    optimizer = torch.optim.SGD(network.parameters(), NETWORKS[name.partition(":")[0]].learning_rate, momentum=0.9)
    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(images), labels).backward()
        optimizer.step()
    assert float(nn.functional.cross_entropy(network(images), labels).detach()) < 0.05


@pytest.mark.parametrize("name", ALL)
def test_channels_last_and_bfloat16_give_nearly_the_same_logits(name: str) -> None:
    images = randn(4, 3, 16, 16)
    network = build_network(name, 3, 10, 10, seed=0)
    with torch.no_grad():
        expected = network(images)
        network = network.to(memory_format=torch.channels_last)
        images = images.contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(network(images), expected, rtol=1e-3, atol=1e-4)
        with torch.autocast("cpu", torch.bfloat16):
            rounded = network(images)
    assert rounded.dtype == torch.bfloat16
    assert float((rounded.float() - expected).abs().mean()) < 0.05 * float(expected.std())


@pytest.mark.parametrize("n", [1, 2, 3, 8])
def test_dct_matrix_is_scipys(n: int) -> None:
    torch.testing.assert_close(
        dct_matrix(n), torch.from_numpy(scipy.fft.dct(torch.eye(n).numpy(), norm="ortho", axis=0))
    )


@pytest.mark.parametrize("channels", [1, 3])
def test_whitening_stem_is_a_linear_map_split_by_sign_with_unit_variance(channels: int) -> None:
    stem = WhiteningStem(channels)
    smooth = nn.functional.avg_pool2d(randn(64, channels, 18, 18), 3, stride=1)
    positive, negative = stem(smooth).chunk(2, dim=1)
    assert stem.outputs == 2 * positive.shape[1] == 18 * channels
    assert not ((positive > 0) & (negative > 0)).any()
    variance = (positive - negative).var((0, 2, 3), correction=0)
    torch.testing.assert_close(variance, torch.ones_like(variance), rtol=1e-2, atol=0)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("small-cn", "did you mean 'small-cnn'"),
        ("small-cnn:width=0", "expected a width of at least 1 channel, got 0"),
        ("fast-resnet:width=-3", "expected a width of at least 1 channel, got -3"),
        ("small-cnn:depth=3", "unknown parameter 'depth'"),
        ("small-cnn:width=2.5", "expected a whole number for width, as its default is"),
    ],
)
def test_bad_names_are_refused_in_one_line(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        build_network(name, 1, 10, 10, seed=0)
    assert "\n" not in str(caught.value)


def test_an_own_networks_annotation_says_whether_a_parameter_takes_fractions() -> None:
    def untyped(channels: int, outputs: int, p=0) -> nn.Module:  # type: ignore[no-untyped-def]
        return nn.Linear(channels, outputs)

    def typed(channels: int, outputs: int, p: float = 0) -> nn.Module:
        return nn.Linear(channels, outputs)

    assert parse("network", "typed:p=0.5", {"typed": accept(typed)}).p == 0.5  # type: ignore[attr-defined]
    with pytest.raises(InputError, match=r"expected a whole number for p, as its default is 0 and not 0.0, got '0.5'"):
        parse("network", "untyped:p=0.5", {"untyped": accept(untyped)})


@pytest.mark.parametrize(
    ("name", "side", "images"),
    [
        ("torchvision:alexnet", 8, 64),
        ("torchvision:vit_b_32", 32, 64),
        ("resnet-18", 8, 1),
        ("fast-resnet", 8, 1),
        ("small-cnn", 1, 64),
        ("densenet-40", 2, 64),
    ],
)
def test_images_that_a_network_does_not_take_are_refused_in_one_line(name: str, side: int, images: int) -> None:
    with pytest.raises(InputError, match=f"got 3 x {side} x {side} values") as caught:
        check_images(name, 3, side, side, images)
    assert "\n" not in str(caught.value)
    check_images(name, 3, 224, 224, max(2, images))


def test_unknown_depths_are_refused() -> None:
    with pytest.raises(InputError, match="expected a depth of 18, 34, 50, 101, got 20"):
        PreactResnet(depth=20)


@pytest.mark.parametrize(("channels", "classes", "outputs"), [(0, 10, 10), (1, 0, 1), (1, 10, 9)])
def test_counts_that_make_no_network_are_refused(channels: int, classes: int, outputs: int) -> None:
    with pytest.raises(InputError, match="outputs >= classes >= 1"):
        build_network("small-cnn", channels, classes, outputs, seed=0)


@pytest.mark.parametrize("sides", [(8, 8), (4, 6), (7, 5), (1, 3)])
def test_maxima_over_a_grid_are_those_of_adaptive_pooling_on_every_device(sides: tuple[int, int]) -> None:
    x = randn(3, 4, *sides).relu()
    with cuda():
        on_device = send(x.numpy(), torch.device("cuda")).requires_grad_()
        found = GridMaxima(2)(on_device)
        found.square().sum().backward()
        assert on_device.grad is not None
        results = found.detach().cpu(), on_device.grad.cpu()
    x.requires_grad_()
    pooled = torch.nn.functional.adaptive_max_pool2d(x, 2)
    pooled.square().sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(results, (pooled.detach(), x.grad))
    assert torch.equal(GridMaxima(2)(x), pooled)
