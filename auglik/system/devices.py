"""Devices and precision: what a run computes on, and how host arrays get there without a wait."""

import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from auglik.objectives import InputError
from auglik.system import cgroups
from auglik.system.cards import bfloat16_here, card_elsewhere, launch_kernel
from auglik.system.notices import say_once
from auglik.system.process import current

MOST_THREADS = 1024
"""Of a run, and runs at a time: more than any machine has use for."""
NO_KERNEL = "no kernel image"
"""In what CUDA says of a card that the binaries are not for."""


def choose_device(name: str) -> torch.device:
    """`auto` is CUDA where it can be used, else the CPU; why not where there is a card, a notice says.

    Raises InputError for a device that this machine lacks, and for a card that this torch has no kernels for.
    """
    if name == "auto":
        if not torch.cuda.is_available():
            return torch.device("cpu")
        try:
            return choose_device("cuda")
        except InputError as error:
            say_once(f"{error}; runs are on the CPU")
            return torch.device("cpu")
    try:
        device = torch.device(name)
        if device.type not in ("cpu", "cuda"):
            raise InputError(f"expected device auto, cpu, cuda or cuda:N, got {name!r}")
        if (card := card_elsewhere(device)) is None:
            launch_kernel(device)
        elif card.refusal:
            raise RuntimeError(card.refusal)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        if name == "cuda" and torch.cuda.device_count() > 1 and cards():  # runs go to these
            return device
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        if NO_KERNEL in reason:
            reason = (
                f"{reason}: this torch was built for {' '.join(torch.cuda.get_arch_list())}, and the card is another"
            )
        raise InputError(
            f"device {name!r} cannot be used here (expected auto, cpu, cuda or cuda:N): {reason}"
        ) from None
    return device


def choose_precision(name: str, device: torch.device) -> str:
    """`auto` is mixed on a CUDA device that computes bf16 natively, else fp32, which a CPU repeats bit for bit.

    A notice says where bf16 that is asked for is emulated. Raises InputError for a card that has none.
    """
    if name == "fp32" or device.type != "cuda":
        return "fp32" if name == "auto" else name
    if (card := card_elsewhere(device)) is None:
        with current(device):  # for which torch answers
            bfloat16, capability = bfloat16_here()
    else:
        bfloat16, capability = card.bfloat16, card.capability
    if name == "auto":
        return "mixed" if bfloat16 == "native" else "fp32"
    lacks = f"precision {name}: expected a card that computes bfloat16, as those from compute capability 8.0 on do"
    if bfloat16 == "none":
        raise InputError(f"{lacks}, got {capability}: give --precision fp32, which auto takes here")
    if bfloat16 == "emulated":
        say_once(f"{lacks}, got {capability}, where it is emulated: it may be slow, or fail")
    return name


def card_count() -> int:
    """How many CUDA devices runs can go to; one alone is not asked, as to be asked takes memory of it."""
    count = torch.cuda.device_count()
    return count if count < 2 else len(cards())


def cards() -> dict[str, int]:
    """The CUDA devices that runs can go to, as CUDA_VISIBLE_DEVICES names them, with their free bytes."""
    count = torch.cuda.device_count()
    asked = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    names = [name.strip() for name in asked.split(",")] if asked.strip() else [str(card) for card in range(count)]
    free = {name: free_of_card(place) for place, name in enumerate(names[:count])}
    return {name: found for name, found in free.items() if found > 0}


def free_of_card(place: int) -> int:
    """Its free bytes; none where it cannot be asked, or this torch has no kernels for it."""
    try:
        if (card := card_elsewhere(torch.device("cuda", place))) is not None:
            return card.free
        launch_kernel(torch.device("cuda", place))
        return torch.cuda.mem_get_info(place)[0]
    except RuntimeError:
        return 0


def cuda_works(device: torch.device) -> bool:
    """Whether this process could go on using the device; so too where it has not begun to use CUDA, and a CPU."""
    try:
        if device.type == "cuda" and torch.cuda.is_initialized():
            torch.cuda.synchronize(device)
    except RuntimeError:
        return False
    return True


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
    """The cores that this process may use: those it may run on, and no more than its control groups have time for.

    A quota of 1.5 cores is two, whose threads use all of it.
    """
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(here, cgroups.cores())))
