"""Folders of classes, each a folder of image files, as lists of files with labels."""

import hashlib
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from auglik.data.arrays import LazyArrays
from auglik.data.class_names import in_order
from auglik.data.decoding import SUFFIXES, Decoder, Fit, decoders
from auglik.data.images import LazyImages
from auglik.data.listing import listed
from auglik.data.pixel_modes import DECODING_RULE
from auglik.data.source import one_line
from auglik.objectives.errors import InputError

UNCOMPRESSED = (".bmp", ".pbm", ".pgm", ".pnm", ".ppm", ".tif", ".tiff")
"""Formats whose files keep their size when pixels change."""
BLOCK, BLOCKS = 4096, 16


@dataclass(frozen=True, kw_only=True, slots=True)
class Files:
    """N image files, in order of class folder and name."""

    root: Path
    names: list[str]
    """Below the root, with forward slashes."""
    sizes: NDArray[np.int64]
    """In bytes."""
    times: NDArray[np.int64]
    """Of the last change, in nanoseconds."""
    labels: NDArray[np.int64]

    def marks(self, protocol: str) -> list[str]:
        """Name, size and protocol of each image, and what is in it where editing keeps the size."""
        return [
            f"{name} {size} {protocol} {DECODING_RULE}{_contents(self.root / name, size, changed)}"
            for name, size, changed in zip(self.names, self.sizes.tolist(), self.times.tolist(), strict=True)
        ]

    def stems(self) -> list[str]:
        """The names without folder and ending."""
        return [PurePosixPath(name).stem for name in self.names]

    def state(self) -> str:
        """SHA-256 of names, sizes, times and labels, and of the rule by which pixels are read."""
        lines = zip(self.names, self.sizes.tolist(), self.times.tolist(), self.labels.tolist(), strict=True)
        return hashlib.sha256("\n".join([str(DECODING_RULE), *map(str, lines)]).encode()).hexdigest()

    def decoded(self, fit: Fit, size: int, marks: Sequence[str] = ()) -> LazyArrays:
        """The images [N,3,size,size], decoded on demand."""
        read = Decoder(self.root, self.names, fit)
        rows = np.arange(len(self.names))
        images = LazyImages(read=read, rows=rows, image_shape=(3, size, size), marks=marks, files=self)
        return LazyArrays(images, self.labels)

    def content(self, row: int) -> bytes:
        """All bytes of one of the files. Raises InputError if it cannot be read."""
        try:
            return (self.root / self.names[row]).read_bytes()
        except OSError as error:
            raise InputError(f"{self.root / self.names[row]}: expected an image ({one_line(error)})") from None


def _contents(path: Path, size: int, changed: int) -> str:
    """A checksum of a file of a format that is not compressed; nothing of another one."""
    return f" {_checksum(path, size, changed):08x}" if path.suffix.lower() in UNCOMPRESSED else ""


@lru_cache(maxsize=2**20)  # a process opens its data set several times
def _checksum(path: Path, size: int, changed: int) -> int:
    """Of a file as it was last `changed`: of blocks spread over it if it is large."""
    try:
        with path.open("rb") as file:
            if size <= BLOCKS * BLOCK:
                return zlib.crc32(file.read())
            checksum = 0
            for place in range(BLOCKS):
                file.seek(place * (size - BLOCK) // (BLOCKS - 1))
                checksum = zlib.crc32(file.read(BLOCK), checksum)
            return checksum
    except OSError as error:
        raise InputError(f"{path}: expected an image ({one_line(error)})") from None


def class_folders(root: Path) -> list[str]:
    """The names of the folders in `root`: by number where all are numbers, else alphabetically.

    Raises InputError if there are none, and for images next to them.
    """
    try:
        entries = listed(root)
    except OSError as error:
        raise InputError(f"{root}: expected a folder of classes ({one_line(error)})") from None
    loose = next((name for name in entries if name.lower().endswith(SUFFIXES) and (root / name).is_file()), None)
    if loose is not None:
        where = root / loose
        raise InputError(f"{where}: expected this image in a class folder, got it next to the class folders")
    names = [name for name in entries if (root / name).is_dir()]
    if not names:
        raise InputError(f"{root}: expected a folder of images per class, got no folder")
    return in_order(names)


def image_names(folder: Path) -> list[str]:
    """The names of the images in the folder of a class, in order.

    Raises InputError for an empty folder and for what is not an image, litter excepted.
    """
    try:
        names = listed(folder)
    except OSError as error:
        raise InputError(f"{folder}: expected the images of a class ({one_line(error)})") from None
    for name in names:
        if not name.lower().endswith(SUFFIXES):
            kinds = ", ".join(SUFFIXES)
            raise InputError(f"{folder / name}: expected only images ({kinds}) in a class folder")
    if not names:
        raise InputError(f"{folder}: expected the images of a class, got an empty folder")
    return names


def list_files(root: Path, labels: Mapping[str, int], below: str = "") -> Files:
    """The images in `root`/class/`below` for each class of `labels`.

    Raises InputError as `image_names` does.
    """
    found = list(decoders().map(partial(_of_class, root, below), labels))
    counts = [len(entries) for entries in found]
    names, sizes, times = zip(*(entry for entries in found for entry in entries), strict=True)
    of_file = np.repeat(np.fromiter(labels.values(), np.int64), counts)
    return Files(
        root=root, names=list(names), sizes=np.array(sizes, np.int64), times=np.array(times, np.int64), labels=of_file
    )


def labelled(files: Files, labels: Mapping[str, int], where: str) -> Files:
    """The files with the labels that `where` says they have. Raises InputError for one without the other."""
    for names, others, problem in (
        (files.names, set(labels), f"expected a line for it in {where}, got none"),
        (labels, set(files.names), f"expected this file, which {where} names, got none (an interrupted copy?)"),
    ):
        for name in names:
            if name not in others:
                raise InputError(f"{files.root / name}: {problem}")
    return replace(files, labels=np.array([labels[name] for name in files.names], np.int64))


def _of_class(root: Path, below: str, name: str) -> list[tuple[str, int, int]]:
    folder, found = root / name / below, []
    for file in image_names(folder):
        try:
            status = (folder / file).stat()
        except OSError as error:
            raise InputError(f"{folder / file}: expected an image ({one_line(error)})") from None
        found.append(((Path(name) / below / file).as_posix(), status.st_size, status.st_mtime_ns))
    return found
