"""Confidence by class or by image, from a table in which no image sets its own label."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from auglik.confidence.contract import within_chance_and_one
from auglik.confidence.image_table import ImageTable, parse_image_table
from auglik.confidence.table import loaded, read_bytes
from auglik.data.class_names import class_numbers
from auglik.objectives import InputError
from auglik.system.array_types import FloatArray


@dataclass(frozen=True)
class Crossfitted:
    """p of an image's group, interpolated linearly in the table's magnitudes (or visibilities), constant beyond them.

    `table` is a file that `auglik confidence --by class`, or image, wrote. Figures enter as they are, so that even
    untouched images have p < 1; `relative` divides by the group's own of these, which count as chance at least.
    """

    table: str = ""
    relative: bool = False

    def confidence(self, operation: str, magnitude: FloatArray, visibility: FloatArray, classes: int) -> FloatArray:
        table = self._load()
        share = np.bincount(table.group, minlength=len(table.values)) / len(table.group)
        means = (share @ table.values)[None]
        return self._of(table, means, operation, magnitude, visibility, classes, np.zeros(len(magnitude), np.int64))

    def confidence_of(
        self, operation: str, magnitude: FloatArray, visibility: FloatArray, classes: int, rows: NDArray[np.int64]
    ) -> FloatArray:
        table = self._load()
        return self._of(table, table.values, operation, magnitude, visibility, classes, table.group[rows])

    def check_images(self, digest: str) -> None:
        table = self._load()
        if table.digest != digest:
            raise InputError(
                f"{self.table}: expected a table of the images that are trained on, got one of others ({table.source}"
                f" on {table.dataset}): measure it on this data set"
            )

    def lacking(self, operations: Iterable[str], class_names: Sequence[str]) -> list[str]:
        table = self._load()
        class_numbers(table.class_names, class_names, self.table, f"the network ({table.source} on {table.dataset})")
        return [name for name in operations if name not in table.operations]

    def identity(self) -> str:
        digest = hashlib.sha256(read_bytes(self._path())).hexdigest()
        return f"Crossfitted({digest}, relative={self.relative})"

    def _of(
        self,
        table: ImageTable,
        values: FloatArray,
        operation: str,
        magnitude: FloatArray,
        visibility: FloatArray,
        classes: int,
        group: NDArray[np.int64],
    ) -> FloatArray:
        strengths = table.operations[operation]
        where, of_operation = strengths.between(magnitude, visibility), values[:, strengths.columns]
        p = where.of(of_operation[group, where.below], of_operation[group, where.above])
        if self.relative:
            untouched = values[:, table.operations["identity"].columns.start]
            p = p / np.maximum(untouched, 1 / classes)[group]
        return within_chance_and_one(p, classes)

    def _path(self) -> Path:
        if not self.table:
            raise InputError(
                "crossfitted: expected crossfitted:table=FILE, which `auglik confidence --by class` or image writes,"
                " got none"
            )
        return Path(self.table)

    def _load(self) -> ImageTable:
        return loaded(self._path(), parse_image_table)
