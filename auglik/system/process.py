"""Process-wide state: set by engines and commands, never by the work itself, and restored afterwards."""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

CPU = torch.device("cpu")
WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
"""Read by cuBLAS when it is first used: with buffers of one size its sums have one order."""
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

    With `deterministic` it uses only those that give the same sums every time, as CPU kernels do anyway: kernels that
    add in no fixed order are replaced, and an operation without an alternative raises RuntimeError.
    Convolutions of float32 stay float32: by default torch rounds them to 10 bits (TF32).
    Freed memory stays with the process meanwhile: each step asks for the same again, and the system clears every page.
    With `compiles` earlier compiled code is discarded: otherwise runs in one process exhaust the number of
    versions that are kept of a function.
    """
    before = torch.get_num_threads(), torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32
    torch.set_num_threads(threads)
    deterministic = deterministic and device.type == "cuda"
    torch.backends.cudnn.benchmark = device.type == "cuda" and not deterministic
    settled, workspace = torch.are_deterministic_algorithms_enabled(), os.environ.get(WORKSPACE)
    if deterministic:
        torch.use_deterministic_algorithms(True)
        os.environ.setdefault(WORKSPACE, ":4096:8")
    torch.backends.cudnn.allow_tf32 = False
    keep_freed_memory(KEPT)
    if compiles:
        torch.compiler.reset()
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        torch.backends.cudnn.benchmark = before[1]
        torch.backends.cudnn.allow_tf32 = before[2]
        torch.use_deterministic_algorithms(settled)
        if deterministic and workspace is None:
            del os.environ[WORKSPACE]
        keep_freed_memory(USUAL)


def keep_freed_memory(most: int) -> None:
    """Asks glibc to keep up to so many freed bytes, in pieces of up to that; what it holds beyond goes back at once."""
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    if library is None or not (hasattr(library, "mallopt") and hasattr(library, "malloc_trim")):
        return
    library.mallopt(TRIM_THRESHOLD, most)
    if not library.mallopt(MMAP_THRESHOLD, most):
        library.mallopt(MMAP_THRESHOLD, USUAL)  # the most before glibc 2.35
    library.malloc_trim(ctypes.c_size_t(0))
