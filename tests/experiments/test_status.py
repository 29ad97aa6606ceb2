"""What is said of runs from their folders alone."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from auglik import Cell, InputError, Place, make_plan, plan
from auglik.cli.main import auglik
from auglik.experiments.engines.engine import attempt
from auglik.experiments.plan import write
from auglik.experiments.status import PLANNED, noted, references_of, status_of, statuses
from auglik.runs.checkpoint import NAME, step_of
from auglik.runs.claim import claimed
from auglik.runs.run import CONFIG, Job
from auglik.scoring.predictions import PREDICTIONS
from auglik.system.stop import StopRequest
from tests import tiny


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(auglik, [str(argument) for argument in arguments])


def nothing(share: float) -> None:
    pass


def jobs(output: Path, count: int) -> list[Job]:
    return [tiny.job(output / "cell" / f"seed-{seed}", seed=seed) for seed in range(count)]


def test_every_state_is_told_with_its_reason(tmp_path: Path) -> None:
    done, stopped, broken, held, planned = jobs(tmp_path, 5)
    for asked in ([done, stopped, broken], [held, planned]):
        with noted(tmp_path, asked):
            pass
    attempt(done, StopRequest(), nothing)
    assert attempt(stopped, tiny.StopAt(3), nothing).interrupted
    attempt(replace(broken, run=broken.run.change(dataset="missing.npz")), StopRequest(), nothing)
    with claimed(held.folder):
        found = {one.folder.name: (one.state, one.text) for one in statuses(tmp_path)}
    assert found["seed-0"] == ("done", "")
    assert found["seed-1"] == ("waiting", "checkpoint at step 4 of 10")
    assert found["seed-2"][0] == "failed"
    assert "missing.npz" in found["seed-2"][1]
    assert found["seed-3"][0] == "running"
    assert found["seed-3"][1].startswith("process ")
    assert found["seed-4"] == ("waiting", "not begun")
    assert len(found) == 5
    said = invoke("status", tmp_path).output.splitlines()
    assert said[-1] == "5 runs: 1 done, 0 running, 3 waiting, 1 failed"
    assert "waiting  cell/seed-1: checkpoint at step 4 of 10" in said


def test_a_running_run_is_told_by_its_epochs(tmp_path: Path) -> None:
    (job,) = jobs(tmp_path, 1)
    assert attempt(job, tiny.StopAt(7), nothing).interrupted
    with claimed(job.folder):
        assert status_of(job.folder).text.endswith(", 1 of 2 epochs")


def test_runs_of_before_there_was_a_list_are_found(tmp_path: Path) -> None:
    (job,) = jobs(tmp_path, 1)
    attempt(job, StopRequest(), nothing)
    (tmp_path / ".planned.json").write_text("{")
    assert [one.state for one in statuses(tmp_path)] == ["done"]


def test_a_damaged_checkpoint_is_a_reason(tmp_path: Path) -> None:
    (job,) = jobs(tmp_path, 1)
    assert step_of(tmp_path) is None
    attempt(job, tiny.StopAt(3), nothing)
    assert step_of(job.folder) == 4
    (job.folder / NAME).write_bytes(b"PK")
    with pytest.raises(InputError, match="damaged"):
        step_of(job.folder)
    assert status_of(job.folder).state == "failed"


def test_a_run_whose_predictions_are_gone_is_scored_again_from_its_checkpoint(tmp_path: Path) -> None:
    (job,) = jobs(tmp_path, 1)
    done = attempt(job, StopRequest(), nothing).results
    predictions = job.folder / PREDICTIONS
    before = dict(np.load(predictions))
    predictions.unlink()
    assert job.found() is None
    assert status_of(job.folder) == (job.folder, "waiting", "predictions.npz is gone, so it will be scored again")
    again = attempt(job, tiny.StopAt(1), nothing)  # of the looks at every step it needs none, as all are done
    assert again.interrupted
    again = attempt(job, StopRequest(), nothing)
    assert done is not None
    assert again.results is not None
    assert tiny.without_times(again.results) == tiny.without_times(done)
    assert all(np.array_equal(before[name], values) for name, values in np.load(predictions).items())
    assert status_of(job.folder).state == "done"
    other = replace(job, settings="of other images")
    with pytest.raises(InputError, match="holds a run with other settings"):
        other.check()
    predictions.unlink()
    with pytest.raises(InputError, match="holds a run with other settings"):
        replace(other, resume=False).check()


def test_watching_ends_with_the_runs(tmp_path: Path) -> None:
    (job,) = jobs(tmp_path, 1)
    attempt(job, StopRequest(), nothing)
    assert invoke("status", tmp_path, "--watch").output == "1 run: 1 done, 0 running, 0 waiting, 0 failed\n"


@pytest.mark.parametrize("folder", ["missing", "."])
def test_what_holds_no_runs_is_refused_in_one_line(tmp_path: Path, folder: str) -> None:
    result = invoke("status", tmp_path / folder)
    assert result.exit_code == 2
    assert "expected the output of `auglik compare`" in result.output
    assert len(result.output.splitlines()) == 1


def test_runs_that_are_refused_before_they_begin_are_not_asked_for(tmp_path: Path) -> None:
    first, second = jobs(tmp_path, 2)
    with pytest.raises(InputError), noted(tmp_path, [first]):
        raise InputError("refused")
    assert not (tmp_path / PLANNED).exists()
    with noted(tmp_path, [first]):
        pass
    with pytest.raises(InputError), noted(tmp_path, [second]):
        raise InputError("refused")
    assert [one.folder.name for one in statuses(tmp_path)] == ["seed-0"]


def test_a_refused_command_leaves_what_another_asked_for_meanwhile(tmp_path: Path) -> None:
    first, second = jobs(tmp_path, 2)

    def refused() -> None:
        with noted(tmp_path, [second], {"b": "b"}):
            pass
        raise InputError("refused")

    with pytest.raises(InputError), noted(tmp_path, [first], {"a": "a"}):
        refused()
    assert [one.folder.name for one in statuses(tmp_path)] == ["seed-1"]
    assert references_of(tmp_path) == {"b": "b"}


def test_the_record_of_cells_is_of_the_comparison_whose_tables_are_there(tmp_path: Path) -> None:
    cells = plan(tiny.config(), {}, [Cell("first", {}), Cell("second", {"views": 3})])
    asked = make_plan(cells, [0], Place(output=str(tmp_path)))
    with noted(tmp_path, asked.jobs, {"first": "first", "second": "first"}):
        with noted(tmp_path, asked.jobs, {"second": "second"}):
            pass
        write(tmp_path, asked, cells, {"first": [], "second": []}, None)
    assert references_of(tmp_path) == {"first": "first", "second": "first"}


@pytest.mark.parametrize(("epochs", "said"), [("epochs = 2", " of 10"), ("", "")])
def test_whoever_lacks_a_runs_code_is_told_how_it_does(tmp_path: Path, epochs: str, said: str) -> None:
    (job,) = jobs(tmp_path, 1)
    assert attempt(job, tiny.StopAt(7), nothing).interrupted
    path = job.folder / CONFIG
    path.write_text(path.read_text().replace('"jensen"', '"/not/here/own.py:Own"').replace("epochs = 2", epochs))
    assert status_of(job.folder) == (job.folder, "waiting", f"checkpoint at step 8{said}")
    with claimed(job.folder):
        assert status_of(job.folder).state == "running"
        assert status_of(job.folder).text.endswith(", 1 of 2 epochs") == bool(epochs)
