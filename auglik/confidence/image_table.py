"""Tables of confidence that tell images apart, by class or one by one, as .npz files: checked on reading."""

import io
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from auglik.confidence.table import AXES
from auglik.objectives import InputError
from auglik.system.array_types import Float32Array, Float64Array, FloatArray
from auglik.system.files import write_npz

FORMAT = 1


class Strengths(NamedTuple):
    """Those at which an operation was measured, in rising order, and the columns that hold them."""

    axis: str
    at: Float64Array
    """[m]"""
    columns: slice

    def between(self, magnitude: FloatArray, visibility: FloatArray) -> "Between":
        """Where views of these strengths [n] lie; beyond the ends they count as the ends."""
        x = visibility if self.axis == "visibility" else magnitude
        place = np.interp(x, self.at, np.arange(len(self.at)))
        below = place.astype(np.int64)
        return Between(below, np.minimum(below + 1, len(self.at) - 1), place - below)


class Between(NamedTuple):
    """The measured strengths next to each of n views, by number, and how far it lies from the lower to the upper."""

    below: NDArray[np.int64]
    above: NDArray[np.int64]
    share: FloatArray

    def of(self, lower: FloatArray, upper: FloatArray) -> FloatArray:
        """Linear in values [n] at the two."""
        return (1 - self.share) * lower + self.share * upper


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageTable:
    """Confidence of groups of images at the S strengths of all operations; "identity" is always among them.

    No figure of a group was made by a network that was trained on an image of it, unless `source` says so.
    """

    source: str
    """What was measured, in words."""
    dataset: str
    digest: str
    """Of the data set's training images and labels."""
    class_names: Sequence[str]
    """[C]"""
    operations: Mapping[str, Strengths]
    values: Float32Array
    """[G,S]; not clamped."""
    group: NDArray[np.int64]
    """Of every training image [N]."""


def write_image_table(path: Path, table: ImageTable) -> None:
    """Raises InputError if the system refuses."""
    write_npz(
        path, format=np.array(FORMAT), source=np.array(table.source), dataset=np.array(table.dataset),
        digest=np.array(table.digest), class_names=np.array(table.class_names), values=table.values, group=table.group,
        **columns_of(table.operations),
    )  # fmt: skip


def parse_image_table(content: bytes, where: str) -> ImageTable:
    """The table in a file's content. Raises InputError, naming `where`, for anything that is no whole table."""
    with whole(where, "a table that `auglik confidence --by class` or image wrote"):
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            if int(file["format"]) != FORMAT:
                raise ValueError(f"format {file['format']} for {FORMAT}")
            table = ImageTable(
                source=str(file["source"]),
                dataset=str(file["dataset"]),
                digest=str(file["digest"]),
                class_names=tuple(file["class_names"].tolist()),
                operations=operations_of(file),
                values=file["values"],
                group=file["group"],
            )
        _check(table)
    return table


@contextmanager
def whole(where: str, expected: str) -> Iterator[None]:
    """Raises InputError, naming the file `where`, for what shows while it is read that it is not what was expected."""
    try:
        yield
    except (KeyError, TypeError, ValueError, EOFError, OSError, zipfile.BadZipFile, AttributeError) as error:
        cause = f"{type(error).__name__}: {' '.join(str(error).split())}"[:120]
        raise InputError(f"{where}: expected {expected}, got {cause}") from None


def columns_of(operations: Mapping[str, Strengths]) -> dict[str, NDArray[np.generic]]:
    """The name, axis and strength of every column, as arrays of a file: `operations_of` reads them."""
    each = [(name, axis, at) for name, (axis, strengths, _) in operations.items() for at in strengths]
    columns = (np.array(column) for column in zip(*each, strict=True))
    return dict(zip(("operation", "axis", "at"), columns, strict=True))


def operations_of(file: Mapping[str, NDArray[np.generic]]) -> dict[str, Strengths]:
    """Raises ValueError and KeyError for columns that are no rising strengths of operations, "identity" among them."""
    names, axes, at = file["operation"].tolist(), file["axis"].tolist(), np.asarray(file["at"], np.float64)
    found: dict[str, Strengths] = {}
    for name, of_name in groupby(range(len(names)), names.__getitem__):
        columns = list(of_name)
        part = slice(columns[0], columns[-1] + 1)
        if name in found or {*axes[part]} - {*AXES} or len({*axes[part]}) != 1 or np.any(np.diff(at[part]) <= 0):
            raise ValueError(f"strengths of {name} that do not rise along one axis")
        found[name] = Strengths(axes[columns[0]], at[part], part)
    if "identity" not in found:
        raise ValueError("no untouched images (identity)")
    return found


def _check(table: ImageTable) -> None:
    values, group = table.values, table.group
    columns = sum(len(strengths.at) for strengths in table.operations.values())
    if values.ndim != 2 or values.shape[1] != columns or not np.isfinite(values).all():
        raise ValueError(f"values {list(values.shape)} for {columns} strengths, or some that are not finite")
    if group.ndim != 1 or group.dtype.kind != "i" or not len(group) or group.min() < 0 or group.max() >= len(values):
        raise ValueError(f"groups {list(group.shape)} of others than {len(values)} rows")
    if len(table.class_names) < 2:
        raise ValueError("fewer than two classes")
