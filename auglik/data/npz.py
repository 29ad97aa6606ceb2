"""A `.npz` file with train_images, train_labels, test_images and test_labels."""

import lzma
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from auglik.data.source import one_line
from auglik.data.stored import CLASS_NAMES, Entries, Header, Stored, read_header
from auglik.objectives.errors import InputError

# what zipfile and its decompressors raise on damage; RuntimeError stands for encryption and unknown compression
DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, EOFError, ValueError, RuntimeError)

VALIDATION = re.compile(r"val(id(ation)?)?(_|images|labels|$)", re.IGNORECASE)
"""How entries for validation begin, which would be passed over."""


class Npz(Stored):
    """Arrays written by `np.savez` or `np.savez_compressed`, each read when needed, never unpickled."""

    entries: ClassVar[Entries] = Entries("train_images", "train_labels", "test_images", "test_labels")

    def header(self, entry: str) -> Header:
        with self._damage_on_one_line(), zipfile.ZipFile(self.path) as archive:
            held = [name.removesuffix(".npy") for name in archive.namelist()]
            missing = [name for name in self.entries if name not in held]
            if missing:
                holds = ", ".join(map(repr, held[:8])) or "nothing"  # repr: a damaged name may hold a line break
                raise InputError(
                    f"{self.path}: expected {', '.join(self.entries)}; {missing[0]} is missing (it has {holds})"
                )
            if aside := [name for name in held if VALIDATION.match(name)]:
                raise InputError(
                    f"{self.path}: expected {', '.join(self.entries)} alone, got {aside[0]!r} beside them: images for"
                    " validation are held out of the training images (a setting says how many); join them to these, or"
                    " leave them out"
                )
            member = archive.getinfo(f"{entry}.npy")
            with archive.open(member) as file:
                return read_header(file, member.file_size, f"{self.path}, {entry}")

    def files(self) -> list[Path]:
        return [self.path]

    def read_names(self) -> NDArray[np.generic] | None:
        with self._damage_on_one_line(), zipfile.ZipFile(self.path) as archive:
            there = f"{CLASS_NAMES}.npy" in archive.namelist()
        return self.read(CLASS_NAMES) if there else None

    def read(self, entry: str) -> NDArray[np.generic]:
        self.header(entry)
        with self._damage_on_one_line(), np.load(self.path, allow_pickle=False) as arrays:
            return arrays[entry]

    @contextmanager
    def _damage_on_one_line(self) -> Iterator[None]:
        try:
            yield
        except InputError:
            raise
        except DAMAGE as error:
            cause = f"{one_line(error)}; an interrupted copy, or not written by np.savez?"
            raise InputError(f"{self.path}: expected a whole .npz file, got a damaged one ({cause})") from None
