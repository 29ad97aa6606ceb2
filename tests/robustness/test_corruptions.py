"""-C sets: the published layouts made by hand, and corruptions made by the library."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from auglik import Arrays, InputError, open_dataset
from auglik.robustness import CORRUPTIONS, RobustnessConfig
from auglik.robustness.image_set import chosen_images, image_conditions, image_fingerprint
from auglik.robustness.made import MANIFEST, corrupted, corrupted_images, made_set
from auglik.robustness.npy_set import npy_conditions, npy_fingerprint
from auglik.robustness.protocol import SEVERITIES
from auglik.robustness.suite import find_corruptions
from auglik.system.keys import host_generator
from auglik.views import Shape

N = 12


@pytest.fixture
def test_set(rng: np.random.Generator) -> Arrays:
    """Twelve random colour images of four classes."""
    return Arrays(rng.integers(256, size=(N, 3, 6, 5), dtype=np.uint8), np.arange(N) % 4)


@pytest.fixture
def folder(tmp_path: Path, test_set: Arrays, rng: np.random.Generator) -> Path:
    """All 15 corruptions in CIFAR-10-C's layout, and one that is not among the 15."""
    for name in [*CORRUPTIONS, "saturate"]:
        np.save(tmp_path / f"{name}.npy", rng.integers(256, size=(5 * N, 6, 5, 3), dtype=np.uint8))
    np.save(tmp_path / "labels.npy", np.tile(test_set.labels, 5).astype(np.uint8))
    return tmp_path


def refusal(folder: Path, test: Arrays) -> str:
    with pytest.raises(InputError) as caught:
        npy_conditions(folder, test, np.arange(N), SEVERITIES)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("labels", ["labels.npy", "corr_labels.npy"])
def test_a_published_folder_is_read_severity_by_severity(folder: Path, test_set: Arrays, labels: str) -> None:
    (folder / "labels.npy").rename(folder / labels)
    chosen = np.array([0, 3, 7, 11])
    conditions = npy_conditions(folder, test_set, chosen, [2, 5])
    assert [(item.name, item.category, item.severity) for item in conditions] == [
        (name, category, severity) for name, category in CORRUPTIONS.items() for severity in (2, 5)
    ]
    for condition in conditions:
        start = (int(condition.severity) - 1) * N
        whole = np.load(folder / f"{condition.name}.npy")[start : start + N]
        np.testing.assert_array_equal(condition.read(slice(1, 3)), whole[chosen[1:3]])
        np.testing.assert_array_equal(condition.labels, test_set.labels[chosen])


def test_the_corruptions_are_the_protocols() -> None:
    of_category = {category: list(CORRUPTIONS.values()).count(category) for category in CORRUPTIONS.values()}
    assert of_category == {"noise": 3, "blur": 4, "weather": 3, "digital": 5}
    assert CORRUPTIONS["brightness"] == "digital"


def test_missing_corruptions_are_named_unless_allowed(folder: Path, test_set: Arrays) -> None:
    (folder / "fog.npy").rename(folder / "foggy.npy")
    message = refusal(folder, test_set)
    assert "missing fog" in message
    assert "--allow-missing" in message
    kept = npy_conditions(folder, test_set, np.arange(N), SEVERITIES, allow_missing=True)
    assert {item.name for item in kept} == set(CORRUPTIONS) - {"fog"}
    for name in CORRUPTIONS:
        (folder / f"{name}.npy").unlink(missing_ok=True)
    with pytest.raises(InputError, match="missing gaussian_noise"):
        npy_conditions(folder, test_set, np.arange(N), SEVERITIES, allow_missing=True)


@pytest.mark.parametrize(
    ("shape", "dtype", "cause"),
    [
        ((5 * N - 1, 6, 5, 3), np.uint8, "truncated"),
        ((N, 6, 5, 3), np.uint8, "not 5 severities"),
        ((5 * N, 6, 5), np.uint8, "1 channels, where the network takes 3"),
        ((5 * N, 8, 8, 3), np.uint8, "another size"),
        ((5 * N, 3, 6, 5), np.uint8, "channels first"),
        ((5 * N, 6, 5, 3), np.float32, "got float32"),
    ],
)
def test_arrays_of_another_shape_or_type_are_refused(
    folder: Path, test_set: Arrays, shape: tuple[int, ...], dtype: type, cause: str
) -> None:
    np.save(folder / "snow.npy", np.zeros(shape, dtype))
    message = refusal(folder, test_set)
    assert "snow.npy" in message
    assert cause in message


@pytest.mark.parametrize("name", ["frost.npy", "labels.npy"])
@pytest.mark.parametrize("damage", ["cut", "text", "pickle"])
def test_damaged_arrays_are_refused(folder: Path, test_set: Arrays, name: str, damage: str) -> None:
    path = folder / name
    content = path.read_bytes()
    if damage == "pickle":
        np.save(path, np.array([{}, None], dtype=object))
    else:
        path.write_bytes(content[:-20] if damage == "cut" else b"<html>not found</html>" * 10)
    assert name in refusal(folder, test_set)


def test_labels_must_be_the_test_sets(folder: Path, test_set: Arrays) -> None:
    labels = np.tile(test_set.labels, 5)
    np.save(folder / "labels.npy", np.roll(labels, 1))
    assert "100.0% of them differ" in refusal(folder, test_set)
    np.save(folder / "labels.npy", labels[:-1])
    assert "60 images and 59 labels" in refusal(folder, test_set)
    (folder / "labels.npy").unlink()
    assert "expected labels.npy or corr_labels.npy" in refusal(folder, test_set)


def test_a_fingerprint_tells_contents_apart(folder: Path) -> None:
    before = npy_fingerprint(folder)
    assert npy_fingerprint(folder) == before
    images = np.load(folder / "fog.npy")
    images[0, 0, 0, 0] ^= 1
    np.save(folder / "fog.npy", images)
    assert npy_fingerprint(folder) != before


WNIDS = ("n02", "n01", "n03")
SHAPE = Shape(3, 6, 5)


@pytest.fixture
def images(tmp_path: Path, rng: np.random.Generator) -> dict[str, NDArray[np.uint8]]:
    """All 15 corruptions as image folders, two images a class: the levels of each file by its path."""
    written = {}
    for path in (
        f"{name}/{severity}/{wnid}/{i}" for name in CORRUPTIONS for severity in (1, 3) for wnid in WNIDS for i in "ab"
    ):
        levels = rng.integers(256, size=(6, 5, 3), dtype=np.uint8)
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(levels).save(tmp_path / f"{path}.png")
        written[path] = levels
    return written


def test_image_folders_are_decoded_in_the_order_of_their_classes(
    tmp_path: Path, images: dict[str, NDArray[np.uint8]]
) -> None:
    conditions = image_conditions(tmp_path, SHAPE, sorted(WNIDS), [1, 3])
    assert len(conditions) == 30
    fog = next(item for item in conditions if (item.name, item.severity) == ("fog", 3))
    assert fog.labels.tolist() == [0, 0, 1, 1, 2, 2]
    expected = [images[f"fog/3/{wnid}/{i}"] for wnid in sorted(WNIDS) for i in "ab"]
    np.testing.assert_array_equal(fog.read(slice(None)), np.stack(expected))
    np.testing.assert_array_equal(fog.read(slice(2, 5)), np.stack(expected[2:5]))
    (tmp_path / "wnids.txt").write_text("\n".join(WNIDS))  # Tiny-ImageNet-C's: in no order, and numbers no class
    assert image_conditions(tmp_path, SHAPE, sorted(WNIDS), [1])[0].labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert image_conditions(tmp_path, SHAPE, ("n03", "n01", "n02"), [1])[0].labels.tolist() == [1, 1, 2, 2, 0, 0]


def test_a_subset_of_image_files_is_the_same_for_all_conditions(
    tmp_path: Path, images: dict[str, NDArray[np.uint8]]
) -> None:
    conditions = image_conditions(tmp_path, SHAPE, sorted(WNIDS), [1, 3], images=3, seed=5)
    assert all(item.labels.tolist() == [0, 1, 2] for item in conditions)
    everything = image_conditions(tmp_path, SHAPE, sorted(WNIDS), [1, 3])
    positions = set()
    for some, all_ in zip(conditions, everything, strict=True):
        levels = all_.read(slice(None))
        positions.add(tuple(int(np.flatnonzero((levels == one).all((1, 2, 3)))[0]) for one in some.read(slice(None))))
    assert len(positions) == 1


def test_corrupted_files_are_those_of_the_test_images_by_class_and_name(
    tmp_path: Path, images: dict[str, NDArray[np.uint8]], caplog: pytest.LogCaptureFixture
) -> None:
    """The network numbers the classes otherwise than the tree's alphabet: a choice by position took other files."""
    names, wanted = ("n03", "n01", "n02"), [(1, "b"), (0, "b"), (2, "a")]
    for condition in image_conditions(tmp_path, SHAPE, names, [1, 3], images=3, wanted=wanted):
        assert condition.labels.tolist() == [1, 0, 2]
        paths = [f"{condition.name}/{condition.severity}/{names[number]}/{stem}" for number, stem in wanted]
        np.testing.assert_array_equal(condition.read(slice(None)), np.stack([images[path] for path in paths]))
    assert caplog.messages == []
    of_others = image_conditions(tmp_path, SHAPE, names, [1], images=3, wanted=[*wanted[:2], (2, "c")])
    assert len(of_others[0].labels) == 3
    assert "may be of other ones than the clean images" in caplog.text


def test_unusable_image_folders_are_refused(tmp_path: Path, images: dict[str, NDArray[np.uint8]]) -> None:
    with pytest.raises(InputError, match=r"3 channels, where the network takes 1$"):
        image_conditions(tmp_path, Shape(1, 6, 5), WNIDS, [1])
    with pytest.raises(InputError, match="expected the 3 classes of the network, got n02 which it lacks, and no n04"):
        image_conditions(tmp_path, SHAPE, ("n01", "n03", "n04"), [1])
    with pytest.raises(InputError, match="gaussian_noise/2: expected a folder of classes"):
        image_conditions(tmp_path, SHAPE, WNIDS, [2])
    conditions = image_conditions(tmp_path, Shape(3, 7, 5), WNIDS, [1])
    with pytest.raises(InputError, match="expected 5x7 pixels, got 5x6"):
        conditions[0].read(slice(2))
    path = tmp_path / "fog/3/n01/a.png"
    path.write_bytes(path.read_bytes()[:60])
    fog = next(item for item in image_conditions(tmp_path, SHAPE, WNIDS, [3]) if item.name == "fog")
    with pytest.raises(InputError, match=r"a\.png: expected a whole image, got a damaged one"):
        fog.read(slice(None))
    before = image_fingerprint(tmp_path)
    path.unlink()
    with pytest.raises(InputError, match="fog/3: expected the 6 files of gaussian_noise/3, got other ones"):
        image_conditions(tmp_path, SHAPE, WNIDS, [3])
    (tmp_path / "fog/1/n01/a.png").unlink()
    assert image_fingerprint(tmp_path) != before


def test_chosen_images_are_stratified_and_nested() -> None:
    labels = np.arange(100) % 10
    few, more = chosen_images(labels, 20, 0), chosen_images(labels, 50, 0)
    assert set(few) < set(more)
    assert np.bincount(labels[few]).tolist() == [2] * 10
    with pytest.raises(InputError, match="expected 1 to 100"):
        chosen_images(labels, 101, 0)


def digits(count: int) -> Arrays:
    test = open_dataset("digits").test()
    return Arrays(test.images[:count], test.labels[:count])


@pytest.fixture(scope="module")
def library() -> None:
    pytest.importorskip("imagecorruptions")


@pytest.mark.usefixtures("library")
def test_made_corruptions_depend_on_seed_and_the_place_in_the_whole_set_alone() -> None:
    images, positions = digits(4).images, np.array([5, 3, 0, 8])
    for name in CORRUPTIONS:
        np.random.seed(7)  # noqa: NPY002 - the library's global state, which is to be left as it was
        before = np.random.get_state()[1]  # type: ignore[index] # noqa: NPY002
        made = corrupted_images(images, positions, name, 0)
        assert np.array_equal(np.random.get_state()[1], before)  # type: ignore[index] # noqa: NPY002
        assert made.shape == (20, 8, 8, 1)
        by_severity = made.reshape(5, 4, 8, 8, 1)
        of_two = corrupted_images(images[1::-1], positions[1::-1], name, 0)
        np.testing.assert_array_equal(by_severity[:, 1::-1], of_two.reshape(5, 2, 8, 8, 1))
        clean = images.transpose(0, 2, 3, 1).astype(int)
        assert (np.abs(by_severity[4] - clean).mean((1, 2, 3)) > 2).all(), name
    assert not np.array_equal(
        corrupted_images(images, positions, "fog", 0), corrupted_images(images, positions, "fog", 1)
    )


@pytest.mark.usefixtures("library")
def test_pictures_of_frost_are_read_once_and_make_the_same_images(monkeypatch: pytest.MonkeyPatch) -> None:
    import cv2

    images, positions = digits(12).images, np.arange(12)
    read, plain = list[str](), cv2.imread

    def counted(path: str) -> object:
        read.append(path)
        return plain(path)

    monkeypatch.setattr(cv2, "imread", counted)
    made = corrupted_images(images, positions, "frost", 0)
    assert len(read) == len(set(read)) <= 6
    assert cv2.imread is counted
    alone = [
        corrupted(image, "frost", severity, host_generator(0, "corruption", "frost", severity, position))
        for severity in SEVERITIES
        for position, image in enumerate(images.transpose(0, 2, 3, 1))
    ]
    assert len(read) > len(alone)
    np.testing.assert_array_equal(made, alone)


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("shape", [(8, 8, 1), (28, 28, 1), (32, 32, 3), (40, 33, 3)])
def test_images_of_every_size_keep_shape_and_the_strength_of_noise(shape: tuple[int, int, int]) -> None:
    grey = np.full(shape, 128, np.uint8)
    generators = (np.random.default_rng(seed) for seed in range(30))
    noise = np.stack([corrupted(grey, "gaussian_noise", 1, generator) for generator in generators]) / 255
    assert noise.shape == (30, *shape)
    count = noise.size
    # a deviation estimated from n normal draws has a standard error of sigma / sqrt(2 n)
    assert abs(noise.std() - 0.08) < 5 * 0.08 / np.sqrt(2 * count) + 1 / 255**2


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("sides", [(3, 20), (20, 3), (1, 1)])
def test_images_of_which_pixelate_leaves_none_are_refused(tmp_path: Path, sides: tuple[int, int]) -> None:
    test = Arrays(np.zeros((2, 1, *sides), np.uint8), np.arange(2))
    with pytest.raises(InputError, match=r"expected images of 4 pixels a side or more, got"):
        made_set("small", test, np.arange(2), tmp_path, 0, lambda share: None)
    assert list(tmp_path.iterdir()) == []


def test_replaced_image_files_are_other_corruptions(tmp_path: Path) -> None:
    for severity in (1, 2):
        folder = tmp_path / "fog" / str(severity) / "a"
        folder.mkdir(parents=True)
        for name in ("1.png", "2.png"):
            (folder / name).write_bytes(b"of some size")
    before = image_fingerprint(tmp_path)
    for severity, name in ((1, "2.png"), (2, "1.png")):
        path = tmp_path / "fog" / str(severity) / "a" / name
        path.write_bytes(b"of another")
        assert image_fingerprint(tmp_path) != before
        path.write_bytes(b"of some size")
        assert image_fingerprint(tmp_path) == before


def test_a_made_set_is_kept_checked_and_completed(tmp_path: Path) -> None:
    test = digits(3)
    shares: list[float] = []
    folder = made_set("digits", test, np.arange(len(test.labels)), tmp_path, 0, shares.append)
    assert folder.name.startswith("digits-c-auglik-")
    assert shares == sorted(shares)
    assert shares[-1] == 1
    conditions = npy_conditions(folder, test, np.arange(3), SEVERITIES)
    assert len(conditions) == 75
    files = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert len(files) == 17
    assert made_set("digits", test, np.arange(len(test.labels)), tmp_path, 0, shares.append) == folder
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == files
    assert made_set("digits", digits(2), np.arange(2), tmp_path, 0, shares.append) != folder
    assert made_set("digits", test, np.arange(1, 4), tmp_path, 0, shares.append) != folder

    manifest = json.loads((folder / MANIFEST).read_text())
    whole = (folder / "snow.npy").read_bytes()
    assert manifest["files"].pop("snow.npy")
    (folder / MANIFEST).write_text(json.dumps(manifest))
    made_set("digits", test, np.arange(len(test.labels)), tmp_path, 0, shares.append)
    assert (folder / "snow.npy").read_bytes() == whole

    (folder / "snow.npy").write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(InputError, match=r"snow\.npy: expected SHA-256 .* changed since it was made"):
        made_set("digits", test, np.arange(len(test.labels)), tmp_path, 0, shares.append)
    (folder / MANIFEST).write_text("{")
    with pytest.raises(InputError, match="expected a manifest"):
        made_set("digits", test, np.arange(len(test.labels)), tmp_path, 0, shares.append)


def test_without_the_library_making_is_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imagecorruptions", None)
    with pytest.raises(InputError, match=r"pip install 'auglik\[corruptions\]'") as caught:
        made_set("digits", digits(2), np.arange(2), tmp_path, 0, lambda share: None)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_where_corruptions_are_looked_for(tmp_path: Path, folder: Path, test_set: Arrays) -> None:
    source = open_dataset("digits")
    assert find_corruptions("auto", "digits", source, tmp_path) == "made"
    assert find_corruptions("none", "cifar10", source, tmp_path) is None
    with pytest.raises(InputError, match=r"CIFAR-10-C: expected the published corruptions of cifar10"):
        find_corruptions("auto", "cifar10", source, tmp_path)
    (tmp_path / "CIFAR-10-C").mkdir()
    assert find_corruptions("auto", "cifar10", source, tmp_path) == tmp_path / "CIFAR-10-C"
    with pytest.raises(InputError, match="no such folder"):
        find_corruptions(str(tmp_path / "absent"), "digits", source, tmp_path)
    for part in ("train", "val"):
        np.save(folder / f"{part}.npy", test_set.images)
        np.save(folder / f"{part}_labels.npy", test_set.labels)
    (folder / "labels.npy").rename(folder / "corr_labels.npy")
    assert find_corruptions("auto", str(folder), open_dataset(str(folder)), tmp_path) == folder


@pytest.mark.parametrize("severities", ["", "0", "6", "1,1", "1.5", "1;2"])
def test_severities_are_checked(severities: str) -> None:
    with pytest.raises(InputError, match="expected some of 1,2,3,4,5"):
        RobustnessConfig(severities=severities)
