"""Weights from files: which are taken, which are refused, and that a run begins from them."""

import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision import models

from auglik import InputError
from auglik.networks import build_network
from auglik.networks.weights import begin_from, file_digest
from auglik.runs.resolved import settings_hash
from auglik.runs.run import execute
from tests import tiny

SMALL = "small-cnn:width=4"


def small(seed: int = 0, classes: int = 10) -> nn.Module:
    return build_network(SMALL, 1, classes, classes, seed)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    torch.save(small(seed=1).state_dict(), tmp_path / "weights.pt")
    return tmp_path / "weights.pt"


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("kind", ["torch", "legacy torch", "safetensors", "half precision"])
def test_every_weight_is_the_files(tmp_path: Path, kind: str) -> None:
    state, path = small(seed=1).state_dict(), tmp_path / "weights"
    if kind == "safetensors":
        save_file(state, path)
    else:
        halved = {name: value.half() if value.is_floating_point() else value for name, value in state.items()}
        torch.save(
            halved if kind == "half precision" else state, path, _use_new_zipfile_serialization=kind != "legacy torch"
        )
    network = small()
    begin_from(network, str(path), file_digest(str(path)), "keep")
    found = network.state_dict()
    assert same({n: v.half() for n, v in found.items()}, {n: v.half() for n, v in state.items()})
    assert kind == "half precision" or same(found, state)


def test_a_fresh_head_is_the_initial_one(saved: Path) -> None:
    network = small(classes=7)
    begin_from(network, str(saved), None, "fresh")
    found, initial, given = network.state_dict(), small(classes=7).state_dict(), torch.load(saved)
    heads = {name for name in found if name.startswith("head.")}
    assert len(heads) == 2
    assert all(torch.equal(found[name], (initial if name in heads else given)[name]) for name in found)


def test_a_librarys_own_file_is_taken_by_its_names(tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = models.resnet18(num_classes=10)
    torch.save(theirs.state_dict(), tmp_path / "resnet.pth")
    network = build_network("torchvision:resnet18", 3, 10, 10, 0)
    begin_from(network, str(tmp_path / "resnet.pth"), None, "keep")
    images = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(network.eval()(images), theirs.eval()(images))
    other = build_network("torchvision:resnet18", 3, 4, 4, 0)
    with pytest.raises(
        InputError, match=r"expected a head of 4 outputs, got 10x512 for head\.weight: --weights-head fr"
    ):
        begin_from(other, str(tmp_path / "resnet.pth"), None, "keep")
    begin_from(other, str(tmp_path / "resnet.pth"), None, "fresh")
    assert torch.equal(other.get_parameter("body.conv1.weight"), theirs.conv1.weight)


def test_a_pretrained_backbone_is_taken_beside_a_fresh_head(tmp_path: Path) -> None:
    backbone = {f"backbone.{n}": v for n, v in small(seed=1).state_dict().items() if not n.startswith("head.")}
    path = tmp_path / "pretrained.pt"
    torch.save({**backbone, "projector.0.weight": torch.zeros(2, 2)}, path)
    network = small()
    begin_from(network, str(path), None, "fresh")
    assert torch.equal(network.state_dict()["body.0.weight"], backbone["backbone.body.0.weight"])
    with pytest.raises(InputError, match="expected a head, which the file lacks: --weights-head fresh needs none"):
        begin_from(small(), str(path), None, "keep")


def test_what_is_drawn_in_training_stays_the_runs_own(tmp_path: Path) -> None:
    name = "wide-resnet-40-2:dropout=0.3"
    torch.save(build_network(name, 1, 10, 10, 1).state_dict(), tmp_path / "weights.pt")
    network, initial = (build_network(name, 1, 10, 10, 0).state_dict() for _ in range(2))
    whole = build_network(name, 1, 10, 10, 0)
    begin_from(whole, str(tmp_path / "weights.pt"), None, "keep")
    network = whole.state_dict()
    keys = [key for key in network if key.endswith("uniforms.key")]
    assert keys
    assert all(torch.equal(network[key], initial[key]) for key in keys)
    assert not torch.equal(network["head.weight"], initial["head.weight"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda state: state | {"head.weight": torch.zeros(7, 4)},
            "expected a head of 10 outputs, got 7x4 for head.we",
        ),
        (lambda state: {n: v for n, v in state.items() if n != "body.0.weight"}, "but body.0.weight lack"),
        (
            lambda state: state | {"tail.weight": torch.zeros(3)},
            "but there are tail.weight too: is it of another network?",
        ),
        (lambda state: state | {"body.0.weight": torch.zeros(1, 2)}, "for body.0.weight, got 1x2"),
        (
            lambda state: state | {"head.bias": torch.full((10,), torch.nan)},
            "expected finite numbers, got others in he",
        ),
        (
            lambda state: state | {"head.bias": torch.ones(10, dtype=torch.int64)},
            "expected torch.float32 for head.bias",
        ),
        (lambda state: {"epoch": 3, "state_dict": state}, "got a dict of epoch, state_dict"),
        (lambda state: {}, "got a dict of "),
        (lambda state: [*state.values()], "got list"),
        (lambda state: {"network": small()}, "got pickled objects: reading them would run code in the file"),
    ],
)
def test_what_does_not_fit_is_one_line_and_leaves_the_network_as_it_was(saved: Path, change, message: str) -> None:  # type: ignore[no-untyped-def]
    torch.save(change(torch.load(saved)), saved)
    network = small()
    with pytest.raises(InputError) as caught:
        begin_from(network, str(saved), None, "keep")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert same(network.state_dict(), small().state_dict())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "got something else"),
        (b"text, no weights", "expected safetensors, or a state dict"),
        (pickle.dumps({"a": Path}), "expected safetensors, or a state dict"),
        (b'\x10\0\0\0\0\0\0\0{"a":', "got something else"),
    ],
)
def test_other_files_are_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "weights.pt"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        begin_from(small(), str(path), None, "keep")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_missing_or_has_changed_is_refused_before_the_run(tmp_path: Path, saved: Path) -> None:
    with pytest.raises(InputError, match=r"weights: cannot read .*none\.pt: No such file or directory"):
        tiny.config(weights=str(tmp_path / "none.pt"))
    with pytest.raises(InputError, match="expected the file whose SHA-256 is 000"):
        tiny.config(weights=str(saved), weights_digest="0" * 64)
    with pytest.raises(InputError, match="weights_head: expected a file of weights with it"):
        tiny.config(weights_head="fresh")
    with pytest.raises(InputError, match="is it of another network"):
        tiny.config(weights=str(saved), network="fast-resnet")
    job = tiny.job(tmp_path / "run", weights=str(saved))
    torch.save(small(seed=2).state_dict(), saved)
    with pytest.raises(InputError, match="expected the file whose SHA-256 is "):
        execute(job)


def test_the_hash_knows_the_files_content_and_not_its_place(tmp_path: Path, saved: Path) -> None:
    moved = tmp_path / "moved.pt"
    moved.write_bytes(saved.read_bytes())
    other = tmp_path / "other.pt"
    torch.save(small(seed=2).state_dict(), other)
    one, same_, another = (settings_hash(tiny.run(weights=str(path)), "") for path in (saved, moved, other))
    assert one == same_
    assert len({one, another, settings_hash(tiny.run(), "")}) == 3


@pytest.mark.parametrize("changes", [{}, {"average": 0.9}], ids=str)
def test_a_run_goes_on_from_a_finished_one_at_its_loss(tmp_path: Path, changes: dict[str, object]) -> None:
    job = tiny.job(tmp_path / "before", epochs=6, **changes)
    execute(job)
    few: dict[str, object] = {"epochs": 1, "learning_rate": 1e-4}
    losses = {}
    for name, weights in (("initial", {}), ("tuned", {"weights": str(job.folder / "checkpoint.pt")})):
        execute(tiny.job(tmp_path / name, **few, **weights))
        losses[name] = json.loads((tmp_path / name / "metrics.jsonl").read_text())["loss"]
    assert losses["tuned"] < losses["initial"] - 0.1
