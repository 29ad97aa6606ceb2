"""A run trains on what it was planned with or not at all, and is scored on test images of the same arrays."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from auglik import Cell, InputError, Local, Place, RunConfig, change, execute, make_plan, open_dataset, plan
from auglik.confidence_tables.reference import train_reference
from auglik.experiments.engines.engine import Outcome
from auglik.pretraining import PretrainConfig
from auglik.pretraining.runs import execute as pretrain
from auglik.pretraining.runs import make_job
from auglik.runs import checkpoint as checkpoints
from auglik.runs import run as run_module
from auglik.runs.results import Results
from auglik.runs.run import Job
from auglik.runs.training import train
from auglik.system.stop import Interrupted, StopRequest
from tests import tiny

CHANGED = "the training images or tables have changed since the run was planned"


def write(path: Path, shift: int = 0, test_shift: int = 0) -> str:
    """Digits whose pixels are brighter, written anew as a copy is."""
    digits = open_dataset("digits")
    train, test = digits.train(), digits.test()
    new = path.with_name("new.npz")
    np.savez(
        new, train_images=train.images // 2 + np.uint8(shift), train_labels=train.labels,
        test_images=test.images // 2 + np.uint8(test_shift), test_labels=test.labels,
    )  # fmt: skip
    new.replace(path)
    return str(path)


def planned(folder: Path, **changes: object) -> list[Job]:
    config = change(RunConfig(), {**tiny.SETTINGS, "device": "cpu", "flip": 0.0, **changes})
    return make_plan(plan(config, {}, [Cell("cell", {})]), [0, 1], Place(output=str(folder))).todo


def ended(jobs: list[Job], at_a_time: int) -> list[Outcome[Results]]:
    return list(Local(at_a_time).execute(jobs, StopRequest(), lambda job, share: None))


@pytest.mark.parametrize("at_a_time", [1, 2])
def test_images_that_were_edited_while_runs_waited_are_refused(tmp_path: Path, at_a_time: int) -> None:
    data = tmp_path / "data.npz"
    jobs = planned(tmp_path / "runs", dataset=write(data))
    write(data, shift=100)
    for outcome in ended(jobs, at_a_time):
        assert str(outcome.error).startswith(f"data.npz: {CHANGED}")
    write(data)
    assert [outcome.error for outcome in ended(jobs, at_a_time)] == [None, None]


def test_a_table_that_was_edited_while_runs_waited_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "pi.npy"
    pi = np.full((10, 10), 0.7 / 9)
    np.fill_diagonal(pi, 0.3)
    np.save(table, pi)
    (job, _) = planned(tmp_path / "runs", dataset="digits", degrade_toward=str(table))
    np.save(table, np.full((10, 10), 0.1))
    with pytest.raises(InputError, match=CHANGED):
        execute(job)


def test_test_images_that_are_newer_than_what_was_trained_on_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data.npz"
    (job, other) = planned(tmp_path / "runs", dataset=write(data))

    def then(shift: int) -> None:
        def trained(*arguments: object, **options: object) -> object:
            found = train(*arguments, **options)  # type: ignore[arg-type]
            write(data, shift, test_shift=50)
            return found

        monkeypatch.setattr(run_module, "train", trained)

    then(100)
    with pytest.raises(InputError, match=r"data\.npz: expected the data set that the run was trained on"):
        execute(job)
    monkeypatch.undo()
    write(data)
    assert execute(job).test_digest == execute(other).test_digest
    then(0)  # the hash says nothing of test images, and a copy of the same file is the same data set
    assert execute(planned(tmp_path / "again", dataset=str(data))[0]).test_images == 500


def test_test_images_of_a_folder_whose_training_images_were_replaced_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "photos"
    for part, count in (("train", 8), ("val", 2)):
        for level, name in enumerate(("dark", "light")):
            (folder / part / name).mkdir(parents=True)
            for index in range(count):
                Image.new("RGB", (8, 8), (90 * level + index,) * 3).save(folder / part / name / f"{index}.png")
    few = {"train_images": 16, "validation_fraction": 0.0, "evaluation_images": None}
    (job, other) = planned(tmp_path / "runs", dataset=f"{folder}:size=8", **few)

    def trained(*arguments: object, **options: object) -> object:
        found = train(*arguments, **options)  # type: ignore[arg-type]
        (folder / "train" / "light" / "0.png").rename(folder / "train" / "light" / "new.png")
        return found

    with monkeypatch.context() as patched:
        patched.setattr(run_module, "train", trained)
        with pytest.raises(InputError, match=r"photos: expected the data set that the run was trained on"):
            execute(job)
    (folder / "train" / "light" / "new.png").rename(folder / "train" / "light" / "0.png")
    assert execute(job).test_digest == execute(other).test_digest


def test_a_reference_and_pretraining_are_held_to_their_plans(tmp_path: Path) -> None:
    data = tmp_path / "data.npz"
    (job, _) = planned(tmp_path / "runs", dataset=write(data))
    config = PretrainConfig(dataset=str(data), network="small-cnn:width=4", epochs=1, train_images=100, device="cpu")
    simsiam = make_job(config, tmp_path / "simsiam", tmp_path)
    write(data, shift=100)
    with pytest.raises(InputError, match=CHANGED):
        train_reference(job, open_dataset(str(data)), stop=StopRequest(), progress=lambda share: None)
    with pytest.raises(InputError, match=CHANGED):
        pretrain(simsiam)


def test_a_restart_that_ends_early_leaves_no_checkpoint_of_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, simsiam = tiny.job(tmp_path / "run"), tmp_path / "simsiam"
    with pytest.raises(Interrupted):
        execute(job, stop=tiny.StopAt(5))

    def killed(*arguments: object, **options: object) -> None:
        raise RuntimeError("killed")

    monkeypatch.setattr(run_module, "train", killed)
    monkeypatch.setattr("auglik.pretraining.runs.pretrain", killed)
    with pytest.raises(RuntimeError, match="killed"):
        execute(job)
    assert (job.folder / checkpoints.NAME).exists()
    for folder, start in (
        (job.folder, lambda: execute(replace(job, resume=False))),
        (simsiam, lambda: pretrain(make_job(simsiam_config(), simsiam, tmp_path, resume=False))),
    ):
        folder.mkdir(exist_ok=True)
        (folder / checkpoints.NAME).touch()
        with pytest.raises(RuntimeError, match="killed"):
            start()
        assert not (folder / checkpoints.NAME).exists()


def simsiam_config() -> PretrainConfig:
    return PretrainConfig(network="small-cnn:width=4", epochs=1, train_images=100, device="cpu")
