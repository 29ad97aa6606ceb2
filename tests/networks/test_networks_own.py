"""Networks of a user's own: what would fail only later in a run is refused in one line before it."""

import re
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from torch import nn

from auglik.cli.main import auglik
from auglik.networks import build_network, check_images
from auglik.networks.libraries import keyed
from auglik.networks.randomness import Dropout
from auglik.objectives import InputError

CODE = """
import torch
from torch import nn


class Plain(nn.Module):
    def __init__(self, channels, outputs):
        super().__init__()
        self.head = nn.Linear(channels * 64, outputs)

    def forward(self, images):
        return self.head(images.flatten(1))


class AtRest(Plain):
    def train(self, mode=True):
        super().train(mode)


class Several(Plain):
    def forward(self, images):
        logits = super().forward(images)
        return logits if self.training else (logits, images)


class Detached(Plain):
    def forward(self, images):
        with torch.no_grad():
            return super().forward(images)


class InPlace(Plain):
    def forward(self, images):
        return super().forward(images.mul_(2))


class ReluFirst(Plain):
    def forward(self, images):
        return super().forward(nn.functional.relu(images, inplace=True))


class InPlaceEvaluated(Plain):
    def forward(self, images):
        return super().forward(images if self.training else images.mul_(2))


class LostForTheGradient(Plain):
    def forward(self, images):
        logits = super().forward(images).exp()
        squares = logits * logits
        logits.mul_(2)
        return squares


class Lazy(nn.Module):
    def __init__(self, channels, outputs):
        super().__init__()
        self.body = nn.LazyLinear(16)
        self.head = nn.Linear(16, outputs)

    def forward(self, images):
        return self.head(self.body(images.flatten(1)))
"""

CHANGED = "expected a network that leaves its images as they are, got one that changes them in place"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Several", "expected floating logits [B,C] = [2, 2], got tuple"),
        ("Detached", "expected logits with a gradient, got none"),
        ("InPlace", CHANGED),
        ("ReluFirst", CHANGED),
        ("InPlaceEvaluated", CHANGED),
        ("LostForTheGradient", "has been modified by an inplace operation"),
        ("Lazy", "expected parameters of known shapes, got lazy ones (body.weight, body.bias)"),
    ],
)
def test_networks_that_fail_after_their_first_forward(tmp_path: Path, name: str, said: str) -> None:
    path = tmp_path / "nets.py"
    path.write_text(CODE)
    for fine in ("Plain", "AtRest"):
        check_images(f"{path}:{fine}", 1, 8, 8, 4)
    with pytest.raises(InputError) as refusal:
        check_images(f"{path}:{name}", 1, 8, 8, 4)
    assert said in str(refusal.value)
    assert f"{path}:{name}" in str(refusal.value)


FAULTY = """
class Narrow(Plain):
    def __init__(self, channels, outputs, width: int = 0):
        if width < 1:
            raise ValueError("no width")
        super().__init__(channels, outputs)


class Unsaved(Plain):
    def __init__(self, channels, outputs):
        super().__init__(channels, outputs)
        self.keep()

    def keep(self):
        self.ema = torch.zeros(64)

    def forward(self, images):
        if self.training:
            self.ema.lerp_(images.detach().mean((0, 1)).flatten(), 0.1)
        return super().forward(images - self.ema.view(8, 8))


class Saved(Unsaved):
    def keep(self):
        self.register_buffer("ema", torch.zeros(64))


class Drawing(Plain):
    def __init__(self, channels, outputs):
        super().__init__(channels, outputs)
        self.drop = nn.Dropout(0.5)
        self.generator = torch.Generator().manual_seed(3)

    def forward(self, images):
        noise = torch.randn(images.shape, generator=self.generator) if self.training else 0
        return super().forward(self.drop(images + noise))


class Probabilities(Plain):
    def forward(self, images):
        return super().forward(images).softmax(-1)


class EvaluatedProbabilities(Plain):
    def forward(self, images):
        logits = super().forward(images)
        return logits if self.training else logits.softmax(-1)


class LogProbabilities(Plain):
    def forward(self, images):
        return super().forward(images).log_softmax(-1)


class Pair(Plain):
    def forward(self, images):
        return super().forward(images), images
"""
SOFTMAX = "expected logits, got rows that are probabilities: leave the softmax out"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Narrow", r"FAILED +contract .*nets\.py:\d+: ValueError: no width"),
        ("Narrow:width=-1", r"FAILED +contract .*nets\.py:\d+: ValueError: no width"),
        ("Pair", "FAILED +logits +expected logits as a tensor, got tuple"),
        ("InPlace", f"FAILED +images +{CHANGED}"),
        ("InPlaceEvaluated", f"FAILED +images +{CHANGED}"),
        ("Several", "FAILED +batch of one +as under unnormalized"),
        ("Unsaved", "FAILED +saved +expected the same logits .* something is not in the state dict"),
        ("Probabilities", f"FAILED +unnormalized +{SOFTMAX}"),
        ("EvaluatedProbabilities", f"FAILED +unnormalized +{SOFTMAX}"),
    ],
)
def test_faults_of_a_network_are_findings_of_a_line(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "nets.py").write_text(CODE + FAULTY)
    found = CliRunner().invoke(auglik, ["check", f"{tmp_path}/nets.py:{name}", "--image", "1x8x8"])
    assert found.exit_code == 1, found.output
    assert re.search(said, found.output)
    assert found.output.count("FAILED") == 1 or name not in ("InPlace", "InPlaceEvaluated")


@pytest.mark.parametrize("name", ["Plain", "Saved", "Drawing", "LogProbabilities"])
def test_networks_that_keep_state_or_draw_pass_and_leave_the_global_generator(tmp_path: Path, name: str) -> None:
    (tmp_path / "nets.py").write_text(CODE + FAULTY)
    before = torch.get_rng_state()
    found = CliRunner().invoke(auglik, ["check", f"{tmp_path}/nets.py:{name}", "--image", "1x8x8"])
    assert found.exit_code == 0, found.output
    assert torch.equal(torch.get_rng_state(), before)


NAMESAKES = """
from torchvision.ops import StochasticDepth as TheirDepth


class Halved(nn.Module):
    p = drop_prob = 0.5

    def forward(self, x):
        return x * self.p


class Dropout(Halved):
    pass


class StochasticDepth(Halved):
    pass


class DropPath(Halved):
    pass


class Namesakes(Plain):
    def __init__(self, channels, outputs):
        super().__init__(channels, outputs)
        self.own = nn.Sequential(Dropout(), StochasticDepth(), DropPath())
        self.theirs = nn.Sequential(nn.Dropout(0.3), TheirDepth(0.2, "row"))

    def forward(self, images):
        return super().forward(self.theirs(self.own(images)))
"""


def test_layers_of_ones_own_stay_whatever_they_are_called(tmp_path: Path) -> None:
    (tmp_path / "nets.py").write_text(CODE + NAMESAKES)
    network = build_network(f"{tmp_path}/nets.py:Namesakes", 1, 2, 2, seed=0)
    own, theirs = network.get_submodule("own"), network.get_submodule("theirs")
    assert not any(isinstance(layer, Dropout) for layer in own.children())
    assert [type(layer).__name__ for layer in own.children()] == ["Dropout", "StochasticDepth", "DropPath"]
    drawing = [layer for layer in theirs.children() if isinstance(layer, Dropout)]
    assert [(layer.p, layer.by_image) for layer in drawing] == [(0.3, False), (0.2, True)]


def test_layers_of_timm_become_keyed() -> None:
    timm = pytest.importorskip("timm", reason="timm is an optional dependency")
    (layer,) = keyed(nn.Sequential(timm.layers.DropPath(0.4))).children()
    assert isinstance(layer, Dropout)
    assert (layer.p, layer.by_image) == (0.4, True)
