"""Runs whose data, code or output folder moved are the same runs: in plans, in unfinished folders and in reports."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from auglik import Cell, InputError, Local, Place, RunConfig, change, make_plan, open_dataset, plan
from auglik.cli.main import auglik
from auglik.experiments.cells import objective_name
from auglik.experiments.plan import Plan, carry_out, write
from auglik.experiments.plan import collect as runs_of
from auglik.experiments.status import noted, statuses
from auglik.report.collect import collect
from auglik.runs.checkpoint import settings_of
from auglik.system.stop import StopRequest
from tests import tiny

CODE = """
from dataclasses import dataclass
from auglik import AGGREGATORS


@dataclass(frozen=True)
class Own:
    formula = "jensen"
    source = "a test"
    minimum_views = 1
    trains = True
    likelihood_power = 0.0
    remarks = ()
    q: float = 1.0

    def fold(self, table, weight=None, log_importance=None):
        return AGGREGATORS["jensen"].fold(table, weight, log_importance)

    def predictive(self, log_probabilities):
        return log_probabilities.mean(0)
"""


def write_data(path: Path, tested: int | None = None) -> None:
    """The digits, the first `tested` of the test images alone."""
    digits = open_dataset("digits")
    train, test = digits.train(), digits.test()
    np.savez(
        path, train_images=train.images, train_labels=train.labels, test_images=test.images[:tested],
        test_labels=test.labels[:tested],
    )  # fmt: skip


def write_code(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(CODE)


def write_table(path: Path) -> None:
    pi = np.full((10, 10), 0.05)
    np.fill_diagonal(pi, 0.55)
    np.save(path, pi)


THINGS: dict[str, tuple[str, str, Callable[[Path], None]]] = {
    "dataset": (".npz", "", write_data), "aggregator": (".py", ":Own", write_code),
    "degrade_toward": (".npy", "", write_table),
}  # fmt: skip


def planned(output: Path, seeds: int, **changes: object) -> Plan:
    """Of two cells."""
    config = change(RunConfig(), {**tiny.SETTINGS, "device": "cpu", **changes})
    cells = plan(config, {}, [Cell("first", {}), Cell("second", {"views": 3})])
    return make_plan(cells, range(seeds), Place(output=str(output)))


def compared(output: Path, seeds: int, **changes: object) -> int:
    """How many runs were trained."""
    found = planned(output, seeds, **changes)
    outcomes = carry_out(found, Local(1), StopRequest(), lambda job, share: None, lambda outcome: None)
    config = change(RunConfig(), {**tiny.SETTINGS, "device": "cpu", **changes})
    cells = plan(config, {}, [Cell("first", {}), Cell("second", {"views": 3})])
    assert [outcome.error for outcome in outcomes] == [None] * len(outcomes)
    write(output, found, cells, runs_of(found, outcomes), None)
    return len(outcomes)


@pytest.mark.parametrize("setting", THINGS)
def test_a_report_has_the_runs_of_before_and_after_a_file_moved(tmp_path: Path, setting: str) -> None:
    ending, name, make = THINGS[setting]
    before, after = tmp_path / f"before{ending}", tmp_path / f"after{ending}"
    make(before)
    assert compared(tmp_path / "runs", 1, **{setting: f"{before}{name}"}) == 2
    before.rename(after)
    shutil.move(tmp_path / "runs", tmp_path / "elsewhere")
    assert compared(tmp_path / "elsewhere", 2, **{setting: f"{after}{name}"}) == 2
    found = collect(tmp_path / "elsewhere")
    assert not [text for text in found.warnings if "left out" in text]
    assert [list(cell.runs) for cell in found.cells.values()] == [[0, 1], [0, 1]]
    assert compared(tmp_path / "elsewhere", 2, **{setting: f"{after}{name}"}) == 0


@pytest.mark.parametrize("setting", THINGS)
def test_an_unfinished_run_goes_on_after_a_file_moved(tmp_path: Path, setting: str) -> None:
    ending, name, make = THINGS[setting]
    before, after = tmp_path / f"before{ending}", tmp_path / f"after{ending}"
    make(before)
    first = planned(tmp_path / "runs", 1, **{setting: f"{before}{name}"}).todo
    (stopped, *_) = Local(1).execute(first, tiny.StopAt(5), lambda job, share: None)
    assert stopped.interrupted
    before.rename(after)
    again = planned(tmp_path / "runs", 1, **{setting: f"{after}{name}"}).todo
    assert settings_of(again[0].folder) == again[0].settings
    assert compared(tmp_path / "runs", 1, **{setting: f"{after}{name}"}) == 2


def test_what_is_on_a_card_stays_so_in_its_settings(tmp_path: Path) -> None:
    data = tmp_path / "before.npz"
    write_data(data)
    compared(tmp_path / "runs", 1, dataset=str(data))
    path = tmp_path / "runs" / "first" / "seed-0" / "config.toml"
    path.write_text(path.read_text().replace('device = "cpu"', 'device = "cpu:0"'))
    said = path.read_text()
    compared(tmp_path / "runs", 1, dataset=str(data))
    assert path.read_text() == said
    data.rename(tmp_path / "after.npz")
    compared(tmp_path / "runs", 1, dataset=str(tmp_path / "after.npz"))
    assert path.read_text() == said.replace("before.npz", "after.npz")


def test_runs_are_not_said_to_be_scored_on_other_test_images_than_they_were(tmp_path: Path) -> None:
    before, after = str(tmp_path / "before.npz"), str(tmp_path / "after.npz")
    write_data(Path(before))
    write_data(Path(after), tested=40)
    compared(tmp_path / "runs", 1, dataset=before)
    path = tmp_path / "runs" / "first" / "seed-0" / "config.toml"
    said = path.read_text()
    with pytest.raises(
        InputError, match=r"first/seed-0: expected the test images that it was scored on, got .*after\.npz:"
    ):
        planned(tmp_path / "runs", 2, dataset=after)
    Path(after).replace(before)
    with pytest.raises(InputError, match="give another output folder, or put them back"):
        planned(tmp_path / "runs", 1, dataset=before)
    assert path.read_text() == said


def test_own_code_is_named_without_its_place(tmp_path: Path) -> None:
    file = tmp_path.joinpath(*["a" * 60] * 5, "own.py")
    write_code(file)
    own = f"{file}:Own"
    cells = plan(RunConfig(), {"aggregator": [own, f"{own}:q=0.5"], "soften": ["none", "all:polynomial:k=2"]})
    assert [cell.name for cell in cells] == [
        "smoothed+own.py:Own+soften=none", "smoothed+own.py:Own+soften=all:polynomial:k=2",
        "smoothed+own.py:Own:q=0.5+soften=none", "smoothed+own.py:Own:q=0.5+soften=all:polynomial:k=2",
    ]  # fmt: skip
    assert objective_name(change(RunConfig(), {"aggregator": f"{own}:q=0.5"})) == "smoothed+own.py:Own:q=0.5"


def test_own_code_of_files_of_one_name_is_told_apart_by_its_digest(tmp_path: Path) -> None:
    for folder, text in (("a", CODE), ("b", CODE.replace("1.0", "2.0"))):
        write_code(tmp_path / folder / "own.py")
        (tmp_path / folder / "own.py").write_text(text)
    both = [f"{tmp_path / folder / 'own.py'}:Own" for folder in ("a", "b")]
    names = [cell.name for cell in plan(RunConfig(), {"likelihood": ["smoothed"], "aggregator": [*both, "jensen"]})]
    assert all(re.fullmatch(r"smoothed\+own-[0-9a-f]{6}\.py:Own", name) for name in names[:2])
    assert len({*names}) == 3


def trained(*arguments: object) -> str:
    """What `auglik train` says."""
    return CliRunner().invoke(auglik, ["train", *tiny.options(epochs=4), *map(str, arguments)]).output


def test_a_run_alone_is_found_by_its_settings_wherever_it_lies(tmp_path: Path) -> None:
    """Under the names of before, which held the place of own code, and after that has moved."""
    before, after = tmp_path / "before" / "own.py", tmp_path / "after" / "own.py"
    write_code(before)
    runs = tmp_path / "runs"
    old = runs / "smoothed+before-own.py:Own" / "seed-0"
    job = make_plan(
        plan(change(RunConfig(), {**tiny.SETTINGS, "epochs": 4, "device": "cpu", "aggregator": f"{before}:Own"}), {},
             [Cell(old.parent.name, {})]), [0], Place(output=str(runs)),
    ).todo  # fmt: skip
    (stopped,) = Local(1).execute(job, tiny.StopAt(5), lambda job, share: None)
    assert stopped.interrupted
    before.parent.rename(after.parent)
    command = ("--aggregator", f"{after}:Own", "--output", runs)
    assert f"{old} holds this run, interrupted: --resume continues it" in trained(*command)
    said = trained(*command, "--resume")
    assert "begins anew" not in said
    folder = runs / "smoothed+own.py:Own" / "seed-0"
    assert f"wrote {folder}" in said
    epochs = [json.loads(line)["epoch"] for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert epochs == [1, 2, 3, 4]
    assert not old.parent.exists()

    folder.parent.rename(old.parent)
    assert f"{old} already holds this run, finished" in trained(*command)
    assert [*collect(runs).cells] == [old.parent.name]
    assert "begins anew" in trained(*command, "--resume", "--seed", 1)


def test_a_run_that_moved_to_another_name_is_told_under_that_alone(tmp_path: Path) -> None:
    config = change(RunConfig(), {**tiny.SETTINGS, "device": "cpu"})
    for name in ("before", "now"):
        found = make_plan(plan(config, {}, [Cell(name, {})]), range(2), Place(output=str(tmp_path)))
        with noted(tmp_path, found.jobs):
            carry_out(found, Local(1), tiny.StopAt(3), lambda job, share: None, lambda outcome: None)
    told = {one.folder.relative_to(tmp_path).as_posix(): one.state for one in statuses(tmp_path)}
    assert told == {"now/seed-0": "waiting", "now/seed-1": "waiting"}


def test_a_run_that_lies_there_twice_is_not_compared_with_itself(tmp_path: Path) -> None:
    compared(tmp_path, 1)
    (tmp_path / ".planned.json").unlink()
    shutil.copytree(tmp_path / "first", tmp_path / "third")
    found = collect(tmp_path)
    assert [*found.cells] == ["first", "second"]
    assert "left out: third, as other cells have the same runs" in found.warnings
