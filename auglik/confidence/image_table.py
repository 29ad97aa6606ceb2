"""Tables of confidence that tell images apart, by class or one by one, as .npz files: checked on reading."""

import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from auglik.confidence.table import AXES
from auglik.objectives import InputError
from auglik.system.array_types import Float32Array, Float64Array
from auglik.system.files import write_npz

FORMAT = 1


class Strengths(NamedTuple):
    """Those at which an operation was measured, in rising order, and the columns that hold them."""

    axis: str
    at: Float64Array
    """[m]"""
    columns: slice


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
    each = [(name, axis, at) for name, (axis, strengths, _) in table.operations.items() for at in strengths]
    operation, axis, at = (np.array(column) for column in zip(*each, strict=True))
    write_npz(
        path, format=np.array(FORMAT), source=np.array(table.source), dataset=np.array(table.dataset),
        digest=np.array(table.digest), class_names=np.array(table.class_names), operation=operation, axis=axis, at=at,
        values=table.values, group=table.group,
    )  # fmt: skip


def parse_image_table(content: bytes, where: str) -> ImageTable:
    """The table in a file's content. Raises InputError, naming `where`, for anything that is no whole table."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            if int(file["format"]) != FORMAT:
                raise ValueError(f"format {file['format']} for {FORMAT}")
            table = ImageTable(
                source=str(file["source"]),
                dataset=str(file["dataset"]),
                digest=str(file["digest"]),
                class_names=tuple(file["class_names"].tolist()),
                operations=_operations(file["operation"].tolist(), file["axis"].tolist(), file["at"]),
                values=file["values"],
                group=file["group"],
            )
        _check(table)
    except (KeyError, TypeError, ValueError, EOFError, OSError, zipfile.BadZipFile, AttributeError) as error:
        cause = f"{type(error).__name__}: {' '.join(str(error).split())}"[:120]
        raise InputError(
            f"{where}: expected a table that `auglik confidence --by class` or image wrote, got {cause}"
        ) from None
    return table


def _operations(names: list[str], axes: list[str], at: Float64Array) -> dict[str, Strengths]:
    found: dict[str, Strengths] = {}
    for name, of_name in groupby(range(len(names)), names.__getitem__):
        columns = list(of_name)
        part = slice(columns[0], columns[-1] + 1)
        if name in found or {*axes[part]} - {*AXES} or len({*axes[part]}) != 1 or np.any(np.diff(at[part]) <= 0):
            raise ValueError(f"strengths of {name} that do not rise along one axis")
        found[name] = Strengths(axes[columns[0]], at[part], part)
    return found


def _check(table: ImageTable) -> None:
    values, group = table.values, table.group
    columns = sum(len(strengths.at) for strengths in table.operations.values())
    if values.ndim != 2 or values.shape[1] != columns or not np.isfinite(values).all():
        raise ValueError(f"values {list(values.shape)} for {columns} strengths, or some that are not finite")
    if group.ndim != 1 or group.dtype.kind != "i" or not len(group) or group.min() < 0 or group.max() >= len(values):
        raise ValueError(f"groups {list(group.shape)} of others than {len(values)} rows")
    if "identity" not in table.operations or len(table.class_names) < 2:
        raise ValueError("no untouched images (identity), or fewer than two classes")
