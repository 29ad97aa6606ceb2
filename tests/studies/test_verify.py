"""Claims, and the command that runs the studies."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
import xarray
from click.testing import CliRunner, Result
from matplotlib.figure import Figure

from auglik import Local
from auglik.cli.main import auglik
from auglik.cli.verify import NAMES
from auglik.experiments.engines.engine import attempt
from auglik.runs.claim import claimed
from auglik.studies import registry
from auglik.studies.common import compiling
from auglik.studies.study import Claim, Context, Findings, Study, at_least, at_most, equal, save, true
from auglik.studies.verify import StudyTask, run
from auglik.system.files import StorageError
from auglik.system.stop import StopRequest
from tests.tiny import StopAt


@pytest.mark.parametrize(
    ("claim", "holds"),
    [
        (equal("a", 1.0, 1.1, 0.2), True),
        (equal("a", 1.0, 1.3, 0.2), False),
        (equal("a", float("nan"), 1.0, 10), False),
        (at_most("a", 1.0, 0.9, 0.2), True),
        (at_most("a", 1.0, 0.9), False),
        (at_most("a", -5.0, 0.9), True),
        (at_most("a", float("nan"), 0.9), False),
        (at_least("a", 1.0, 1.1, 0.2), True),
        (at_least("a", 1.0, 1.1), False),
        (at_least("a", float("nan"), 1.1), False),
        (true("a", True), True),
        (true("a", False), False),
    ],
)
def test_a_claim_holds_in_the_sense_of_its_relation(claim: Claim, holds: bool) -> None:
    assert claim.holds is holds
    assert claim.line().startswith("holds" if holds else "FAILS")
    assert "\n" not in claim.line()


def test_a_line_says_how_far_a_value_is_from_what_it_equals_or_past_its_bound() -> None:
    assert equal("a", 1.0, 1.1, 0.2).line() == "holds  a: 1 = 1.1 (tolerance 0.2, off by 0.1)"
    assert at_most("a", 1.0, 4.0).line() == "holds  a: 1 <= 4"
    assert at_least("a", 1.0, 0.9, 0.2).line() == "holds  a: 1 >= 0.9 (tolerance 0.2)"
    assert at_most("a", 1.0, 0.9, 0.2).line() == "holds  a: 1 <= 0.9 (tolerance 0.2, past it by 0.1)"
    assert at_least("a", 1.0, 1.5).line() == "FAILS  a: 1 >= 1.5 (tolerance 0, past it by 0.5)"


def test_studies_can_be_imported_by_the_process_that_others_are_forked_from() -> None:
    """Threads, JAX's too, do not survive a fork."""
    program = (
        "import auglik.experiments.engines.forked, auglik.studies.registry, os; from jax._src import xla_bridge;"
        "print(xla_bridge._backends, len(os.listdir('/proc/self/task')) if os.path.isdir('/proc/self/task') else 1)"
    )
    one_each = {f"{library}_NUM_THREADS": "1" for library in ("OPENBLAS", "OMP", "MKL")}
    ended = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **one_each}, capture_output=True, text=True
    )
    assert (ended.stdout.strip(), ended.returncode) == ("{} 1", 0), ended.stderr


def test_what_is_compiled_quickly_may_lack_an_option_of_xla_and_gives_the_same(
    monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    monkeypatch.setitem(compiling.QUICKLY, "xla_option_that_never_was", "True")
    logits = rng.normal(size=(5, 3))
    found = compiling.quickly(jax.nn.log_softmax, static_argnames="axis")(logits, axis=0)
    np.testing.assert_allclose(found, jax.nn.log_softmax(logits, axis=0), rtol=1e-14)


def test_the_command_knows_every_study() -> None:
    assert tuple(registry.STUDIES) == NAMES


def findings(context: Context) -> Findings:
    figure = Figure()
    figure.subplots().plot([0, 1])
    data = xarray.DataTree(xarray.Dataset({"x": ("draw", np.arange(3.0))}))
    return Findings([equal("one is one", 1, 1, 0), true("the study fails", context.seed == 0)], data, {"line": figure})


def test_findings_are_saved_as_netcdf_and_figures(tmp_path: Path) -> None:
    files = save(findings(Context(True, 0, None, print)), tmp_path, "name")
    assert [path.name for path in files] == ["name.nc", "line.png", "line.svg"]
    with xarray.open_datatree(tmp_path / "name.nc", engine="h5netcdf") as data:
        np.testing.assert_array_equal(data["x"], [0, 1, 2])
    assert (tmp_path / "line.png").read_bytes().startswith(b"\x89PNG")


def verify_beside_a_sound_study(study: Study, output: Path, monkeypatch: pytest.MonkeyPatch) -> Result:
    """`auglik verify` of two studies, one after the other, the first of which is `study`."""
    monkeypatch.setitem(registry.STUDIES, "objectives", study)
    monkeypatch.setitem(registry.STUDIES, "orbit", findings)
    return CliRunner().invoke(auglik, ["verify", "objectives", "orbit", "--output", str(output), "--jobs", "1"])


def broken(context: Context) -> Findings:
    raise ZeroDivisionError("the study\nbroke")


def test_a_study_that_crashes_is_not_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = verify_beside_a_sound_study(broken, tmp_path, monkeypatch)
    assert result.exit_code == 1, result.output
    assert "FAILS  the study crashed: ZeroDivisionError: the study broke" in result.output
    assert "\nnot verified, as the study crashed: objectives\n" in result.output
    assert "2 claims, 0 fail" in result.output
    written = json.loads((tmp_path / "verify.json").read_text())
    assert written["holds"] is False
    assert "Traceback (most recent call last):" in written["studies"]["objectives"]["remarks"]


def full(context: Context) -> Findings:
    raise StorageError("cannot write objectives.nc: No space left on device")


def test_a_full_disk_ends_verify_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = verify_beside_a_sound_study(full, tmp_path, monkeypatch)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.splitlines()[-1] == "auglik: cannot write objectives.nc: No space left on device"
    assert not (tmp_path / "orbit").exists()


@pytest.mark.parametrize(("seed", "status"), [(0, 0), (1, 1)])
def test_verify_ends_with_0_only_if_all_claims_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, status: int
) -> None:
    monkeypatch.setitem(registry.STUDIES, "objectives", findings)
    arguments = ["verify", "objectives", "--quick", "--seed", str(seed), "--output", str(tmp_path), "--jobs", "1"]
    result = CliRunner().invoke(auglik, arguments)
    assert result.exit_code == status, result.output
    assert ("FAILS  the study fails" in result.output) is bool(status)
    written = json.loads((tmp_path / "verify.json").read_text())
    assert written["holds"] is not bool(status)
    claim = written["studies"]["objectives"]["claims"][0]
    assert claim == {
        "text": "one is one", "relation": "=", "value": 1.0, "reference": 1.0, "tolerance": 0.0, "holds": True,
    }  # fmt: skip
    assert (tmp_path / "objectives" / "line.svg").exists()


def test_bad_input_to_verify_is_one_line(tmp_path: Path) -> None:
    for arguments in (
        ["nomalizer"], ["--data", "cifar11"], ["--output", "/proc/nowhere"], ["--engine", "slurm", "--detach"],
        ["--engine-options", "processes_per_run=2"], ["--engine", "rai"],
    ):  # fmt: skip
        result = CliRunner().invoke(auglik, ["verify", *arguments])
        assert result.exit_code == 2, result.output
        assert len(result.output.strip().splitlines()) == 1


def looks(context: Context) -> Findings:
    for step in range(10):
        context.progress(step / 10)
    return findings(context)


def test_a_study_is_a_task_that_is_stopped_and_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.STUDIES, "objectives", looks)
    task = StudyTask(name="objectives", output=tmp_path, quick=True, seed=0, data=None)
    assert attempt(task, StopAt(3), lambda share: None).interrupted
    for _ in range(2):
        found = attempt(pickle.loads(pickle.dumps(task)), StopRequest(), lambda share: None).results
        assert found is not None
        assert found.holds
    with claimed(task.folder):
        assert attempt(task, StopRequest(), lambda share: None).holder is not None


@pytest.mark.slow
def test_studies_have_processes_of_their_own(tmp_path: Path) -> None:
    names = ("information", "nothing")
    tasks = [StudyTask(name=name, output=tmp_path, quick=True, seed=0, data=None) for name in names]
    good, bad = run(tasks, Local(2), StopRequest(), lambda task, share: None)
    assert good.holds
    assert bad.error == "KeyError: 'nothing'"
