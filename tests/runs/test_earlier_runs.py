"""Runs that were begun before the code moved: the finished one is found, the interrupted one goes on."""

import json
import shutil
from pathlib import Path

import pytest

from auglik import Place, RunConfig, change, make_plan
from auglik.experiments.cells import Planned
from auglik.runs.run import execute
from auglik.system.records import to_json
from tests import tiny

EARLIER = Path(__file__).parents[1] / "fixtures" / "runs"
CHANGES: dict[str, object] = {
    "train_images": 100,
    "evaluation_images": 20,
    "network": "small-cnn:width=2",
    "augment": "fcr,trivial-augment",
    "soften": "all:smoothed",
}
DIGESTS = ("batches_digest", "view_digests", "test_digest", "evaluation_views_digest")


def test_a_finished_run_is_found_and_an_interrupted_one_is_to_do(tmp_path: Path) -> None:
    output = shutil.copytree(EARLIER, tmp_path / "output")
    config = change(RunConfig(), {**tiny.SETTINGS, **CHANGES, "device": "cpu"})
    plan = make_plan([Planned("cell", "cell", config)], [0, 1], Place(output=str(output)))
    assert [job.config.seed for job in plan.todo] == [1]
    (done,) = plan.done.values()
    assert to_json(done) == json.loads((output / "cell" / "seed-0" / "results.json").read_text())


def test_an_interrupted_run_goes_on_to_what_an_uninterrupted_one_is(tmp_path: Path) -> None:
    """The draws are the same; sums round as the processor likes, and the checkpoint may be another's."""
    begun = tiny.job(tmp_path / "begun", seed=1, **CHANGES)
    shutil.copytree(EARLIER / "cell" / "seed-1", begun.folder)
    found, whole = execute(begun), execute(tiny.job(tmp_path / "whole", seed=1, **CHANGES))
    assert [getattr(found, name) for name in DIGESTS] == [getattr(whole, name) for name in DIGESTS]
    assert found.last_epoch["loss"] == pytest.approx(whole.last_epoch["loss"], rel=1e-4)
    for name in ("clean_nll", "mollified_nll"):
        assert found.scores[name] == pytest.approx(whole.scores[name], rel=1e-4)
