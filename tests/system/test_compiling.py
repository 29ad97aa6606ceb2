"""What torch.compile needs, and where torch keeps what auglik has it compile."""

import os
import sysconfig
from pathlib import Path

import pytest
import torch

from auglik.objectives import InputError
from auglik.system.compiling import CACHE, check_compiler, keep_apart


def as_processor(monkeypatch: pytest.MonkeyPatch, capability: str) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)


def test_kinds_of_processor_have_folders_of_their_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(CACHE, str(tmp_path))
    as_processor(monkeypatch, "AVX2")
    for _ in range(2):  # a process begun by another has its environment
        keep_apart()
        assert os.environ[CACHE] == str(tmp_path / "avx2")
    as_processor(monkeypatch, "NO AVX")
    keep_apart()
    assert os.environ[CACHE] == str(tmp_path / "avx2" / "no-avx")


def test_by_default_it_is_below_torchs_own_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    from torch._inductor.runtime.cache_dir_utils import default_cache_dir

    monkeypatch.setenv(CACHE, "")
    monkeypatch.delenv(CACHE)
    as_processor(monkeypatch, "AVX512")
    keep_apart()
    assert os.environ[CACHE] == str(Path(default_cache_dir()) / "avx512")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The only folder of programs, a Linux with Python's headers."""
    monkeypatch.setattr("sys.platform", "linux")
    for name in ("CC", "CXX", "CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    (tmp_path / "Python.h").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("device", "alone", "other", "variable"), [("cpu", "g++", "clang++", "CXX"), ("cuda", "clang", "cc", "CC")]
)
def test_compiling_is_refused_without_the_compiler_that_torch_calls(
    machine: Path, monkeypatch: pytest.MonkeyPatch, device: str, alone: str, other: str, variable: str
) -> None:
    (machine / other).touch(0o755)
    with pytest.raises(InputError, match=f"^--compile on {device} expected a .* is not on the PATH: install one"):
        check_compiler(torch.device(device))
    monkeypatch.setenv(variable, f"{other} -pipe")
    check_compiler(torch.device(device))
    monkeypatch.delenv(variable)
    (machine / alone).touch(0o755)
    check_compiler(torch.device(device))
    monkeypatch.setenv(variable, "/nonexistent")
    with pytest.raises(InputError, match=rf"as {variable}=/nonexistent is not on the PATH: .*--no-compile"):
        check_compiler(torch.device(device))


def test_compiling_is_refused_without_the_headers_of_python(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (machine / "g++").touch(0o755)
    header = machine / "Python.h"
    elsewhere = machine / "own"
    elsewhere.mkdir()
    header.rename(elsewhere / header.name)
    with pytest.raises(
        InputError, match=r"^--compile expected the headers .*no Python.h in .*python3-dev .*--no-compile"
    ):
        check_compiler(torch.device("cpu"))
    monkeypatch.setenv("CPATH", f"/nowhere{os.pathsep}{elsewhere}")
    check_compiler(torch.device("cpu"))
