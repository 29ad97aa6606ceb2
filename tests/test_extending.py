"""docs/EXTENDING.md: its examples as written, checked, trained with in processes of their own, edited and moved."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from auglik.checks.checking import KINDS
from auglik.cli.check import KINDS as NAMED_KINDS
from auglik.cli.main import auglik
from auglik.data.probes import DATASET_PROBES
from auglik.report.collect import collect
from auglik.report.sections.runs import runs
from tests.tiny import options

TEXT = (Path(__file__).parent.parent / "docs" / "EXTENDING.md").read_text()
EXAMPLES = dict(re.findall(r"```python\n# (\S+)\n(.*?)```", TEXT, re.DOTALL))
NAMES = {
    "my_lab.losses:Capped": "likelihood",
    "my_lab.folds:BestViews": "aggregator",
    "my_lab.nets:Patches": "network",
    "my_lab.views:Darken": "augmentation",
    "my_lab.maps:Linear": "confidence",
    "my_lab.data:Stripes": "dataset",
    "my_lab.weather:Haze": "corruptions",
}
HOSTILE = ("torch", "numpy", "auglik", "objectives", "cli", "runs", "views", "data", "json", "random", "sklearn")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with the examples, among files of hostile names."""
    folder = tmp_path_factory.mktemp("lab")
    for name, code in EXAMPLES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(code)
    for name in HOSTILE:
        (folder / f"{name}.py").write_text("raise RuntimeError('not ours')\n")
    return folder


def run(folder: Path, *arguments: str, status: int = 0) -> str:
    """`auglik` as a script that is installed elsewhere: the working folder is not on the module search path."""
    command = [sys.executable, "-P", "-m", "auglik", *arguments]
    found = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=900)
    assert found.returncode == status, found.stdout + found.stderr
    return found.stdout + found.stderr


def test_examples_are_short_and_of_every_kind() -> None:
    assert {f"{name.removesuffix('.py').replace('/', '.')}" for name in EXAMPLES} == {
        name.partition(":")[0] for name in NAMES
    }
    assert max(code.count("\n") for code in EXAMPLES.values()) < 40


def test_an_aggregator_of_two_documents_has_one_likelihood_power() -> None:
    objectives = (Path(__file__).parent.parent / "docs" / "OBJECTIVES.md").read_text()
    powers = [
        re.search(r"class BestViews:.*?likelihood_power: .*? = (\S+)", text, re.DOTALL) for text in (TEXT, objectives)
    ]
    assert [power and power[1] for power in powers] == ["math.inf"] * 2


def test_every_example_passes_its_probes(lab: Path) -> None:
    said = run(lab, "check", *NAMES, "my_lab/losses.py:Capped:cap=5")
    assert "FAILED" not in said
    for name, kind in NAMES.items():
        assert f"{name}: {kind}, SHA-256 " in said


SETTINGS = options(
    dataset="my_lab.data:Stripes:images=60", network="my_lab.nets:Patches:width=8", epochs=1, train_images=50,
    augment="fcr,my_lab.views:Darken:most=0.3", soften="brightness:my_lab.maps:Linear:slope=0.2", batch_size=32,
)  # fmt: skip


def compare(folder: Path, *more: str, status: int = 0) -> str:
    objective = ["--likelihood", "my_lab/losses.py:Capped:cap=5", "--aggregator", "my_lab.folds:BestViews"]
    where = ["--seeds", "2", "--jobs", "2", "--no-report", "--output", "results"]
    return run(folder, "compare", *SETTINGS, *objective, *where, *more, status=status)


def test_examples_train_in_processes_of_their_own_and_are_remembered_by_their_source(
    lab: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compare(lab)
    results = sorted((lab / "results").glob("*/seed-*/results.json"))
    assert len(results) == 2
    named = json.loads(results[0].read_text())["own_code"]
    assert set(named) == {*NAMES, f"{lab}/my_lab/losses.py:Capped"} - {"my_lab.losses:Capped", "my_lab.weather:Haze"}
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in named.values())
    monkeypatch.chdir(lab)
    said = " ".join(runs(collect(lab / "results")).sentences)
    assert all(f"{name} ({digest[:16]})" in said for name, digest in named.items())

    moved = lab.with_name("moved")
    shutil.copytree(lab, moved)
    assert "2 finished" in compare(moved, "--dry-run")
    shutil.move(moved / "my_lab", moved / "their_lab")
    assert "left out" not in run(moved, "report", "results", "--no-calibration")
    assert "as its code is not found" in (moved / "results" / "report" / "report.html").read_text()

    source = (lab / "my_lab" / "folds.py").read_text()
    (lab / "my_lab" / "folds.py").write_text(source.replace("best if weight", "1 * best if weight"))
    said = compare(lab, "--dry-run", status=2)
    assert "the code of my_lab.folds:BestViews was edited since" in said
    assert len(said.strip().splitlines()) == 1
    for path in results:
        path.unlink()
    assert "or the code of" in compare(lab, "--dry-run", status=2)
    (lab / "my_lab" / "folds.py").write_text(source)


def test_an_objective_with_a_fault_fails_and_what_cannot_be_imported_is_one_line(lab: Path) -> None:
    source = (lab / "my_lab" / "losses.py").read_text()
    (lab / "faulty.py").write_text(
        source.replace("log_softmax(logits)).clamp_min", "log_softmax(logits).detach()).clamp_min")
    )
    said = run(lab, "check", "faulty.py:Capped", status=1)
    assert re.search("FAILED +dependence", said)
    said = run(lab, "train", *SETTINGS, "--likelihood", "faulty.py:Capped", status=2)
    assert "expected a value that depends on its input" in said
    assert len(said.strip().splitlines()) == 1
    (lab / "faulty.py").write_text(
        source.replace(
            ") -> Tensor:  # [K,B,C], [K,B]", ") -> Tensor:\n        assert logits.shape[1] < 20, 'too many'\n  #"
        )
    )
    said = run(lab, "train", *SETTINGS, "--likelihood", "faulty.py:Capped", status=2)
    line = (lab / "faulty.py").read_text().partition("assert")[0].count("\n") + 1
    assert said.splitlines()[-1] == f"auglik: {lab}/faulty.py:{line}: AssertionError: too many"
    (lab / "faulty.py").write_text(source.replace("Tensor", "Tensr"))
    said = run(lab, "check", "faulty.py:Capped", status=2)
    assert "faulty.py:6: ImportError" in said


@pytest.mark.parametrize("name", ["jensen", "categorical", "small-cnn:width=4", "cutout", "mixup", "human", "digits"])
def test_built_in_names_of_every_kind_can_be_checked(name: str) -> None:
    found = CliRunner().invoke(auglik, ["check", name])
    assert found.exit_code == 0, found.output
    assert "FAILED" not in found.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["smoothed"], "names likelihood and confidence: choose with --as"),
        (["jensn"], "did you mean 'jensen'?"),
        (["jensen", "--image", "3x32"], "expected CHANNELSxHEIGHTxWIDTH"),
        (["geometric:T=0"], "expected T > 0"),
    ],
)
def test_what_cannot_be_checked(arguments: list[str], said: str) -> None:
    found = CliRunner().invoke(auglik, ["check", *arguments])
    assert found.exit_code in (1, 2)
    assert said in found.output


def test_a_data_set_that_cannot_be_opened_is_said_once(tmp_path: Path) -> None:
    np.savez(tmp_path / "half.npz", train_images=np.zeros((3, 8, 8), np.uint8))
    found = CliRunner().invoke(auglik, ["check", str(tmp_path / "half.npz")])
    assert found.exit_code == 1
    assert found.output.count("train_labels is missing") == 1
    assert found.output.count("as under facts\n") == len(DATASET_PROBES) - 1 == found.output.count("FAILED") - 1


def test_the_command_knows_the_kinds() -> None:
    assert tuple(KINDS) == NAMED_KINDS
