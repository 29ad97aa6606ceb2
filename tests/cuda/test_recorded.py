"""Steps that a GPU repeats from a recording, and views of several steps that are rendered at once."""

from collections.abc import Callable
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import auglik.runs.loop
import auglik.runs.recorded
from auglik import open_dataset
from auglik.runs.checkpoint import NAME
from auglik.runs.recorded import can_record
from auglik.runs.resolve import load_training
from auglik.runs.run import execute
from auglik.runs.step import begin
from auglik.system.process import process_state
from auglik.views import Views
from auglik.views.ahead import Ahead
from tests import tiny
from tests.cuda.guard import cuda, undeclared, without_gpu
from tests.cuda.redone import DeviceError, Redone

STEPS = {"precision": "fp32", "epochs": 3, "mollify": "noise,blur,both", "augment": "fcr,trivial-augment"}
SETTINGS: dict[str, dict[str, object]] = {
    "log-mean": {"aggregator": "log-mean", "views": 4},
    "normalized": {"likelihood": "smoothed-normalized", "aggregator": "durbin-koopman"},
    "near jensen": {"aggregator": "power-mean:rho=0.05", "views": 4},
    "soft labels": {"augment": "mixup,fcr"},
    "clipped": {"gradient_clip": 0.5},
    "weights": {"augment": "fcr", "soften": "crop:polynomial", "soften_into": "both"},
    "learned labels": {"online_labels": 0.5},
    "learned confusions": {"degrade_toward": "online", "validation_fraction": 0.2},
    "dropout": {"network": "wide-resnet-28-10:depth=10,widen=1,dropout=0.3", "precision": "mixed", "average": 0.9},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_recorded_run_is_the_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bit for bit; rates as float32, which a recording reads them in."""
    rate = auglik.runs.loop.learning_rate
    made: list[object] = []
    monkeypatch.setattr("auglik.runs.loop.learning_rate", lambda *of: float(np.float32(rate(*of))))
    found = {}
    with cuda() as watched:
        recording = vars(auglik.runs.recorded)["Recording"]  # of a pretended device, if this is one

        def record(*arguments: object) -> object:
            made.append(arguments)
            return recording(*arguments)

        monkeypatch.setattr("auglik.runs.recorded.Recording", record)
        for graphs in (False, True):
            settings = {"device": "cuda", "deterministic": True, "cuda_graphs": graphs, **STEPS, **SETTINGS[name]}
            job = tiny.job(tmp_path / str(graphs), **settings)
            with process_state(1, job.run.device, deterministic=True):
                scores = execute(job).scores
            weights = torch.load(job.folder / NAME, weights_only=True)["network"]
            found[graphs] = scores, {key: value.cpu() for key, value in weights.items()}
    assert undeclared(watched) == []
    assert len(made) == 1
    assert found[True][0] == found[False][0]
    for key, value in found[False][1].items():
        assert torch.equal(found[True][1][key], value), key


@pytest.mark.parametrize(
    "changes",
    [
        {"cuda_graphs": False}, {"compile": True}, {"optimizer": "adamw"}, {"aggregator": "multilevel", "views": 4},
        {"network": "torchvision:resnet18"}, {"inference": "sgld"},
    ],
    ids=str,
)  # fmt: skip
def test_steps_that_the_host_decides_in_are_not_recorded(changes: dict[str, object]) -> None:
    with cuda():
        plain, run = tiny.run(device="cuda"), tiny.run(device="cuda", **changes)
        data = load_training(plain, open_dataset("digits"))
        assert can_record(begin(plain, data), plain)
        assert not can_record(begin(run.change(compile=False), data), run)


def test_a_network_from_elsewhere_is_not_recorded() -> None:
    class Counting(torch.nn.Identity):
        calls = 0

    with cuda():
        run = tiny.run(device="cuda")
        learner = begin(run, load_training(run, open_dataset("digits")))
        learner.network.add_module("counting", Counting())
        assert not can_record(learner, run)


@pytest.mark.parametrize("kind", ["cumulative averages", "hook", "hook before", "hook of gradients"])
def test_a_network_in_which_the_host_counts_is_not_recorded(kind: str) -> None:
    with cuda():
        run = tiny.run(device="cuda")
        learner = begin(run, load_training(run, open_dataset("digits")))
        layer = next(part for part in learner.network.modules() if isinstance(part, torch.nn.BatchNorm2d))
        assert can_record(learner, run)
        if kind == "cumulative averages":
            layer.momentum = None
        elif kind == "hook":
            layer.register_forward_hook(lambda *of: None)
        elif kind == "hook before":
            layer.register_forward_pre_hook(lambda *of: None)
        else:
            layer.register_full_backward_hook(lambda *of: None)
        assert not can_record(learner, run)


@without_gpu
def test_a_repeated_recording_gives_the_same_tensors_with_new_values() -> None:
    x = torch.ones(3)
    redone = Redone(lambda: (x.add_(1), x.sum()), None)
    first = redone.replay()
    second = redone.replay()
    assert second is first
    assert [float(value) for value in (first[0][0], first[1])] == [3, 9]  # type: ignore[index]


def counted(x: Tensor) -> Callable[[], Tensor]:
    steps = count(1)
    return lambda: x * next(steps)


def longer(x: Tensor) -> Callable[[], Tensor]:
    steps = count(1)
    return lambda: torch.stack([x + 1 for _ in range(next(steps))])


def replaced(x: Tensor) -> Callable[[], Tensor]:
    held = [x]

    def work() -> Tensor:
        read = held[-1]
        held.append(read.clone())
        return read + 1

    return work


@without_gpu
@pytest.mark.parametrize("decides", [counted, longer, replaced], ids=lambda function: function.__name__)
def test_what_the_host_decides_anew_in_a_recording_is_found(decides: Callable[[Tensor], Callable[[], Tensor]]) -> None:
    redone = Redone(decides(torch.ones(3)), None)
    redone.replay()
    with pytest.raises(DeviceError, match="recorded step"):
        redone.replay()


@without_gpu
def test_a_recorded_step_that_waits_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU refuses to record one."""
    forward = torch.nn.BatchNorm2d.forward
    monkeypatch.setattr(torch.nn.BatchNorm2d, "forward", lambda self, x: forward(self, x) + 0 * x.mean().item())
    with cuda(), pytest.raises(DeviceError, match=r"a recorded step waits \d+ times"):
        execute(tiny.job(tmp_path, device="cuda", precision="fp32"))


@without_gpu
def test_a_network_that_counts_on_the_host_is_found_in_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a part of auglik's own would be, if it did."""
    steps, forward = count(1), torch.nn.BatchNorm2d.forward
    monkeypatch.setattr(torch.nn.BatchNorm2d, "forward", lambda self, x: forward(self, x) * (1 + 1 / next(steps)))
    with cuda(), pytest.raises(DeviceError, match=r"operation \d+ of a recorded step was .* is now"):
        execute(tiny.job(tmp_path, device="cuda", precision="fp32"))


@pytest.mark.parametrize("augment", ["mixup,fcr", "fcr,augmix", "fcr,random-erasing:background=pixel"])
def test_views_of_several_steps_are_those_of_each(augment: str) -> None:
    with cuda():
        run = tiny.run(device="cuda", augment=augment, mollify="noise,blur,both", views=3, soften="all:smoothed",
                       soften_into="both")  # fmt: skip
        data = load_training(run, open_dataset("digits"))
        gallery, pipeline = data.training.gallery, begin(run, data).pipeline
        N, ahead = len(gallery), Ahead(pipeline, gallery)
        for epoch in range(2):
            draws = pipeline.draw(0, epoch, 3, N, run.device)
            batches = np.random.default_rng(epoch).permutation(N)[: N // 7 * 7].reshape(-1, 7)
            ahead.begin(draws, batches)
            for position in (0, 1, len(batches) - 1, 2):
                same(ahead.views(position), pipeline.render(gallery, draws, batches[position]), data.training.labels)


def same(views: Views, expected: Views, labels: torch.Tensor) -> None:
    np.testing.assert_allclose(views.images.cpu().numpy(), expected.images.cpu().numpy(), atol=1e-5)
    for name in ("decay", "weight", "log_importance", "positions"):
        one, other = getattr(views, name), getattr(expected, name)
        assert (one is None) == (other is None)
        if one is not None:
            np.testing.assert_array_equal(one.cpu().numpy(), other.cpu().numpy())
    classes = 10
    np.testing.assert_array_equal(views.labels(labels, classes).cpu(), expected.labels(labels, classes).cpu())
