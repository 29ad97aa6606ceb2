"""Confidence from a table that was measured on a data set."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from auglik.confidence.contract import within_chance_and_one
from auglik.confidence.table import Table, loaded, parse_table, read_bytes
from auglik.data.class_names import by_number, class_numbers
from auglik.objectives import InputError
from auglik.system.array_types import FloatArray


@dataclass(frozen=True)
class Measured:
    """p interpolated linearly in the table's magnitudes (or visibilities), constant beyond them.

    `table` is a file that `auglik confidence` wrote. A measured accuracy enters as it is, so that even untouched
    images have p < 1; `relative` divides by theirs.
    """

    table: str = ""
    relative: bool = False

    def confidence(self, operation: str, magnitude: FloatArray, visibility: FloatArray, classes: int) -> FloatArray:
        operations = self._load().operations
        curve = operations[operation]
        p = np.interp(visibility if curve.axis == "visibility" else magnitude, curve.at, curve.value)
        if self.relative:
            p = p / operations["identity"].value[0]
        return within_chance_and_one(p, classes)

    def lacking(self, operations: Iterable[str], class_names: Sequence[str]) -> list[str]:
        table = self._load()
        of = f"the network, which the table was not measured for ({table.measure} on {table.dataset})"
        class_numbers(table.class_names or by_number(table.classes), class_names, str(self._path()), of)
        return [name for name in operations if name not in table.operations]

    def identity(self) -> str:
        digest = hashlib.sha256(read_bytes(self._path())).hexdigest()
        return f"Measured({digest}, relative={self.relative})"

    def _path(self) -> Path:
        if not self.table:
            raise InputError("measured: expected measured:table=FILE, a file that `auglik confidence` wrote, got none")
        return Path(self.table)

    def _load(self) -> Table:
        return loaded(self._path(), parse_table)
