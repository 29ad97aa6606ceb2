"""What an installed copy holds."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]


def test_every_package_is_listed() -> None:
    folders = {path.parent for top in ("auglik", "cli", "objectives", "studies") for path in (ROOT / top).rglob("*.py")}
    assert set(PROJECT["packages"]) == {".".join(folder.relative_to(ROOT).parts) for folder in folders}


def test_every_other_file_is_package_data() -> None:
    listed = {
        path
        for package, patterns in PROJECT["package-data"].items()
        for pattern in patterns
        for path in (ROOT / package.replace(".", "/")).glob(pattern)
    }
    others = {
        path
        for path in (ROOT / "auglik").rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc") and "__pycache__" not in path.parts
    }
    assert others == listed
