"""Image files decoded once into a `.npy` file, which later runs map into memory."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from auglik.data.arrays import LazyArrays
from auglik.data.images import LazyImages, parts
from auglik.data.stored import Header, read_header
from auglik.objectives.errors import InputError
from auglik.system.files import StorageError, atomic_write, ensure_writable, write_json


def decoded_once(arrays: LazyArrays, state: str, path: Path) -> LazyArrays:
    """The same images, from `path` where it holds those of files in this `state`, else decoded and kept there.

    If the folder cannot be written to, they are decoded on demand.
    """
    if not _is_of(state, path, arrays.images.shape):
        try:
            ensure_writable(path.parent)
        except StorageError:
            return arrays
        _write(arrays.images, state, path)
    stored: NDArray[np.uint8] = np.load(path, mmap_mode="r", allow_pickle=False)
    return LazyArrays(
        LazyImages(lambda rows: stored[rows], arrays.images.rows, arrays.images.image_shape), arrays.labels
    )


def forget_damaged(path: Path) -> None:
    """Drops what was decoded into `path` unless its checksum is that of the manifest: it will be decoded again."""
    manifest = _read_manifest(path)
    if manifest is not None and path.is_file():
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != manifest.get("sha256"):
            _manifest(path).unlink()


def _write(images: LazyImages, state: str, path: Path) -> None:
    digest = hashlib.sha256()

    def write(file: BinaryIO) -> None:
        for block in _blocks(images):
            file.write(block)
            digest.update(block)

    atomic_write(path, write)
    write_json(_manifest(path), {"state": state, "sha256": digest.hexdigest(), "images": len(images)})


def _blocks(images: LazyImages) -> Iterator[bytes | memoryview]:
    """The bytes of the `.npy` file: its header, then the images."""
    yield npy_format.magic(1, 0)
    content = repr({"descr": "|u1", "fortran_order": False, "shape": images.shape}).encode()
    padding = -(npy_format.MAGIC_LEN + 2 + len(content) + 1) % npy_format.ARRAY_ALIGN
    text = content + b" " * padding + b"\n"
    yield len(text).to_bytes(2, "little") + text
    for part in parts(images.shape):
        yield np.ascontiguousarray(images[part]).data


def _is_of(state: str, path: Path, shape: tuple[int, ...]) -> bool:
    manifest = _read_manifest(path)
    if manifest is None or manifest.get("state") != state:
        return False
    try:
        with path.open("rb") as file:
            return read_header(file, path.stat().st_size, str(path)) == Header(shape, np.dtype(np.uint8))
    except (OSError, InputError):
        return False


def _read_manifest(path: Path) -> dict[str, object] | None:
    try:
        found = json.loads(_manifest(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _manifest(path: Path) -> Path:
    return path.with_suffix(".json")
