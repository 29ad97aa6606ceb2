"""Test images that are copies of each other or were trained on: counted, recorded and said."""

import json
import logging
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray
from PIL import Image

from auglik.cli.main import auglik
from auglik.comparison.loaded import load
from auglik.data import (
    ImageFolder,
    Npz,
    content,
    copies,
    copies_line,
    first_rows,
    in_training,
    in_training_line,
    open_dataset,
)
from auglik.data.image_files import Files
from auglik.data.images import LazyImages
from auglik.data.probes import apart
from auglik.report.collect import collect
from auglik.report.sections.scores import copied
from auglik.runs import tested
from auglik.runs.results import RESULTS
from auglik.scoring.predictions import PREDICTIONS
from auglik.system.notices import say_once
from tests.tiny import options

PARTS = ("train", "val")
IMAGES = np.random.default_rng(0).integers(0, 256, (5000, 1, 2, 2), np.uint8)


@pytest.fixture(autouse=True)
def nothing_said() -> Iterator[None]:
    say_once.cache_clear()
    yield
    say_once.cache_clear()


def test_copies_are_counted() -> None:
    images = IMAGES.copy()
    images[[7, 4999]] = images[3]
    of_images = content(images)
    assert of_images is not None
    assert copies(of_images) == 2
    read = LazyImages(lambda rows: images[rows], np.arange(5000), (1, 2, 2))
    held = content(read)
    assert isinstance(of_images, np.ndarray)
    assert isinstance(held, np.ndarray)
    assert np.array_equal(of_images, held)
    assert content(replace(read, marks=["name"] * 5000)) is None
    assert "1 of the 5,000 test images is a copy of another" in copies_line(1, 5000)


@pytest.mark.parametrize("shared", [0, 1, 40])
def test_what_was_trained_on_is_what_a_comparison_of_all_pairs_finds(shared: int) -> None:
    rows, places = np.random.default_rng(shared).permutation(5000)[:300], np.arange(1000, 1050)
    test = np.random.default_rng(1).integers(0, 256, (50, 1, 2, 2), np.uint8)
    test[50 - shared :] = IMAGES[rows[:shared]]
    of_test, trained_on = content(test), content(IMAGES, rows)
    assert of_test is not None
    assert trained_on is not None
    same = (test[:, None] == IMAGES[rows][None]).all((2, 3, 4))
    found = in_training(of_test, trained_on, places, rows)
    assert found is not None
    count, first = found
    assert count == same.any(1).sum() == shared
    if first is not None:
        place = int(same.any(1).argmax())
        assert first == (1000 + place, rows[int(same[place].argmax())])
    else:
        assert shared == 0


def npz(path: Path, chosen: NDArray[np.int64]) -> Path:
    """The digits, tested on those at `chosen` [n] and others."""
    digits = open_dataset("digits")
    train, test = digits.train(), digits.test()
    images = np.concatenate([test.images[:40], train.images[chosen]])
    labels = np.concatenate([test.labels[:40], train.labels[chosen]])
    np.savez(path, train_images=train.images, train_labels=train.labels, test_images=images, test_labels=labels)
    return path


def test_train_and_the_report_say_how_many_test_images_were_met_before(tmp_path: Path) -> None:
    path = npz(tmp_path / "leaky.npz", np.r_[0:60, 0:10])
    result = CliRunner().invoke(
        auglik,
        ["train", "--output", str(tmp_path / "out"), *options(dataset=path, epochs=1, train_images=400)],
        catch_exceptions=False,
    )
    (written,) = tmp_path.glob(f"out/*/*/{RESULTS}")
    results = json.loads(written.read_text())
    assert results["test_copies"] == 10

    labels = Npz(path).train().labels
    taken = set(first_rows(labels, 400, 0).tolist())
    held_out = set(np.load(written.parent / PREDICTIONS)["validation_indices"].tolist())
    trained_on = [position for position in [*range(60), *range(10)] if position in taken - held_out]
    assert results["test_in_training"] == len(trained_on) > 0
    first_test, first_training = results["first_in_training"]
    assert first_training == trained_on[0]
    assert first_test == 40 + trained_on[0]

    said = [
        "10 of the 110 test images are copies of another: intervals and verdicts take test images for independent",
        f"{len(trained_on)} of the 110 test images are training images, byte for byte (test image {first_test} is"
        f" training image {first_training}, counted from 0): scores are better than on images that are new",
    ]
    assert [result.output.count(line) for line in said] == [1, 1]
    lines = copied(collect(tmp_path / "out"))
    assert [line.startswith(start) for line, start in zip(lines, said, strict=True)] == [True, True]
    comparison = load(tmp_path / "out")
    assert [repr(comparison).count(line) for line in said] == [1, 1]
    assert {line.removesuffix(".") for line in lines} <= set(comparison.warnings)


def test_a_run_on_parts_that_are_apart_says_nothing(tmp_path: Path) -> None:
    path = npz(tmp_path / "sound.npz", np.r_[0:0])
    arguments = ["train", "--output", str(tmp_path / "out"), *options(dataset=path, epochs=1)]
    result = CliRunner().invoke(auglik, arguments, catch_exceptions=False)
    (written,) = tmp_path.glob(f"out/*/*/{RESULTS}")
    results = json.loads(written.read_text())
    assert results["test_in_training"] == 0
    assert "first_in_training" not in results
    assert "training image" not in result.output
    assert copied(collect(tmp_path / "out")) == []


def test_evaluate_says_how_many_of_another_data_set_were_trained_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    arguments = ["--output", str(tmp_path / "out"), *options(dataset=npz(tmp_path / "own.npz", np.r_[0:0]), epochs=1)]
    CliRunner().invoke(auglik, ["train", *arguments], catch_exceptions=False)
    (run,) = (path.parent for path in tmp_path.glob(f"out/*/*/{RESULTS}"))
    held_out = np.load(run / PREDICTIONS)["validation_indices"]
    taken = first_rows(Npz(tmp_path / "own.npz").train().labels, 200, 0)
    trained_on, others = np.setdiff1d(taken, held_out), np.setdiff1d(np.arange(200), taken)

    def said(name: str, chosen: NDArray[np.int64]) -> list[str]:
        caplog.clear()
        path = npz(tmp_path / name, chosen)
        result = CliRunner().invoke(auglik, ["evaluate", str(run), "--dataset", str(path)], catch_exceptions=False)
        assert result.exit_code == 0
        return caplog.messages

    with caplog.at_level(logging.WARNING, "auglik"):
        (line,) = said("leaky.npz", np.r_[held_out[:3], others[:2], trained_on[[9, 4]]])
        pair = f"(test image 45 is training image {trained_on[9]}, counted from 0)"
        start = f"leaky.npz: 2 of the 47 test images are training images, byte for byte {pair}: scores are better"
        assert line.startswith(start)
        assert said("apart.npz", np.r_[held_out[:3], others[:2]]) == []
        tested._training_part.cache_clear()  # another command's
        images = open_dataset("digits").train().images.copy()
        images[trained_on[9]] = 255 - images[trained_on[9]]
        np.savez(tmp_path / "own.npz", **{**np.load(tmp_path / "own.npz"), "train_images": images})
        assert said("unknown.npz", trained_on[:3]) == []  # whether these were trained on nobody knows any more
        (tmp_path / "own.npz").unlink()
        tested._training_part.cache_clear()
        assert said("gone.npz", trained_on[:3]) == []


def test_check_says_it_and_passes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = npz(tmp_path / "leaky.npz", np.r_[5:8])
    with caplog.at_level(logging.WARNING, "auglik"):
        assert apart(Npz(path)) == "3 of 43 test images are training images"
    [line] = caplog.messages
    assert line.startswith("leaky.npz: 3 of the 43 test images are training images, byte for byte (test image 40 is")
    result = CliRunner().invoke(auglik, ["check", str(path)], catch_exceptions=False)
    assert result.exit_code == 0
    assert "passed  parts apart       3 of 43 test images are training images" in result.output
    assert "is a training image, byte for byte:" in in_training_line(1, 9, None)


def folder(path: Path) -> Path:
    """Two classes of PNG files, 6 and 4 in each; three of the test images are training images, two of them alike."""
    random = np.random.default_rng(0)
    for part, count in (("train", 6), ("val", 4)):
        for place, name in enumerate(("a", "b")):
            (path / part / name).mkdir(parents=True)
            for number in range(count):
                levels = random.integers(0, 256, (10 + 5 * place + number, 16, 3), np.uint8)
                Image.fromarray(levels).save(path / part / name / f"{number}.png")
    for source, target in (("b/2", "a/1"), ("b/2", "b/3"), ("a/5", "b/0")):
        shutil.copy(path / "train" / f"{source}.png", path / "val" / f"{target}.png")
    return path


def test_of_image_files_those_of_one_size_are_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = ImageFolder(folder(tmp_path / "folder"))
    training, test = (source.opened(part).images for part in ("train", "test"))
    read: list[tuple[str, int]] = []
    content_of = Files.content

    def watched(self: Files, row: int) -> bytes:
        read.append((self.root.name, row))
        return content_of(self, row)

    monkeypatch.setattr(Files, "content", watched)
    held, known = content(test), content(training)
    assert held is not None
    assert known is not None
    assert in_training(held, known, np.arange(8), np.arange(12)) == (3, (1, 8))
    sizes = {part: [file.stat().st_size for file in sorted((source.path / part).glob("*/*"))] for part in PARTS}
    both = set(sizes["train"]) & set(sizes["val"])
    assert set(read) == {(part, row) for part in PARTS for row, size in enumerate(sizes[part]) if size in both}
    assert copies(held) == 1
    assert apart(source) == "3 of 8 test images are training images"

    monkeypatch.setattr("auglik.data.duplicates.MOST_BYTES", 100)
    read.clear()
    assert in_training(held, known, np.arange(8), np.arange(12)) is None
    assert copies(held) is None
    assert apart(source) == "not looked for: too many files would be read, or parts are not both of files or of pixels"
    assert read == []


def test_a_folder_that_is_tested_on_its_training_images_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = folder(tmp_path / "folder")
    shutil.rmtree(path / "val")
    (path / "val").symlink_to("train", target_is_directory=True)
    arguments = options(dataset=f"{path}:size=8", epochs=1, train_images=12, validation_fraction=0, batch_size=4)
    result = CliRunner().invoke(
        auglik, ["train", "--output", str(tmp_path / "out"), *arguments], catch_exceptions=False
    )
    said = "12 of the 12 test images are training images, byte for byte (test image 0 is training image 0, counted"
    assert result.output.count(said) == 1

    (run,) = (path.parent for path in tmp_path.glob(f"out/*/*/{RESULTS}"))
    other = folder(tmp_path / "other")
    arguments = [str(run), "--dataset", f"{other}:size=8,test={other / 'val'}"]
    CliRunner().invoke(auglik, ["evaluate", *arguments], catch_exceptions=False)
    (line,) = caplog.messages
    assert "3 of the 8 test images are training images, byte for byte (test image 1 is training image 8," in line
