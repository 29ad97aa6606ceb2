"""The command's own JAX."""

import os
import subprocess
import sys

import pytest

ASKS = """
import atexit, os
atexit.register(lambda: print(os.environ["JAX_PLATFORMS"]))
from auglik.cli.main import main
main()
"""


@pytest.mark.parametrize(("given", "expected"), [(None, "cpu"), ("cuda,cpu", "cuda,cpu")])
def test_jax_leaves_a_gpu_to_the_runs_unless_asked(given: str | None, expected: str) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "JAX_PLATFORMS"}
    environment |= {"JAX_PLATFORMS": given} if given else {}
    found = subprocess.run(
        [sys.executable, "-c", ASKS, "--version"], env=environment, capture_output=True, text=True, timeout=120
    )
    assert found.stdout.splitlines()[-1] == expected, found.stderr
