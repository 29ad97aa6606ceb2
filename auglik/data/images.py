"""Images that are read on demand, for sets that are large or expensive to decode."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Rows: TypeAlias = NDArray[np.int64]
CHUNK_BYTES = 2**22
"""Pixels that are worked on at a time, so that no copy of a whole set is ever made."""


class ByteFiles(Protocol):
    """Files that images are decoded from, in the order of the larger set."""

    @property
    def sizes(self) -> NDArray[np.int64]: ...
    def content(self, row: int) -> bytes: ...


@dataclass(frozen=True, eq=False)
class LazyImages:
    """uint8 images [N,c,H,W]: rows of a larger set, in any order; indexing reads them."""

    read: Callable[[Rows], NDArray[np.uint8]]
    """Rows of the larger set [n] -> images [n,c,H,W]; called from several threads."""
    rows: Rows
    image_shape: tuple[int, int, int]
    marks: Sequence[str] = ()
    """What identifies each row of the larger set where reading all of it costs too much; else empty."""
    files: ByteFiles | None = None
    """Those of the larger set, where it is one of image files."""

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return (len(self.rows), *self.image_shape)

    def select(self, which: Rows) -> "LazyImages":
        """Some of the images, unread."""
        return replace(self, rows=self.rows[which])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, which: slice | Rows) -> NDArray[np.uint8]:
        return self.read(self.rows[which])


Images: TypeAlias = NDArray[np.uint8] | LazyImages


def parts(shape: Sequence[int]) -> Iterator[slice]:
    """Positions of a few images at a time, in order, of images of this shape (N,...)."""
    step = max(1, CHUNK_BYTES // math.prod(shape[1:]))
    return (slice(start, start + step) for start in range(0, shape[0], step))
