"""Faults in order, planted one at a time: streams that do not wait for each other, pinned memory overwritten."""

from collections.abc import Callable
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from torch import Tensor

from auglik.runs import recorded
from auglik.runs.run import execute
from auglik.system.devices import send
from tests import tiny
from tests.cuda.guard import without_gpu
from tests.cuda.pretended import pretended_cuda
from tests.cuda.redone import DeviceError

DEVICE = torch.device("cuda")
pytestmark = without_gpu


def made_on(stream: torch.cuda.Stream, *, wait: bool) -> Tensor:
    """A tensor of another stream, which the current one has or has not waited for."""
    with torch.cuda.stream(stream):
        made = torch.ones(3, device=DEVICE)
    if wait:
        torch.cuda.current_stream().wait_stream(stream)
    return made


def read(x: Tensor, stream: torch.cuda.Stream, *, wait: bool) -> None:
    made_on(stream, wait=wait) + 1


def read_by_the_other(x: Tensor, stream: torch.cuda.Stream, *, wait: bool) -> None:
    x.add_(1)
    if wait:
        stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        x + 1


def sent_to_the_other(x: Tensor, stream: torch.cuda.Stream, *, wait: bool) -> None:
    sent = send(np.ones(3, np.float32), DEVICE)
    event = torch.cuda.Event()
    event.record(torch.cuda.current_stream())
    if wait:
        event.wait(stream)
    with torch.cuda.stream(stream):
        sent + 1


def written_under_a_reader(x: Tensor, stream: torch.cuda.Stream, *, wait: bool) -> None:
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        x.sum()
    if wait:
        torch.cuda.current_stream().wait_event(stream.record_event())
    x.zero_()


def gone_under_a_reader(x: Tensor, stream: torch.cuda.Stream, *, wait: bool) -> None:
    made = torch.ones(3, device=DEVICE)
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        made + 1
    if wait:
        made.record_stream(stream)
    del made
    torch.ones(3, device=DEVICE)


STREAMS = {
    function.__name__: function
    for function in (read, read_by_the_other, sent_to_the_other, written_under_a_reader, gone_under_a_reader)
}


@pytest.mark.parametrize("wait", [False, True])
@pytest.mark.parametrize("kind", STREAMS)
def test_streams_that_do_not_wait_for_each_other_are_found(kind: str, wait: bool) -> None:
    with pretended_cuda():
        x = send(np.ones(3, np.float32), DEVICE)
        with nullcontext() if wait else pytest.raises(DeviceError, match="without having waited for it"):
            STREAMS[kind](x, torch.cuda.Stream(DEVICE), wait=wait)


@pytest.mark.parametrize("who", ["side", "main"])
def test_a_recorded_run_whose_streams_do_not_wait_is_found(
    who: str, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first steps of a recorded run are on a stream of their own."""
    with pretended_cuda():
        stream = type(torch.cuda.current_stream())
        wait = stream.wait_stream
        main = torch.cuda.current_stream()
        monkeypatch.setattr(
            stream, "wait_stream", lambda self, of: None if (self is main) == (who == "main") else wait(self, of)
        )
        run = tiny.job(tmp_path, device="cuda", precision="fp32", train_images=80, epochs=1)  # type: ignore[arg-type]
        assert recorded.FIRST_STEPS > 0
        with pytest.raises(DeviceError, match="another stream"):
            execute(run)


def by_torch(pinned: Tensor) -> None:
    pinned[1:].zero_()


def by_numpy(pinned: Tensor) -> None:
    pinned.numpy()[0] = 7


def in_place(pinned: Tensor) -> None:
    pinned.add_(1)


@pytest.mark.parametrize("waits", [None, "value", "event", "stream", "device"])
@pytest.mark.parametrize("write", [by_torch, by_numpy, in_place], ids=lambda function: function.__name__)
def test_pinned_memory_that_is_overwritten_under_its_copy_is_found(
    write: Callable[[Tensor], None], waits: str | None
) -> None:
    refused = pytest.raises(DeviceError, match="pinned memory was overwritten")
    with refused if waits is None else nullcontext(), pretended_cuda():
        pinned = torch.arange(4.0).pin_memory()
        there = pinned.to(DEVICE, non_blocking=True)
        if waits == "value":
            there.sum().item()
        elif waits == "event":
            torch.cuda.current_stream().record_event().synchronize()
        elif waits == "stream":
            torch.cuda.current_stream().synchronize()
        elif waits == "device":
            torch.cuda.synchronize()
        write(pinned)


@pytest.mark.parametrize("again", [False, True])
def test_a_buffer_for_all_batches_is_found(again: bool) -> None:
    """Filled anew by numpy, and sent anew, while the device may be at the one before."""
    with pretended_cuda():
        buffer = torch.zeros(4).pin_memory()
        for batch in range(2 if again else 1):
            buffer.numpy()[:] = batch
            with pytest.raises(DeviceError, match="overwritten") if batch else nullcontext():
                torch.empty(4, device=DEVICE).copy_(buffer, non_blocking=True)
