"""Importing the package leaves CUDA alone: a process that plans or reports takes no memory of a card, and may fork."""

import subprocess
import sys

from tests.test_layout import ROOT, modules

CHILD = """
import importlib, sys, torch

def refused():
    raise RuntimeError("CUDA was begun")

torch.cuda._lazy_init = refused
for name in sys.argv[1:]:
    importlib.import_module(name)
print("imported")
for planted in (lambda: torch.zeros(1, device="cuda"), torch.cuda.current_device):
    try:
        planted()
    except RuntimeError as error:
        print(error)
"""


def with_torch() -> list[str]:
    """The modules that mention torch; the others import it through these alone."""
    found = []
    for file in modules():
        parts = file.relative_to(ROOT).with_suffix("").parts
        if "torch" in file.read_text() and not parts[-1].startswith("__"):
            found.append(".".join(parts if parts[0] == "auglik" else ("auglik", *parts)))
    return found


def test_no_module_begins_cuda() -> None:
    """What does begin it is seen in the same process."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CHILD, *with_torch()], capture_output=True, text=True, cwd=ROOT
    )
    assert done.stdout.split("\n")[:-1] == ["imported", "CUDA was begun", "CUDA was begun"], done.stderr
