"""Files of a Mac, of Windows and of network drives are no data, anywhere; endings and text are read in every form."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from auglik.data import Source, open_dataset
from auglik.data.listing import arrays_in, folders, is_litter, listed, named
from auglik.objectives.errors import InputError
from auglik.robustness import CORRUPTIONS, RobustnessConfig, open_suite
from auglik.robustness.image_set import image_fingerprint
from auglik.robustness.npy_set import npy_fingerprint
from auglik.runs.resolve import read_facts
from auglik.settings.fields import read_toml
from auglik.system.files import read_text

LEFT = (
    ".DS_Store",
    "Thumbs.db",
    "THUMBS.DB",
    "desktop.ini",
    "ehthumbs.db",
    "Icon\r",
    ".hidden.png",
    "._a.png",
    "._a.npy",
)
LEFT_FOLDERS = (".Trashes", "__MACOSX", "@eaDir", ".ipynb_checkpoints", "$RECYCLE.BIN", "System Volume Information")


def litter(root: Path) -> None:
    """Puts what systems leave into a folder and all that are below it."""
    for folder in [root, *(path for path in root.rglob("*") if path.is_dir())]:
        for name in LEFT:
            (folder / name).write_bytes(b"\0\5\x16\7left")
        for name in LEFT_FOLDERS:
            (folder / name).mkdir()
            (folder / name / "a.png").write_bytes(b"left")


def picture(path: Path, level: int, side: int = 8) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((side, side, 3), level, np.uint8)).save(path)


def photos(root: Path) -> str:
    for part in ("train", "val"):
        for position, name in enumerate(("cat", "dog")):
            picture(root / part / name / "a.PNG", 50 * position)
            picture(root / part / name / "b.Jpg", 50 * position + 9)
    return f"{root}:size=8,resize=8"


def tiny(root: Path) -> str:
    for position, name in enumerate(("n2", "n1")):
        picture(root / "train" / name / "images" / "a.PNG", 50 * position, 64)
        picture(root / "val" / "images" / f"{position}.PNG", 50 * position, 64)
    (root / "WNIDS.TXT").write_bytes(b"\xef\xbb\xbfn2\r\nn1\r\n\r\n")
    (root / "val" / "val_annotations.txt").write_bytes(b"\xef\xbb\xbf0.PNG\tn2\t0\r\n1.PNG\tn1\t0\r\n\r\n")
    return str(root)


def arrays(root: Path) -> str:
    root.mkdir()
    images = np.arange(4 * 64, dtype=np.uint8).reshape(4, 8, 8)
    for part in ("train", "val"):
        for name, array in ((part, images), (f"{part}_labels", np.arange(4) % 2)):
            np.save(root / f"{name}.npy", array)
            (root / f"{name}.npy").rename(root / f"{name}.NPY")
    return str(root)


KINDS = {"folder of classes": photos, "tiny-imagenet": tiny, "folder of arrays": arrays}


@pytest.mark.parametrize("kind", KINDS)
def test_data_sets_do_not_see_what_systems_leave(tmp_path: Path, kind: str) -> None:
    root = tmp_path / "mine"
    name = KINDS[kind](root)
    before = read_facts(open_dataset(name))
    test = open_dataset(name).test()
    shutil.rmtree(root / "decoded", ignore_errors=True)
    litter(root)
    source: Source = open_dataset(name)
    assert read_facts(source) == before
    found = source.test()
    assert np.array_equal(found.images, test.images)
    assert np.array_equal(found.labels, test.labels)


def test_corrupted_folders_do_not_see_it_either(tmp_path: Path) -> None:
    dataset, folder = photos(tmp_path / "photos"), tmp_path / "C"
    for name in CORRUPTIONS:
        shutil.copytree(tmp_path / "photos" / "val", folder / name / "1")
    config = RobustnessConfig(corruptions=str(folder), severities="1", occlusion=False, mollified=False)
    before, mark = open_suite(dataset, tmp_path, config), image_fingerprint(folder)
    litter(folder)
    after = open_suite(dataset, tmp_path, config)
    assert image_fingerprint(folder) == mark
    assert after.measured == before.measured
    for one, other in zip(before.conditions, after.conditions, strict=True):
        assert np.array_equal(one.read(slice(None)), other.read(slice(None)))
    (folder / "fog" / "1" / "cat" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"notes\.txt: expected only images"):
        open_suite(dataset, tmp_path, config)


def test_corrupted_arrays_do_not_see_it_either(tmp_path: Path) -> None:
    dataset = arrays(tmp_path / "mine")
    test = open_dataset(dataset).test()
    folder = tmp_path / "C"
    folder.mkdir()
    for name in CORRUPTIONS:
        np.save(folder / f"{name}.npy", np.tile(test.images[:, 0], (5, 1, 1)))
    np.save(folder / "labels.npy", np.tile(test.labels, 5))
    mark = npy_fingerprint(folder)
    litter(folder)
    for name in ("fog", "labels"):
        (folder / f"{name}.npy").rename(folder / f"{name}.NPY")
        (folder / f"._{name}.npy").write_bytes(b"left")
    config = RobustnessConfig(corruptions=str(folder), occlusion=False, mollified=False)
    assert len(open_suite(dataset, tmp_path, config).conditions) == 76
    (folder / "fog.NPY").rename(folder / "fog.npy")
    (folder / "labels.NPY").rename(folder / "labels.npy")
    assert npy_fingerprint(folder) == mark


def test_an_npz_in_capitals_is_one(tmp_path: Path) -> None:
    images, labels = np.zeros((4, 8, 8), np.uint8), np.arange(4) % 2
    np.savez(tmp_path / "a.npz", train_images=images, train_labels=labels, test_images=images, test_labels=labels)
    path = (tmp_path / "a.npz").rename(tmp_path / "A.NPZ")
    assert open_dataset(str(path)).train().labels.tolist() == [0, 1, 0, 1]


def test_names_are_listed_in_order_and_found_in_either_case(tmp_path: Path) -> None:
    litter(tmp_path)
    (tmp_path / "b").mkdir()
    for name in ("a.npy", "C.NPY"):
        (tmp_path / name).write_bytes(b"")
    assert listed(tmp_path) == ["C.NPY", "a.npy", "b"]
    assert folders(tmp_path) == ["b"]
    assert list(arrays_in(tmp_path)) == ["C", "a"]
    assert named(tmp_path, "c.npy") == tmp_path / "C.NPY"
    assert named(tmp_path, "d.npy") == tmp_path / "d.npy"
    (tmp_path / "c.npy").write_bytes(b"")
    assert named(tmp_path, "c.npy") == tmp_path / "c.npy"
    assert not any(map(is_litter, ("a.png", "thumbs.png", "desktop", "n01", "macosx")))


TOML = 'epochs = 3\nlabel = "é"\n'
ENCODED: dict[str, bytes] = {
    "plain": TOML.encode(),
    "byte-order mark": b"\xef\xbb\xbf" + TOML.encode(),
    "Windows": TOML.replace("\n", "\r\n").encode(),
    "Windows with a mark": b"\xef\xbb\xbf" + TOML.replace("\n", "\r\n").encode(),
    "old Mac": TOML.replace("\n", "\r").encode(),
}


@pytest.mark.parametrize("case", ENCODED)
def test_configurations_of_every_system_are_read(tmp_path: Path, case: str) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(ENCODED[case])
    assert read_toml(path) == {"epochs": 3, "label": "é"}
    assert read_text(path) == TOML


REFUSED: dict[str, Callable[[str], bytes]] = {
    "UTF-16": lambda text: text.encode("utf-16"),
    "UTF-16, big-endian": lambda text: b"\xfe\xff" + text.encode("utf-16-be"),
    "UTF-16 without a mark": lambda text: text.encode("utf-16-le"),
    "UTF-32": lambda text: text.encode("utf-32"),
    "Latin-1": lambda text: text.encode("latin-1"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_other_encodings_are_one_line(tmp_path: Path, case: str) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(REFUSED[case](TOML))
    with pytest.raises(InputError, match=r"^[^\n]*a\.toml: expected text in UTF-8, got [^\n]*save it as UTF-8$"):
        read_toml(path)
