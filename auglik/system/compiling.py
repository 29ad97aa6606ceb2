"""torch.compile: what it needs of a machine, and its cache of compiled code, apart for each kind of processor."""

import getpass
import os
import shlex
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

import torch

from auglik.objectives.errors import InputError

CACHE = "TORCHINDUCTOR_CACHE_DIR"
"""Read by torch's compiler whenever it looks for compiled code."""

HEADER_FOLDERS = ("CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH")
"""Read by compilers."""

P = ParamSpec("P")
R = TypeVar("R")


def torch_compile(function: Callable[P, R], *, dynamic: bool | None = None) -> Callable[P, R]:
    """`function` through torch.compile."""
    keep_apart()
    return torch.compile(function, dynamic=dynamic)


def check_compiler(device: torch.device) -> None:
    """Raises InputError if torch.compile would find no compiler that it calls, or on Linux none of Python's headers.

    It calls CXX on a CPU, else one compiler of a fixed name, whatever others there are; Triton calls CC, or its choice.
    """
    cpu, linux = device.type == "cpu", sys.platform == "linux"
    if not cpu and not linux:
        return
    own, usual = {"darwin": "clang++", "win32": "cl"}.get(sys.platform, "g++"), ("gcc", "clang")
    variable, language = ("CXX", "C++") if cpu else ("CC", "C")
    named = os.environ.get(variable)
    names = (own,) if cpu else usual
    if named is not None:
        names = (named if sys.platform == "win32" else (shlex.split(named) or [""])[0],)
    otherwise = "or leave out --compile (--no-compile)"
    if not any(shutil.which(name) for name in names):
        said = f"{variable}={named}" if named is not None else " or ".join(names)
        raise InputError(
            f"--compile on {device.type} expected a {language} compiler, got none, as {said} is not on the PATH:"
            f" install one ({' or '.join(('g++', 'clang++') if cpu else usual)}), set {variable} to yours, {otherwise}"
        )
    places = [sysconfig.get_path("include"), *(os.environ.get(name, "") for name in HEADER_FOLDERS)]
    version = sysconfig.get_python_version()
    folders = [folder for place in places for folder in place.split(os.pathsep) if folder]
    if linux and not any(Path(folder, "Python.h").exists() for folder in folders):
        raise InputError(
            f"--compile expected the headers of Python {version}, got no Python.h in {folders[0]}:"
            f" install them (the system's package python3-dev or python3-devel), {otherwise}"
        )


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
