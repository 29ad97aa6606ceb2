"""Confidence of pairs of operations, measured together rather than composed."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from auglik.confidence.contract import Acting, within_chance_and_one
from auglik.confidence.pair_table import PairTable, parse_pair_table
from auglik.confidence.table import loaded, read_bytes
from auglik.data.class_names import class_numbers
from auglik.objectives import InputError
from auglik.system.array_types import FloatArray


@dataclass(frozen=True)
class Pairs:
    """p interpolated linearly in the strengths of one operation, or of two together, constant beyond them.

    `table` is a file that `auglik confidence --by pair` wrote. Figures enter as they are, so that even untouched images
    have p < 1; `relative` divides by theirs.
    """

    table: str = ""
    relative: bool = False

    def confidence(self, operation: str, magnitude: FloatArray, visibility: FloatArray, classes: int) -> FloatArray:
        untouched = Acting("identity", np.zeros_like(magnitude), np.ones_like(visibility))
        return self.confidence_together(untouched, Acting(operation, magnitude, visibility), classes)

    def confidence_together(self, first: Acting, second: Acting, classes: int) -> FloatArray:
        table = self._load()
        rows, columns = (table.operations[one.operation] for one in (first, second))
        down, across = rows.between(*first[1:]), columns.between(*second[1:])
        values = table.values[rows.columns, columns.columns]
        lower, upper = (
            across.of(values[end, across.below], values[end, across.above]) for end in (down.below, down.above)
        )
        p = down.of(lower, upper)
        if self.relative:
            untouched = table.operations["identity"].columns.start
            p = p / table.values[untouched, untouched]
        return within_chance_and_one(p, classes)

    def lacking(self, operations: Iterable[str], class_names: Sequence[str]) -> list[str]:
        table = self._load()
        of = f"the network, which the table was not measured for ({table.source} on {table.dataset})"
        class_numbers(table.class_names, class_names, self.table, of)
        return [name for name in operations if name not in table.operations]

    def identity(self) -> str:
        digest = hashlib.sha256(read_bytes(self._path())).hexdigest()
        return f"Pairs({digest}, relative={self.relative})"

    def _path(self) -> Path:
        if not self.table:
            raise InputError("pairs: expected pairs:table=FILE, which `auglik confidence --by pair` writes, got none")
        return Path(self.table)

    def _load(self) -> PairTable:
        return loaded(self._path(), parse_pair_table)
