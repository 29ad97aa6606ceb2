"""Tables of the confidence that pairs of operations leave, as .npz files: checked on reading."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from auglik.confidence.image_table import Strengths, columns_of, operations_of, whole
from auglik.system.array_types import Float64Array
from auglik.system.files import write_npz

FORMAT = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class PairTable:
    """The mean confidence under two operations, at the S strengths of all; "identity" is always among them."""

    source: str
    """What was measured, in words."""
    dataset: str
    images: int
    """Validation images that each mean is over."""
    class_names: Sequence[str]
    """[C]"""
    operations: Mapping[str, Strengths]
    values: Float64Array
    """[S,S], symmetric; with "identity" that of the other operation alone; not clamped."""


def write_pair_table(path: Path, table: PairTable) -> None:
    """Raises InputError if the system refuses."""
    write_npz(
        path, pairs=np.array(FORMAT), source=np.array(table.source), dataset=np.array(table.dataset),
        images=np.array(table.images), class_names=np.array(table.class_names), joint=table.values,
        **columns_of(table.operations),
    )  # fmt: skip


def parse_pair_table(content: bytes, where: str) -> PairTable:
    """The table in a file's content. Raises InputError, naming `where`, for anything that is no whole table."""
    with whole(where, "what `auglik confidence --by pair` wrote"):
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            if "pairs" not in file or int(file["pairs"]) != FORMAT:
                raise ValueError("a table of another kind, or another format")
            table = PairTable(
                source=str(file["source"]), dataset=str(file["dataset"]), images=int(file["images"]),
                class_names=tuple(file["class_names"].tolist()), operations=operations_of(file), values=file["joint"],
            )  # fmt: skip
        S = sum(len(strengths.at) for strengths in table.operations.values())
        if table.values.shape != (S, S) or not np.array_equal(table.values, table.values.T):
            raise ValueError(f"values {list(table.values.shape)} for {S} strengths, or not symmetric")
        if not np.isfinite(table.values).all() or len(table.class_names) < 2:
            raise ValueError("values that are not finite, or fewer than two classes")
        untouched = table.operations["identity"].columns.start
        if not table.values[untouched, untouched] > 0:
            raise ValueError("no confidence above 0 for untouched images (identity)")
    return table
