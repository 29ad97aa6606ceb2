"""Tables of measured confidence as files: readable JSON, checked on reading."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import MISSING, dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from auglik.objectives import InputError
from auglik.system.files import write_json

T = TypeVar("T")

TABLE_FORMAT = 1

AXES = ("magnitude", "visibility")


class MeasuredCurve(NamedTuple):
    """One operation at m strengths, from the lowest to the highest, signed where its magnitude is."""

    axis: str
    """What it was measured over: magnitude or visibility."""
    at: NDArray[np.float64]
    """[m]"""
    value: NDArray[np.float64]
    """Mean over the images [m]; not clamped."""
    standard_error: NDArray[np.float64]
    """Of that mean [m]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """What was measured, on what, and the curves by operation; "identity" is always among them."""

    measure: str
    dataset: str
    digest: str
    """Of the data set's training images and labels."""
    classes: int
    images: int
    """Validation images that each mean is over."""
    settings: Mapping[str, object]
    """Of the network, or of the image similarity; and of how the operations were applied."""
    operations: Mapping[str, MeasuredCurve]
    class_names: Sequence[str] = ()
    """[C]; none in tables that were written before they were kept."""


def write_table(path: Path, table: Table) -> None:
    """Raises InputError if the system refuses."""
    operations = {name: curve._asdict() for name, curve in table.operations.items()}
    said = {field.name: getattr(table, field.name) for field in fields(table)}
    write_json(path, {"format": TABLE_FORMAT, **said, "part": "validation", "operations": operations})


def read_bytes(path: Path) -> bytes:
    """Raises InputError if the file cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path}: expected a confidence table, got {error.strerror or error}; `auglik confidence` writes one"
        ) from None


def loaded(path: Path, parse: Callable[[bytes, str], T]) -> T:
    """What `parse` makes of the file's content and name. Raises InputError as it does, and as `read_bytes`."""
    with suppress(OSError):
        found = path.stat()
        return cast(T, _loaded(path, parse, (found.st_ino, found.st_mtime_ns, found.st_size)))
    return parse(read_bytes(path), str(path))


@lru_cache(maxsize=8)
def _loaded(path: Path, parse: Callable[[bytes, str], object], version: tuple[int, ...]) -> object:
    """A file, read once for each time that it was written: times alone may be too coarse to tell."""
    return parse(read_bytes(path), str(path))


def parse_table(content: bytes, where: str) -> Table:
    """The table in a file's content. Raises InputError, naming `where`, for anything that is no whole table."""
    try:
        data = json.loads(content)
        if data["format"] != TABLE_FORMAT:
            raise InputError(f"{where}: expected format {TABLE_FORMAT} of a confidence table, got {data['format']}")
        operations = {name: _curve(entry) for name, entry in data["operations"].items()}
        needed = [field.name for field in fields(Table) if field.name in data or field.default is MISSING]
        rest = {name: data[name] for name in needed if name != "operations"}
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        cause = f"{type(error).__name__}: {' '.join(str(error).split())}"[:120]
        raise InputError(f"{where}: expected a table that `auglik confidence` wrote, got {cause}") from None
    if "identity" not in operations or not operations["identity"].value[0] > 0:
        raise InputError(f"{where}: expected a confidence above 0 for untouched images (identity), got none")
    return Table(**rest, operations=operations)


def _curve(entry: Mapping[str, object]) -> MeasuredCurve:
    axis = str(entry["axis"])
    if axis not in AXES:
        raise ValueError(f"axis {axis!r}")
    arrays = [np.asarray(entry[name], np.float64) for name in ("at", "value", "standard_error")]
    at, value, standard_error = arrays
    if at.ndim != 1 or not len(at) or any(array.shape != at.shape for array in arrays):
        raise ValueError("lists of unequal lengths, or empty ones")
    if not all(map(math.isfinite, np.concatenate([at, value]))) or np.any(np.diff(at) <= 0):
        raise ValueError("strengths that do not rise, or values that are not finite")
    return MeasuredCurve(axis, at, value, standard_error)
