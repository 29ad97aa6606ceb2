"""The house: which room may import which, and how large a file may be."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = (
    "objectives", "system", "settings", "version", "data", "networks", "optimization", "scoring", "views", "confidence",
    "inference", "sampling", "runs", "robustness", "checks", "experiments", "confidence_tables", "pretraining",
    "recipes", "report", "comparison", "studies", "cli",
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


OF_THE_PROCESS = {
    "set_num_threads", "set_num_interop_threads", "set_float32_matmul_precision", "use_deterministic_algorithms",
    "set_default_dtype", "set_default_device", "set_deterministic_debug_mode", "set_flush_denormal",
}  # fmt: skip
"""torch's setters that reach beyond the work that calls them."""


def sets_the_process(node: ast.AST) -> bool:
    """A call of such a setter or of compiler.reset, or an assignment to torch.backends."""
    if isinstance(node, ast.Call):
        called = ast.unparse(node.func)
        return called.split(".")[-1] in OF_THE_PROCESS or called.endswith(("compiler.reset", "_dynamo.reset"))
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AugAssign) else []
    return any("backends." in ast.unparse(target) for target in targets)


def test_one_module_alone_sets_what_is_of_the_whole_process() -> None:
    found = {path for path in modules() for node in ast.walk(ast.parse(path.read_text())) if sets_the_process(node)}
    assert found == {ROOT / "auglik" / "system" / "process.py"}


def test_what_is_loaded_says_where_to() -> None:
    """Else tensors that were saved on a GPU go back to one, which may not be here."""
    calls = [
        (path, node)
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load"
    ]
    assert calls
    for path, node in calls:
        assert "map_location" in {word.arg for word in node.keywords}, f"{path}:{node.lineno}"


def test_one_module_alone_drives_the_sampler() -> None:
    drivers = ("numpyro.infer.hmc", "NUTS", "MCMC")
    found = {
        path
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom)
        and (node.module in drivers or {alias.name for alias in node.names} & set(drivers))
    }
    assert found == {ROOT / "auglik" / "inference" / "chains.py"}


CONCRETE = (
    "auglik.views.augmentations", "auglik.views.policies", "auglik.views.mixing", "auglik.objectives.likelihoods",
    "auglik.objectives.aggregators", "auglik.data.image_folder", "auglik.data.npy_folder", "auglik.data.npz",
    "auglik.data.stored", "auglik.data.tiny_imagenet", "auglik.data.torchvision_sets",
)  # fmt: skip
"""Where the classes behind the names of augmentations, mixings, objectives and data sets are defined."""


def concrete_names() -> set[str]:
    folders = {folder.replace("auglik.objectives", "objectives").replace(".", "/") for folder in CONCRETE}
    files = [path for folder in folders for path in ((ROOT / folder).rglob("*.py"), [ROOT / f"{folder}.py"])]
    trees = [ast.parse(path.read_text()) for paths in files for path in paths if path.is_file()]
    return {node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}


def test_nothing_asks_which_one_a_thing_is() -> None:
    """What differs is a member of the contract: another augmentation, objective or data set needs no change here."""
    concrete = concrete_names() - {"Mixing"}  # a contract, beside its registry
    assert {"FlipCropRotate", "AugMix", "Smoothed", "Jensen", "ImageFolder", "NpyFolder"} <= concrete
    for path in modules():
        tree = ast.parse(path.read_text())
        own = {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("isinstance", "issubclass"):
                asked = {name.id for name in ast.walk(node.args[1]) if isinstance(name, ast.Name)}
                assert not asked & (concrete - own), f"{path}: {ast.unparse(node)}"


def test_no_file_is_longer_than_a_reader_wants() -> None:
    long = {path.relative_to(ROOT): path.read_text().count("\n") for path in modules()}
    assert {path: lines for path, lines in long.items() if lines > LONGEST} == {}


MOST_BY_POSITION = 4


def records() -> dict[str, set[str]]:
    """The modules of every NamedTuple and dataclass, by its name."""
    found: dict[str, set[str]] = {}
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                marks = {ast.unparse(mark).partition("(")[0] for mark in (*node.bases, *node.decorator_list)}
                if marks & {"NamedTuple", "dataclass"}:
                    found.setdefault(node.name, set()).add(module_of(path))
    return found


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join((*(() if parts[0] == "auglik" else ("auglik",)), *parts)).removesuffix(".__init__")


def names_in(path: Path) -> dict[str, tuple[str, str]]:
    """What a name of a module stands for: where it was imported from and its name there."""
    tree, own = ast.parse(path.read_text()), module_of(path)
    found = {node.name: (own, node.name) for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            found |= {alias.asname or alias.name: (str(node.module), alias.name) for alias in node.names}
    return found


def by_position(path: Path, known: dict[str, set[str]]) -> list[str]:
    """Where a module makes a record of over MOST_BY_POSITION arguments without names; a starred one counts once."""
    names, found = names_in(path), []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and len(node.args) > MOST_BY_POSITION:
            called = ast.unparse(node.func)
            module, name = names.get(called, ("auglik", called.rpartition(".")[2]))
            if any(f"{home}.".startswith(f"{module}.") for home in known.get(name, ())):
                found.append(f"{path}:{node.lineno}: {name}")
    return found


def test_what_has_many_fields_is_made_by_their_names() -> None:
    """Two of five values in each other's places are seen by nobody."""
    known = records()
    assert {"Results", "RunConfig", "Score", "Claim"} <= known.keys()
    assert [place for path in modules() for place in by_position(path, known)] == []


def test_a_record_that_is_made_by_position_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.test_layout.ROOT", tmp_path)
    (tmp_path / "cli").mkdir()
    path = tmp_path / "cli" / "made.py"
    lines = (
        "from auglik.runs import run",
        "from auglik.runs import Job as Task",
        "Task(1, 2, 3, 4, 5)",
        "run.Job(1, 2, 3, 4, *x)",
    )
    path.write_text("\n".join(lines))
    known = {"Job": {"auglik.runs.run"}}
    assert [line.rpartition("made.py:")[2] for line in by_position(path, known)] == ["3: Job", "4: Job"]
