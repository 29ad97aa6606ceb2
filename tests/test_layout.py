"""The house: which room may import which, and how large a file may be."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = (
    "objectives", "system", "settings", "version", "data", "networks", "scoring", "views", "confidence", "runs",
    "robustness", "inference", "experiments", "confidence_tables", "pretraining", "recipes", "report", "comparison",
    "studies", "cli",
)  # fmt: skip
"""From the ground up: a room imports itself and those before it."""
OUTSIDE = ("objectives", "cli", "studies")
"""Rooms that stand beside `auglik/` and are imported as its own."""
LONGEST = 300


def modules() -> list[Path]:
    return [path for folder in ("auglik", *OUTSIDE) for path in sorted((ROOT / folder).rglob("*.py"))]


def room_of(path: Path) -> str | None:
    """None for the package's own face."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    if parts[0] != "auglik":
        return parts[0]
    return None if parts[1] in ("__init__", "__main__") else parts[1]


def imported(path: Path) -> set[str]:
    """Rooms that a module imports from; `auglik` is the package's face."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        found |= {name.split(".")[1] if "." in name else "auglik" for name in names if name.split(".")[0] == "auglik"}
    return found


@pytest.mark.parametrize("room", ROOMS)
def test_imports_go_down(room: str) -> None:
    below = set(ROOMS[: ROOMS.index(room) + 1])
    for path in modules():
        if room_of(path) == room:
            assert imported(path) <= below, path


def test_every_room_is_named_and_nothing_lies_about() -> None:
    assert {room_of(path) for path in modules()} == {*ROOMS, None}
    assert {path.name for path in (ROOT / "auglik").glob("*.py")} == {"__init__.py", "__main__.py", "version.py"}


def test_no_file_is_longer_than_a_reader_wants() -> None:
    long = {path.relative_to(ROOT): path.read_text().count("\n") for path in modules()}
    assert {path: lines for path, lines in long.items() if lines > LONGEST} == {}
