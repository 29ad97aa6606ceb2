"""Data sets: a registry by name, and a user's own arrays by path."""

import re
from collections.abc import Callable
from pathlib import Path

from auglik.data.arrays import (
    Arrays,
    LazyArrays,
    channel_statistics,
    check_arrays,
    check_shape,
    digest,
    first,
    first_rows,
    least_images,
    split_rows,
    split_validation,
    take,
)
from auglik.data.class_names import ClassNames, absent_classes, absent_line, by_number, class_numbers, some
from auglik.data.digits import digits
from auglik.data.duplicates import Content, content, copies, copies_line, in_training, in_training_line
from auglik.data.image_folder import ImageFolder, imagenet
from auglik.data.images import Images, LazyImages
from auglik.data.listing import folders, named
from auglik.data.npy_folder import NpyFolder
from auglik.data.npz import Npz
from auglik.data.own import Make, accept, opened_own
from auglik.data.source import ConfigurableSource, Source, Stamp, Traits, one_line, opened, stamp_of
from auglik.data.tiny_imagenet import WNIDS, TinyImagenet, tiny_imagenet
from auglik.data.torchvision_sets import cifar10, cifar100, fashion_mnist, mnist, svhn
from auglik.objectives.errors import InputError
from auglik.settings.foreign import IMPORT_PATH, Code
from auglik.settings.names import nearest
from auglik.settings.registry import Registry
from auglik.system.paths import check_local

__all__ = [
    "DATASETS",
    "DATASET_NAMES",
    "SETTINGS",
    "Arrays",
    "ClassNames",
    "Content",
    "ImageFolder",
    "Images",
    "LazyArrays",
    "LazyImages",
    "NpyFolder",
    "Npz",
    "Source",
    "Stamp",
    "TinyImagenet",
    "Traits",
    "absent_classes",
    "absent_line",
    "by_number",
    "canonical_dataset",
    "channel_statistics",
    "check_arrays",
    "check_shape",
    "class_numbers",
    "content",
    "copies",
    "copies_line",
    "dataset_code",
    "digest",
    "first",
    "first_rows",
    "in_training",
    "in_training_line",
    "least_images",
    "open_dataset",
    "opened",
    "some",
    "split_rows",
    "split_validation",
    "stamp_of",
    "take",
]

DATASETS: dict[str, Callable[[Path, bool], Source]] = {
    "digits": digits,
    "mnist": mnist,
    "fashion-mnist": fashion_mnist,
    "cifar10": cifar10,
    "cifar100": cifar100,
    "svhn": svhn,
    "tiny-imagenet": tiny_imagenet,
    "imagenet": imagenet,
}

DATASET_NAMES: Registry[Source | Make] = Registry(
    kind="data set", built_in={**DATASETS}, group="auglik.datasets", accept=accept, probe=lambda source: None
)

SETTINGS = re.compile(r"[:,](?=\w+=)")
"""The separators of a name or path and each setting of image files or arrays."""
LONGEST_PATH = 256


def open_dataset(name: str | Path, data_dir: str | Path = Path("data"), download: bool = False) -> Source:
    """The data set called `name`, else the `.npz` file or the folder at that path; reads no image.

    A folder holds `.npy` files, tiny-imagenet-200, or image files in train/CLASS and val/CLASS; image files take
    settings, `imagenet:size=64`, and so do arrays, `mine.npz:labels=remap`. A user's own is named by import path,
    unless a file or folder has that name. Raises InputError for an unknown name or setting, a path that does
    not exist, and a file of another kind.
    """
    name, data_dir = str(name), Path(data_dir)
    if (found := dataset_code(name)) is not None:
        return opened_own(DATASET_NAMES.parse(name), found[1], data_dir, download)
    text = SETTINGS.split(name)[0]
    settings = name[len(text) :]
    source = _open(text, data_dir, download)
    if not settings:
        return source
    if isinstance(source, ConfigurableSource):
        return source.configured(settings[1:])
    raise InputError(f"data set {name!r}: only image files and arrays take settings, not {text}")


def dataset_code(name: str) -> tuple[str, Code] | None:
    """The foreign code of a data set and its name in a run's settings; None for a name or path of the others."""
    text = SETTINGS.split(name)[0]
    known = text in DATASETS or (text not in DATASET_NAMES.plug_ins() and not IMPORT_PATH.fullmatch(name))
    return None if known or (len(text) < LONGEST_PATH and Path(text).exists()) else DATASET_NAMES.code(name)


def canonical_dataset(name: str) -> str:
    """`name` as it names a run: foreign code in its canonical form, all else as it is."""
    return name if dataset_code(name) is None else DATASET_NAMES.canonical(name)


def _open(name: str, data_dir: Path, download: bool) -> Source:
    for where in (name, data_dir):
        check_local(where)
    if name in DATASETS:
        return DATASETS[name](data_dir, download)
    path = Path(name)
    try:
        is_folder, is_file = bool(name) and path.is_dir(), path.is_file()
    except OSError as error:
        raise InputError(f"data set {name!r}: expected a name or a path ({one_line(error)})") from None
    if is_folder:
        return _folder(path)
    if is_file and path.suffix.lower() == ".npz":
        return Npz(path)
    if is_file:
        raise InputError(f"{path}: expected a .npz file or a folder of .npy files, got a {path.suffix or 'bare'} file")
    if path.suffix or len(path.parts) > 1:
        got = "a device" if path.exists() else "a path that does not exist"
        raise InputError(f"{path}: expected a .npz file or a folder of .npy files, got {got}")
    hint = nearest(name, (*DATASETS, *DATASET_NAMES.plug_ins()))
    raise InputError(f"unknown data set {name!r}{hint}; give a .npz file or a folder by its path")


def _folder(path: Path) -> Source:
    if named(path, WNIDS).is_file():
        return TinyImagenet(path)
    if folders(path) and not named(path, NpyFolder.entries.train_images).is_file():
        return ImageFolder(path)
    return NpyFolder(path)
