"""Data sets: what is accepted and what it becomes, what is refused and how, and that test images stay unread."""

import gzip
import hashlib
import os
import pickle
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from auglik.comparison.images import keep_images
from auglik.data import (
    DATASETS,
    Arrays,
    NpyFolder,
    Npz,
    Traits,
    channel_statistics,
    check_arrays,
    digest,
    first,
    open_dataset,
    split_validation,
)
from auglik.data import opened as opened_part
from auglik.data.arrays import stratified_order
from auglik.data.stored import Stored
from auglik.data.torchvision_sets import TorchvisionSource
from auglik.objectives.errors import InputError
from auglik.system.notices import say_once

Pixels = NDArray[np.generic]
RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(0, 256, (6, 1, 5, 4), dtype=np.uint8)
COLOUR = RANDOM.integers(0, 256, (6, 3, 5, 4), dtype=np.uint8)
LABELS = np.array([0, 1, 2, 0, 1, 2])


def refused(call: Callable[[], object], *parts: str) -> str:
    """The one line of the InputError that `call` must raise; every part is found in it."""
    with pytest.raises(InputError) as caught:
        call()
    line = str(caught.value)
    assert "\n" not in line
    for part in parts:
        assert part in line
    return line


def opened(source: Stored) -> Arrays | str:
    """The training set, or the line of the InputError in its stead; other exceptions pass."""
    try:
        source.check()
        return source.train()
    except InputError as error:
        return str(error)


# arrays


@pytest.mark.parametrize(
    ("given_images", "expected"),
    [
        (GREY[:, 0], GREY),
        (GREY, GREY),
        (np.moveaxis(GREY, 1, -1), GREY),
        (COLOUR, COLOUR),
        (np.moveaxis(COLOUR, 1, -1), COLOUR),
        (np.asfortranarray(COLOUR), COLOUR),
    ],
    ids=["NHW", "N1HW", "NHW1", "N3HW", "NHW3", "fortran order"],
)
@pytest.mark.parametrize("dtype", ["uint8", "int16", ">u2", "int64", "float16", "float32", ">f4", "float64"])
def test_every_layout_and_dtype_becomes_the_same_bytes(given_images: Pixels, expected: Pixels, dtype: str) -> None:
    converted = given_images.astype(dtype)
    if converted.dtype.kind == "f":
        converted = (given_images.astype(np.float64) / 255).astype(dtype)
    converted.flags.writeable = False
    images, labels = check_arrays(converted, LABELS[:, None].astype(">i2"), where="mine", classes=3)
    assert np.array_equal(images, expected)
    assert images.dtype == np.uint8
    assert np.array_equal(labels, LABELS)
    assert labels.dtype == np.int64
    for array in (images, labels):  # torch.from_numpy wants both
        assert array.flags.c_contiguous
        assert array.flags.writeable


def test_a_last_axis_of_three_is_the_channels() -> None:
    ambiguous = RANDOM.integers(0, 256, (6, 3, 7, 3), dtype=np.uint8)
    assert np.array_equal(check_arrays(ambiguous, LABELS, where="mine").images, ambiguous.transpose(0, 3, 1, 2))


def test_conversion_in_chunks_equals_conversion_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auglik.data.images.CHUNK_BYTES", 50)
    assert np.array_equal(check_arrays(COLOUR / 255, LABELS, where="mine").images, COLOUR)
    assert channel_statistics(COLOUR)[0] == pytest.approx(COLOUR.mean((0, 2, 3)) / 255)


NAN = np.where(np.arange(4) == 2, np.nan, GREY[:, 0] / 255)


@pytest.mark.parametrize(
    ("images", "labels", "classes", "parts"),
    [
        (GREY[:, 0, 0], LABELS, 3, ("[N,H,W]", "[6, 4]")),
        (COLOUR[:, :2], LABELS, 3, ("c = 1 or 3", "[6, 2, 5, 4]")),
        (np.zeros((6, 5, 5, 4), np.uint8), LABELS, 3, ("[6, 5, 5, 4]", "alpha")),
        (COLOUR.transpose(2, 3, 1, 0), LABELS, 3, ("[5, 4, 3, 6]", "images along the last axis?")),
        (COLOUR.transpose(1, 2, 3, 0), LABELS, 3, ("[3, 5, 4, 6]", "images along the last axis?")),
        (GREY[:0], LABELS[:0], 3, ("at least one image", "[0, 1, 5, 4]")),
        (GREY[:, :, :0], LABELS, 3, ("at least one pixel",)),
        (NAN, LABELS, 3, ("NaN",)),
        (GREY.astype(np.float32), LABELS, 3, ("[0,1]", "uint8")),
        (np.where(GREY > 0, np.inf, 0), LABELS, 3, ("[0,1], got infinite ones (a division by 0 in preprocessing?)",)),
        (np.where(GREY > 0, -np.inf, 0), LABELS, 3, ("[0,1], got infinite ones",)),
        (GREY / 255 - 0.5, LABELS, 3, ("[0,1]", "standardized")),
        (GREY.astype(np.int16) * 2, LABELS, 3, ("0..255", "16-bit")),
        (GREY.astype(np.int16) - 256, LABELS, 3, ("0..255", "-")),
        (GREY > 9, LABELS, 3, ("bool",)),
        ((GREY > 9).astype(np.int64), LABELS, 3, ("0..255", "0 and 1", "black and white")),
        (GREY.astype(str), LABELS, 3, ("dtype",)),
        (GREY, LABELS.astype(float), 3, ("integer labels", "float64")),
        (GREY, np.eye(3)[LABELS], 3, ("one-hot labels? take their argmax",)),
        (GREY, LABELS.astype(str), 3, ("integer labels",)),
        (GREY, LABELS > 0, 3, ("integer labels", "bool")),
        (GREY, np.eye(3, dtype=int)[LABELS], 3, ("[6, 3]", "argmax")),
        (GREY, LABELS[:5], 3, ("6 images and 5 labels",)),
        (GREY, LABELS, 2, ("0..1", "0..2")),
        (GREY, LABELS + 1, 3, ("0..2", "1..3", "counted from 0")),
        (GREY, LABELS - 1, 3, ("0..2", "-1..1")),
        (GREY, LABELS - 1, None, ("0 or more", "-1..1")),
        (GREY, np.full(6, 2**64 - 1, np.uint64), None, ("18446744073709551615",)),
    ],
)
def test_what_cannot_be_used_is_refused(
    images: Pixels, labels: Pixels, classes: int | None, parts: tuple[str, ...]
) -> None:
    line = refused(lambda: check_arrays(images, labels, where="mine", classes=classes), *parts)
    assert line.startswith("mine: expected")


SIXTEEN = np.append(np.arange(17), RANDOM.integers(0, 17, 6 * 20 - 17)).reshape(6, 5, 4)
DOUBTFUL: dict[str, tuple[Pixels, str, str]] = {
    "scikit-learn's digits": (SIXTEEN, "got 0..16", "white=16 (white=255 if they are dark)"),
    "of uint8": (SIXTEEN.astype(np.uint8), "got 0..16", "white=16"),
    "6 bits": (SIXTEEN * 3, "got 0..48", "white=48"),
    "as floats": (SIXTEEN.astype(float), "expected floating-point pixels in [0,1], got 0..16", "white=16"),
    "12 bits": (SIXTEEN * 255, "expected integer pixels in 0..255, got 0..4080", "white=4095"),
    "16 bits as floats": (SIXTEEN * 4000.0, "got 0..64000", "white=65535"),
    "divided twice": (GREY / 255 / 255, "[0,1]", "divided by 255 twice?"),
}


@pytest.mark.parametrize("case", DOUBTFUL)
def test_pixels_of_another_white_are_refused_and_the_cure_is_named(case: str) -> None:
    images, *said = DOUBTFUL[case]
    line = refused(lambda: check_arrays(images, LABELS, where="mine"), *said)
    assert "uint8" not in line  # digits cast so are nearly black


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float64"])
def test_pixels_of_a_named_white_are_scaled_and_dark_ones_stay(dtype: str) -> None:
    images = SIXTEEN.astype(dtype)
    scaled = check_arrays(images, LABELS, where="mine", white=16).images
    assert np.array_equal(scaled[:, 0], np.rint(SIXTEEN * 255 / 16))
    assert np.array_equal(scaled, check_arrays(SIXTEEN / 16, LABELS, where="mine").images)
    assert np.array_equal(check_arrays(images, LABELS, where="mine", white=255).images[:, 0], SIXTEEN)
    assert np.array_equal(check_arrays(SIXTEEN / 255, LABELS, where="mine").images[:, 0], SIXTEEN)
    refused(lambda: check_arrays(images, LABELS, where="mine", white=15), "0..16", "another level is white?")
    refused(lambda: check_arrays(GREY / 255, LABELS, where="mine", white=255), "[0,255]", "divided by 255 already?")


@pytest.mark.parametrize("images", [np.zeros((6, 5, 4), int), SIXTEEN * 4, GREY], ids=["black", "a quarter", "bright"])
def test_integer_images_that_are_black_or_somewhere_bright_are_taken_as_they_are(images: Pixels) -> None:
    assert np.array_equal(check_arrays(images, LABELS, where="mine").images.ravel(), images.ravel())


@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=4, max_dims=4, max_side=6)))
def test_channel_statistics_are_numpys(images: NDArray[np.uint8]) -> None:
    means, deviations = channel_statistics(images)
    np.testing.assert_allclose(means, (images / 255).mean((0, 2, 3)), atol=1e-12)
    constant = np.ptp(images, (0, 2, 3)) == 0
    np.testing.assert_allclose(deviations, np.where(constant, 1, (images / 255).std((0, 2, 3))), atol=1e-12)


def test_no_images_have_no_statistics() -> None:
    refused(lambda: channel_statistics(GREY[:0]), "at least one image")


def test_a_digest_sees_pixels_labels_and_shapes() -> None:
    arrays = Arrays(GREY, LABELS)
    changed = GREY.copy()
    changed[5, 0, 4, 3] ^= 1
    others = [Arrays(changed, LABELS), Arrays(GREY, LABELS[::-1]), Arrays(GREY.reshape(6, 1, 4, 5), LABELS)]
    digests = {digest(each) for each in [arrays, *others]}
    assert len(digests) == 4
    assert digest(Arrays(GREY.copy(), LABELS.copy())) == digest(arrays)
    parts = (b"((6, 1, 5, 4), (6,))", GREY.tobytes(), LABELS.astype("<i8").tobytes())
    assert digest(arrays) == hashlib.sha256(b"".join(parts)).hexdigest()


# splits

label_lists = st.lists(st.integers(0, 5), min_size=1, max_size=60).map(np.array)


def numbered(labels: NDArray[np.int64]) -> Arrays:
    """Images [N,1,1,1] whose pixel is their index."""
    return Arrays(np.arange(len(labels), dtype=np.uint8).reshape(-1, 1, 1, 1), labels)


def indices(arrays: Arrays) -> list[int]:
    return arrays.images.ravel().tolist()


@given(label_lists, st.integers(0, 2**32))
def test_every_prefix_of_the_order_is_stratified(labels: NDArray[np.int64], seed: int) -> None:
    order = stratified_order(labels, np.random.default_rng(seed))
    assert sorted(order.tolist()) == list(range(len(labels)))
    sizes = np.bincount(labels)
    for count in range(1, len(labels) + 1):
        taken = np.bincount(labels[order[:count]], minlength=len(sizes))
        present = sizes > 0
        # one share serves all classes: it rounds to what each gave
        lower = ((taken - 0.5) / np.maximum(sizes, 1))[present].max()
        upper = ((taken + 0.5) / np.maximum(sizes, 1))[present].min()
        assert lower <= upper + 1e-9


def test_the_order_is_random_within_and_between_classes() -> None:
    labels = np.repeat(np.arange(4), 5)
    orders = np.stack([stratified_order(labels, np.random.default_rng(seed)) for seed in range(2000)])
    firsts = np.bincount(orders[:, 0], minlength=20)
    assert (np.abs(firsts - 100) < 5 * np.sqrt(100 * 0.95)).all()  # uniform over images, five standard errors


@given(label_lists, st.floats(0, 0.999), st.integers(0, 2**40))
@settings(deadline=None)
def test_a_validation_split_partitions(labels: NDArray[np.int64], fraction: float, seed: int) -> None:
    arrays = numbered(labels)
    classes = len(np.unique(labels))
    if fraction and len(labels) == classes:
        refused(lambda: split_validation(arrays, fraction, seed), "two images")
        return
    training, validation = split_validation(arrays, fraction, seed)
    assert sorted(indices(training) + indices(validation)) == list(range(len(labels)))
    for part in (training, validation):
        assert indices(part) == sorted(indices(part))
        assert np.array_equal(part.labels, labels[indices(part)])
    assert set(training.labels) == set(labels)
    wanted = max(1, round(fraction * len(labels))) if fraction else 0
    assert len(validation.labels) == min(wanted, len(labels) - classes)
    again = split_validation(arrays, fraction, seed)
    assert indices(again[1]) == indices(validation)


def test_balanced_classes_stay_balanced_and_seeds_differ() -> None:
    arrays = numbered(np.arange(200) % 10)
    splits = [split_validation(arrays, 0.25, seed)[1] for seed in range(2)]
    for validation in splits:
        assert np.bincount(validation.labels).tolist() == [5] * 10
    assert indices(splits[0]) != indices(splits[1])


@pytest.mark.parametrize("fraction", [-0.1, 1.0, 10, float("nan")])
def test_a_fraction_outside_the_range_is_refused(fraction: float) -> None:
    refused(lambda: split_validation(numbered(LABELS), fraction, 0), "[0, 1)", str(fraction))


def test_subsets_are_nested_and_stratified() -> None:
    arrays = numbered(np.arange(200) % 10)
    small, large = first(arrays, 20, 3), first(arrays, 55, 3)
    assert np.bincount(small.labels).tolist() == [2] * 10
    assert set(indices(small)) < set(indices(large))
    assert len(large.labels) == 55
    assert indices(first(arrays, 200, 3)) == list(range(200))


@pytest.mark.parametrize("count", [0, -1, 7])
def test_a_subset_larger_than_the_set_is_refused(count: int) -> None:
    refused(lambda: first(numbered(LABELS), count, 3), "1 to 6", str(count))


# digits


def test_digits_are_scikit_learns_in_one_fixed_stratified_split() -> None:
    from sklearn.datasets import load_digits

    source = open_dataset("digits")
    source.check()
    training, test = source.train(), source.test()
    assert training.images.shape == (1297, 1, 8, 8)
    assert test.images.shape == (500, 1, 8, 8)
    assert source.classes == 10
    assert not source.traits.flip
    images, ours = np.concatenate([training.images, test.images]), np.concatenate([training.labels, test.labels])
    values, labels = load_digits(return_X_y=True)
    rows = np.concatenate([images.reshape(1797, 64) * (16 / 255), ours[:, None]], axis=1).round()
    expected = np.concatenate([values, labels[:, None]], axis=1)
    assert np.array_equal(rows[np.lexsort(rows.T)], expected[np.lexsort(expected.T)])  # all of them, none twice
    assert images.min() == 0
    assert images.max() == 255
    np.testing.assert_allclose(np.bincount(test.labels), np.bincount(labels) * 500 / 1797, atol=1)
    # results are only comparable over versions of scikit-learn while the split is this one
    assert digest(test)[:16] == "10e9de569bbeb017"
    assert digest(source.test()) == digest(test)


# a user's own arrays


def parts(images: Pixels = COLOUR, labels: Pixels = LABELS) -> dict[str, Pixels]:
    keys = ("train_images", "train_labels", "test_images", "test_labels")
    return dict(zip(keys, (images, labels, images[::-1][:4].copy(), labels[::-1][:4].copy()), strict=True))


def write_npz(folder: Path, arrays: dict[str, Pixels], compressed: bool = False) -> Stored:
    path = folder / "mine.npz"
    with path.open("wb") as file:
        (np.savez_compressed if compressed else np.savez)(file, allow_pickle=True, **arrays)
    return Npz(path)


def write_folder(folder: Path, arrays: dict[str, Pixels]) -> Stored:
    own = folder / "mine"
    own.mkdir(exist_ok=True)
    for key, name in FILES.items():
        if key in arrays:
            np.save(own / name, arrays[key])
    return NpyFolder(own)


FILES = {
    "train_images": "train.npy",
    "train_labels": "train_labels.npy",
    "test_images": "val.npy",
    "test_labels": "val_labels.npy",
}
WRITERS: dict[str, Callable[[Path, dict[str, Pixels]], Stored]] = {
    "npz": write_npz,
    "compressed npz": lambda folder, arrays: write_npz(folder, arrays, compressed=True),
    "npy folder": write_folder,
}
Writer = Callable[[Path, dict[str, Pixels]], Stored]


@pytest.fixture(params=WRITERS)
def write(request: pytest.FixtureRequest) -> Writer:
    return WRITERS[request.param]


def test_a_file_says_which_level_is_white(tmp_path: Path, write: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, parts(SIXTEEN.astype(np.uint8))).path
    source = open_dataset(path)
    for read in (source.train, source.test, lambda: opened_part(source, "train"), lambda: opened_part(source, "test")):
        refused(read, str(path), "FILE:white=16")
    expected = check_arrays(SIXTEEN / 16, LABELS, where="mine").images
    for large in (2**31, 1):
        monkeypatch.setattr("auglik.data.npy_folder.LARGE", large)
        source = open_dataset(f"{path}:white=16,labels=remap")
        assert np.array_equal(opened_part(source, "train").images[np.arange(6)], expected)
        assert np.array_equal(opened_part(source, "test").images[np.arange(4)], expected[::-1][:4])
        refused(lambda: opened_part(open_dataset(path), "train"), "FILE:white=16")
    for wrong in ("nan", "-1", "inf"):
        refused(lambda: open_dataset(f"{path}:white={wrong}"), "white: expected the level of white")  # noqa: B023


def test_corruptions_beside_images_of_another_white_are_refused(tmp_path: Path) -> None:
    path = write_folder(tmp_path, parts(SIXTEEN.astype(np.uint8))).path
    for name in ("fog", "corr_labels"):
        np.save(path / f"{name}.npy", np.zeros(20, np.uint8))
    refused(NpyFolder(path).configured("white=16").corruptions, str(path), "levels 0..255, got white=16")
    assert [*NpyFolder(path).configured("white=255").corruptions()] == ["fog"]


def test_dark_test_images_are_read_as_the_training_images_beside_them(
    tmp_path: Path, write: Writer, caplog: pytest.LogCaptureFixture
) -> None:
    say_once.cache_clear()
    arrays = parts(GREY[:, 0]) | {"test_images": SIXTEEN[:4].astype(np.uint8)}
    source = open_dataset(write(tmp_path, arrays).path)
    source.train()
    assert not caplog.messages
    assert np.array_equal(source.test().images[:, 0], SIXTEEN[:4])
    said = f"test set: no pixel is above {SIXTEEN[:4].max()}, but training images reach {GREY.max()}: read as dark"
    assert [said in line for line in caplog.messages] == [True]
    path = keep_images(arrays, tmp_path)
    assert np.array_equal(open_dataset(path).test().images[:, 0], SIXTEEN[:4])


def test_dark_images_of_a_program_are_read_again_as_they_were_given(tmp_path: Path) -> None:
    path = keep_images(parts(SIXTEEN / 255), tmp_path)
    assert np.array_equal(open_dataset(path).train().images[:, 0], SIXTEEN)
    assert np.array_equal(open_dataset(path).test().images[:, 0], SIXTEEN[::-1][:4])
    refused(lambda: keep_images(parts(SIXTEEN), tmp_path), "dataset, train images", "floats in [0,1]")


@dataclass(frozen=True)
class Faint:
    """A user's own data set, whose code gives levels of 0 to 16."""

    name: ClassVar[str] = "faint"
    traits: ClassVar[Traits] = Traits(flip=False, network="small-cnn", epochs=1)
    classes: ClassVar[int] = 3
    class_names: ClassVar[tuple[str, ...]] = ("a", "b", "c")

    def train(self) -> Arrays:
        return Arrays(SIXTEEN[:, None].astype(np.uint8), LABELS)

    def test(self) -> Arrays:
        return self.train()

    def check(self) -> None:
        """Nothing."""


def test_dark_levels_of_own_code_are_said_and_those_of_a_named_white_are_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    say_once.cache_clear()
    opened_part(Faint(), "train")
    assert "faint (train): no pixel is above 16 of 255" in caplog.text
    caplog.clear()
    opened_part(open_dataset(f"{write_npz(tmp_path, parts(SIXTEEN)).path}:white=255"), "train")
    assert not caplog.text


def test_own_arrays_come_back(tmp_path: Path, write: Writer) -> None:
    written = write(tmp_path, parts(np.moveaxis(COLOUR, 1, -1), LABELS[:, None].astype(np.uint8)))
    source = open_dataset(str(written.path))
    source.check()
    training, test = source.train(), source.test()
    assert np.array_equal(training.images, COLOUR)
    assert np.array_equal(training.labels, LABELS)
    assert np.array_equal(test.images, COLOUR[::-1][:4])
    assert np.array_equal(test.labels, LABELS[::-1][:4])
    assert (source.name, source.classes) == (written.path.name, 3)
    assert source.traits == Traits(flip=True, network="fast-resnet", epochs=10)
    training.images[0] = 0  # a copy, so that training can neither change the file nor be changed by it
    assert np.array_equal(open_dataset(str(written.path)).train().images, COLOUR)


@pytest.mark.parametrize(
    ("shape", "network"), [((6, 32, 32), "small-cnn"), ((6, 33, 32), "fast-resnet"), ((6, 3, 8, 8), "fast-resnet")]
)
def test_the_network_fits_the_images(tmp_path: Path, write: Writer, shape: tuple[int, ...], network: str) -> None:
    assert write(tmp_path, parts(np.zeros(shape, np.uint8))).traits.network == network


def test_one_class_is_no_classification(tmp_path: Path, write: Writer) -> None:
    refused(write(tmp_path, parts(labels=np.zeros(6, int))).check, "two classes or more", "label 0")


def test_neither_check_nor_train_reads_test_images(
    tmp_path: Path, write: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write(tmp_path, parts())
    kind, entry = type(source), source.entries.test_images
    read = kind.read

    def guarded(self: Stored, name: str) -> Pixels:
        assert name != entry, "test images were read"
        return read(self, name)

    monkeypatch.setattr(kind, "read", guarded)
    source.check()
    source.train()
    assert source.traits.epochs == 10
    with pytest.raises(AssertionError, match="test images were read"):
        source.test()


@pytest.mark.parametrize("compressed", [False, True])
def test_checking_takes_no_more_than_the_header_of_the_test_images(
    tmp_path: Path, compressed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = RANDOM.integers(0, 256, (60, 3, 32, 32), dtype=np.uint8)
    source = write_npz(tmp_path, parts(images, np.arange(60) % 7), compressed)
    taken: list[int] = []
    read = zipfile.ZipExtFile.read

    def counted(self: zipfile.ZipExtFile, n: int | None = -1) -> bytes:
        data = read(self, n)
        if self.name == "test_images.npy":
            taken.append(len(data))
        return data

    monkeypatch.setattr(zipfile.ZipExtFile, "read", counted)
    source.check()
    source.train()
    assert 0 < sum(taken) <= 128 * 4  # a header is 128 bytes and may be looked at more than once
    source.test()
    assert sum(taken) >= images[:4].nbytes


def without(key: str) -> dict[str, Pixels]:
    return {name: array for name, array in parts().items() if name != key}


UNUSABLE: dict[str, tuple[dict[str, Pixels], tuple[str, ...]]] = {
    "no test labels": (without("test_labels"), ("labels",)),
    "no training images": (without("train_images"), ("train",)),
    "label out of range": (
        parts() | {"test_labels": np.array([0, 1, 2, 3])},
        ("test set", "0 to 2", "label 3 on 1 image"),
    ),
    "negative label": (
        parts() | {"train_labels": LABELS - 1},
        ("training set", "labels 0 to 1 and label -1 on 2 images"),
    ),
    "more classes than images": (parts() | {"train_labels": LABELS * 1000}, ("3 different labels", "2000")),
    "training lengths differ": (parts() | {"train_labels": LABELS[:5]}, ("6 images and 5 labels",)),
    "test lengths differ": (parts() | {"test_labels": LABELS}, ("4 images and 6 labels",)),
    "no image": (parts() | {"train_images": COLOUR[:0], "train_labels": LABELS[:0]}, ("at least one image",)),
    "no test image": (parts() | {"test_images": COLOUR[:0], "test_labels": LABELS[:0]}, ("at least one image",)),
    "channels differ": (parts() | {"test_images": GREY[:4]}, ("[3, 5, 4]", "[1, 5, 4]")),
    "sizes differ": (parts() | {"test_images": COLOUR[:4, :, :4]}, ("[3, 5, 4]", "[3, 4, 4]")),
    "dtypes differ": (parts() | {"test_images": COLOUR[:4] / 255}, ("uint8", "float64")),
    "pickled images": (parts() | {"train_images": COLOUR.astype(object)}, ("pickled", "train")),
    "pickled labels": (parts() | {"test_labels": LABELS[:4].astype(object)}, ("pickled", "labels")),
    "records": (parts() | {"train_labels": np.zeros(6, [("label", int)])}, ("integer labels",)),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_unusable_arrays_are_refused_before_training(tmp_path: Path, write: Writer, case: str) -> None:
    arrays, expected = UNUSABLE[case]
    source = write(tmp_path, arrays)
    refused(source.check, str(source.path), *expected)
    refused(source.test, str(source.path), *expected)


def test_nan_pixels_are_refused_where_they_are_read(tmp_path: Path, write: Writer) -> None:
    clean, broken = COLOUR / 255, COLOUR / 255
    broken[3, 2, 1, 0] = np.nan
    source = write(tmp_path, parts(clean) | {"train_images": broken})
    source.check()
    refused(source.train, "training set", "NaN")
    source = write(tmp_path, parts(clean) | {"test_images": broken[:4]})
    source.check()
    source.train()
    refused(source.test, "test set", "NaN")


def test_missing_arrays_are_named(tmp_path: Path) -> None:
    refused(write_npz(tmp_path, without("test_images")).check, "test_images is missing", "train_labels")
    renamed = without("test_images") | {"test\nimages": COLOUR}
    refused(write_npz(tmp_path, renamed).check, "test_images is missing")
    refused(write_folder(tmp_path, without("test_images")).check, "val.npy", "missing from this folder")


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.6, 0.9, 0.999])
@pytest.mark.parametrize("compressed", [False, True])
def test_a_truncated_npz_is_refused(tmp_path: Path, share: float, compressed: bool) -> None:
    source = write_npz(tmp_path, parts(), compressed)
    content = source.path.read_bytes()
    source.path.write_bytes(content[: int(share * len(content))])
    for call in (source.check, source.train, source.test):
        refused(call, str(source.path), "damaged")


@pytest.mark.parametrize("entry", FILES)
@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.6, 0.999])
def test_a_truncated_npy_is_refused_before_training(tmp_path: Path, entry: str, share: float) -> None:
    source = write_folder(tmp_path, parts())
    path = source.path / FILES[entry]
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    refused(source.check, str(path))


@pytest.mark.parametrize("content", [b"", b"plain text", pickle.dumps([1, 2]), b"PK\x03\x04" + bytes(100)])
def test_what_is_no_npz_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mine.npz"
    path.write_bytes(content)
    refused(open_dataset(str(path)).check, str(path), "damaged")


def test_a_member_cut_short_inside_a_whole_zip_is_refused_before_training(tmp_path: Path) -> None:
    source = write_npz(tmp_path, parts())
    with zipfile.ZipFile(source.path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(source.path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data[:-1] if name == "test_images.npy" else data)
    refused(source.check, "test_images", "bytes")


@pytest.mark.filterwarnings("ignore")  # NumPy warns of some damage before it meets the rest
@given(st.data())
@settings(deadline=None, max_examples=60)
def test_flipped_bytes_are_refused_or_change_nothing_unnoticed(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Damage ends in InputError, never in another exception; a zip's checksums catch it in the pixels."""
    compressed = data.draw(st.booleans())
    source = write_npz(tmp_path_factory.mktemp("flipped"), parts(), compressed)
    content = bytearray(source.path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    source.path.write_bytes(content)
    found = opened(source)
    assert isinstance(found, str) or np.array_equal(found.images, COLOUR)


@pytest.mark.filterwarnings("ignore")  # NumPy warns of some damage before it meets the rest
@given(st.integers(0, 127), st.integers(1, 255))
@settings(deadline=None, max_examples=100)
def test_a_damaged_npy_header_ends_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, position: int, flip: int
) -> None:
    source = write_folder(tmp_path_factory.mktemp("header"), parts())
    path = source.path / "train.npy"
    content = bytearray(path.read_bytes())
    content[position] ^= flip
    path.write_bytes(content)
    found = opened(source)
    assert "\n" not in found if isinstance(found, str) else len(found.images) > 0


def test_corruptions_are_listed_with_their_labels_at_hand(tmp_path: Path) -> None:
    source = write_folder(tmp_path, parts())
    assert isinstance(source, NpyFolder)
    assert source.corruptions() == {}
    for name in ("fog", "brightness"):
        np.save(source.path / f"{name}.npy", np.zeros((20, 5, 4, 3), np.uint8))
    refused(source.corruptions, "corr_labels.npy", "fog")
    np.save(source.path / "corr_labels.npy", np.zeros(20, np.uint8))
    assert source.corruptions() == {name: source.path / f"{name}.npy" for name in ("brightness", "fog")}


# names and paths


def test_unknown_names_and_paths_are_told_apart(tmp_path: Path) -> None:
    refused(lambda: open_dataset("cifar-10"), "cifar-10", "did you mean 'cifar10'")
    refused(lambda: open_dataset("zzz"), "known: ", *DATASETS)
    refused(lambda: open_dataset(""), "unknown data set")
    refused(lambda: open_dataset(str(tmp_path / "none.npz")), "does not exist")
    refused(lambda: open_dataset(str(tmp_path / "none")), "does not exist")
    refused(lambda: open_dataset(os.devnull), "expected a .npz file or a folder of .npy files, got a device")
    refused(lambda: open_dataset("n" * 5000), "expected a name or a path")
    (tmp_path / "set.h5").write_bytes(b"1")
    refused(lambda: open_dataset(str(tmp_path / "set.h5")), ".npz", "a .h5 file")
    refused(open_dataset(str(tmp_path)).check, "train.npy", "missing from this folder")


def test_the_registry_says_what_training_needs(tmp_path: Path) -> None:
    flips = {name for name, make in DATASETS.items() if make(tmp_path, False).traits.flip}
    small = {name for name, make in DATASETS.items() if make(tmp_path, False).traits.network == "small-cnn"}
    assert flips == {"fashion-mnist", "cifar10", "cifar100", "tiny-imagenet", "imagenet"}
    assert small == {"digits", "mnist", "fashion-mnist"}
    for name, make in DATASETS.items():
        assert make(tmp_path, False).name == name


# torchvision's data sets, in small files of their own formats

PUBLIC = sorted(set(DATASETS) - {"digits"})
FETCHED = sorted(set(PUBLIC) - {"tiny-imagenet", "imagenet"})


@pytest.mark.parametrize("name", PUBLIC)
def test_a_missing_data_set_says_how_to_get_it(tmp_path: Path, name: str) -> None:
    source = open_dataset(name, tmp_path / "nowhere")
    for call in (source.check, source.train, source.test):
        refused(call, name, str(tmp_path), "--download", "--data-dir")
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("name", FETCHED)
def test_a_failed_download_is_one_line(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*args: object, **options: object) -> None:
        raise urllib.error.URLError("Name or service\nnot known")

    monkeypatch.setattr(urllib.request, "urlopen", unreachable)
    source = open_dataset(name, tmp_path, download=True)
    refused(source.check, name, "download", "failed", "--data-dir")


@pytest.mark.parametrize("name", FETCHED)
def test_the_first_file_is_torchvision_s(tmp_path: Path, name: str) -> None:
    source = open_dataset(name, tmp_path)
    assert isinstance(source, TorchvisionSource)
    assert next(iter(source.files())) == tmp_path / source.first


def test_data_sets_that_are_not_here_are_listed_without_torchvision(tmp_path: Path) -> None:
    code = "import sys; from auglik.cli.main import auglik; auglik(['datasets'], standalone_mode=False)"
    code += "; print('torchvision' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "expected data/cifar-10-batches-py/data_batch_1, got no such file" in done.stdout
    assert done.stdout.splitlines()[-1] == "False"


def idx(array: Pixels) -> bytes:
    """The IDX format: two zero bytes, 8 for unsigned bytes, the number of axes, their lengths, the data."""
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes() + array.tobytes()


def write_mnist(folder: Path, kind: str = "MNIST") -> dict[str, Path]:
    raw = folder / kind / "raw"
    raw.mkdir(parents=True)
    arrays = {
        "train-images-idx3-ubyte": GREY[:, 0],
        "train-labels-idx1-ubyte": LABELS.astype(np.uint8),
        "t10k-images-idx3-ubyte": GREY[:4, 0] ^ 1,
        "t10k-labels-idx1-ubyte": LABELS[:4].astype(np.uint8),
    }
    for name, array in arrays.items():
        (raw / name).write_bytes(idx(array))
    return {name: raw / name for name in arrays}


@pytest.mark.parametrize(("name", "kind"), [("mnist", "MNIST"), ("fashion-mnist", "FashionMNIST")])
def test_mnist_files_are_read_as_whole_arrays(tmp_path: Path, name: str, kind: str) -> None:
    write_mnist(tmp_path, kind)
    source = open_dataset(name, tmp_path)
    source.check()
    training, test = source.train(), source.test()
    assert np.array_equal(training.images, GREY)
    assert np.array_equal(training.labels, LABELS)
    assert np.array_equal(test.images, GREY[:4] ^ 1)
    assert np.array_equal(test.labels, LABELS[:4])
    assert training.images.flags.writeable


def test_checking_mnist_reads_no_test_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.datasets import mnist

    write_mnist(tmp_path)
    read = mnist.read_image_file

    def guarded(path: str) -> object:
        assert "t10k" not in path, "test images were read"
        return read(path)

    monkeypatch.setattr(mnist, "read_image_file", guarded)
    source = open_dataset("mnist", tmp_path)
    source.check()
    source.train()
    refused(source.test, "test images were read")


def test_archives_that_lie_there_need_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision import datasets

    sums = []
    for name, path in write_mnist(tmp_path).items():
        archive = path.with_name(f"{name}.gz")
        archive.write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
        sums.append((archive.name, hashlib.md5(archive.read_bytes()).hexdigest()))
    monkeypatch.setattr(datasets.MNIST, "resources", sums)
    monkeypatch.setattr(urllib.request, "urlopen", None)
    refused(open_dataset("mnist", tmp_path).check, "--download")
    source = open_dataset("mnist", tmp_path, download=True)
    source.check()
    assert np.array_equal(source.train().images, GREY)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("t10k-images-idx3-ubyte", idx(GREY[:4, 0])[:-1], "bytes"),
        ("t10k-images-idx3-ubyte", idx(GREY[:4, 0, :4]), "[1, 4, 4]"),
        ("t10k-images-idx3-ubyte", b"", "not an IDX file"),
        ("t10k-images-idx3-ubyte", b"<html>not found</html>", "not an IDX file"),
        ("t10k-labels-idx1-ubyte", idx(LABELS[:3].astype(np.uint8)), "4 labels"),
        ("t10k-labels-idx1-ubyte", idx(GREY[:4, 0]), "4 labels"),
        ("t10k-labels-idx1-ubyte", idx(np.full(4, 10, np.uint8)), "0..9"),
        ("train-images-idx3-ubyte", idx(GREY[:0, 0]), "at least one image"),
        ("train-images-idx3-ubyte", idx(GREY[:, 0])[:20], "bytes"),
    ],
    ids=["cut", "size", "empty", "html", "few labels", "images as labels", "label range", "no image", "training cut"],
)
def test_damaged_mnist_files_are_refused_before_training(
    tmp_path: Path, name: str, content: bytes, expected: str
) -> None:
    path = write_mnist(tmp_path)[name]
    path.write_bytes(content)
    refused(open_dataset("mnist", tmp_path).check, str(path), expected)


def test_a_reader_that_meets_damage_ends_in_one_line(tmp_path: Path) -> None:
    write_mnist(tmp_path)["train-images-idx3-ubyte"].write_bytes(bytes(50))
    refused(open_dataset("mnist", tmp_path).train, "damaged files", "delete", "--download")


CLASS_NAMES = {"cifar10": list("abcdefghij"), "cifar100": [f"kind {number}" for number in range(100)]}


def write_cifar(folder: Path, name: str) -> NDArray[np.uint8]:
    """Pickles of protocol 2 that say dtype("u1", 0, 1), as the published ones do; returns the training images."""
    base, key = ("cifar-10-batches-py", "labels") if name == "cifar10" else ("cifar-100-python", "fine_labels")
    batches = [f"data_batch_{number}" for number in range(1, 6)] if name == "cifar10" else ["train"]
    test = "test_batch" if name == "cifar10" else "test"
    (folder / base).mkdir()
    pixels = np.random.default_rng(1).integers(0, 256, (len(batches) + 1, 2, 3072), dtype=np.uint8)
    for batch, data in zip([*batches, test], pixels, strict=True):
        modern, ancient = b"\x89\x88\x87", b"K\x00K\x01\x87"  # the arguments (False, True) and (0, 1)
        dumped = pickle.dumps({"data": data, key: [3, 7]}, protocol=2)
        assert dumped.count(modern) == 1
        (folder / base / batch).write_bytes(dumped.replace(modern, ancient))
    meta, names = ("batches.meta", "label_names") if name == "cifar10" else ("meta", "fine_label_names")
    (folder / base / meta).write_bytes(pickle.dumps({names: CLASS_NAMES[name]}))
    return pixels[:-1].reshape(-1, 3, 32, 32)


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_cifar_pickles_are_read_once_their_sums_are_right(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = write_cifar(tmp_path, name)
    source = open_dataset(name, tmp_path)
    refused(source.check, "checksum", "delete")
    refused(source.train, "damaged files")

    def exists(path: str | Path, md5: str | None = None) -> bool:
        return Path(path).is_file()

    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", exists)
    monkeypatch.setattr("torchvision.datasets.utils.check_integrity", exists)
    unpickled: list[str] = []
    load = pickle.load

    def watched(file: BinaryIO, *, encoding: str = "ASCII") -> object:
        unpickled.append(Path(file.name).name)
        return load(file, encoding=encoding)

    monkeypatch.setattr(pickle, "load", watched)
    source.check()
    training = source.train()
    assert np.array_equal(training.images, images)
    assert training.labels.tolist() == [3, 7] * (len(images) // 2)
    assert source.class_names == tuple(CLASS_NAMES[name])
    assert unpickled
    assert not [entry for entry in unpickled if entry.startswith("test")]
    assert source.test().images.shape == (2, 3, 32, 32)


def test_svhn_files_are_read_once_their_sums_are_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from scipy.io.matlab import loadmat, savemat

    images = RANDOM.integers(0, 256, (5, 3, 32, 32), dtype=np.uint8)
    for part in ("train", "test"):
        content = {"X": images.transpose(2, 3, 1, 0), "y": np.array([[10], [1], [2], [9], [10]], np.uint8)}
        savemat(tmp_path / f"{part}_32x32.mat", content)
    source = open_dataset("svhn", tmp_path)
    refused(source.check, "checksum")
    refused(source.train, "damaged files")

    def exists(path: str | Path, md5: str | None = None) -> bool:
        return Path(path).is_file()

    monkeypatch.setattr("torchvision.datasets.svhn.check_integrity", exists)
    monkeypatch.setattr("torchvision.datasets.utils.check_integrity", exists)
    loaded: list[str] = []

    def watched(path: str) -> object:
        loaded.append(Path(path).name)
        return loadmat(path)

    monkeypatch.setattr("scipy.io.loadmat", watched)
    source.check()
    training = source.train()
    assert np.array_equal(training.images, images)
    assert training.labels.tolist() == [0, 1, 2, 9, 0]  # the files call the digit 0 class 10
    assert loaded == ["train_32x32.mat"]
    assert np.array_equal(source.test().images, images)


@pytest.mark.skipif("AUGLIK_CIFAR10" not in os.environ, reason="AUGLIK_CIFAR10 names no .npz file of CIFAR-10")
def test_real_cifar10() -> None:
    source = open_dataset(os.environ["AUGLIK_CIFAR10"])
    source.check()
    training = source.train()
    assert training.images.shape == (50000, 3, 32, 32)
    assert np.bincount(training.labels).tolist() == [5000] * 10
    means, deviations = channel_statistics(training.images)
    np.testing.assert_allclose(means, [0.4914, 0.4822, 0.4465], atol=5e-5)  # the figures everyone uses
    np.testing.assert_allclose(deviations, [0.2470, 0.2435, 0.2616], atol=5e-5)
    held_out = split_validation(training, 0.1, seed=0)[1]
    assert np.bincount(held_out.labels).tolist() == [500] * 10
    assert source.test().images.shape == (10000, 3, 32, 32)


@pytest.mark.parametrize("name", ["val_images", "valid_labels", "validation_images", "Valimages"])
def test_a_validation_part_of_an_npz_is_refused_rather_than_passed_over(tmp_path: Path, name: str) -> None:
    source = write_npz(tmp_path, {**parts(), name: COLOUR})
    refused(source.check, name, "held out of the training images")
