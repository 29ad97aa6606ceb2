"""Published networks: sizes from the papers, values of independent implementations, draws that resume, libraries."""

import io
import itertools
import sys
from collections.abc import Callable

import numpy as np
import pytest
import scipy.stats
import torch
from torch import Tensor, nn
from torch.nn.functional import (
    adaptive_max_pool2d,
    avg_pool2d,
    batch_norm,
    conv2d,
    cross_entropy,
    linear,
    max_pool2d,
)

from auglik.networks import NETWORKS, build_network, canonical_network, find_network
from auglik.networks.layers import FilterResponseNorm
from auglik.networks.pyramidnet import shake_drop
from auglik.networks.randomness import Dropout, Uniforms
from auglik.objectives.errors import InputError

SMALL = [
    "wide-resnet-28-10:depth=10,widen=1",
    "wide-resnet-28-10:depth=10,widen=1,dropout=0.3",
    "resnext-29:cardinality=2,width=4",
    "densenet-40:depth=10",
    "densenet-100:depth=10,growth=4,bottleneck=true",
    "all-conv",
    "pyramidnet-272:depth=20,alpha=12",
    "pyramidnet-272:depth=11,alpha=8,shake_drop=0",
    "resnet-20-frn:depth=8,width=4",
]
LIBRARY = ["googlenet", "efficientnet-b0", "nasnet:cells=1,features=48", "timm:test_resnet"]
DRAWING = ["wide-resnet-28-10:depth=10,widen=1,dropout=0.3", "pyramidnet-272:depth=20,alpha=12", "all-conv"]


def randn(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def build(name: str, channels: int = 3, classes: int = 10, outputs: int | None = None, seed: int = 0) -> nn.Module:
    if name.startswith(("timm", "nasnet")):
        pytest.importorskip("timm", reason="timm is an optional dependency")
    return build_network(name, channels, classes, outputs or classes, seed)


def size(name: str, classes: int) -> int:
    if name.startswith(("timm", "nasnet")):
        pytest.importorskip("timm", reason="timm is an optional dependency")
    with torch.device("meta"):
        network = find_network(name).build(3, classes)
    return sum(parameter.numel() for parameter in network.parameters())


def scrambled(network: nn.Module) -> nn.Module:
    """In float64 and evaluation, with statistics and factors of its norms that are all different."""
    draws = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.detach().uniform_(0.5, 1.5, generator=draws)
            module.bias.detach().uniform_(-0.5, 0.5, generator=draws)
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.uniform_(-0.5, 0.5, generator=draws)
            module.running_var.uniform_(0.5, 1.5, generator=draws)
        elif isinstance(module, FilterResponseNorm):
            module.weight.detach().uniform_(0.5, 1.5, generator=draws)
            module.bias.detach().uniform_(-0.5, 0.5, generator=draws)
            module.threshold.detach().uniform_(-0.5, 0.5, generator=draws)
    return network.double().eval()


def with_weights_of(reference: nn.Module, network: nn.Module) -> nn.Module:
    """The reference with the network's tensors, in the order of both state dicts."""
    ours = [values for key, values in network.state_dict().items() if ".uniforms." not in key]
    keys = list(reference.state_dict())
    reference.load_state_dict(dict(zip(keys, ours, strict=True)))
    return reference.double().eval()


class Layers:
    """A network's convolutions and norms, one after another, applied as functions."""

    def __init__(self, network: nn.Module) -> None:
        self.convolutions = (module for module in network.modules() if isinstance(module, nn.Conv2d))
        self.norms = (module for module in network.modules() if isinstance(module, nn.BatchNorm2d))
        self.response_norms = (module for module in network.modules() if isinstance(module, FilterResponseNorm))
        self.head = network.get_submodule("head")

    def conv(self, x: Tensor, stride: int = 1) -> Tensor:
        layer = next(self.convolutions)
        return conv2d(x, layer.weight, layer.bias, stride, padding=layer.weight.shape[-1] // 2)

    def norm(self, x: Tensor) -> Tensor:
        norm = next(self.norms)
        return batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias)

    def response_norm(self, x: Tensor) -> Tensor:
        """Singh & Krishnan 2020: the norm of every channel of every image, over the root of its pixels."""
        norm, pixels = next(self.response_norms), x.flatten(2)
        root = torch.sqrt(torch.linalg.vector_norm(pixels, dim=2) ** 2 / pixels.shape[2] + 1e-6)
        y = norm.weight[:, None] * pixels / root[:, :, None] + norm.bias[:, None]
        return torch.where(y > norm.threshold[:, None], y, norm.threshold[:, None]).view(x.shape)

    def logits(self, x: Tensor) -> Tensor:
        assert next(self.convolutions, None) is None
        assert next(self.norms, None) is None
        return linear(x.mean((2, 3)), self.head.get_parameter("weight"), self.head.get_parameter("bias"))


def wide_resnet_22_2(layers: Layers, images: Tensor) -> Tensor:
    x = layers.conv(images)
    for channels, block in itertools.product((32, 64, 128), range(3)):
        stride = 2 if block == 0 and channels > 32 else 1
        a = layers.norm(x).relu()
        h = layers.conv(layers.norm(layers.conv(a, stride)).relu())
        x = (layers.conv(a, stride) if block == 0 else x) + h
        assert x.shape[1] == channels
    return layers.logits(layers.norm(x).relu())


def densenet_13_5(layers: Layers, images: Tensor) -> Tensor:
    x = layers.conv(images)
    for block in range(3):
        features = [x]
        for _ in range(3):
            features.append(layers.conv(layers.norm(torch.cat(features, 1)).relu()))
        x = torch.cat(features, 1)
        if block < 2:
            x = avg_pool2d(layers.conv(layers.norm(x).relu()), 2)
    assert x.shape[1] == 16 + 9 * 5
    return layers.logits(layers.norm(x).relu())


def all_conv(layers: Layers, images: Tensor) -> Tensor:
    x = images
    for stride in (1, 1, 2, 1, 1, 2, 1, 1):
        x = layers.norm(layers.conv(x, stride)).relu()
    return layers.logits(x)


def pyramidnet_20_21(layers: Layers, images: Tensor) -> Tensor:
    x = layers.norm(layers.conv(images))
    for block, width in enumerate((19, 23, 26, 30, 33, 37), start=1):
        stride = 2 if block in (3, 5) else 1
        h = layers.conv(layers.norm(x))
        assert h.shape[1] == width
        h = layers.conv(layers.norm(h).relu(), stride)
        h = layers.norm(layers.conv(layers.norm(h).relu()))
        x = avg_pool2d(x, 2) if stride == 2 else x
        h = h * (1 - 0.5 * block / 6)
        x = torch.cat((x + h[:, : x.shape[1]], h[:, x.shape[1] :]), 1)
    return layers.logits(layers.norm(x).relu())


def resnet_20_frn(layers: Layers, images: Tensor) -> Tensor:
    """In the order of the modules: a block's branch comes before its shortcut."""

    def layer(x: Tensor, stride: int = 1) -> Tensor:
        return layers.response_norm(layers.conv(x, stride))

    x = layer(images)
    x = x * x.sigmoid()
    for width, block in itertools.product((16, 32, 64), range(3)):
        stride = 2 if block == 0 and width > 16 else 1
        h = layer(x, stride)
        h = layer(h * h.sigmoid())
        x = (layer(x, stride) if stride == 2 else x) + h
        x = x * x.sigmoid()
        assert x.shape[1] == width
    return layers.logits(x)


def small_cnn(layers: Layers, images: Tensor) -> Tensor:
    x = layers.response_norm(layers.conv(images))
    x = layers.response_norm(max_pool2d(layers.conv(x), 2))
    x = layers.response_norm(adaptive_max_pool2d(layers.conv(x), 2))
    head = layers.head
    return linear(x.flatten(1), head.get_parameter("weight"), head.get_parameter("bias"))


@pytest.mark.parametrize(
    ("name", "classes", "millions"),
    [
        ("wide-resnet-28-10", 10, "36.5"),  # Zagoruyko & Komodakis 2016
        ("wide-resnet-40-2", 10, "2.2"),
        ("wide-resnet-40-10", 10, "55.8"),
        ("resnext-29", 10, "34.4"),  # Xie et al. 2017: 8x64d
        ("densenet-40", 10, "1.0"),  # Huang et al. 2017, table 2: k = 12
        ("densenet-100", 10, "7.0"),
        ("densenet-100:bottleneck=true", 10, "0.8"),
        ("densenet-100:growth=24", 10, "27.2"),
        ("nasnet", 10, "3.3"),  # Zoph et al. 2018: 6 @ 768
        ("pyramidnet-272", 10, "26.0"),  # Han et al. 2017: bottleneck, alpha = 200
        ("torchvision:efficientnet_b0", 1000, "5.3"),  # Tan & Le 2019
    ],
)
def test_sizes_are_those_of_the_papers(name: str, classes: int, millions: str) -> None:
    assert f"{size(name, classes) / 1e6:.1f}" == millions


@pytest.mark.parametrize("name", ["resnet-20-frn:depth=8,width=4", "small-cnn:norm=frn", "small-cnn:norm=none"])
def test_an_image_is_not_moved_by_the_others_of_its_batch(name: str) -> None:
    network, images = build(name).double().train(), randn(4, 3, 16, 16, dtype=torch.float64)
    alone = torch.cat([network(image[None]) for image in images])
    torch.testing.assert_close(network(images), alone, rtol=1e-9, atol=1e-9)


def test_resnet_20_frn_has_the_published_size() -> None:
    assert size("resnet-20-frn", 10) == 274_042  # Izmailov et al. 2021


def test_all_conv_has_about_the_size_of_the_paper() -> None:
    """Springenberg et al. 2015 give "about 1.3 M"; its own layers add up to 1.37."""
    w, v = 96, 192
    weights = 9 * (3 * w + 2 * w * w + w * v + 3 * v * v) + v * v + v * 10
    biases = 3 * w + 5 * v + 10
    norms_without_biases = 3 * w + 5 * v
    assert size("all-conv", 10) == weights + biases + norms_without_biases
    assert round(weights + biases, -4) == 1_370_000


@pytest.mark.parametrize("model", ["resnet50", "resnet101", "efficientnet_b0", "googlenet", "densenet121", "vit_b_16"])
def test_torchvision_models_have_the_documented_sizes(model: str) -> None:
    from torchvision.models import get_model_weights

    documented = next(iter(get_model_weights(model))).meta["num_params"]
    assert size(f"torchvision:{model}", 1000) == documented


def test_googlenet_and_efficientnet_differ_from_torchvisions_by_their_stems_alone() -> None:
    assert size("googlenet", 1000) == size("torchvision:googlenet", 1000) + 64 * 3 * (3**2 - 7**2)
    assert size("efficientnet-b0", 1000) == size("torchvision:efficientnet_b0", 1000)
    for name, side in (("googlenet", 8), ("efficientnet-b0", 2), ("nasnet:cells=1,features=48", 8)):
        network, sides = build(name).eval(), list[int]()
        norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
        norms[-1].register_forward_hook(lambda module, inputs, output, sides=sides: sides.append(output.shape[-1]))
        with torch.no_grad():
            network(randn(1, 3, 32, 32))
        assert sides == [side]


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("wide-resnet-40-2:depth=22", wide_resnet_22_2),
        ("densenet-40:depth=13,growth=5", densenet_13_5),
        ("all-conv", all_conv),
        ("pyramidnet-272:depth=20,alpha=21", pyramidnet_20_21),
        ("resnet-20-frn", resnet_20_frn),
        ("small-cnn:norm=frn", small_cnn),
    ],
)
@torch.no_grad()
def test_logits_are_those_of_the_papers_formulas(name: str, reference: Callable[[Layers, Tensor], Tensor]) -> None:
    network, images = scrambled(build(name)), randn(2, 3, 16, 16, dtype=torch.float64)
    torch.testing.assert_close(network(images), reference(Layers(network), images), rtol=1e-9, atol=1e-9)


def with_small_stem(network: nn.Module, stem: str, width: int, pool: str, *unused: str) -> nn.Module:
    """A network for large images with a 3x3 stem without pooling."""
    network.set_submodule(stem, nn.Conv2d(3, width, 3, padding=1, bias=False))
    for name in (pool, *unused):
        network.set_submodule(name, nn.Identity())
    return network


def torchvision_resnet(name: str) -> nn.Module:
    from torchvision import models

    return with_small_stem(models.get_model(name, num_classes=10), "conv1", 64, "maxpool")


def torchvision_resnext() -> nn.Module:
    """Three stages of a network that has four; the fourth would not halve its input."""
    from torchvision.models.resnet import Bottleneck, ResNet

    network = ResNet(Bottleneck, [3, 3, 3, 1], groups=4, width_per_group=8)
    network.fc = nn.Linear(1024, 10)
    return with_small_stem(network, "conv1", 64, "maxpool", "layer4")


def torchvision_densenet() -> nn.Module:
    from torchvision.models import DenseNet

    network = DenseNet(growth_rate=6, block_config=(2, 2, 2), num_init_features=12, bn_size=4, num_classes=10)  # type: ignore[arg-type]
    return with_small_stem(network, "features.conv0", 12, "features.norm0", "features.relu0", "features.pool0")


def timm_efficientnet() -> nn.Module:
    timm = pytest.importorskip("timm", reason="timm is an optional dependency")
    network = timm.create_model("efficientnet_b0", num_classes=10)
    network.conv_stem.stride = (1, 1)
    assert isinstance(network, nn.Module)
    return network


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("resnet-18", lambda: torchvision_resnet("resnet18")),
        ("resnet-50", lambda: torchvision_resnet("resnet50")),
        ("resnext-29:cardinality=4,width=8", torchvision_resnext),
        ("densenet-100:depth=16,growth=6,bottleneck=true", torchvision_densenet),
        ("efficientnet-b0", timm_efficientnet),
    ],
)
@torch.no_grad()
def test_logits_are_those_of_another_library_with_the_same_weights(
    name: str, reference: Callable[[], nn.Module]
) -> None:
    network, images = scrambled(build(name)), randn(2, 3, 16, 16, dtype=torch.float64)
    with torch.random.fork_rng(devices=[]):
        theirs = with_weights_of(reference(), network)
    torch.testing.assert_close(network(images), theirs(images), rtol=1e-9, atol=1e-9)


@torch.no_grad()
def test_a_timm_model_gives_timms_logits() -> None:
    timm = pytest.importorskip("timm", reason="timm is an optional dependency")
    network, images = scrambled(build("timm:test_vit")), randn(2, 3, 160, 160, dtype=torch.float64)
    theirs = with_weights_of(timm.create_model("test_vit", num_classes=10), network)
    torch.testing.assert_close(network(images), theirs(images), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", [*SMALL, *LIBRARY])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_training_step_in_bfloat16_and_channels_last(name: str, channels: int) -> None:
    network = build(name, channels, 7, outputs=8).to(memory_format=torch.channels_last)
    images = randn(4, channels, 32, 32).contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        logits = network(images)
    assert logits.shape == (4, 8)
    assert logits.dtype == torch.bfloat16
    cross_entropy(logits.float(), torch.tensor([0, 3, 6, 7])).backward()
    for key, parameter in network.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key


@pytest.mark.parametrize("name", [*SMALL, "timm:test_resnet", "timm:test_vit", "torchvision:shufflenet_v2_x0_5"])
def test_initial_weights_follow_the_seed_and_a_sink_row_disturbs_nothing(name: str) -> None:
    before = torch.random.get_rng_state()
    plain = build(name, 1, 10, seed=3).state_dict()
    sink = build(name, 1, 10, outputs=11, seed=3).state_dict()
    other = build(name, 1, 10, seed=4).state_dict()
    assert torch.equal(torch.random.get_rng_state(), before)
    for key, values in plain.items():
        assert torch.equal(sink[key][: len(values)] if key.startswith("head.") else sink[key], values), key
    assert any(not torch.equal(values, other[key]) for key, values in plain.items() if values.ndim == 4)
    assert not torch.equal(plain["head.weight"], other["head.weight"])
    assert not (sink["head.weight"][10] == plain["head.weight"]).any()


def trained(network: nn.Module, steps: int, first: int = 0) -> nn.Module:
    """The network after steps of SGD on batches of their own."""
    optimizer = torch.optim.SGD(network.parameters(), 0.05)
    for step in range(first, steps):
        optimizer.zero_grad()
        cross_entropy(network(randn(4, 3, 8, 8, seed=step)), torch.arange(4)).backward()
        optimizer.step()
        network.eval()(randn(2, 3, 8, 8))
        network.train()
    return network


@pytest.mark.parametrize("name", DRAWING)
def test_a_resumed_network_draws_what_an_uninterrupted_one_does(name: str) -> None:
    torch.manual_seed(1)
    whole = trained(build(name, seed=5), 4)
    torch.manual_seed(2)
    file = io.BytesIO()
    torch.save(trained(build(name, seed=5), 2).state_dict(), file)
    file.seek(0)
    resumed = build(name, seed=5)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    trained(resumed, 4, first=2)
    for key, values in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[key], values), key


@pytest.mark.parametrize("name", DRAWING)
def test_draws_follow_the_seed_and_the_call(name: str) -> None:
    images = randn(3, 3, 8, 8)
    weights = {key: values for key, values in build(name).state_dict().items() if ".uniforms." not in f".{key}"}

    def logits(seed: int, calls: int) -> Tensor:
        network = build(name, seed=seed)
        network.load_state_dict(weights, strict=False)
        with torch.no_grad():
            return [network(images) for _ in range(calls)][-1]

    assert torch.equal(logits(0, 1), logits(0, 1))
    assert not torch.equal(logits(0, 1), logits(1, 1))
    assert not torch.equal(logits(0, 1), logits(0, 2))


def test_a_training_step_that_draws_is_one_graph_with_the_same_values() -> None:
    name = "pyramidnet-272:depth=11"
    eager, compiled, images = build(name), build(name), randn(4, 3, 16, 16)
    torch.compiler.reset()
    forward = torch.compile(compiled, fullgraph=True, backend="aot_eager")
    for _ in range(2):
        torch.testing.assert_close(forward(images), eager(images))


def test_uniforms_are_uniform_and_independent_from_call_to_call() -> None:
    uniforms, n = Uniforms(), 100_000
    uniforms.reset(0, "u")
    first, second = uniforms(n).numpy(), uniforms(n).numpy()
    for values in (first, second):
        assert values.min() > 0
        assert values.max() < 1
        assert scipy.stats.kstest(values, "uniform").pvalue > 1e-3
        assert abs(np.corrcoef(values[:-1], values[1:])[0, 1]) < 4 / np.sqrt(n)
    assert abs(np.corrcoef(first, second)[0, 1]) < 4 / np.sqrt(n)
    assert int(uniforms.calls) == 2


def test_two_views_draw_the_first_of_four() -> None:
    two, four = Uniforms(), Uniforms()
    two.reset(1, "u")
    four.reset(1, "u")
    assert torch.equal(two(2 * 5, 7), four(4 * 5, 7)[:10])


def test_dropout_drops_its_share_and_keeps_the_mean() -> None:
    layer, p = Dropout(0.3), 0.3
    layer.uniforms.reset(0, "d")
    x = torch.ones(50, 8, 10, 10).contiguous(memory_format=torch.channels_last).requires_grad_()
    y = layer(x)
    y.sum().backward()
    assert x.grad is not None
    assert y.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(x.grad, y.detach())
    assert y.detach().unique().tolist() == [0.0, pytest.approx(1 / (1 - p))]
    assert float((y == 0).double().mean()) == pytest.approx(p, abs=4 * np.sqrt(p * (1 - p) / y.numel()))
    assert layer.eval()(x) is x


def test_stochastic_depth_keeps_or_drops_whole_images() -> None:
    layer, p, n = Dropout(0.2, by_image=True), 0.2, 20_000
    layer.uniforms.reset(0, "d")
    y = layer(torch.ones(n, 2, 1, 1))
    assert torch.equal(y[:, 0], y[:, 1])
    assert float((y[:, 0] == 0).double().mean()) == pytest.approx(p, abs=4 * np.sqrt(p * (1 - p) / n))
    assert float(y.max()) == pytest.approx(1 / (1 - p))
    assert layer.eval()(y) is y


def test_shake_drop_multiplies_values_and_gradients_by_factors_of_their_own() -> None:
    """Yamada et al. 2019: an image is kept as it is, or its branch is scaled by U(-1,1) and its gradient by U(0,1)."""
    draws = torch.tensor([[0.1, 0.9, 0.9], [0.7, 0.25, 0.3], [0.7, 1.0, 0.0]], dtype=torch.float64)
    x = randn(3, 2, 4, 4, dtype=torch.float64).requires_grad_()
    y = shake_drop(x, draws, kept=0.6)
    y.sum().backward()
    assert x.grad is not None
    for image, (forward, backward) in enumerate([(1.0, 1.0), (-0.5, 0.3), (1.0, 0.0)]):
        torch.testing.assert_close(y[image], forward * x[image])
        torch.testing.assert_close(x.grad[image], torch.full_like(x[image], backward))


def test_shake_drop_has_in_evaluation_its_mean_factor() -> None:
    uniforms, kept, n = Uniforms(), 0.6, 50_000
    uniforms.reset(0, "s")
    factors = shake_drop(torch.ones(n, 1, 1, 1), uniforms(n, 3), kept).flatten().double()
    assert float(factors.mean()) == pytest.approx(kept, abs=4 * float(factors.std()) / np.sqrt(n))
    assert float((factors == 1).double().mean()) == pytest.approx(kept, abs=4 * np.sqrt(kept * (1 - kept) / n))


def test_library_models_draw_by_key_too() -> None:
    network = build("torchvision:mobilenet_v3_small", 1)
    assert not any(isinstance(module, nn.Dropout) and module.p > 0 for module in network.modules())
    by_image = [module.by_image for module in build("efficientnet-b0").modules() if isinstance(module, Dropout)]
    assert by_image.count(False) == 1
    assert by_image.count(True) == 15  # all blocks but the first, whose rate is 0


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_has_rates_to_train_with(name: str) -> None:
    network = find_network(name)
    assert 0 < network.learning_rate <= 0.3
    assert 0 <= network.warmup < 1
    assert isinstance(network.nesterov, bool)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("wide-resnet-28-10:depth=27", r"expected a depth of 10, 16, 22, 28, ... \(6n\+4\), got 27"),
        ("wide-resnet-28-10:dropout=1", r"expected a dropout rate in \[0,1\), got 1.0"),
        ("wide-resnet-28-10:widen=0", "expected a widening of at least 1, got 0"),
        ("resnext-29:width=0", "a width of at least 1, got 8 and 0"),
        ("resnet-50:depth=51", "expected a depth of 18, 34, 50, 101, got 51"),
        ("densenet-40:depth=41", r"a depth of 3n\+4 without bottlenecks, got 41"),
        ("densenet-100:bottleneck=true,depth=43", r"a depth of 6n\+4 with bottlenecks, got 43"),
        ("densenet-40:growth=0", "expected a growth of at least 1 channel, got 0"),
        ("pyramidnet-272:depth=270", r"expected a depth of 11, 20, 29, ... \(9n\+2\), got 270"),
        ("pyramidnet-272:alpha=0", "alpha of at least 1 channel, got 0"),
        ("resnet-20-frn:depth=21", r"expected a depth of 8, 14, 20, ... \(6n\+2\), got 21"),
        ("resnet-20-frn:width=0", "a width of at least 1 channel, got 0"),
        ("small-cnn:norm=btach", "unknown norm 'btach'; did you mean 'batch'"),
        ("nasnet:features=100", "last features in multiples of 24, got 100"),
        ("nasnet:cells=0", "at least 1 cell in a stage, got 0"),
        ("efficientnet-b0:stochastic_depth=-0.1", r"stochastic depth rate in \[0,1\), got -0.1"),
        ("torchvision:resnet5", "expected a classifier of torchvision, such as .*resnet50"),
        ("torchvision:squeezenet1_0", "unknown network 'torchvision:squeezenet1_0'"),
        ("torchvision", "expected torchvision:NAME"),
        ("timm:resnet_50", "expected a classifier of timm, such as .*resnet50"),
    ],
)
def test_bad_names_are_refused_in_one_line(name: str, message: str) -> None:
    if name.startswith("timm"):
        pytest.importorskip("timm", reason="timm is an optional dependency")
    with pytest.raises(InputError, match=message) as caught:
        find_network(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["timm:resnet18", "nasnet"])
def test_a_missing_timm_is_one_clear_line(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(InputError, match=r"built by timm, which is not installed: pip install 'auglik\[timm\]'"):
        build_network(name, 3, 10, 10, seed=0)
    assert canonical_network(name) == name


def test_canonical_names() -> None:
    assert canonical_network("wide-resnet-28-10:dropout=0.3,depth=28") == "wide-resnet-28-10:dropout=0.3"
    assert canonical_network("densenet-100:bottleneck=true") == "densenet-100:bottleneck=true"
    assert canonical_network("torchvision:resnet50") == "torchvision:resnet50"
    with pytest.raises(InputError, match="did you mean 'resnet-18'"):
        canonical_network("resnet-8")
