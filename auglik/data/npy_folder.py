"""The folder of `.npy` files that the published mollification code uses (Heinonen et al. 2025)."""

from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from auglik.data.arrays import Arrays, LazyArrays, channels_first, image_shape
from auglik.data.images import LazyImages
from auglik.data.levels import WHITE, levels_of, white_beside
from auglik.data.listing import arrays_in, named
from auglik.data.source import Part, one_line
from auglik.data.stored import CLASS_NAMES, Entries, Header, Stored, read_header
from auglik.objectives.errors import InputError

CORRUPTION_LABELS = "corr_labels.npy"
LARGE = 2**31
"""Bytes of levels from which an array stays on disk and is read through a memory map."""
SOME = 1000
"""Images of such an array that show which level is white."""


class NpyFolder(Stored):
    """Training and test set of the paper; what its code calls `val` is the set that its tables report on."""

    entries: ClassVar[Entries] = Entries("train.npy", "train_labels.npy", "val.npy", "val_labels.npy")

    def header(self, entry: str) -> Header:
        missing = [name for name in self.entries if not named(self.path, name).is_file()]
        if missing:
            raise InputError(
                f"{self.path}: expected {', '.join(self.entries)}; {', '.join(missing)} missing from this folder"
            )
        path = named(self.path, entry)
        try:
            with path.open("rb") as file:
                return read_header(file, path.stat().st_size, str(path))
        except OSError as error:
            raise InputError(f"{path}: expected a readable file ({one_line(error)})") from None

    def read(self, entry: str) -> NDArray[np.generic]:
        self.header(entry)
        return _load(named(self.path, entry))

    def files(self) -> list[Path]:
        return [named(self.path, name) for name in self.entries]

    def read_names(self) -> NDArray[np.generic] | None:
        path = named(self.path, f"{CLASS_NAMES}.npy")
        return _load(path) if path.is_file() else None

    def opened(self, part: Part) -> Arrays | LazyArrays:
        """The training or test set; a large array of levels stays on disk."""
        stored = self.read(self.entries.train_images if part == "train" else self.entries.test_images)
        if stored.dtype != np.uint8 or stored.nbytes < LARGE:
            return self.train() if part == "train" else self.test()
        self.check()
        where = self._where(part)
        count, c, H, W = image_shape(stored.shape, where)
        some = stored[:: -(-count // SOME)]
        white = self.white or white_beside(some, lambda: self.read(self.entries.train_images), where)
        levels_of(some, where, white)

        def read(rows: NDArray[np.int64]) -> NDArray[np.uint8]:
            return np.ascontiguousarray(channels_first(levels_of(stored[rows], where, white or WHITE)))

        return LazyArrays(LazyImages(read, np.arange(count), (c, H, W)), self.labels(part))

    def corruptions(self) -> dict[str, Path]:
        """The corrupted test sets by name, e.g. `fog`: severities 1 to 5 in turn, labels in corr_labels.npy.

        Raises InputError if there are some but no labels for them, or another white than 255 is set.
        """
        own = {Path(name).stem for name in (*self.entries, CORRUPTION_LABELS)} | {CLASS_NAMES}
        found = {name: path for name, path in arrays_in(self.path).items() if name not in own}
        if found and not named(self.path, CORRUPTION_LABELS).is_file():
            raise InputError(f"{self.path}: expected {CORRUPTION_LABELS} next to {', '.join(found)}, got no such file")
        if found and self.white not in (None, WHITE):
            raise InputError(
                f"{self.path}: expected corruptions of levels 0..255, got white={self.white:g}: give the clean images"
                " in these levels too, or use --corruptions made"
            )
        return found


def _load(path: Path) -> NDArray[np.generic]:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: expected a whole .npy array ({one_line(error)})") from None
