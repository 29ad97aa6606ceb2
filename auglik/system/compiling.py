"""torch.compile, with its cache of compiled code kept apart for each kind of processor."""

import getpass
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

import torch

CACHE = "TORCHINDUCTOR_CACHE_DIR"
"""Read by torch's compiler whenever it looks for compiled code."""

P = ParamSpec("P")
R = TypeVar("R")


def torch_compile(function: Callable[P, R], *, dynamic: bool | None = None) -> Callable[P, R]:
    """`function` through torch.compile."""
    keep_apart()
    return torch.compile(function, dynamic=dynamic)


def keep_apart() -> None:
    """Has torch keep compiled code in a folder of its own for each width of a CPU's vectors.

    It looks code up by what it is compiled from, not by the processor. On another one, as with a folder that machines
    share, the found code is built for other vectors and gives wrong numbers, NaN or a crash (torch 2.14).
    """
    width = torch.backends.cpu.get_cpu_capability().lower().replace(" ", "-")
    folder = Path(os.environ.get(CACHE) or Path(tempfile.gettempdir()) / f"torchinductor_{user()}")
    os.environ[CACHE] = str(folder if folder.name == width else folder / width)


def user() -> str:
    """The name that torch's own folder ends in, or its number where it has none."""
    try:
        return getpass.getuser()
    except (KeyError, ImportError, OSError):
        return f"uid_{os.getuid()}"
