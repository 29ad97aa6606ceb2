"""Where torch keeps what auglik has it compile."""

import os
from pathlib import Path

import pytest
import torch

from auglik.system.compiling import CACHE, keep_apart


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
