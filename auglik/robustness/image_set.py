"""-C sets as image folders, `<corruption>/<severity>/<wnid>/<image>`: Tiny-ImageNet-C and ImageNet-C."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from auglik.data.arrays import stratified_order
from auglik.data.source import one_line
from auglik.devices import available_cores
from auglik.keys import host_generator
from auglik.robustness.protocol import CORRUPTIONS, SEVERITIES, check_complete
from auglik.robustness.stream import Condition, Read
from auglik.views import Shape
from objectives import InputError

SUFFIXES = (".jpeg", ".jpg", ".png")
CLASS_ORDER = "wnids.txt"


def image_conditions(
    folder: Path,
    shape: Shape,
    classes: int,
    severities: Sequence[int],
    images: int | None = None,
    seed: int = 0,
    allow_missing: bool = False,
) -> list[Condition]:
    """The conditions of a tree of image files, decoded chunk by chunk; of each, the same `images` files or all.

    Classes are numbered in the order of the wnids, or of the lines of a wnids.txt in the folder where there is one.
    Raises InputError for missing corruptions or severities, conditions of other files than the first, another number
    of classes than the network's, and, while reading, for damaged images and those of another size.
    """
    found = {path.name for path in folder.iterdir() if path.is_dir()}
    names = check_complete(found, str(folder), allow_missing)
    if shape.channels != 3:
        raise InputError(f"{folder}: holds images of 3 channels, where the network takes {shape.channels}")
    files = _listed(folder / names[0] / str(severities[0]))
    labels = _labels(folder, files, classes)
    for condition in (folder / name / str(severity) for name in names for severity in severities):
        if _listed(condition) != files:
            raise InputError(
                f"{condition}: expected the {len(files)} files of {names[0]}/{severities[0]}, got other ones"
                f" ({len(_listed(condition))}; an interrupted copy?)"
            )
    chosen = np.arange(len(files)) if images is None else chosen_images(labels, images, seed)
    kept = [files[index] for index in chosen]
    return [
        Condition(
            "corruption",
            name,
            CORRUPTIONS[name],
            severity,
            labels[chosen],
            _reader(folder / name / str(severity), kept, shape),
        )
        for name in names
        for severity in severities
    ]


def chosen_images(labels: NDArray[np.int64], count: int, seed: int) -> NDArray[np.int64]:
    """The places of `count` of the test images, stratified, in rising order; fewer are among more.

    Raises InputError for more than there are.
    """
    if not 1 <= count <= len(labels):
        raise InputError(f"images: expected 1 to {len(labels)} (all test images), got {count}")
    return np.sort(stratified_order(labels, host_generator(seed, "robustness images"))[:count])


def image_fingerprint(folder: Path) -> str:
    """SHA-256 of the names and sizes of the files of all corruptions' first severity present, and of the first file."""
    state = hashlib.sha256()
    for name in CORRUPTIONS:
        present = [folder / name / str(severity) for severity in SEVERITIES if (folder / name / str(severity)).is_dir()]
        state.update(f"{name} {len(present)}\n".encode())
        for path in present[:1]:
            files = _listed(path)
            state.update("\n".join(files).encode())
            state.update((path / files[0]).read_bytes())
    return state.hexdigest()


def _listed(condition: Path) -> list[str]:
    """The files of one condition as `<wnid>/<image>`, in order."""
    if not condition.is_dir():
        raise InputError(f"{condition}: expected a folder of classes for this severity, got no such folder")
    files = sorted(
        f"{path.parent.name}/{path.name}" for path in condition.glob("*/*") if path.suffix.lower() in SUFFIXES
    )
    if not files:
        raise InputError(f"{condition}: expected images <wnid>/*.JPEG, got none")
    return files


def _labels(folder: Path, files: Sequence[str], classes: int) -> NDArray[np.int64]:
    wnids = [file.partition("/")[0] for file in files]
    order = folder / CLASS_ORDER
    known = order.read_text(encoding="utf-8").split() if order.is_file() else sorted(set(wnids))
    if len(known) != classes or not set(wnids) <= set(known):
        raise InputError(
            f"{folder}: expected the {classes} classes of the network, got {len(set(wnids))} of {len(known)}:"
            " the set of another data set?"
        )
    number = {wnid: label for label, wnid in enumerate(known)}
    return np.array([number[wnid] for wnid in wnids], np.int64)


def _reader(condition: Path, files: Sequence[str], shape: Shape) -> Read:
    def read(where: slice) -> NDArray[np.uint8]:
        with ThreadPoolExecutor(available_cores()) as decoders:
            return np.stack(list(decoders.map(lambda file: _decoded(condition / file, shape), files[where])))

    return read


def _decoded(path: Path, shape: Shape) -> NDArray[np.uint8]:
    try:
        with Image.open(path) as image:
            levels = np.asarray(image.convert("RGB"))
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError) as error:
        raise InputError(f"{path}: expected a whole image ({one_line(error)})") from None
    if levels.shape[:2] != (shape.height, shape.width):
        expected, got = f"{shape.height}x{shape.width}", f"{levels.shape[0]}x{levels.shape[1]}"
        raise InputError(f"{path}: expected {expected} pixels as the network was tested on, got {got}")
    return levels
