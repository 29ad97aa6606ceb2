"""The folder of `.npy` files that the published mollification code uses (Heinonen et al. 2025)."""

from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from auglik.data.source import one_line
from auglik.data.stored import Entries, Header, Stored, read_header
from objectives.errors import InputError

CORRUPTION_LABELS = "corr_labels.npy"


class NpyFolder(Stored):
    """Training and test set of the paper; what its code calls `val` is the set that its tables report on."""

    entries: ClassVar[Entries] = Entries("train.npy", "train_labels.npy", "val.npy", "val_labels.npy")

    def header(self, entry: str) -> Header:
        missing = [name for name in self.entries if not (self.path / name).is_file()]
        if missing:
            raise InputError(
                f"{self.path}: expected {', '.join(self.entries)}; {', '.join(missing)} not in this folder"
            )
        path = self.path / entry
        try:
            with path.open("rb") as file:
                return read_header(file, path.stat().st_size, str(path))
        except OSError as error:
            raise InputError(f"{path}: expected a readable file ({one_line(error)})") from None

    def read(self, entry: str) -> NDArray[np.generic]:
        self.header(entry)
        try:
            return np.load(self.path / entry, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise InputError(f"{self.path / entry}: expected a whole .npy array ({one_line(error)})") from None

    def corruptions(self) -> dict[str, Path]:
        """The corrupted test sets by name, e.g. `fog`: severities 1 to 5 in turn, labels in corr_labels.npy.

        Raises InputError where there are some but no labels for them.
        """
        own = {*self.entries, CORRUPTION_LABELS}
        found = {path.stem: path for path in sorted(self.path.glob("*.npy")) if path.name not in own}
        if found and not (self.path / CORRUPTION_LABELS).is_file():
            raise InputError(f"{self.path}: expected {CORRUPTION_LABELS} beside {', '.join(found)}, got no such file")
        return found
