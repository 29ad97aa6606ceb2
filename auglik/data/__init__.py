"""Data sets: a registry by name, and a user's own arrays by path."""

from collections.abc import Callable
from pathlib import Path

from auglik.data.arrays import (
    Arrays,
    channel_statistics,
    check_arrays,
    digest,
    first,
    split_validation,
)
from auglik.data.digits import digits
from auglik.data.npy_folder import NpyFolder
from auglik.data.npz import Npz
from auglik.data.source import Source, Traits, one_line
from auglik.data.torchvision_sets import cifar10, cifar100, fashion_mnist, mnist, svhn
from objectives.errors import InputError
from objectives.names import nearest

__all__ = [
    "DATASETS",
    "Arrays",
    "NpyFolder",
    "Npz",
    "Source",
    "Traits",
    "channel_statistics",
    "check_arrays",
    "digest",
    "first",
    "open_dataset",
    "split_validation",
]

DATASETS: dict[str, Callable[[Path, bool], Source]] = {
    "digits": digits,
    "mnist": mnist,
    "fashion-mnist": fashion_mnist,
    "cifar10": cifar10,
    "cifar100": cifar100,
    "svhn": svhn,
}


def open_dataset(name: str, data_dir: Path = Path("data"), download: bool = False) -> Source:
    """The data set called `name`, else the `.npz` file or the folder of `.npy` files at that path; reads no image.

    Raises InputError for an unknown name, a path that does not exist, and a file of another kind.
    """
    if name in DATASETS:
        return DATASETS[name](data_dir, download)
    path = Path(name)
    try:
        is_folder, is_file = bool(name) and path.is_dir(), path.is_file()
    except OSError as error:
        raise InputError(f"data set {name!r}: expected a name or a path ({one_line(error)})") from None
    if is_folder:
        return NpyFolder(path)
    if is_file and path.suffix == ".npz":
        return Npz(path)
    if is_file:
        raise InputError(f"{path}: expected a .npz file or a folder of .npy files, got a {path.suffix or 'bare'} file")
    if path.suffix or len(path.parts) > 1:
        raise InputError(f"{path}: expected a .npz file or a folder of .npy files, got a path that does not exist")
    raise InputError(
        f"unknown data set {name!r}{nearest(name, DATASETS)}; a .npz file or a folder is named by its path"
    )
