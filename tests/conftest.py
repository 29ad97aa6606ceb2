"""Settings of the whole test run, and seeded generators.

JAX is configured through its environment variables, before anything imports it: float64 for the twins, and an error
instead of a silent promotion of dtypes. So tests without JAX need not load it.
"""

import os
import sys

os.environ["JAX_ENABLE_X64"] = "1"
os.environ["JAX_NUMPY_DTYPE_PROMOTION"] = "strict"
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Every worker, and a hundred processes that tests begin, import the same sources: compiled once, not each time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

import hypothesis
import numpy as np
import pytest
import torch

from auglik.system.compiling import keep_apart

sys.dont_write_bytecode = False

keep_apart()  # tests compile too, and under several ATEN_CPU_CAPABILITY

# Small tensors gain nothing from more threads, and sums then do not depend on the machine's number of cores.
torch.set_num_threads(1)

LONGEST = {
    "test_cli": 156, "test_processes": 133, "test_extending": 124, "test_packaging": 117, "test_compare": 91,
    "test_study_sampling": 87, "test_study_normalizer": 83, "test_study_posterior": 80, "test_study_gradients": 75,
    "test_study_calibration": 61, "test_study_estimators": 61, "test_engines": 51, "test_claimed": 44,
    "test_calibration_model": 32,
}  # fmt: skip
"""Modules that take long, in seconds that they once took: workers begin with them, and share the rest at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Deals the longest modules to the beginnings of the workers' equal parts, so that none begins one at the end."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    long: dict[str, list[pytest.Item]] = {name: [] for name in LONGEST}
    short = [item for item in items if item.path.stem not in long]
    for item in items:
        if item.path.stem in long:
            long[item.path.stem].append(item)
    parts: list[list[pytest.Item]] = [[] for _ in range(workers)]
    seconds = [0] * workers
    for name, found in long.items():
        first = seconds.index(min(seconds))
        parts[first] += found
        seconds[first] += LONGEST[name]
    remaining = len(items)
    for place, part in enumerate(parts):
        size = remaining // (workers - place)
        filling = max(0, size - len(part))
        part += short[:filling]
        del short[:filling]
        remaining -= size
    items[:] = [item for part in parts for item in part] + short


hypothesis.settings.register_profile("auglik", derandomize=True, deadline=None, max_examples=30)
hypothesis.settings.load_profile("auglik")


@pytest.fixture
def generator() -> torch.Generator:
    """A torch generator of the CPU, seeded the same for every test."""
    return torch.Generator().manual_seed(20250)


@pytest.fixture
def rng() -> np.random.Generator:
    """A NumPy generator, seeded the same for every test."""
    return np.random.default_rng(20250)
