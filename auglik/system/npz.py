"""Reading `.npz` files: large arrays are mapped from the file, so that what is not looked at takes no memory."""

import struct
import zipfile
from pathlib import Path

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

MAPPED = 2**20
"""Bytes from which an array is mapped."""
HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
NAME_LENGTHS, NAME = 26, 30
"""Where an entry's own header has the lengths of its name and its extra field, and where these begin."""


def read_npz(path: Path) -> dict[str, NDArray[np.generic]]:
    """The arrays by name, mapped ones read-only. Raises what NumPy and zipfile do, BadZipFile for damaged bytes."""
    with zipfile.ZipFile(path) as archive:
        if (damaged := archive.testzip()) is not None:
            raise zipfile.BadZipFile(f"the checksum of {damaged} is wrong")
        return {entry.filename.removesuffix(".npy"): _array(path, archive, entry) for entry in archive.infolist()}


def _array(path: Path, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> NDArray[np.generic]:
    with archive.open(entry) as file:
        read_header = HEADERS.get(npy.read_magic(file))
        if read_header is not None and entry.compress_type == zipfile.ZIP_STORED and entry.file_size >= MAPPED:
            shape, by_columns, dtype = read_header(file)
            if not dtype.hasobject:
                start, order = _begin(path, entry) + file.tell(), "F" if by_columns else "C"
                return np.asarray(np.memmap(path, dtype, "r", start, shape, order))  # type: ignore[call-overload]
    with archive.open(entry) as file:
        found: NDArray[np.generic] = npy.read_array(file, allow_pickle=False)
    return found


def _begin(path: Path, entry: zipfile.ZipInfo) -> int:
    """Where the content of an entry begins in the file."""
    with path.open("rb") as file:
        file.seek(entry.header_offset + NAME_LENGTHS)
        name, extra = struct.unpack("<HH", file.read(4))
    return entry.header_offset + NAME + name + extra
