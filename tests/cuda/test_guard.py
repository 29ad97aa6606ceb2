"""The guard itself: faults planted in views, trainer, meters and networks, one kind at a time, are all found."""

import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from auglik import InputError, load_training, open_dataset, training_pipeline
from auglik.optimization.average import Average
from auglik.runs.loop import Loop
from auglik.runs.run import execute
from auglik.system.devices import send
from auglik.system.process import process_state
from tests import tiny
from tests.cuda.guard import cuda, undeclared, without_gpu
from tests.cuda.pretended import Record, pretended_cuda
from tests.cuda.redone import DeviceError

DEVICE = torch.device("cuda")
Fault = Callable[[Tensor], object]


def zeros(x: Tensor) -> Tensor:
    return x.detach().long() * 0


def bags(x: Tensor, mode: str) -> Tensor:
    return functional.embedding_bag(zeros(x)[0, 0, 0, 0], x[0, 0, 0], zeros(x)[0, 0, 0, 0, :2], mode=mode)


WAITS: dict[str, Fault] = {
    "item": lambda x: x.sum().item(),
    "condition": lambda x: bool((x > 0).any()),
    "boolean index": lambda x: x.reshape(-1)[x.reshape(-1) > 0],
    "nonzero": lambda x: x.nonzero(),
    "pageable copy": lambda x: torch.zeros(3).to(x.device),
    "pageable copy in place": lambda x: torch.empty(3, device=x.device).copy_(torch.zeros(3), non_blocking=True),
    "tensor of numbers": lambda x: torch.tensor([1.0, 2.0], device=x.device),
    "copy to the host": lambda x: x.cpu(),
    "index from the host": lambda x: x.reshape(-1)[torch.tensor([0])],
    "list": lambda x: x.reshape(-1)[:2].tolist(),
    "printed": lambda x: f"{x}",
    "shown": lambda x: repr(x),
    "close": lambda x: torch.allclose(x, x),
    "range": lambda x: torch.linspace(0, x.sum(), 3, device=x.device),
    "number of a list": lambda x: torch.tensor([x.sum(), 1.0]),
    "new tensor": lambda x: x.new_tensor([1.0]),
    "where": lambda x: torch.where(x > 0, torch.tensor(0.0), x),
    "number of the host put": lambda x: x.reshape(-1).index_put_((zeros(x).reshape(-1),), torch.tensor(1.0)),
    "draws": lambda x: torch.multinomial(x.reshape(1, -1), 1),
    "singular values": lambda x: torch.linalg.svd(x.reshape(2, -1)),
    "pickle": lambda x: pickle.dumps(x),
    "text for a type": lambda x: x.type("torch.FloatTensor"),
    "synchronized": lambda x: torch.cuda.synchronize(),
    "event": lambda x: torch.cuda.current_stream().record_event().synchronize(),
}
REFUSED: dict[str, Fault] = {
    "mask of the host": lambda x: x.masked_fill(torch.zeros(x.shape, dtype=torch.bool), 0),
    "sum of both devices": lambda x: x.reshape(-1) + torch.ones(x.numel()),
    "result on the host": lambda x: torch.zeros(()).add_(x.sum()),
    "array": lambda x: x.numpy(),
    "no kernel": lambda x: torch.histogram(x.reshape(-1).float(), 3),
    "product of integers": lambda x: x.reshape(1, -1).long() @ x.reshape(-1, 1).long(),
    "inner product of integers": lambda x: torch.vdot(zeros(x).reshape(-1), zeros(x).reshape(-1)),
    "convolution of integers": lambda x: functional.conv1d(zeros(x)[None], zeros(x)[None, :, :1]),
    "mean of a grid of integers": lambda x: functional.avg_pool2d(zeros(x)[None, None], 1),
    "maximum of a grid of integers": lambda x: functional.max_pool2d(zeros(x)[None, None], 1),
    "smaller levels": lambda x: functional.interpolate(
        x.byte()[None, None], size=(1, 1), mode="bilinear", antialias=True
    ),
    "copy to the host not waited for": lambda x: x.to("cpu", non_blocking=True),
    "copy to the host in place not waited for": lambda x: torch.empty(2, 3).copy_(x, non_blocking=True),
    "number of the host joined": lambda x: torch.stack([x.sum(), torch.tensor(0.0)]),
    "generator of the host": lambda x: torch.rand(2, device=x.device, generator=torch.Generator()),
}
UNORDERED: dict[str, Fault] = {
    "maximum over a grid": lambda x: functional.adaptive_max_pool2d(x[:, 0], 2).sum().backward(),
    "mean over a grid": lambda x: functional.adaptive_avg_pool3d(x, 2).sum().backward(),
    "maximum of drawn grids": lambda x: (
        functional.fractional_max_pool3d(x, 2, output_size=2, _random_samples=x.detach()[0, :, 0, 0, :3][None] / 2)
        .sum()
        .backward()
    ),
    "maxima put back": lambda x: functional.max_unpool3d(x, zeros(x), (2, 2, 2)),
    "trilinear": lambda x: torch.ops.aten.upsample_trilinear3d(x, (8, 8, 8), False).sum().backward(),
    "samples of a volume": lambda x: (
        functional.grid_sample(x, x[:, 0, ..., None].expand(-1, -1, -1, -1, 3), align_corners=False).sum().backward()
    ),
    "reflection": lambda x: functional.pad(x, (1,) * 6, mode="reflect").sum().backward(),
    "median with places": lambda x: x.median(-1),
    "median of numbers with places": lambda x: x.nanmedian(-1),
    "product by place": lambda x: x.scatter_reduce(0, zeros(x), x, "prod"),
    "weighted counts": lambda x: torch.bincount(zeros(x).flatten(), x.detach().flatten()),
    "CTC": lambda x: torch.ops.aten.ctc_loss(
        x[0, 0].log_softmax(-1), zeros(x)[0, 0, 0, :, :1] + 1, (4,) * 4, (1,) * 4, 0, 2
    ).backward(),
    "maximum of a bag": lambda x: bags(x, "max").sum().backward(),
}
"""Sums of no fixed order, or places of equal values, of a volume with a gradient."""
ORDERED: dict[str, Fault] = {
    "median": lambda x: x.median(),
    "sum by place": lambda x: x.scatter_reduce(0, zeros(x), x, "sum"),
    "counts": lambda x: torch.bincount(zeros(x).flatten()),
    "mean of a bag": lambda x: bags(x, "mean").sum().backward(),
}
"""The same operations with other arguments, which torch does in one order."""
PLACES = {
    "views": "auglik.views.pipeline.mollify",
    "trainer": "auglik.runs.step.autocast",
    "meters": "auglik.runs.loop.note",
    "networks": "torch.nn.BatchNorm2d.forward",
}
"""What is called in a step, and with which fault before it."""

pytestmark = without_gpu


def run_with(
    fault: Fault, place: str, folder: Path, monkeypatch: pytest.MonkeyPatch, *, deterministic: bool = False
) -> Record:
    """A run of four steps that makes `fault` in each."""
    module, _, name = PLACES[place].rpartition(".")
    owner = nn.BatchNorm2d if module == "torch.nn.BatchNorm2d" else __import__(module, fromlist=[name])
    before = getattr(owner, name)

    def planted(*args: object, **named: object) -> object:
        fault(next((arg for arg in args if isinstance(arg, Tensor)), torch.ones(2, 3, device=DEVICE)))
        return before(*args, **named)

    monkeypatch.setattr(owner, name, planted)
    with cuda() as record:
        settings = {"precision": "bf16", "train_images": 80, "epochs": 1, "deterministic": deterministic}
        job = tiny.job(folder, device="cuda", mollify="noise,blur,both", **settings)
        with job.run.state(1):
            execute(replace(job, scored=False))
    return record


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("fault", ["item", "boolean index", "pageable copy"])
def test_a_wait_in_a_step_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, fault: str) -> None:
    assert undeclared(run_with(WAITS[fault], place, tmp_path, monkeypatch))


@pytest.mark.parametrize("place", PLACES)
def test_a_mask_of_another_device_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    with pytest.raises(DeviceError, match=r"masked_fill.*one device"):
        run_with(REFUSED["mask of the host"], place, tmp_path, monkeypatch)


def test_a_run_without_a_fault_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert undeclared(run_with(lambda x: x + 1, "views", tmp_path, monkeypatch)) == []


def every_step(patch: pytest.MonkeyPatch, look: Callable[[Loop], object]) -> None:
    """Looks at every step, where a loop asks whether it is due to."""
    due = Loop.look_due

    def looked(self: Loop, done: int) -> bool:
        look(self)
        return due(self, done)

    patch.setattr(Loop, "look_due", looked)


def saved_at_every_step(patch: pytest.MonkeyPatch) -> None:
    every_step(patch, lambda loop: loop.save(1, {}))


def averaged_at_every_step(patch: pytest.MonkeyPatch) -> None:
    update = Average.update

    def measured(self: Average, done: int) -> None:
        update(self, done)
        self.measure([torch.ones(2, 1, 8, 8, device=DEVICE).contiguous(memory_format=torch.channels_last)])

    patch.setattr(Average, "update", measured)


def drawn_at_every_step(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("auglik.sampling.chain.draw_steps", lambda stretches, draws: range(1, 6))


def looked_twice(patch: pytest.MonkeyPatch) -> None:
    bad_step = Loop.bad_step

    def again(self: Loop) -> int | None:
        for _ in range(2):
            bad_step(self)
        return bad_step(self)

    patch.setattr(Loop, "bad_step", again)


TOO_OFTEN: dict[str, tuple[Callable[[pytest.MonkeyPatch], None], dict[str, object], str]] = {
    "losses": (lambda patch: every_step(patch, Loop.bad_step), {}, "by Loop.bad_step at step 1"),
    "means": (lambda patch: every_step(patch, lambda loop: loop.mean("loss")), {}, "by Loop.mean at step 1"),
    "checkpoints": (saved_at_every_step, {}, "by Loop.save at step 1"),
    "averages": (averaged_at_every_step, {"average": 0.9}, "by Average.measure at step 1"),
    "draws": (
        drawn_at_every_step, {"inference": "sghmc", "draws": 2, "learning_rate": 0.01}, "by Chain.after at step 1",
    ),
    "losses thrice": (looked_twice, {}, "beyond the 2 of Loop.bad_step at step"),
}  # fmt: skip
"""What is planted, in a run of which settings, and what is said of it."""


@pytest.mark.parametrize("kind", TOO_OFTEN)
def test_a_look_that_comes_too_often_is_found(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planted, settings, said = TOO_OFTEN[kind]
    planted(monkeypatch)
    settings = {"precision": "fp32", "train_images": 80, "batch_size": 16, "epochs": 1, "cuda_graphs": False} | settings
    with cuda() as record:
        execute(replace(tiny.job(tmp_path, device="cuda", **settings), scored=False))
    assert any(said in line for line in undeclared(record))


def test_images_that_are_not_channels_last_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forward = nn.Conv2d.forward
    monkeypatch.setattr(nn.Conv2d, "forward", lambda self, x: forward(self, x.contiguous()))
    with cuda() as record:
        execute(replace(tiny.job(tmp_path, device="cuda", precision="fp32", train_images=80, epochs=1), scored=False))
    assert any("not channels last" in line for line in undeclared(record))


@pytest.mark.parametrize("kind", WAITS)
def test_every_kind_of_wait_is_recorded_once(kind: str) -> None:
    with pretended_cuda() as record:
        x = send(np.ones((2, 3), np.float32), DEVICE)
        WAITS[kind](x)
    assert sum(record.waits.values()) == 1


@pytest.mark.parametrize("deterministic", [False, True])
@pytest.mark.parametrize("kind", UNORDERED)
def test_what_has_no_fixed_order_is_refused_in_deterministic_runs(kind: str, deterministic: bool) -> None:
    with pretended_cuda(), process_state(1, DEVICE, deterministic=deterministic):
        x = send(np.ones((1, 2, 4, 4, 4), np.float32), DEVICE).requires_grad_()
        refused = pytest.raises(DeviceError, match="no deterministic implementation")
        with refused if deterministic else nullcontext():
            UNORDERED[kind](x)


@pytest.mark.parametrize("kind", ORDERED)
def test_what_has_one_order_is_not_refused_in_deterministic_runs(kind: str) -> None:
    with pretended_cuda(), process_state(1, DEVICE, deterministic=True):
        ORDERED[kind](send(np.ones((1, 2, 4, 4, 4), np.float32), DEVICE).requires_grad_())


def test_a_median_with_places_in_a_deterministic_run_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DeviceError, match=r"median.*no deterministic implementation"):
        run_with(UNORDERED["median with places"], "trainer", tmp_path, monkeypatch, deterministic=True)


@pytest.mark.parametrize("kind", REFUSED)
def test_what_a_gpu_refuses_is_refused(kind: str) -> None:
    with pretended_cuda():
        x = send(np.ones((2, 3), np.float32), DEVICE)
        with pytest.raises(DeviceError):
            REFUSED[kind](x)


def test_what_a_gpu_does_at_once_is_no_wait() -> None:
    with pretended_cuda() as record:
        x = send(np.arange(6, dtype=np.float32).reshape(2, 3), DEVICE)
        x[0] = 0
        assert torch.asarray(x[0], copy=True).device.type == "cuda"
        y = torch.where(x > 0, 1.0, x) * torch.tensor(2.0)
        x.requires_grad_()
        (x * y).sum().backward()
        with ThreadPoolExecutor(1) as thread:
            assert thread.submit(lambda: x.detach().exp().device).result().type == "cuda"
        assert y.repeat_interleave(2, 0, output_size=4).device.type == "cuda"
        assert not record.waits
        np.testing.assert_array_equal(x.grad.cpu().numpy(), y.cpu().numpy())  # type: ignore[union-attr]


def test_launches_are_counted_by_part_and_views_of_memory_are_not() -> None:
    with pretended_cuda() as record:
        x = torch.ones(2, 3, device=DEVICE)
        with record.part("some"):
            (x.t()[None] + 1).mul_(2)
            torch.zeros(2, device=DEVICE)
        torch.ones(2) + 1
    assert record.launches["some"] == {"add": 1, "mul_": 1, "zeros": 1}
    assert record.launched("other") == 1


def test_draws_of_another_device_are_refused_in_one_line() -> None:
    with pretended_cuda():
        run = tiny.run(device="cuda")
        data = load_training(run, open_dataset("digits"))
        pipeline = training_pipeline(run, data.training.gallery.shape, data.classes)
        draws = pipeline.draw(0, 0, 2, 10, torch.device("cpu"))
        with pytest.raises(
            InputError, match="expected draws on cuda, where the images are, got draws on cpu"
        ) as refused:
            pipeline.render(data.training.gallery, draws, np.arange(4))
    assert len(str(refused.value).splitlines()) == 1
