"""Process-wide state: set by engines and commands, never by the work itself, and restored afterwards."""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Any

import torch

CPU = torch.device("cpu")
WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
ONE_SIZE = (":4096:8", ":16:8")
"""Read when cuBLAS is first used: with buffers of one size, these that is, its sums have one order.

Other runs are left at cuBLAS's own buffers, as algorithms, and with them numbers, are chosen by their size.
"""
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""mallopt's parameters, from glibc's malloc.h."""
KEPT, USUAL = 2**30, 2**25
"""Freed bytes that a process keeps while it works; the largest piece that glibc comes to keep by itself."""


def begin_no_threads() -> None:
    """torch computes in the calling thread alone from now on: for a process that others are forked from."""
    torch.set_num_threads(1)


@contextmanager
def process_state(
    threads: int, device: torch.device = CPU, *, compiles: bool = False, deterministic: bool = False
) -> Iterator[None]:
    """torch on that many threads; on a CUDA device cuDNN benchmarks its kernels and keeps the fastest.

    A CUDA device with a number is the current one meanwhile: torch waits for that one before it records a graph, and on
    the first card this alone would take memory.

    With `deterministic` it uses only those that give the same sums every time, as CPU kernels do anyway: kernels that
    add in no fixed order are replaced, and an operation without an alternative raises RuntimeError.
    Raises InputError as `in_one_order` does.
    Products and convolutions of float32 stay float32.
    Freed memory stays with the process meanwhile: each step asks for the same again, and the system clears every page.
    With `compiles` earlier compiled code is discarded: otherwise runs in one process exhaust the number of
    versions that are kept of a function.
    """
    ordered = deterministic and device.type == "cuda"
    with in_float32(), in_one_order(device) if ordered else nullcontext(), current(device):
        before = torch.get_num_threads(), torch.backends.cudnn.benchmark
        torch.set_num_threads(threads)
        torch.backends.cudnn.benchmark = device.type == "cuda" and not ordered
        keep_freed_memory(KEPT)
        if compiles:
            torch.compiler.reset()
        try:
            yield
        finally:
            torch.set_num_threads(before[0])
            torch.backends.cudnn.benchmark = before[1]
            keep_freed_memory(USUAL)


def current(device: torch.device) -> AbstractContextManager[object]:
    """The device is torch's current one meanwhile, if it is a CUDA device with a number."""
    numbered = device.type == "cuda" and device.index is not None
    return torch.cuda.device(device) if numbered else nullcontext()


@contextmanager
def in_float32() -> Iterator[None]:
    """No product or convolution of float32 is rounded to fewer bits, whatever was chosen for the process.

    By default torch rounds convolutions on CUDA to 10 bits (TF32). Since torch 2.9 each kind of operation has a switch,
    which follows more general ones while it is "none"; the two older ones raise where they differ from these.
    """
    switches, before = precision_switches(), list[str]()
    for switch in switches:
        before.append(switch.fp32_precision)
        switch.fp32_precision = "none"  # so that those below it say what was chosen for themselves
    products, convolutions = torch.get_float32_matmul_precision(), True
    with suppress(RuntimeError):  # it differs from the switches, which are off
        convolutions = torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    for switch in switches:
        switch.fp32_precision = "ieee"
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(products)
        torch.backends.cudnn.allow_tf32 = convolutions
        for switch, chosen in zip(switches, before, strict=True):
            switch.fp32_precision = chosen


def precision_switches() -> list[Any]:  # torch has no types for them
    """torch's switches of the precision of float32, the general ones first; none before torch 2.9."""
    cuda, cudnn, mkldnn = torch.backends.cuda, torch.backends.cudnn, torch.backends.mkldnn
    kinds = ((cudnn, "conv"), (cudnn, "rnn"), (cuda, "matmul"), (mkldnn, "conv"), (mkldnn, "rnn"), (mkldnn, "matmul"))
    found = [torch.backends, cudnn, *(getattr(owner, kind, None) for owner, kind in kinds)]
    return [switch for switch in found if hasattr(switch, "fp32_precision")]


@contextmanager
def in_one_order(device: torch.device) -> Iterator[None]:
    """Sums on a CUDA device have one order. Raises InputError where cuBLAS cannot be told so in this process."""
    from auglik.objectives import InputError  # here, as its import computes, before `begin_no_threads`

    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    given = os.environ.get(WORKSPACE)
    if given not in (None, *ONE_SIZE):
        raise InputError(f"--deterministic: expected {WORKSPACE} to be {' or '.join(ONE_SIZE)}, got {given!r}")
    os.environ[WORKSPACE] = given or ONE_SIZE[0]
    torch.use_deterministic_algorithms(True)
    try:
        _check_cublas(device)
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        if given is None:
            del os.environ[WORKSPACE]


def _check_cublas(device: torch.device) -> None:
    """Raises InputError where cuBLAS was first used without its variable, which torch reads then and never again."""
    if not torch.cuda.is_initialized():
        return
    from auglik.objectives import InputError  # here, as above

    one = torch.ones(1, 1, device=device)
    try:
        torch.mm(one, one)
    except RuntimeError as error:
        if WORKSPACE not in str(error):
            raise
        raise InputError(
            f"--deterministic: expected {WORKSPACE} to be set before this process first used cuBLAS, as in an earlier"
            f" run that was not deterministic: set {WORKSPACE}={ONE_SIZE[0]} before the program begins"
        ) from None


def keep_freed_memory(most: int) -> None:
    """Asks glibc to keep up to so many freed bytes, in pieces of up to that; what it holds beyond goes back at once."""
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    if library is None or not (hasattr(library, "mallopt") and hasattr(library, "malloc_trim")):
        return
    library.mallopt(TRIM_THRESHOLD, most)
    if not library.mallopt(MMAP_THRESHOLD, most):
        library.mallopt(MMAP_THRESHOLD, USUAL)  # the most before glibc 2.35
    library.malloc_trim(ctypes.c_size_t(0))
