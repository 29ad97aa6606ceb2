"""Code by import path: how it is named, found, refused and identified, and that nothing else is imported by the way."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from auglik.cli.main import auglik
from auglik.objectives import Geometric, InputError
from auglik.settings import registry
from auglik.settings.foreign import IMPORT_PATH, load
from auglik.settings.objectives import AGGREGATOR_NAMES, LIKELIHOOD_NAMES

SOURCE = """
from dataclasses import dataclass
from auglik import AGGREGATORS
{imports}

@dataclass(frozen=True)
class Scaled:
    formula = "scale * jensen"
    source = "a test"
    minimum_views = 1
    trains = True
    likelihood_power = 0.0
    remarks = ()
    scale: float = {scale}

    def fold(self, table, weight=None, log_importance=None):
        return self.scale * AGGREGATORS["jensen"].fold(table, weight, log_importance)

    def predictive(self, log_probabilities):
        return log_probabilities.mean(0)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder of its own, whose modules are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def write(path: Path, scale: float = 2.0, imports: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(SOURCE.format(scale=scale, imports=imports))
    return path


def refused(text: str) -> str:
    with pytest.raises(InputError) as refusal:
        AGGREGATOR_NAMES.parse(text)
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("my_lab.losses:Best", ("my_lab.losses", "Best", "")),
        ("losses:Best:k=1,m=a.b", ("losses", "Best", ":k=1,m=a.b")),
        ("../a b/x-y.py:Best:k=1", ("../a b/x-y.py", "Best", ":k=1")),
        ("geometric:T=2", None),
        ("geometric", None),
        ("images:size=64", None),
        ("a.npz:labels=remap", None),
        ("my-lab.losses:Best", None),
        ("a.py", None),
    ],
)
def test_what_is_an_import_path(text: str, parts: tuple[str, ...] | None) -> None:
    match = IMPORT_PATH.fullmatch(text)
    assert (match.groups() if match else None) == parts


def test_a_file_and_a_module_are_named_with_parameters(folder: Path) -> None:
    write(folder / "lab_a" / "folds.py")
    (folder / "lab_a" / "__init__.py").touch()
    for text, head in (("lab_a.folds:Scaled", "lab_a.folds"), ("lab_a/folds.py:Scaled", f"{folder}/lab_a/folds.py")):
        assert AGGREGATOR_NAMES.parse(text).scale == 2.0  # type: ignore[attr-defined]
        assert AGGREGATOR_NAMES.parse(f"{text}:scale=3").scale == 3.0  # type: ignore[attr-defined]
        assert AGGREGATOR_NAMES.canonical(f"{text}:scale=3.0") == f"{head}:Scaled:scale=3"
        assert AGGREGATOR_NAMES.canonical(f"{text}:scale=2") == f"{head}:Scaled"
    assert AGGREGATOR_NAMES.parse("geometric:T=2") == Geometric(T=2.0)
    assert AGGREGATOR_NAMES.code("geometric:T=2") is None


def test_the_folder_of_a_file_takes_the_place_of_nothing(folder: Path) -> None:
    """Its neighbours can be imported, but none that has the name of an installed module; nor can they afterwards."""
    for name in ("torch", "numpy", "json", "objectives", "auglik", "random"):
        (folder / f"{name}.py").write_text("raise RuntimeError('not ours')")
    (folder / "neighbour_a.py").write_text("scale = 4.0")
    imports = "import json, random, numpy, torch\nfrom neighbour_a import scale as SCALE"
    text = f"{write(folder / 'folds.py', imports=imports)}:Scaled"
    assert AGGREGATOR_NAMES.parse(text).scale == 2.0  # type: ignore[attr-defined]
    assert sys.path[0] != str(folder)
    assert "neighbour_a" not in sys.modules
    with pytest.raises(ImportError):
        __import__("neighbour_a")


def test_two_folders_have_neighbours_of_one_name(folder: Path) -> None:
    for name in ("a", "b"):
        (folder / name).mkdir()
        (folder / name / "shared_name.py").write_text(f"NAME = '{name}'")
        (folder / name / "mine.py").write_text("from shared_name import NAME")
        assert load(f"{name}/mine.py", "NAME").value == name


def test_a_module_that_is_installed_and_here_is_refused(folder: Path) -> None:
    (folder / "torch.py").touch()
    assert "torch is both installed" in refused("torch.nn:Linear")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("x = (", "bad.py:1: SyntaxError"),
        ("import torch\nimport not_there_at_all", "bad.py:2: ModuleNotFoundError: No module named 'not_there_at_all'"),
        ("x = 1\n\n\nraise ValueError('two\\nlines')", "bad.py:4: ValueError: two lines"),
        ("import sys\nsys.exit(3)", "bad.py:2: SystemExit: 3"),
        ("Best = 1", "no such name in"),
        ("class Scaled: pass", "expected an aggregator as a frozen dataclass"),
        ("from auglik.objectives import Smoothed as Scaled", "lacks trains, minimum_views"),
        ("from auglik.objectives import Smoothed as Scaled", "it looks like a likelihood"),
    ],
)
def test_what_cannot_be_used_is_said_on_one_line(folder: Path, source: str, said: str) -> None:
    (folder / "bad.py").write_text(source)
    assert said in refused("bad.py:Scaled")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("minimum_views = 1", "minimum_views as an integer >= 1, got 0"),
        ("    scale: float = 2.0", "expected a default for every parameter, got none for scale"),
        ("log_importance)", "expected [B,C] = "),
        ("log_probabilities.mean(0)", "predictive [B,C] = [4, 5]"),
    ],
)
def test_a_contract_that_is_not_kept_is_refused_when_it_is_loaded(folder: Path, change: str, said: str) -> None:
    replaced = {
        "minimum_views = 1": "minimum_views = 0",
        "    scale: float = 2.0": "    scale: float",
        "log_importance)": "log_importance)[0]",
        "log_probabilities.mean(0)": "log_probabilities",
    }[change]
    text = SOURCE.format(scale=2.0, imports="")
    place = text.rindex(change)
    (folder / "bad.py").write_text(text[:place] + replaced + text[place + len(change) :])
    assert said.replace("[B,C] = ", "").split("[")[0] in refused("bad.py:Scaled")


def test_an_error_in_the_code_names_its_line(folder: Path) -> None:
    text = SOURCE.format(scale=2.0, imports="").replace("self.scale *", "self.missing *")
    (folder / "bad.py").write_text(text)
    line = text[: text.index("self.missing")].count("\n") + 1
    assert f"bad.py:{line}: AttributeError" in refused("bad.py:Scaled")


def test_code_that_ends_the_process_is_refused_as_any_other(folder: Path) -> None:
    text = SOURCE.format(scale=2.0, imports="").replace("return self.scale *", "raise SystemExit(3) or")
    (folder / "bad.py").write_text(text)
    line = text[: text.index("SystemExit")].count("\n") + 1
    assert refused("bad.py:Scaled").endswith(f"bad.py:{line}: SystemExit: 3")


def test_unknown_names_and_parameters(folder: Path) -> None:
    write(folder / "folds.py")
    assert "did you mean 'Scaled'?" in refused("folds.py:Scale")
    assert "did you mean 'scale'?" in refused("folds.py:Scaled:scal=2")
    assert "expected a number for scale" in refused("folds.py:Scaled:scale=x")
    assert "a path that does not exist" in refused("fold.py:Scaled")
    assert "installed or in the working folder" in refused("nowhere_a.folds:Scaled")
    assert "expected package.module:Name" in refused("nowhere_a.folds")
    assert "expected NAME:key=value" in refused("geometric:Scaled")


def digest(text: str) -> str:
    found = AGGREGATOR_NAMES.code(text)
    assert found is not None
    return found[1].digest


def test_the_digest_follows_the_source_and_not_the_place(folder: Path) -> None:
    imports = "from neighbour_b import SCALE"
    for name in ("a", "b"):
        (folder / name).mkdir()
        (folder / name / "neighbour_b.py").write_text("import neighbour_c\nSCALE = 1")
        (folder / name / "neighbour_c.py").write_text("C = 1")
    first = digest(f"{write(folder / 'a' / 'folds.py', imports=imports)}:Scaled")
    assert digest(f"{write(folder / 'b' / 'renamed.py', imports=imports)}:Scaled") == first
    (folder / "b" / "neighbour_c.py").write_text("C = 2")
    assert digest(f"{write(folder / 'b' / 'again.py', imports=imports)}:Scaled") != first
    (folder / "b" / "neighbour_c.py").write_text("C = 1")
    (folder / "b" / "unrelated.py").write_text("C = 1")
    assert digest(f"{write(folder / 'b' / 'third.py', imports=imports)}:Scaled") == first
    assert digest(f"{write(folder / 'b' / 'fourth.py', scale=3.0, imports=imports)}:Scaled") != first


def test_an_edited_file_is_loaded_anew_and_an_edited_module_refused(folder: Path) -> None:
    """Even where length and second are the same, as cached bytecode would not notice."""
    write(folder / "folds.py", scale=2.0)
    (folder / "lab_b").mkdir()
    (folder / "lab_b" / "__init__.py").touch()
    write(folder / "lab_b" / "folds.py", scale=2.0)
    before = digest("folds.py:Scaled")
    AGGREGATOR_NAMES.parse("lab_b.folds:Scaled")
    write(folder / "folds.py", scale=3.0)
    assert AGGREGATOR_NAMES.parse("folds.py:Scaled").scale == 3.0  # type: ignore[attr-defined]
    assert digest("folds.py:Scaled") != before
    write(folder / "lab_b" / "folds.py", scale=3.0)
    assert "has been edited since it was imported" in refused("lab_b.folds:Scaled")


def test_code_is_probed_with_its_parameters(folder: Path) -> None:
    write(folder / "folds.py")
    assert "a gradient of zero" in refused("folds.py:Scaled:scale=0")
    assert "NaN or infinite" in refused("folds.py:Scaled:scale=nan")
    assert "Name:key=value" in refused("folds.py:Scaled:scale")


def test_plug_ins_are_listed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder / "lab_d" / "folds.py")
    (folder / "lab_d" / "__init__.py").touch()
    plug_ins = {"scaled": "lab_d.folds:Scaled"}
    monkeypatch.setattr(registry, "_plug_ins", lambda group: plug_ins if group == "auglik.objectives" else {})
    said = CliRunner().invoke(auglik, ["objectives"]).output
    assert said.count("  scaled   (scale=2.0)\n      scale * jensen\n") == 1
    said = CliRunner().invoke(auglik, ["check", "scald"]).output
    assert "did you mean 'scaled'?" in said


def test_plug_ins_have_short_names_and_no_built_in_ones(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder / "lab_c" / "folds.py")
    (folder / "lab_c" / "__init__.py").touch()
    plug_ins = {"scaled": "lab_c.folds:Scaled"}
    monkeypatch.setattr(registry, "_plug_ins", lambda group: plug_ins if group == "auglik.objectives" else {})
    assert AGGREGATOR_NAMES.parse("scaled:scale=5").scale == 5.0  # type: ignore[attr-defined]
    assert AGGREGATOR_NAMES.canonical("scaled:scale=2") == "scaled"
    found = AGGREGATOR_NAMES.code("scaled")
    assert found is not None
    assert found[0] == "scaled"
    assert "did you mean 'scaled'?" in refused("scale")
    with pytest.raises(InputError, match="it looks like an aggregator"):
        LIKELIHOOD_NAMES.parse("scaled")
    plug_ins["jensen"] = "lab_c.folds:Scaled"
    assert "'jensen' is built in, but also the name of an installed plug-in" in refused("jensen")
