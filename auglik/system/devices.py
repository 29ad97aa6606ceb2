"""Devices and precision: what a run computes on, and how host arrays get there without a wait."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from auglik.objectives import InputError

MOST_THREADS = 1024
"""Of a run, and runs at a time: more than any machine has use for."""


def choose_device(name: str) -> torch.device:
    """`auto` is CUDA if available, else the CPU. Raises InputError for a device that this machine lacks."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"device {name!r} cannot be used here (expected auto, cpu, cuda or cuda:N): {reason}"
        ) from None
    if device.type not in ("cpu", "cuda"):
        raise InputError(f"expected device auto, cpu, cuda or cuda:N, got {name!r}")
    return device


def choose_precision(name: str, device: torch.device) -> str:
    """`auto` is mixed on a CUDA device that computes bf16 natively, else fp32, which a CPU repeats bit for bit."""
    if name != "auto":
        return name
    return "mixed" if device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"


def cards() -> dict[str, int]:
    """The CUDA devices that this process may use, as CUDA_VISIBLE_DEVICES names them, with their free bytes."""
    count = torch.cuda.device_count()
    asked = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    names = [name.strip() for name in asked.split(",")] if asked.strip() else [str(card) for card in range(count)]
    return {name: torch.cuda.mem_get_info(place)[0] for place, name in enumerate(names[:count])}


def check_compiler(device: torch.device) -> None:
    """Raises InputError if torch.compile would find no C++ compiler, which it needs on a CPU."""
    names = [os.environ.get("CXX", ""), "g++", "clang++", "c++", "cl"]
    if device.type == "cpu" and not any(shutil.which(name) for name in names if name):
        raise InputError("--compile on a CPU needs a C++ compiler (g++ or clang++), but none is on the PATH")


@contextmanager
def autocast(device: torch.device, precision: str, *, scoring: bool = False) -> Iterator[None]:
    """bfloat16 autocast where the precision is bf16 or, but for scoring, mixed: scores are the same on every device."""
    with torch.autocast(
        device.type, torch.bfloat16, enabled=precision == "bf16" or (precision == "mixed" and not scoring)
    ):
        yield


def send(values: NDArray[np.generic], device: torch.device) -> Tensor:
    """A host array on the device (on a CPU perhaps the same memory); the host does not wait for a copy to end."""
    tensor = torch.from_numpy(np.require(values, requirements=["C", "W"]))
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor


F = TypeVar("F", bound=Callable[..., object])


def constant(function: F) -> F:
    """The same, whose result compiled code takes for a constant: a tracer would go past its cache.

    It is marked as torch.compiler.assume_constant_result marks it, which imports the compiler: a second of a report.
    """
    vars(function)["_dynamo_marked_constant"] = True
    return function


def available_cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
