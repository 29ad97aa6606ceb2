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

sys.dont_write_bytecode = False

# Small tensors gain nothing from more threads, and sums then do not depend on the machine's number of cores.
torch.set_num_threads(1)

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
