"""Which CUDA device is the current one, without any."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch


def current_cards(monkeypatch: pytest.MonkeyPatch, *before: int) -> list[int]:
    """The numbers of the devices that `torch.cuda.device` has made current, the last of them the one that is."""
    current = list(before)

    @contextmanager
    def changed(device: torch.device) -> Iterator[None]:
        current.append(device.index)
        yield
        current.pop()

    monkeypatch.setattr("torch.cuda.device", changed)
    return current
