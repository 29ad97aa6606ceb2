"""Optimizers: their defaults, what their weight decay means, that they train, and that clipping clips."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from auglik import load_training, open_dataset, train
from auglik.optimization.registry import OPTIMIZERS, find_optimizer
from auglik.optimization.torch_optimizers import INSTEAD, classes
from auglik.runs.settings import get
from auglik.runs.step import begin, make_optimizer
from tests import tiny

OF_TORCH = [f"torch:{name}" for name in sorted(classes().keys() - INSTEAD.keys())]


def vector(network: nn.Module) -> torch.Tensor:
    """All its weights."""
    return torch.cat([weight.detach().flatten() for weight in network.parameters()])


def lines(folder: Path, **changes: object) -> list[dict[str, float]]:
    run = tiny.run(**changes)
    train(run, load_training(run, open_dataset("digits")), "hash", folder)
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("name", [*OPTIMIZERS, *OF_TORCH])
def test_every_optimizer_lowers_the_loss(tmp_path: Path, name: str) -> None:
    found = lines(tmp_path, optimizer=name, epochs=4, mollify="none", augment="none", views=1)
    assert found[-1]["loss"] < found[0]["loss"]


def test_what_is_left_open_is_the_optimizers_own_or_the_networks() -> None:
    keys = ("learning_rate", "warmup", "momentum", "nesterov", "weight_decay")
    own = {name: tuple(get(tiny.config(optimizer=name), key) for key in keys) for name in ("sgd", "adamw", *OF_TORCH)}
    network = tiny.config().network
    assert network == "small-cnn:width=4"
    assert own["sgd"][2:] == (0.9, False, 5e-4)
    assert own["adamw"] == (1e-3, own["sgd"][1], None, None, 0.01)
    assert own["torch:Adadelta"] == (1.0, own["sgd"][1], None, None, 0.0)
    momenta = [
        (momentum, get(tiny.config(network="fast-resnet:width=2", momentum=momentum), "nesterov"))
        for momentum in (None, 0.5, 0.0)
    ]
    assert momenta == [(None, True), (0.5, True), (0.0, False)]
    assert get(tiny.config(rate_schedule="one-cycle"), "warmup") == 0
    assert get(tiny.config(optimizer="adamw", weight_decay=0.0), "weight_decay") == 0


@pytest.mark.parametrize(
    ("name", "twin"),
    [
        ("sgd", lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.2)),
        ("adamw:betas=0.8/0.9:eps=1e-6", lambda p: torch.optim.AdamW(p, 0.1, (0.8, 0.9), 1e-6, weight_decay=0.2)),
        ("torch:RMSprop:momentum=0.5", lambda p: torch.optim.RMSprop(p, lr=0.1, momentum=0.5, weight_decay=0.2)),
        ("torch:NAdam:betas=0.8/0.9", lambda p: torch.optim.NAdam(p, lr=0.1, betas=(0.8, 0.9), weight_decay=0.2)),
    ],
)
def test_names_and_parameters_mean_torchs(name: str, twin) -> None:  # type: ignore[no-untyped-def]
    run = tiny.run(optimizer=name, weight_decay=0.2)
    ours, theirs = (nn.Linear(3, 2) for _ in range(2))
    theirs.load_state_dict(ours.state_dict())
    optimizers = make_optimizer(run, ours, run.trained_on(10)), twin(theirs.parameters())
    for network, optimizer in zip((ours, theirs), optimizers, strict=True):
        for group in optimizer.param_groups:
            group["lr"] = 0.1
        for step in range(5):
            optimizer.zero_grad()
            network(torch.arange(6.0).view(2, 3) + step).square().sum().backward()
            optimizer.step()
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize(("name", "left"), [("sgd", 1 - 0.1 * 0.5), ("adamw", 1 - 0.1 * 0.5)])
def test_without_a_gradient_a_step_leaves_one_less_rate_times_decay(name: str, left: float) -> None:
    weight = nn.Parameter(torch.ones(4))
    optimizer = find_optimizer(name).build([weight], weight_decay=0.5, momentum=0.0, nesterov=False)
    optimizer.param_groups[0]["lr"] = 0.1
    weight.grad = torch.zeros(4)
    optimizer.step()
    torch.testing.assert_close(weight.detach(), torch.full((4,), left))


def test_decay_is_coupled_to_the_gradients_scale_in_adam_and_not_in_adamw() -> None:
    """Adam divides a decay that is added to the gradient by the gradient's own size."""
    moved = {}
    for name in ("adamw", "torch:Adam"):
        weights = []
        for decay in (0.0, 0.5):
            weight = nn.Parameter(torch.ones(1))
            optimizer = find_optimizer(name).build([weight], weight_decay=decay, momentum=0.0, nesterov=False)
            optimizer.param_groups[0]["lr"] = 0.1
            weight.grad = torch.full((1,), 100.0)
            optimizer.step()
            weights.append(weight.detach().item())
        moved[name] = weights[0] - weights[1]
    assert moved["adamw"] == pytest.approx(0.1 * 0.5, rel=1e-4)
    assert abs(moved["torch:Adam"]) < 1e-5


def test_clipping_shortens_the_gradients_that_are_too_long_and_counts_them(tmp_path: Path) -> None:
    """One step of plain SGD moves the weights by rate times the clipped gradient."""
    one_step = {
        "train_images": 36, "epochs": 1, "momentum": 0.0, "weight_decay": 0.0, "warmup": 0.0, "learning_rate": 0.1,
    }  # fmt: skip
    data = load_training(tiny.run(**one_step), open_dataset("digits"))
    start = vector(begin(tiny.run(**one_step), data).network)
    moves = {}
    for clip in (None, 1e-3, 1e3):
        run = tiny.run(**one_step, gradient_clip=clip)
        (tmp_path / str(clip)).mkdir()
        network = train(run, data, "hash", tmp_path / str(clip)).network
        moves[clip] = vector(network) - start
    torch.testing.assert_close(moves[1e3], moves[None])
    assert float(moves[1e-3].norm()) == pytest.approx(0.1 * 1e-3, rel=1e-3)
    direction = torch.nn.functional.cosine_similarity(moves[1e-3], moves[None], dim=0)
    assert float(direction) == pytest.approx(1, abs=1e-3)
    shares = {
        clip: json.loads((tmp_path / str(clip) / "metrics.jsonl").read_text()).get("clipped_share") for clip in moves
    }
    assert shares == {None: None, 1e-3: 1.0, 1e3: 0.0}
