"""Image files: the published layouts, torchvision's resizing, decoding once, and one line for whatever is wrong."""

import dataclasses
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from auglik.checks.checking import check, kind_of
from auglik.data import (
    Arrays,
    ImageFolder,
    LazyArrays,
    NpyFolder,
    TinyImagenet,
    channel_statistics,
    digest,
    first,
    open_dataset,
    opened,
    split_validation,
)
from auglik.data.decoding import resize_and_crop
from auglik.objectives.errors import InputError
from auglik.runs.resolve import read_facts
from auglik.views import Shape

WNIDS = ["n02124075", "n01443537", "n04067472"]  # not in alphabetical order, as in the published file


def picture(seed: int, width: int, height: int, mode: str = "RGB") -> Image.Image:
    """A smooth random image, which JPEG keeps well."""
    noise = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC).convert(mode)


def write(path: Path, image: Image.Image) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
    return path


def levels(path: Path) -> NDArray[np.uint8]:
    """[3,H,W], by Pillow alone."""
    return np.asarray(Image.open(path).convert("RGB")).transpose(2, 0, 1)


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """tiny-imagenet-200 with three classes of four training images, and six val images."""
    root = tmp_path / "tiny-imagenet-200"
    for label, wnid in enumerate(WNIDS):
        for index in range(4):
            write(root / "train" / wnid / "images" / f"{wnid}_{index}.JPEG", picture(10 * label + index, 64, 64))
        (root / "train" / wnid / f"{wnid}_boxes.txt").write_text("0\t0\t63\t63\n")
    lines: list[str] = []
    for index in range(6):
        write(root / "val" / "images" / f"val_{index}.JPEG", picture(100 + index, 64, 64, "L" if index == 2 else "RGB"))
        lines.insert(0, f"val_{index}.JPEG\t{WNIDS[index % 3]}\t0\t32\t44\t62\n")
    (root / "val" / "val_annotations.txt").write_text("".join(lines))
    (root / "wnids.txt").write_text("\n".join(WNIDS) + "\n")
    (root / "words.txt").write_text("n02124075\tEgyptian cat\n")
    return root


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes in ImageNet's layout; images of several shapes, modes and formats."""
    root = tmp_path / "photos"
    for index, (width, height) in enumerate([(90, 60), (61, 100), (75, 75), (40, 200), (73, 73)]):
        write(root / "train" / "cat" / f"{index}.JPEG", picture(index, width, height))
        write(root / "train" / "dog" / f"{index}.png", picture(20 + index, height, width, "L" if index == 1 else "RGB"))
    for name in ("cat", "dog"):
        write(root / "val" / name / "a.jpg", picture(50, 80, 95))
    write(root / "val" / "dog" / "b.jpg", picture(51, 80, 95).convert("CMYK"))
    (root / "train" / "cat" / ".DS_Store").write_text("hidden")
    return root


def refused(call: Callable[[], object], *parts: str) -> None:
    with pytest.raises(InputError) as caught:
        call()
    line = str(caught.value)
    assert "\n" not in line
    for part in parts:
        assert part in line


# Tiny-ImageNet


def test_tiny_imagenet_is_read_as_published(tiny: Path) -> None:
    for source in (open_dataset("tiny-imagenet", tiny.parent), open_dataset(str(tiny))):
        source.check()
        assert (source.name, source.classes) == ("tiny-imagenet", 3)
        training, test = source.train(), source.test()
        assert training.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
        for position, wnid in enumerate(sorted(WNIDS)):
            expected = levels(tiny / "train" / wnid / "images" / f"{wnid}_3.JPEG")
            assert np.array_equal(training.images[4 * position + 3], expected)
        assert test.labels.tolist() == [sorted(WNIDS).index(WNIDS[index % 3]) for index in range(6)]
        assert np.array_equal(test.images[2], levels(tiny / "val" / "images" / "val_2.JPEG"))


def test_tiny_imagenet_is_decoded_once(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = read_facts(open_dataset(str(tiny)))
    assert (facts.images, facts.channels, facts.height, facts.width) == (12, 3, 64, 64)
    assert not (tiny / "decoded" / "test.npy").exists()
    monkeypatch.setattr("auglik.data.decoding.decode", lambda *_: pytest.fail("decoded again"))
    assert np.array_equal(open_dataset(str(tiny)).train().images, np.load(tiny / "decoded" / "train.npy"))
    assert read_facts(open_dataset(str(tiny))) == facts


@pytest.mark.parametrize("damage", ["flip", "cut", "manifest", "another"])
def test_what_was_decoded_is_never_trusted_blindly(tiny: Path, damage: str) -> None:
    before = open_dataset(str(tiny)).train()
    decoded, manifest = tiny / "decoded" / "train.npy", tiny / "decoded" / "train.json"
    content = bytearray(decoded.read_bytes())
    content[-1] ^= 255
    if damage == "flip":
        decoded.write_bytes(content)
    elif damage == "cut":
        decoded.write_bytes(content[:-1])
    elif damage == "manifest":
        manifest.write_text("{")
    else:
        changed = write(tiny / "train" / WNIDS[0] / "images" / f"{WNIDS[0]}_0.JPEG", picture(77, 64, 64))
        before.images[4 * sorted(WNIDS).index(WNIDS[0])] = levels(changed)
    source = open_dataset(str(tiny))
    source.check()
    assert np.array_equal(source.train().images, before.images)
    assert not list((tiny / "decoded").glob("*.tmp"))


def test_a_folder_that_cannot_be_written_to_is_decoded_on_demand(tiny: Path) -> None:
    expected = digest(opened(open_dataset(str(tiny)), "train"))
    shutil.rmtree(tiny / "decoded")
    (tiny / "decoded").write_text("in the way")
    assert digest(opened(open_dataset(str(tiny)), "train")) == expected


def test_tiny_imagenet_names_what_is_wrong(tiny: Path) -> None:
    images, annotations = tiny / "train" / WNIDS[0] / "images", tiny / "val" / "val_annotations.txt"
    text = annotations.read_text()

    def check() -> None:
        open_dataset("tiny-imagenet", tiny.parent).check()

    annotations.unlink()
    refused(check, str(annotations))
    annotations.write_text(text.replace(WNIDS[0], "n00000000"))
    refused(check, str(annotations), "line 3", "n00000000")
    annotations.write_text(text.replace("val_5.JPEG", "val_7.JPEG"))
    refused(check, "val_5.JPEG", "got none")
    annotations.write_text(text + f"val_9.JPEG\t{WNIDS[0]}\t0\t0\t1\t1\n")
    refused(check, "val_9.JPEG", "expected this file")
    annotations.write_text(text + "val_9.JPEG\n")
    refused(check, str(annotations), "line 7")
    annotations.write_text("no image\tn1\n")
    refused(check, str(annotations), "line 1", "no image")
    annotations.write_text(text)
    check()

    unknown = write(tiny / "train" / "n00000001" / "images" / "a.JPEG", picture(0, 64, 64)).parents[1]
    refused(check, str(unknown.parent), unknown.name, "which it lacks")
    shutil.rmtree(unknown)
    moved = shutil.move(images, tiny / "elsewhere")
    refused(check, str(images))
    images.mkdir()
    refused(check, str(images), "empty")
    images.rmdir()
    shutil.move(moved, images)
    (images / "notes.txt").write_text("mine")
    refused(check, str(images / "notes.txt"))
    (images / "notes.txt").unlink()
    large = write(images / f"{WNIDS[0]}_0.JPEG", picture(0, 65, 64))
    refused(open_dataset(str(tiny)).train, str(large), "65x64")
    (tiny / "wnids.txt").unlink()
    refused(check, "wnids.txt")


# folders of classes


@pytest.mark.parametrize(("size", "resize"), [(64, 0), (64, 64), (33, 40)])
def test_images_are_torchvisions_resize_and_centre_crop(folder: Path, size: int, resize: int) -> None:
    from torchvision.datasets import ImageFolder as Reference
    from torchvision.transforms import CenterCrop, Compose, Resize

    source = open_dataset(f"{folder}:size={size},resize={resize}")
    transform = Compose([Resize(resize or round(size * 256 / 224)), CenterCrop(size)])
    for part, found in (("train", source.train()), ("val", source.test())):
        reference = Reference(str(folder / part), transform, is_valid_file=lambda path: ".DS_Store" not in path)
        expected = np.stack([np.asarray(reference[index][0]) for index in range(len(reference))]).transpose(0, 3, 1, 2)
        assert np.array_equal(found.images, expected)
        assert found.labels.tolist() == reference.targets


def test_selections_stay_unread(folder: Path) -> None:
    source = open_dataset(f"{folder}:size=64")
    lazy, all_of_it = opened(source, "train"), source.train()
    assert isinstance(lazy, LazyArrays)
    read: list[int] = []

    def watched(rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        read.extend(rows.tolist())
        return all_of_it.images[rows]

    watching = lazy._replace(images=dataclasses.replace(lazy.images, read=watched))
    for chosen, expected in zip(
        (first(watching, 6, 3), *split_validation(watching, 0.3, 1)),
        (first(all_of_it, 6, 3), *split_validation(all_of_it, 0.3, 1)),
        strict=True,
    ):
        digest(chosen)
        assert not read
        assert np.array_equal(chosen.labels, expected.labels)
        assert np.array_equal(chosen.images[:], expected.images)
        read.clear()


def test_large_sets_are_counted_and_hashed_in_parts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lazy, whole = opened(open_dataset(f"{folder}:size=64"), "train"), open_dataset(f"{folder}:size=64").train()
    assert isinstance(lazy, LazyArrays)
    unmarked = lazy._replace(images=dataclasses.replace(lazy.images, marks=()))
    monkeypatch.setattr("auglik.data.images.CHUNK_BYTES", 3 * 3 * 64 * 64)
    assert digest(unmarked) == digest(whole)
    assert channel_statistics(lazy.images) == channel_statistics(whole.images)
    monkeypatch.setattr("auglik.data.arrays.STATISTICS_IMAGES", 5)
    assert channel_statistics(lazy.images) == channel_statistics(whole.images[::2])
    assert channel_statistics(unmarked.images) == channel_statistics(whole.images)


def test_the_digest_is_of_names_sizes_labels_and_resizing(folder: Path) -> None:
    def found(settings: str = ":size=64", root: Path = folder) -> str:
        return read_facts(open_dataset(f"{root}{settings}")).digest

    before = found()
    assert found(root=Path(shutil.copytree(folder, folder.parent / "copy"))) == before
    assert len({before, found(":size=64,resize=64"), found(":size=72"), found(":size=64,resize=73")}) == 3
    write(folder / "train" / "cat" / "0.JPEG", picture(9, 91, 60))
    assert found() != before
    after = found()
    (folder / "train" / "cat" / "0.JPEG").rename(folder / "train" / "dog" / "0.JPEG")
    assert found() not in (before, after)


@pytest.mark.parametrize("ending", ["bmp", "ppm", "tif"])
@pytest.mark.parametrize("side", [8, 400])
def test_the_digest_notices_pixels_that_are_edited_in_place(tmp_path: Path, ending: str, side: int) -> None:
    for part in ("train", "test"):
        for label in ("cat", "dog"):
            for place in range(2):
                pixels = np.random.default_rng([place, label == "cat"]).integers(0, 256, (side, side, 3), np.uint8)
                path = tmp_path / part / label / f"{place}.{ending}"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(path)
    before, size = read_facts(open_dataset(f"{tmp_path}:size=8")).digest, path.stat().st_size
    assert read_facts(open_dataset(f"{tmp_path}:size=8")).digest == before
    edited = tmp_path / "train" / "dog" / f"1.{ending}"
    with Image.open(edited) as image:
        inverted = 255 - np.asarray(image)
    Image.fromarray(inverted).save(edited)
    assert edited.stat().st_size == size
    assert read_facts(open_dataset(f"{tmp_path}:size=8")).digest != before


def test_imagenet_v2_tests_a_network_of_the_training_folders(tmp_path: Path, folder: Path) -> None:
    second = tmp_path / "imagenetv2"
    for index in (1, 0):
        for copy in range(2):
            write(second / str(index) / f"{copy}.jpeg", picture(index, 70, 70))
    source = open_dataset(f"{folder}:size=64,test={second}")
    source.check()
    assert source.test().labels.tolist() == [0, 0, 1, 1]
    assert read_facts(source).digest == read_facts(open_dataset(f"{folder}:size=64")).digest
    refused(open_dataset(str(second)).check, str(second), "FOLDER:test=")
    write(second / "2" / "0.jpeg", picture(2, 70, 70))
    refused(open_dataset(f"{folder}:size=64,test={second}").check, str(second), "got 0, 1, 2 which it lacks")


def test_classes_that_are_numbers_are_in_their_order(tmp_path: Path) -> None:
    for name in ("0", "1", "2", "10"):
        for part in ("train", "test"):
            write(tmp_path / "set" / part / name / "a.png", picture(int(name), 64, 64))
    source = open_dataset(f"{tmp_path / 'set'}:size=64")
    assert source.classes == 4
    ten = np.asarray(resize_and_crop(Image.open(tmp_path / "set" / "train" / "10" / "a.png"), 73, 64))
    assert np.array_equal(source.train().images[3], ten.transpose(2, 0, 1))
    assert source.test().labels.tolist() == [0, 1, 2, 3]


def test_a_folder_of_images_names_what_is_wrong(folder: Path) -> None:
    def check(settings: str = ":size=64") -> None:
        source = open_dataset(f"{folder}{settings}")
        source.check()
        source.test()

    check()
    refused(lambda: check(":sizes=64"), "sizes", "did you mean 'size'")
    refused(lambda: check(":size=big"), "expected a number", "big")
    refused(lambda: check(":size=4"), "at least 8")
    refused(lambda: check(":size=64,resize=63"), "resize", "64")
    refused(lambda: check(":test=nowhere"), "nowhere")
    refused(lambda: open_dataset("cifar10:size=64"), "cifar10")
    refused(lambda: open_dataset("imagenet", folder.parent).check(), "imagenet", "--data-dir")
    refused(open_dataset("imagenet", shutil.copytree(folder, folder.parent / "imagenet").parent).check, "1000", "got 2")

    unknown = write(folder / "val" / "bird" / "a.jpg", picture(0, 70, 70)).parent
    refused(check, str(unknown.parent), "got bird which it lacks")
    shutil.rmtree(unknown)
    (folder / "train" / "bird").mkdir()
    refused(check, str(folder / "train" / "bird"), "empty")
    (folder / "train" / "bird").rmdir()
    flat = write(folder / "val" / "c.jpg", picture(0, 70, 70))
    refused(check, str(flat), "expected this image in a class folder")
    flat.unlink()
    (folder / "val" / "dog" / "list.csv").write_text("")
    refused(check, "list.csv")
    (folder / "val" / "dog" / "list.csv").unlink()
    damaged = folder / "val" / "dog" / "a.jpg"
    content = damaged.read_bytes()
    for part in (content[: len(content) // 2], b"", b"<html>not found</html>"):
        damaged.write_bytes(part)
        refused(check, str(damaged), "damaged")
    damaged.write_bytes(content)
    narrow = write(folder / "val" / "dog" / "narrow.png", Image.new("L", (1, 4000)))
    refused(
        lambda: open_dataset(f"{folder}:size=224,resize=224").test(),
        f"{narrow}: expected an image that can be resized to a shorter side of 224 pixels, got 1x4000, which would be"
        " 200,704,000 pixels",
    )
    narrow.unlink()
    (folder / "val").rename(folder / "Val ")
    refused(check, str(folder), "val or a test folder next to train, got Val : name it so, or give", "test=FOLDER")
    shutil.rmtree(folder / "Val ")
    refused(check, str(folder), "val or a test folder next to train, got neither")
    (folder / "train").rename(folder / "Training")
    refused(check, str(folder), "expected a train folder, got Training; to test on")


def test_val_beside_test_is_refused_unless_one_is_chosen(folder: Path) -> None:
    (folder / "test").mkdir()
    write(folder / "test" / "1.jpg", picture(0, 70, 70))
    assert len(open_dataset(str(folder)).test().labels) == 3  # as ImageNet's, whose test images have no labels
    (folder / "test" / "1.jpg").unlink()
    for name in ("public", "private"):  # no classes
        write(folder / "test" / name / "a.jpg", picture(7, 70, 70))
    open_dataset(str(folder)).check()
    shutil.rmtree(folder / "test")
    for name in ("cat", "dog"):
        write(folder / "test" / name / "a.jpg", picture(7, 70, 70))
        parts = (f"{folder}:test={folder / 'val'} or", f"{folder}:test={folder / 'test'}")
        refused(open_dataset(str(folder)).check, "got val and test", *parts)
    ways = (f"{folder}:size=16,resize=20,test={folder / 'val'} or", f"{folder}:size=16,resize=20,test=")
    refused(open_dataset(f"{folder}:size=16,resize=20").check, *ways)
    for part, count in (("val", 3), ("test", 2)):
        source = open_dataset(f"{folder}:test={folder / part}")
        source.check()
        assert len(source.test().labels) == count


@pytest.mark.parametrize("name", ["valid", "Validation"])
def test_a_part_for_validation_beside_test_is_not_passed_over(folder: Path, name: str) -> None:
    (folder / "val").rename(folder / "test")
    (folder / name).mkdir()  # no classes
    open_dataset(str(folder)).check()
    (folder / name).rmdir()
    shutil.copytree(folder / "test", folder / name)
    parts = (f"{folder}:test={folder / 'test'} or {folder}:test={folder / name}",)
    refused(open_dataset(str(folder)).check, f"got test and {name}", *parts)
    open_dataset(f"{folder}:test={folder / 'test'}").check()


def test_kinds_of_folders_are_told_apart(tmp_path: Path, tiny: Path, folder: Path) -> None:
    arrays = tmp_path / "arrays"
    (arrays / "extra").mkdir(parents=True)
    np.save(arrays / "train.npy", np.zeros(1))
    assert isinstance(open_dataset(str(arrays)), NpyFolder)
    assert isinstance(open_dataset(str(tiny)), TinyImagenet)
    assert isinstance(open_dataset(str(folder)), ImageFolder)
    assert ImageFolder(folder).traits.network == "torchvision:resnet50"


def test_a_large_array_on_disk_stays_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    stored = random.integers(0, 256, (8, 6, 5, 3), dtype=np.uint8)
    for part in ("train", "val"):
        np.save(tmp_path / f"{part}.npy", stored)
        np.save(tmp_path / f"{part}_labels.npy", np.arange(8) % 2)
    source = open_dataset(str(tmp_path))
    small = opened(source, "train")
    assert isinstance(small, Arrays)
    monkeypatch.setattr("auglik.data.npy_folder.LARGE", stored.nbytes)
    for large in (opened(source, "train"), opened(source, "test")):
        assert isinstance(large, LazyArrays)
        assert np.array_equal(large.images[:], small.images)
        assert digest(large) == digest(small)
    assert channel_statistics(opened(source, "train").images) == channel_statistics(small.images)


# auglik check


def test_a_check_reads_image_files_also_with_settings_and_names_the_damaged_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (str(folder), f"{folder}:size=16"):
        assert kind_of(name) == "dataset"
    found = {finding.probe: finding for finding in check(f"{folder}:size=16", None, Shape(3, 8, 8), folder).findings}
    assert all(finding.passed for finding in found.values())
    expected = open_dataset(f"{folder}:size=16").train().images
    said = f"images [10, 3, 16, 16], levels {expected.min()}..{expected.max()}, digest"
    assert found["training part"].seen.startswith(said)
    damaged = folder / "train" / "dog" / "4.png"
    damaged.write_bytes(damaged.read_bytes()[:300])
    found = {finding.probe: finding for finding in check(str(folder), None, Shape(3, 8, 8), folder).findings}
    assert not found["training part"].passed
    assert str(damaged) in found["training part"].seen
    monkeypatch.setattr("auglik.data.probes.DECODED", 3)  # 0, 3 and 6 of ten
    found = {finding.probe: finding for finding in check(str(folder), None, Shape(3, 8, 8), folder).findings}
    assert " in 3 of them, digest" in found["training part"].seen


@pytest.mark.skipif(sys.platform != "linux", reason="file names of other systems are text")
@pytest.mark.parametrize("place", [b"train/cat/caf\xe9.png", b"train/caf\xe9/a.png"])
def test_names_in_another_encoding_are_refused_for_what_they_are(folder: Path, place: bytes) -> None:
    path = Path(os.fsdecode(os.fsencode(folder) + b"/" + place))
    path.parent.mkdir(exist_ok=True)
    path.write_bytes((folder / "val" / "dog" / "a.jpg").read_bytes())
    refused(open_dataset(f"{folder}:size=64").check, "caf\\xe9", "rename it")


def test_an_image_beyond_pillows_limit_is_not_called_damaged(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    refused(open_dataset(f"{folder}:size=64").test, "expected an image within Pillow's limit", "resize it first")
