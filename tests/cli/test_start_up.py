"""Commands begin without what takes seconds to import and is only needed later."""

import subprocess
import sys
from pathlib import Path

CLI = Path(__file__).parent.parent.parent / "cli"
SLOW = ("jax", "xarray", "matplotlib", "pandas")


def test_no_command_imports_what_only_reports_and_studies_need() -> None:
    names = [f"auglik.cli.{path.stem}" for path in CLI.glob("*.py") if path.stem != "__init__"]
    assert len(names) > 20
    code = f"import importlib, sys\nfor name in {names}:\n    importlib.import_module(name)\nprint(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True)
    assert {"torch", "auglik.cli.reproduce"} <= set(found.stdout.split())
    assert not set(SLOW) & set(found.stdout.split())
