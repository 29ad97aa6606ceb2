"""What an installed copy holds, and that it gets in nobody's way."""

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.tiny import options

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
TOPS = ("auglik", "cli", "objectives", "studies")
HOSTILE = ("objectives", "cli", "studies", "settings", "system", "runs", "views", "scoring", "data", "tests")
"""Names that a user's own files may have."""

PROGRAM = """
import torch
from auglik import AGGREGATORS, LIKELIHOODS, Cell, Likelihood, Objective, RunConfig, change, plan
from auglik.objectives import InputError

objective = Objective(LIKELIHOODS["smoothed"], AGGREGATORS["log-mean"])
value: torch.Tensor = objective.log_likelihood(torch.zeros(2, 3, 4), torch.zeros(2, 3), torch.tensor([0, 1, 2]))
likelihood: Likelihood = objective.likelihood
config: RunConfig = change(RunConfig(), {"views": 2})
names: list[str] = [cell.name for cell in plan(config, {}, [Cell("mine", {"likelihood": "categorical"})])]
objective.predict(1)
wrong: int = names
"""
"""Right but for its last two lines."""


def module_name(folder: Path) -> str:
    name = ".".join(folder.relative_to(ROOT).parts)
    return name if name.split(".")[0] == "auglik" else f"auglik.{name}"


def test_every_package_is_listed_under_its_name() -> None:
    folders = {path.parent for top in TOPS for path in (ROOT / top).rglob("*.py")}
    assert set(PROJECT["packages"]) == {module_name(folder) for folder in folders}
    outside = {module_name(folder): str(folder.relative_to(ROOT)) for folder in folders if module_name(folder)}
    assert PROJECT["package-dir"] == {
        name: folder for name, folder in outside.items() if not folder.startswith("auglik")
    }


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


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder whose files have the names of our folders."""
    folder = tmp_path_factory.mktemp("hostile")
    for name in HOSTILE:
        (folder / f"{name}.py").write_text("raise RuntimeError('not ours')\n")
    return folder


def python(folder: Path, *arguments: str) -> str:
    found = subprocess.run([sys.executable, *arguments], cwd=folder, capture_output=True, text=True, timeout=300)
    assert found.returncode == 0, found.stderr
    return found.stdout


def test_a_folder_full_of_our_names_does_no_harm(hostile: Path) -> None:
    assert "smoothed-normalized" in python(hostile, "-m", "auglik", "objectives")
    assert python(hostile, "-c", "import auglik; print(auglik.LIKELIHOODS['sink'].extra_outputs)") == "1\n"


def test_objectives_need_torch_alone(hostile: Path) -> None:
    code = "import sys, auglik.objectives; print(*sorted(sys.modules))"
    modules = python(hostile, "-c", code).split()
    ours = [name for name in modules if name.startswith("auglik.")]
    assert all(name.startswith("auglik.objectives") for name in ours)
    assert not {"jax", "numpyro", "matplotlib", "sklearn", "click", "torchvision"} & set(modules)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = ["-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), "."]
    python(ROOT, *command)
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_one_package(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"auglik"}
    assert {"auglik/py.typed", "auglik/__init__.pyi", "auglik/objectives/__init__.py"} <= set(names)


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment in which the wheel is installed."""
    folder = tmp_path_factory.mktemp("environment")
    python(folder, "-m", "venv", "--without-pip", "venv")
    interpreter = folder / "venv" / "bin" / "python"
    packages = Path(
        subprocess.run(
            [interpreter, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
            capture_output=True, text=True, check=True,
        ).stdout.strip()
    )  # fmt: skip
    (packages / "dependencies.pth").write_text("\n".join(path for path in sys.path if path.endswith("site-packages")))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    return interpreter


def test_installed_it_runs_in_its_own_checkout_and_beside_files_of_names_that_runs_need(
    installed: Path, hostile: Path, tmp_path: Path
) -> None:
    """Its processes too: the one that runs are forked from imports before it is told where from."""
    for name in ("auglik", "sklearn"):
        (hostile / f"{name}.py").write_text("raise RuntimeError('not ours')\n")
    (tmp_path / "auglik").write_text("from auglik.cli.main import main\nif __name__ == '__main__':\n    main()\n")
    for number, folder in enumerate((ROOT, hostile)):
        arguments = ["compare", *options(epochs=1), "--likelihood", "smoothed", "--seeds", "1", "--jobs", "2"]
        where = ["--no-report", "--output", str(tmp_path / str(number))]
        found = subprocess.run(
            [installed, tmp_path / "auglik", *arguments, *where],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert found.returncode == 0, found.stderr
    code = "import auglik.cli.main, auglik; print(auglik.LIKELIHOODS['sink'].extra_outputs)"
    assert subprocess.run([installed, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout == "1\n"


def test_a_program_is_type_checked_against_the_wheel(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    cache = ["--cache-dir", str(ROOT / ".mypy_cache")]
    command = [sys.executable, "-m", "mypy", "--strict", *cache, "--python-executable", str(installed), "program.py"]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    lines = {int(line.split(":")[1]) for line in found.stdout.splitlines() if "error:" in line}
    assert lines == {PROGRAM.count("\n") - 1, PROGRAM.count("\n")}, found.stdout
