"""Networks of a user's own: what would fail only later in a run is refused in one line before it."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from auglik.cli.main import auglik
from auglik.networks import check_images
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


class Lazy(nn.Module):
    def __init__(self, channels, outputs):
        super().__init__()
        self.body = nn.LazyLinear(16)
        self.head = nn.Linear(16, outputs)

    def forward(self, images):
        return self.head(self.body(images.flatten(1)))
"""


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Several", "expected floating logits [B,C] = [2, 2], got tuple"),
        ("Detached", "expected logits with a gradient, got none"),
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


class Pair(Plain):
    def forward(self, images):
        return super().forward(images), images
"""


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Narrow", r"FAILED +contract .*nets\.py:\d+: ValueError: no width"),
        ("Narrow:width=-1", r"FAILED +contract .*nets\.py:\d+: ValueError: no width"),
        ("Pair", "FAILED +logits +expected logits as a tensor, got tuple"),
        ("Several", "FAILED +batch of one +expected logits as a tensor, got tuple"),
    ],
)
def test_faults_of_a_network_are_findings_of_a_line(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "nets.py").write_text(CODE + FAULTY)
    found = CliRunner().invoke(auglik, ["check", f"{tmp_path}/nets.py:{name}", "--image", "1x8x8"])
    assert found.exit_code == 1, found.output
    assert re.search(said, found.output)
