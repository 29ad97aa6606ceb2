"""Class numbers come from names: in folders, corruptions, other data sets and tables; what does not fit is listed."""

import json
import logging
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from auglik import InputError
from auglik.cli.main import auglik
from auglik.confidence import check_rules, parse_rules
from auglik.confidence.table import MeasuredCurve, Table, parse_table, write_table
from auglik.data import Arrays, class_numbers, first, least_images, open_dataset
from auglik.data.class_names import absent_classes, by_number, in_order
from auglik.data.decoding import Fit, decode
from auglik.robustness import CORRUPTIONS, RobustnessConfig, evaluate_robustness, open_suite
from auglik.robustness.human import load_human_labels
from auglik.robustness.suite import Suite
from auglik.runs import checkpoint as checkpoints
from auglik.runs.resolve import read_facts, resolve
from auglik.runs.results import RESULTS, finished
from auglik.runs.run import execute
from auglik.runs.settings import RunConfig, change
from auglik.system.notices import say_once
from tests.tiny import job, options


@pytest.fixture(autouse=True)
def nothing_said() -> Iterator[None]:
    say_once.cache_clear()
    yield
    say_once.cache_clear()


def refused(call: Callable[[], object], *parts: str) -> None:
    with pytest.raises(InputError) as caught:
        call()
    line = str(caught.value)
    assert "\n" not in line
    for part in parts:
        assert part in line


# the rule


@given(st.lists(st.text(min_size=1, max_size=4), min_size=2, max_size=9, unique=True), st.randoms())
def test_names_find_their_numbers_in_any_order(known: list[str], random: object) -> None:
    from unicodedata import normalize

    known = list(dict.fromkeys(normalize("NFC", name) for name in known))
    shuffled = known.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert [known[number] for number in class_numbers(shuffled, known, "a", "b")] == shuffled


def test_names_that_do_not_fit_are_listed() -> None:
    known = ("cat", "dog", "owl")
    refused(
        lambda: class_numbers(("cat", "dog"), known, "mine", "yours"), "mine: expected the 3 classes of yours", "no owl"
    )
    refused(lambda: class_numbers(("cat", "dog", "owl", "bat"), known, "a", "b"), "got bat which it lacks")
    refused(lambda: class_numbers(("cat", "dog", "bat"), known, "a", "b"), "bat which it lacks, and no owl")
    refused(lambda: class_numbers(("cat", "dog", "cat"), known, "a", "b"), "duplicates")
    many = [f"n{number}" for number in range(300)]
    refused(lambda: class_numbers(many, known, "a", "b"), "n0, n1, n2, n3, n4 and 295 more which it lacks")
    assert class_numbers(("owl", "cat"), known, "a", "b", absent=known).tolist() == [2, 0]
    assert class_numbers(("owl", "cat"), known, "a", "b", absent=["dog"]).tolist() == [2, 0]
    refused(lambda: class_numbers(("owl",), known, "a", "b", absent=["dog"]), "no cat")


def test_a_set_without_names_is_matched_by_number_and_that_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "auglik"):
        for _ in range(2):
            assert class_numbers(by_number(2), ("cat", "dog"), "mine", "yours").tolist() == [0, 1]
        assert class_numbers(("cat", "dog"), by_number(2), "theirs", "yours").tolist() == [0, 1]
        assert class_numbers(by_number(12), by_number(12), "a", "b").tolist() == list(range(12))
    lines = [record.getMessage() for record in caplog.records]
    assert [line.partition(":")[0] for line in lines] == ["mine", "theirs"]
    assert "by number" in lines[0]
    assert "0 is cat" in lines[0]
    refused(lambda: class_numbers(by_number(3), ("cat", "dog"), "a", "b"), "0, 1, 2 which it lacks, and no cat, dog")
    refused(lambda: class_numbers(by_number(4), ("1", "2", "3", "4"), "a", "b"), "got 0 which it lacks, and no 4")
    refused(lambda: class_numbers(("01", "02"), by_number(2), "a", "b"), "01, 02 which it lacks")


def test_a_macs_decomposed_names_are_the_same_names() -> None:
    assert class_numbers(("cafe\u0301", "thé"), ("thé", "café"), "a", "b").tolist() == [1, 0]


def test_numbers_are_in_their_order_and_names_by_letter() -> None:
    assert in_order(["10", "9", "0"]) == ["0", "9", "10"]
    assert in_order(["10", "9", "a"]) == ["10", "9", "a"]
    assert absent_classes(("a", "b", "c"), np.array([0, 2, 2])) == ["b"]


@given(st.lists(st.integers(1, 9), min_size=2, max_size=6), st.integers(0, 2**32))
def test_a_subset_of_the_least_images_keeps_every_class(sizes: list[int], seed: int) -> None:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    arrays = Arrays(np.zeros((len(labels), 1, 1, 1), np.uint8), labels)
    least = least_images(labels)
    assert set(first(arrays, least, seed).labels) == set(labels)
    if len(set(sizes)) == 1:
        assert least == len(sizes)


def test_a_subset_that_loses_a_class_is_refused() -> None:
    source = open_dataset("digits")
    facts = read_facts(source)
    least = resolve(
        change(RunConfig(), {"train_images": facts.least_images, "validation_fraction": 0.0}), source, facts
    )
    assert least.train_images == facts.least_images
    few = change(RunConfig(), {"train_images": facts.least_images - 1})
    refused(lambda: resolve(few, source, facts), "train_images", f"at least {facts.least_images}", "10 classes")


def test_one_image_of_each_class_has_none_to_hold_out_and_the_plan_says_so(tmp_path: Path) -> None:
    images, labels = np.full((3, 8, 8), 200, np.uint8), np.arange(3)
    np.savez(tmp_path / "a.npz", train_images=images, train_labels=labels, test_images=images, test_labels=labels)
    source = open_dataset(str(tmp_path / "a.npz"))
    facts = read_facts(source)
    refused(lambda: resolve(RunConfig(), source, facts), "got 3 images of a.npz", "give --validation-fraction 0")
    kept = resolve(change(RunConfig(), {"validation_fraction": 0.0, "batch_size": 2}), source, facts)
    assert kept.train_images == 3


# folders


SIDE = 8


def picture(path: Path, level: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    levels = np.full((SIDE, SIDE, 3), level, np.uint8)
    levels[: SIDE // 2] //= 2
    Image.fromarray(levels).save(path)


def tree(root: Path, names: list[str], level: Callable[[int], int] = lambda position: 20 * position + 10) -> Path:
    """One image a class, of a level of its own."""
    for position, name in enumerate(names):
        picture(root / name / "a.png", level(position))
    return root


def photos(root: Path, train: list[str], test: list[str]) -> str:
    tree(root / "train", train)
    tree(
        root / "val",
        test,
        lambda position: 20 * (train.index(test[position]) if test[position] in train else position) + 10,
    )
    return f"{root}:size={SIDE},resize={SIDE}"


def corrupted(root: Path, source: Path) -> Path:
    """A -C tree whose corruptions are the very files of `source`."""
    for name in CORRUPTIONS:
        shutil.copytree(source, root / name / "1")
    return root


def labels_by_level(suite: Suite, kind: str) -> set[tuple[int, int]]:
    """(level, class) of every image of a kind of conditions."""
    return {
        (int(image.max()), int(label))
        for condition in suite.conditions
        if condition.kind == kind
        for image, label in zip(condition.read(slice(None)), condition.labels, strict=True)
    }


def suite_of(dataset: str, folder: Path, data_dir: Path) -> Suite:
    config = RobustnessConfig(corruptions=str(folder), severities="1", occlusion=False, mollified=False)
    return open_suite(dataset, data_dir, config)


NUMBERED = [str(number) for number in range(12)]


@pytest.mark.parametrize(
    "names", [NUMBERED, [str(number) for number in range(1, 13)], ["owl", "bat", "cat"], ["9", "10", "x"]]
)
def test_the_same_files_have_the_same_classes_clean_and_corrupted(tmp_path: Path, names: list[str]) -> None:
    names = in_order(names)
    dataset = photos(tmp_path / "photos", names, names)
    suite = suite_of(dataset, corrupted(tmp_path / "C", tmp_path / "photos" / "val"), tmp_path)
    clean = labels_by_level(suite, "clean")
    assert clean == {(20 * number + 10, number) for number in range(len(names))}
    assert labels_by_level(suite, "corruption") == clean


def test_tiny_imagenet_c_is_numbered_as_its_clean_images(tmp_path: Path) -> None:
    wnids, root = ["n03", "n01", "n02", "n04"], tmp_path / "tiny-imagenet-200"
    levels = np.zeros((64, 64, 3), np.uint8)
    lines = []
    for position, wnid in enumerate(wnids):
        for path in (root / "train" / wnid / "images" / "a.JPEG", root / "val" / "images" / f"{position}.JPEG"):
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(levels + np.uint8(40 * position + 10)).save(path, quality=100)
        lines.append(f"{position}.JPEG\t{wnid}\t0\t0\t9\t9\r\n")
        for name in CORRUPTIONS:
            target = tmp_path / "Tiny-ImageNet-C" / name / "1" / wnid / "x.JPEG"
            target.parent.mkdir(parents=True)
            shutil.copy(root / "val" / "images" / f"{position}.JPEG", target)
    (root / "val" / "val_annotations.txt").write_bytes(b"\xef\xbb\xbf" + "".join(lines).encode() + b"\r\n\r\n")
    for folder in (root, tmp_path / "Tiny-ImageNet-C"):
        (folder / "wnids.txt").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(wnids).encode() + b"\r\n \r\n")
    suite = suite_of("tiny-imagenet", tmp_path / "Tiny-ImageNet-C", tmp_path)
    clean = labels_by_level(suite, "clean")
    assert suite.class_names == ("n01", "n02", "n03", "n04")
    assert sorted(number for _, number in clean) == [0, 1, 2, 3]
    assert labels_by_level(suite, "corruption") == clean


def test_wnids_in_another_order_beside_classes_without_names_are_refused(tmp_path: Path) -> None:
    images = np.repeat(60 * np.arange(4, dtype=np.uint8), SIDE * SIDE * 3).reshape(4, SIDE, SIDE, 3)
    labels = np.arange(4) % 2
    np.savez(tmp_path / "mine.npz", train_images=images, train_labels=labels, test_images=images, test_labels=labels)
    folder = corrupted(tmp_path / "C", tree(tmp_path / "val", ["n01", "n02"]))
    dataset = str(tmp_path / "mine.npz")
    assert suite_of(dataset, folder, tmp_path).conditions  # by number, which is said
    (folder / "wnids.txt").write_text("n01\nn02\n")
    assert suite_of(dataset, folder, tmp_path).conditions
    (folder / "wnids.txt").write_text("n02\nn01\n")
    refused(lambda: suite_of(dataset, folder, tmp_path), "wnids.txt", "have no names")


def test_folders_of_other_classes_are_refused(tmp_path: Path) -> None:
    source = open_dataset(photos(tmp_path / "shifted", ["1", "2", "3", "4"], ["0", "1", "2", "3"]))
    refused(source.check, str(tmp_path / "shifted" / "val"), "got 0 which it lacks")
    dataset = photos(tmp_path / "photos", ["1", "2", "3", "4"], ["1", "2", "3", "4"])
    other = corrupted(tmp_path / "C", tree(tmp_path / "other", ["0", "1", "2", "3"]))
    refused(lambda: suite_of(dataset, other, tmp_path), str(tmp_path / "C"), "got 0 which it lacks, and no 4")
    lacking = corrupted(tmp_path / "D", tree(tmp_path / "lacking", ["1", "2", "3"]))
    refused(lambda: suite_of(dataset, lacking, tmp_path), "no 4")


@pytest.mark.parametrize("corruptions", ["C", "arrays", "own"])
def test_of_image_files_those_chosen_are_decoded_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, corruptions: str
) -> None:
    names = ["a", "b", "c", "d", "e"]
    dataset = photos(tmp_path / "photos", names, names)
    folder = corrupted(tmp_path / "C", tmp_path / "photos" / "val")
    test = open_dataset(dataset).test()
    (tmp_path / "arrays").mkdir()
    np.save(tmp_path / "arrays" / "labels.npy", np.tile(test.labels, 5))
    for name in CORRUPTIONS:
        np.save(tmp_path / "arrays" / f"{name}.npy", np.tile(test.images.transpose(0, 2, 3, 1), (5, 1, 1, 1)))
    (tmp_path / "own.py").write_text(HALVED)
    read: list[Path] = []

    def decoded(path: Path, fit: Fit) -> NDArray[np.uint8]:
        read.append(path)
        return decode(path, fit)

    monkeypatch.setattr("auglik.data.decoding.decode", decoded)
    asked = f"{tmp_path}/own.py:Halved" if corruptions == "own" else str(folder.with_name(corruptions))
    suite = open_suite(dataset, tmp_path, RobustnessConfig(corruptions=asked, severities="1", images=2))
    assert len(read) == 2
    clean, corrupted_ = (labels_by_level(suite, kind) for kind in ("clean", "corruption"))
    assert len(clean) == 2
    assert corrupted_ == ({(level // 2, label) for level, label in clean} if corruptions == "own" else clean)


HALVED = """
from dataclasses import dataclass

@dataclass(frozen=True)
class Halved:
    categories = {"dark": "light"}

    def corrupt(self, image, corruption, severity, generator):
        return image // 2
"""


def test_a_class_may_be_absent_from_test_images_and_then_from_corrupted_ones_which_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dataset = photos(tmp_path / "photos", ["a", "b", "c", "d"], ["a", "b", "d"])
    assert open_dataset(dataset).test().labels.tolist() == [0, 1, 3]
    suite = suite_of(dataset, corrupted(tmp_path / "C", tmp_path / "photos" / "val"), tmp_path)
    assert "photos: no test images of class c: scores are over the classes present" in caplog.text
    assert labels_by_level(suite, "corruption") == labels_by_level(suite, "clean") == {(10, 0), (30, 1), (70, 3)}


def test_numbers_as_the_classes_of_named_folders_must_be_all_of_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dataset = photos(tmp_path / "photos", ["ant", "bee", "cow"], ["ant", "bee", "cow"])
    second = tree(tmp_path / "v2", ["0", "1", "2"])
    with caplog.at_level(logging.WARNING, "auglik"):
        assert open_dataset(f"{dataset},test={second}").test().labels.tolist() == [0, 1, 2]
    assert f"{second}: classes matched" in caplog.text
    shutil.rmtree(second / "2")
    refused(open_dataset(f"{dataset},test={second}").check, str(second), "0, 1 which it lacks")


def test_a_single_folder_is_no_classification(tmp_path: Path) -> None:
    refused(open_dataset(photos(tmp_path / "photos", ["a"], ["a"])).check, "two or more class folders", "only a")


# arrays


def digits_npz(path: Path, **extra: NDArray[np.generic]) -> Path:
    """The digits, of which some arrays may be others."""
    source = open_dataset("digits")
    arrays: dict[str, NDArray[np.generic]] = {}
    for part, found in (("train", source.train()), ("test", source.test())):
        arrays |= {f"{part}_images": found.images[:, 0], f"{part}_labels": found.labels}
    with path.open("wb") as file:
        np.savez(file, allow_pickle=True, **{**arrays, **extra})
    return path


WORDS = np.array(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run on digits whose classes have names, in folder `words/seed-0`."""
    folder = tmp_path_factory.mktemp("trained")
    path = digits_npz(folder / "words.npz", class_names=WORDS)
    execute(job(folder / "words" / "seed-0", dataset=str(path)))
    return folder / "words" / "seed-0"


def evaluate(run: Path, dataset: Path, *extra: str) -> str:
    output = run.parents[1] / "again"
    result = CliRunner().invoke(
        auglik,
        ["evaluate", str(run), "--dataset", str(dataset), "--output", str(output), *extra],
        catch_exceptions=False,
    )
    if result.exit_code:
        assert result.exit_code == 2
        return result.output.strip().splitlines()[-1]
    return str(json.loads((output / run.parent.name / run.name / "evaluation.json").read_text())["clean_error"])


def test_a_run_keeps_its_class_names(trained: Path) -> None:
    results = finished(trained)
    assert results is not None
    assert results.class_names == tuple(WORDS.tolist())
    assert results.absent_classes == ()
    kept = checkpoints.load(trained / checkpoints.NAME, results.settings)
    assert kept.class_names == tuple(WORDS.tolist())


def test_a_run_is_scored_on_another_data_set_by_names(
    trained: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    results = finished(trained)
    assert results is not None
    source = open_dataset("digits")
    order = np.argsort(WORDS)  # by letter, as folders are
    position = np.argsort(order)
    other = {"train_labels": position[source.train().labels], "test_labels": position[source.test().labels]}
    renumbered = digits_npz(tmp_path / "letters.npz", class_names=WORDS[order], **other)
    assert float(evaluate(trained, renumbered)) == results.scores["clean_error"]

    with caplog.at_level(logging.WARNING, "auglik"):
        assert float(evaluate(trained, digits_npz(tmp_path / "numbers.npz"))) == results.scores["clean_error"]
    assert "numbers.npz: classes matched" in caplog.text
    capitals = digits_npz(tmp_path / "capitals.npz", class_names=np.char.capitalize(WORDS))
    assert "Zero, One, Two, Three, Four and 5 more which it lacks, and no zero" in evaluate(trained, capitals)
    lacks = source.test().labels != 3
    fewer = {"test_images": source.test().images[lacks, 0], "test_labels": source.test().labels[lacks]}
    with caplog.at_level(logging.WARNING, "auglik"):
        evaluate(trained, digits_npz(tmp_path / "fewer.npz", class_names=WORDS, **fewer))
    assert "no test images of class three" in caplog.text


def test_a_run_from_before_names_were_kept_is_matched_by_number(trained: Path, tmp_path: Path) -> None:
    run = tmp_path / "words" / "seed-0"
    shutil.copytree(trained, run)
    payload = torch.load(run / checkpoints.NAME, weights_only=True)
    del payload["class_names"]
    torch.save(payload, run / checkpoints.NAME)
    results = finished(run)
    assert results is not None
    assert checkpoints.load(run / checkpoints.NAME, results.settings).class_names == ()
    assert float(evaluate(run, digits_npz(tmp_path / "numbers.npz"))) == results.scores["clean_error"]


def test_robustness_refuses_a_data_set_whose_names_have_changed(trained: Path, tmp_path: Path) -> None:
    run = tmp_path / "seed-0"
    shutil.copytree(trained, run)
    path = digits_npz(tmp_path / "changed.npz", class_names=WORDS[::-1])
    suite = open_suite(str(path), tmp_path, RobustnessConfig(corruptions="none", occlusion=False, mollified=False))
    results = finished(run)
    assert results is not None
    suite = replace(suite, training_digest=read_facts(open_dataset(str(path))).digest)
    settings = results.settings
    assert settings  # of the same images: the digest does not see names
    refused(lambda: evaluate_robustness(run, suite), "expected its classes")


BAD_NAMES = {
    "too few": (WORDS[:9], "got 9 different ones"),
    "twice": (np.array(["zero"] * 2 + WORDS[2:].tolist()), "got 9 different ones"),
    "numbers": (np.arange(10), "int64 [10]"),
    "pickled": (WORDS.astype(object), "pickled objects"),
    "a table": (WORDS.reshape(2, 5), "[2, 5]"),
}


@pytest.mark.parametrize("case", BAD_NAMES)
def test_unusable_names_are_refused(tmp_path: Path, case: str) -> None:
    names, says = BAD_NAMES[case]
    source = open_dataset(str(digits_npz(tmp_path / "bad.npz", class_names=names)))
    refused(source.check, "bad.npz", "class_names", says)


LABELS: dict[str, tuple[Callable[[NDArray[np.int64]], NDArray[np.integer]], str]] = {
    "from one": (lambda a: a + 1, "labels 1 to 10"),
    "an ignore label": (lambda a: np.where(np.arange(len(a)) < 37, 255, a), "labels 0 to 9 and label 255 on 37 images"),
    "a negative ignore label": (
        lambda a: np.where(np.arange(len(a)) < 1, -1, a),
        "labels 0 to 9 and label -1 on 1 image",
    ),
    "-100": (lambda a: np.where(np.arange(len(a)) < 1, -100, a), "labels 0 to 9 and label -100 on 1 image"),
    "an absent class": (lambda a: np.where(a == 3, 4, a), "class 3 never occurs"),
    "two absent classes": (lambda a: np.where((a == 3) | (a == 7), 4, a), "class 3, 7 never occurs"),
    "from one with an ignore label": (
        lambda a: np.where(np.arange(len(a)) < 2, 255, a + 1).astype(np.uint8),
        "labels 1 to 10 and label 255 on 2 images",
    ),
    "sparse": (lambda a: 10 * a + 7, "10 different labels from 7 to 97"),
}


@pytest.mark.parametrize("kind", ["npz", "npy folder"])
@pytest.mark.parametrize("case", LABELS)
def test_labels_that_mean_something_else_are_named_and_can_be_remapped(tmp_path: Path, case: str, kind: str) -> None:
    change_, says = LABELS[case]
    source = open_dataset("digits")
    training, test = source.train(), source.test()
    labels = {"train_labels": change_(training.labels), "test_labels": change_(training.labels)[: len(test.labels)]}
    path = digits_npz(tmp_path / "mine.npz", **labels)
    if kind == "npy folder":
        with np.load(path) as archive:
            for part, name in (("train", "train"), ("test", "val")):
                np.save(tmp_path / f"{name}.npy", archive[f"{part}_images"])
                np.save(tmp_path / f"{name}_labels.npy", archive[f"{part}_labels"])
        path.unlink()
        path = tmp_path
    refused(open_dataset(str(path)).check, str(path), says, f"{path}:labels=remap")
    remapped = open_dataset(f"{path}:labels=remap")
    remapped.check()
    distinct = np.unique(labels["train_labels"])
    assert remapped.class_names == tuple(map(str, distinct))
    assert np.array_equal(distinct[remapped.train().labels], labels["train_labels"])
    assert np.array_equal(distinct[remapped.test().labels], labels["test_labels"])


def test_test_labels_that_training_lacks_are_named_even_when_remapped(tmp_path: Path) -> None:
    source = open_dataset("digits")
    test = np.where(np.arange(500) < 37, 255, source.test().labels + 1)
    path = digits_npz(tmp_path / "mine.npz", train_labels=source.train().labels + 1, test_labels=test)
    refused(open_dataset(f"{path}:labels=remap").check, "test set", "labels 1 to 10", "label 255 on 37 images")
    refused(lambda: open_dataset(f"{path}:labels=other"), "expected remap")
    refused(lambda: open_dataset(f"{path}:label=remap"), "did you mean 'labels'")
    refused(lambda: open_dataset("digits:labels=remap"), "digits")


def test_corrupted_arrays_of_remapped_labels_keep_the_original_ones(tmp_path: Path) -> None:
    source = open_dataset("digits")
    training, test = source.train(), source.test()
    for name, part in (("train", training), ("val", test)):
        np.save(tmp_path / f"{name}.npy", part.images[:, 0])
        np.save(tmp_path / f"{name}_labels.npy", 5 * part.labels + 1)
    for name in CORRUPTIONS:
        np.save(tmp_path / f"{name}.NPY", np.tile(test.images[:, 0], (5, 1, 1)))
        (tmp_path / f"{name}.NPY.npy").rename(tmp_path / f"{name}.NPY")
        (tmp_path / f"._{name}.npy").write_text("Mac")
    np.save(tmp_path / "corr_labels.npy", np.tile(5 * test.labels + 1, 5))
    config = RobustnessConfig(severities="1", occlusion=False, mollified=False)
    suite = open_suite(f"{tmp_path}:labels=remap", tmp_path, config)
    assert len(suite.conditions) == 1 + len(CORRUPTIONS)
    assert all(np.array_equal(condition.labels, test.labels) for condition in suite.conditions)
    np.save(tmp_path / "corr_labels.npy", np.tile(test.labels, 5))  # numbers of classes whose names are other numbers
    suite = open_suite(f"{tmp_path}:labels=remap", tmp_path, config)
    assert all(np.array_equal(condition.labels, test.labels) for condition in suite.conditions)
    np.save(tmp_path / "corr_labels.npy", np.tile(5 * test.labels, 5))
    refused(lambda: open_suite(f"{tmp_path}:labels=remap", tmp_path, config), "expected the labels of the test set")


# people and tables


def test_human_labels_in_another_order_of_classes_are_refused(tmp_path: Path) -> None:
    labels = np.r_[np.arange(1000) % 8, [8] * 20, [9] * 20]
    human = 0.8 * np.eye(10)[labels] + 0.02
    np.save(tmp_path / "people.npy", human[:, [0, 1, 2, 3, 4, 5, 6, 7, 9, 8]])  # 96% agree, and two classes are swapped
    refused(lambda: load_human_labels(tmp_path / "people.npy", labels, WORDS.tolist()), "class eight", "for nine")


def test_a_confidence_table_of_other_classes_is_refused(tmp_path: Path) -> None:
    path, one = tmp_path / "table.json", np.ones(1)
    curve = MeasuredCurve("magnitude", one - 1, one, one - 1)
    table = Table(
        measure="accuracy",
        dataset="pets",
        digest="abc",
        classes=3,
        images=50,
        settings={},
        operations={"identity": curve, "crop": curve},
        class_names=("cat", "dog", "owl"),
    )
    rules = parse_rules(f"crop:measured:table={path}")
    write_table(path, table)
    assert list(parse_table(path.read_bytes(), "table").class_names) == ["cat", "dog", "owl"]
    check_rules(rules, ["crop"], ("owl", "cat", "dog"))
    check_rules(rules, ["crop"], by_number(3))
    refused(lambda: check_rules(rules, ["crop"], by_number(10)), str(path), "10 classes", "accuracy on pets")
    refused(lambda: check_rules(rules, ["crop"], ("cat", "dog", "bat")), str(path), "owl which it lacks, and no bat")
    old = json.loads(path.read_text())
    del old["class_names"]
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(old, indent=1).replace("\n", "\r\n").encode())
    check_rules(rules, ["crop"], ("cat", "dog", "bat"))
    refused(lambda: check_rules(rules, ["crop"], ("cat", "dog")), str(path))


# commands


def test_train_and_compare_say_which_classes_test_images_lack(tmp_path: Path) -> None:
    source = open_dataset("digits")
    lacks = ~np.isin(source.test().labels, [3, 5])
    fewer = {"test_images": source.test().images[lacks, 0], "test_labels": source.test().labels[lacks]}
    path = digits_npz(tmp_path / "fewer.npz", class_names=WORDS, **fewer)
    result = CliRunner().invoke(
        auglik, ["train", "--output", str(tmp_path / "out"), *options(dataset=path, epochs=1)], catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    assert "no test images of class three, five" in result.output
    (written,) = tmp_path.glob(f"out/*/*/{RESULTS}")
    assert json.loads(written.read_text())["absent_classes"] == ["three", "five"]


def test_a_run_on_labels_from_one_equals_one_on_labels_from_zero(tmp_path: Path) -> None:
    source = open_dataset("digits")
    shifted = digits_npz(
        tmp_path / "one.npz", train_labels=source.train().labels + 1, test_labels=source.test().labels + 1
    )
    errors: list[float] = []
    for dataset in (f"{shifted}:labels=remap", str(digits_npz(tmp_path / "zero.npz"))):
        folder = tmp_path / f"out-{len(errors)}"
        arguments = ["train", "--output", str(folder), *options(dataset=dataset, epochs=1)]
        assert CliRunner().invoke(auglik, arguments, catch_exceptions=False).exit_code == 0
        (written,) = folder.glob(f"*/*/{RESULTS}")
        results = json.loads(written.read_text())
        errors.append(results["clean_nll"])
    assert results["class_names"] == NUMBERED[:10]
    assert errors[0] == errors[1]
