"""Objects as text: what a setting cannot hold is refused, and nothing of an object is lost."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from auglik import InputError
from auglik.comparison.named import text_of
from auglik.networks import SmallCnn
from auglik.objectives import Schedule, SmoothedNormalizedSchedule
from auglik.objectives.aggregators.geometric import Geometric
from auglik.objectives.likelihoods.smoothed import Smoothed
from auglik.objectives.toward import degrading

SOURCE = """
from dataclasses import dataclass, field
from auglik.objectives.aggregators.jensen import Jensen
from torch import nn


@dataclass(frozen=True)
class Scaled(Jensen):
    share: float = 0.5
    count: int = 3
    name: str = "a"
    caps: tuple[float, ...] = (1.0, 2.0)
    cap: float | None = None
    shape: tuple[int, ...] = (1, 2)
    inner: Jensen = field(default_factory=Jensen)


class Net(nn.Module):
    def __init__(self, channels, outputs):
        super().__init__()
        self.head = nn.Linear(channels, outputs)
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    (tmp_path / "named_objects.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("named_objects")
    del sys.modules["named_objects"]


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("share", np.float32(0.25), ":share=0.25"),
        ("share", np.array(0.25), ":share=0.25"),
        ("share", torch.tensor(0.25), ":share=0.25"),
        ("share", 1 / 3, ":share=0.333333333333333"),
        ("count", np.int64(7), ":count=7"),
        ("count", 3.0, ""),
        ("caps", (3, np.float32(4)), ":caps=3/4"),
        ("shape", (1, 2), ""),
    ],
)
def test_a_number_is_one_whatever_its_type(
    field: str, value: object, text: str, own: ModuleType, tmp_path: Path
) -> None:
    assert str(text_of("aggregator", own.Scaled(**{field: value}), tmp_path)).partition(":Scaled")[2] == text


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("caps", [3.0, 4.0]),
        ("caps", np.array([3.0, 4.0])),
        ("caps", 3.0),
        ("cap", 2.0),
        ("name", 3),
        ("share", None),
        ("shape", (2, 2)),
        ("inner", None),
    ],
)
def test_a_field_that_a_setting_cannot_hold_is_refused(
    field: str, value: object, own: ModuleType, tmp_path: Path
) -> None:
    """Else the run would train with the default."""
    with pytest.raises(InputError, match=rf"aggregator: {field} of Scaled: expected .*, got .") as refusal:
        text_of("aggregator", own.Scaled(**{field: value}), tmp_path)
    assert "\n" not in str(refusal.value)


def test_numbers_of_built_in_objects_are_so_too(tmp_path: Path) -> None:
    assert text_of("aggregator", Geometric(T=np.float32(0.25)), tmp_path) == "geometric:T=0.25"  # type: ignore[arg-type]
    assert text_of("aggregator", Geometric(T=1 / 3), tmp_path) == "geometric:T=0.333333333333333"
    narrow = SmallCnn(width=np.int64(8))  # type: ignore[arg-type]
    assert text_of("network", narrow, tmp_path) == "small-cnn:width=8"


def test_an_instance_of_a_network_is_refused(own: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="network: expected the class Net, not an instance of it: it is built anew"):
        text_of("network", own.Net(1, 10), tmp_path)


def test_a_likelihood_is_named_but_for_what_other_settings_hold(tmp_path: Path) -> None:
    assert text_of("likelihood", SmoothedNormalizedSchedule(), tmp_path) == "smoothed-normalized-schedule"
    pi = torch.full((10, 10), 0.1, dtype=torch.float64)
    for likelihood, said in (
        (degrading(Smoothed(), pi), "toward of Smoothed: .*: give degrade_toward"),
        (SmoothedNormalizedSchedule(Schedule(beta=3.0)), "schedule of SmoothedNormalizedSchedule: .*: give mollify"),
    ):
        with pytest.raises(InputError, match=f"likelihood: {said}"):
            text_of("likelihood", likelihood, tmp_path)
