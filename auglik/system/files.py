"""Files that are whole or absent: written under a temporary name in the same folder, then renamed.

A temporary's name, `.partial-*.tmp`, is that of no result; a process that is killed may leave one behind, harmlessly.
What the system refuses (a full disk, a missing permission, a file in the way) is one line, an InputError, and what was
there stays as it was.
"""

import codecs
import csv
import io
import json
import math
import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import numpy.typing as npt
import tomli_w

from auglik.objectives.errors import InputError
from auglik.system.paths import check_local

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class StorageError(InputError):
    """Storage failed: later writes there cannot be expected to succeed."""


PROBE_BYTES = 4096  # a full disk may still hold an empty file
UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def atomic_write(path: Path, write: Callable[[BinaryIO], None]) -> None:
    """Replace `path` by what `write` puts into the binary file that it is given.

    Whatever fails or interrupts it, the temporary is removed and `path` is the old file or the new one.
    Raises InputError for errors of the system; other exceptions of `write` pass through.
    """
    temporary = _temporary(path.parent)
    with _refusals(f"write {path}"), _removed_on_failure(temporary):
        _write_through(temporary, write)
        temporary.replace(path)


def ensure_writable(folder: Path) -> None:
    """Create `folder` and its parents where they are missing, and prove that a file can be written there.

    Raises InputError if it cannot: no permission, a read-only or full disk, a file in the way, a URL.
    """
    check_local(folder)
    probe = _temporary(folder)
    with _refusals(f"write into the folder {folder}"), _removed_on_failure(probe):
        folder.mkdir(parents=True, exist_ok=True)
        _write_through(probe, lambda file: _write_all(file, bytes(PROBE_BYTES)))
        probe.unlink()


@contextmanager
def unless_refused(folder: Path) -> Iterator[None]:
    """`folder`, made where it is missing as by `ensure_writable`; what is refused then leaves no empty one behind."""
    new = not folder.exists()
    ensure_writable(folder)
    try:
        yield
    except InputError:
        if new and not any(folder.iterdir()):
            folder.rmdir()
        raise


def append_line(path: Path, text: str) -> None:
    """Append `text` and a newline to `path`, e.g. a JSON line; a last line that a killed process left torn is dropped.

    A line that cannot be written whole leaves the lines before it as they were. For one writer at a time.
    Raises InputError for text of several lines and for errors of the system.
    """
    if "\n" in text:
        raise InputError(f"expected one line of text to append to {path}, got {text.count(chr(10)) + 1}")
    with _refusals(f"append to {path}"), path.open("a+b", buffering=0) as file:
        end = _end_of_last_whole_line(file)
        file.truncate(end)
        try:
            _write_all(file, f"{text}\n".encode())
        except BaseException:
            file.truncate(end)
            raise


def read_text(path: Path) -> str:
    """A text file in UTF-8, with or without a byte-order mark, as lines that end in a line feed.

    Raises InputError for another encoding, OSError where it cannot be read.
    """
    content = path.read_bytes()
    if content.startswith(UTF_16) or b"\0" in content:
        raise InputError(f"{path}: expected text in UTF-8, got UTF-16 or binary content: save it as UTF-8")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: expected text in UTF-8, got another encoding ({error}): save it as UTF-8") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def json_text(value: object, indent: int | None = None) -> str:
    """`value` as JSON: NumPy's numbers and arrays as plain ones, numbers that are not finite as null, keys in order."""
    return json.dumps(_json_ready(value), indent=indent, allow_nan=False, ensure_ascii=False)


def write_text(path: Path, text: str) -> None:
    """`text` in UTF-8. Raises InputError for errors of the system."""
    atomic_write(path, lambda file: _write_all(file, text.encode()))


def write_json(path: Path, mapping: Mapping[str, object]) -> None:
    """`json_text` of `mapping`, indented, in `path`. Raises InputError for errors of the system."""
    write_text(path, json_text(mapping, indent=2) + "\n")


def write_toml(path: Path, mapping: Mapping[str, object]) -> None:
    """`mapping` as TOML; keys with the value None are left out, as TOML has no null. Raises InputError likewise."""
    write_text(path, tomli_w.dumps(_toml_ready(mapping)))


def write_csv(path: Path, rows: Sequence[Mapping[str, object]], columns: Sequence[str]) -> None:
    """A header of `columns` and one line a row; a missing or None value is an empty cell.

    Raises InputError for a row with a key that is not a column, and for errors of the system.
    """
    for number, row in enumerate(rows):
        if unknown := sorted(set(row) - set(columns)):
            raise InputError(f"expected the columns of {path.name}, got {', '.join(unknown)} too, in row {number}")
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def copy(source: Path, path: Path) -> None:
    """The bytes of `source` in `path`. Raises InputError for errors of the system."""
    with _refusals(f"read {source}"):
        content = source.read_bytes()
    atomic_write(path, lambda file: _write_all(file, content))


def write_npz(path: Path, /, **arrays: npt.NDArray[np.generic]) -> None:
    """`arrays` by name, as np.load reads them without pickle. Raises InputError for arrays of objects, and likewise."""
    _check_arrays(path, arrays)
    atomic_write(path, lambda file: np.savez(file, **arrays))  # type: ignore[arg-type]  # for the stub, all may be flags


def write_compressed_npz(path: Path, /, **arrays: npt.NDArray[np.generic]) -> None:
    """The same in less room, to be read whole. Raises InputError as `write_npz`."""
    _check_arrays(path, arrays)
    atomic_write(path, lambda file: np.savez_compressed(file, **arrays))  # type: ignore[arg-type]  # likewise


def _check_arrays(path: Path, arrays: Mapping[str, npt.NDArray[np.generic]]) -> None:
    for name, array in arrays.items():
        if array.dtype.hasobject:
            raise InputError(f"expected arrays of numbers or strings for {path.name}, got objects in {name}")


class _RecordingFile(io.FileIO):
    """A file that keeps the error of a failed write: torch.save reports a full disk as a RuntimeError."""

    failure: OSError | None = None

    def write(self, data: "ReadableBuffer", /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            self.failure = error
            raise


def _write_through(path: Path, write: Callable[[BinaryIO], None]) -> None:
    """Put what `write` writes on the disk; an OSError of the file prevails over what `write` makes of it."""
    raw = _RecordingFile(path, "xb")
    try:
        with io.BufferedWriter(raw) as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())  # some file systems tell only now that the disk is full
    except Exception:
        if raw.failure:
            raise raw.failure from None
        raise


def _write_all(file: BinaryIO | io.FileIO, data: bytes) -> None:
    while data:
        data = data[file.write(data) :]


def _temporary(folder: Path) -> Path:
    return folder / f".partial-{secrets.token_hex(8)}.tmp"


@contextmanager
def _removed_on_failure(temporary: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


@contextmanager
def _refusals(action: str) -> Iterator[None]:
    """Turn an OSError into one line that names what could not be done and why."""
    try:
        yield
    except OSError as error:
        raise StorageError(f"cannot {action}: {error.strerror or error}") from error


def _end_of_last_whole_line(file: io.FileIO) -> int:
    """Where the next line starts: the end of the file but for a torn last line."""
    end = file.seek(0, os.SEEK_END)
    if end == 0:
        return 0
    file.seek(end - 1)
    if file.read(1) == b"\n":
        return end
    file.seek(0)
    return file.readall().rfind(b"\n") + 1


def _json_ready(value: object) -> object:
    match value:
        case np.ndarray() | np.generic():
            return _json_ready(value.tolist())
        case float():
            return value if math.isfinite(value) else None
        case Mapping():
            return {key: _json_ready(item) for key, item in value.items()}
        case list() | tuple():
            return [_json_ready(item) for item in value]
    return value


def _toml_ready(mapping: Mapping[str, object]) -> dict[str, object]:
    return {key: _toml_value(value) for key, value in mapping.items() if value is not None}


def _toml_value(value: object) -> object:
    match value:
        case np.ndarray() | np.generic():
            return value.tolist()
        case Mapping():
            return _toml_ready(value)
        case list() | tuple():
            return [_toml_value(item) for item in value]
    return value
