"""-C sets as image folders, `<corruption>/<severity>/<wnid>/<image>`: Tiny-ImageNet-C and ImageNet-C."""

import hashlib
from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from auglik.data.arrays import stratified_order
from auglik.data.class_names import class_numbers
from auglik.data.decoding import Decoder, of_size
from auglik.data.image_files import class_folders, image_names
from auglik.data.listing import folders, named
from auglik.data.tiny_imagenet import WNIDS as CLASS_ORDER
from auglik.objectives import InputError
from auglik.robustness.protocol import SEVERITIES, check_complete
from auglik.robustness.stream import Condition, ReadImages
from auglik.scoring.corruptions import CORRUPTIONS
from auglik.system.files import read_text
from auglik.system.keys import host_generator
from auglik.system.notices import say_once
from auglik.views import Shape


def image_conditions(
    folder: Path,
    shape: Shape,
    class_names: Sequence[str],
    severities: Sequence[int],
    images: int | None = None,
    seed: int = 0,
    allow_missing: bool = False,
    absent: Collection[str] = (),
    wanted: Sequence[tuple[int, str]] = (),
) -> list[Condition]:
    """The conditions of a tree of image files, decoded chunk by chunk; of each, the same files.

    These are the `wanted` test images (class number and name without ending) in their order, where the tree has a file
    of each; else `images` of its own files or all, and a line says where a choice is of other images than the clean
    ones.

    Folders bear the `class_names` [C] of the network, all but those `absent` from the test set. Raises InputError for
    missing corruptions or severities, conditions of other files than the first, other classes, and, while reading, for
    damaged images and those of another size.
    """
    names = check_complete(set(folders(folder)), str(folder), allow_missing)
    if shape.channels != 3:
        raise InputError(f"{folder}: holds images of 3 channels, where the network takes {shape.channels}")
    files = _listed(folder / names[0] / str(severities[0]))
    labels = _labels(folder, files, class_names, absent)
    for condition in (folder / name / str(severity) for name in names for severity in severities):
        if _listed(condition) != files:
            raise InputError(
                f"{condition}: expected the {len(files)} files of {names[0]}/{severities[0]}, got other ones"
                f" ({len(_listed(condition))}; an interrupted copy?)"
            )
    chosen = _places_of(wanted, files, labels)
    if chosen is None and images is not None:
        say_once(
            f"{folder}: its files are not named as the test images, so its {images} images are chosen by themselves and"
            " may be of other ones than the clean images"
        )
        chosen = chosen_images(labels, images, seed)
    elif chosen is None:
        chosen = np.arange(len(files))
    kept = [files[index] for index in chosen]
    return [
        Condition(
            kind="corruption",
            name=name,
            category=CORRUPTIONS[name],
            severity=severity,
            labels=labels[chosen],
            read=_reader(folder / name / str(severity), kept, shape),
        )
        for name in names
        for severity in severities
    ]


def chosen_images(labels: NDArray[np.int64], count: int, seed: int) -> NDArray[np.int64]:
    """The positions of `count` of the test images, stratified, in rising order; fewer are among more.

    Raises InputError for more than there are.
    """
    if not 1 <= count <= len(labels):
        raise InputError(f"images: expected 1 to {len(labels)} (all test images), got {count}")
    return np.sort(stratified_order(labels, host_generator(seed, "robustness images"))[:count])


def image_fingerprint(folder: Path) -> str:
    """SHA-256 of the names and sizes of all files, and of the first file of each corruption."""
    state = hashlib.sha256()
    for name in CORRUPTIONS:
        present = [folder / name / str(severity) for severity in SEVERITIES if (folder / name / str(severity)).is_dir()]
        state.update(f"{name} {len(present)}\n".encode())
        for place, path in enumerate(present):
            files = _listed(path)
            state.update("\n".join(f"{file} {(path / file).stat().st_size}" for file in files).encode())
            if place == 0:
                state.update((path / files[0]).read_bytes())
    return state.hexdigest()


def _listed(condition: Path) -> list[str]:
    """The files of one condition as `<class>/<image>`, in order of class and name."""
    if not condition.is_dir():
        raise InputError(f"{condition}: expected a folder of classes for this severity, got no such folder")
    return [f"{name}/{file}" for name in class_folders(condition) for file in image_names(condition / name)]


def _places_of(
    wanted: Sequence[tuple[int, str]], files: Sequence[str], labels: NDArray[np.int64]
) -> NDArray[np.int64] | None:
    """Where the wanted images are among the files; None where one is missing, or two of either have one name."""
    keys = zip(labels.tolist(), (PurePosixPath(file).stem for file in files), strict=True)
    found = {key: position for position, key in enumerate(keys)}
    if not wanted or len(set(wanted)) < len(wanted) or len(found) < len(files) or not found.keys() >= set(wanted):
        return None
    return np.array([found[image] for image in wanted], np.int64)


def _labels(
    folder: Path, files: Sequence[str], class_names: Sequence[str], absent: Collection[str]
) -> NDArray[np.int64]:
    of_files = [file.partition("/")[0] for file in files]
    names = list(dict.fromkeys(of_files))
    numbers = class_numbers(names, class_names, str(folder), "the network", absent)
    order = named(folder, CLASS_ORDER)
    if order.is_file() and not set(names) <= set(class_names) and read_text(order).split() != names:
        raise InputError(
            f"{order}: expected the classes in alphabetical order, as the network's have no names ({class_names[0]},"
            f" {class_names[1]}, ...), got another: give them names (an array class_names), or remove the file"
        )
    number = dict(zip(names, numbers.tolist(), strict=True))
    return np.array([number[name] for name in of_files], np.int64)


def _reader(condition: Path, files: Sequence[str], shape: Shape) -> ReadImages:
    decoder = Decoder(condition, files, partial(of_size, width=shape.width, height=shape.height))
    positions = np.arange(len(files))
    return lambda where: np.ascontiguousarray(decoder(positions[where]).transpose(0, 2, 3, 1))
