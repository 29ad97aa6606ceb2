"""Whether files and folders of these names can be written: asked before hours are spent on what goes into them."""

import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

from auglik.objectives.errors import InputError

TAKEN = (
    "runs.csv", "comparison.csv", "ensembles.csv", "pretraining.csv", "tuning.csv", "tuning", "report", "report.html",
    "report.md", "tables.csv", "tables.tex", "figures", "files.txt", "differences.nc", "corruptions.nc",
    "calibration.nc",
)  # fmt: skip
"""The names written next to the folders of cells; a test compares them with the actual ones."""
ON_WINDOWS = ("con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10)))
"""Names of devices there, whatever their suffix."""
NAME_BYTES, PATH_BYTES = 255, 4096
"""Where the system does not tell its own limits."""
IN_A_RUN = 128
"""Bytes of the longest name in a run's folder, with room to spare: TensorBoard's, which holds that of the machine."""
URL = re.compile(r"([a-z][a-z0-9+.-]+):/", re.IGNORECASE)
"""One slash, as a Path has it; the drives of Windows are single letters."""


def check_names(names: Sequence[str]) -> None:
    """Raises InputError for cells whose folders would coincide, or could not be made, on one of the usual systems.

    Two names are one where they differ in case or in how accents are composed.
    """
    met: dict[str, str] = {}
    for name in names:
        folded = unicodedata.normalize("NFC", name).casefold()
        if name in met.values():
            raise InputError(f"two cells are called {name!r} but differ in their settings: give each a different name")
        if folded in met:
            raise InputError(
                f"cells {met[folded]!r} and {name!r} would share a folder where case is ignored: give each a different"
                " name"
            )
        met[folded] = name
        if folded in TAKEN:
            raise InputError(f"cell {name!r}: expected another name: files with this one are written next to the cells")
        if folded.partition(".")[0] in ON_WINDOWS:
            raise InputError(f"cell {name!r}: expected a folder name, got a device name of Windows")
        if len(os.fsencode(name)) > NAME_BYTES:
            raise InputError(
                f"cell {shortened(name)!r}: expected a name of at most {NAME_BYTES} bytes, as it names a folder, got"
                f" {len(os.fsencode(name))}: name cells in [[cells]] tables, or compare fewer settings at once"
            )


def check_files(paths: Iterable[Path], *, dry: bool = False) -> None:
    """Raises InputError if no file could be written at one of `paths`; nothing is written to find out.

    `dry`: nothing will be either, so that no permission is needed.
    """
    for path in paths:
        _check_place(path, 0, dry)
        if path.is_dir():
            raise InputError(f"expected a file to write, got the folder {path}")


def check_folder(path: Path, room: int = 0, *, dry: bool = False) -> None:
    """Raises InputError if `path` is not a folder and could be none, or not hold names of `room` bytes.

    `dry` as above.
    """
    _check_place(path, room, dry)
    if path.exists() and not path.is_dir():
        raise InputError(f"expected a folder to write into, got the file {path}")


def check_local(path: str | Path) -> None:
    """Raises InputError for a URL, such as that of a bucket, which a file system would take for a relative path."""
    if (found := URL.match(str(path))) is not None:
        raise InputError(
            f"{shortened(str(path))}: expected a path of a file system, got a URL: {found[1]} is not supported; mount"
            " the store, or copy it"
        )


def shortened(text: str, letters: int = 40) -> str:
    """The beginning of a long text."""
    return text if len(text) <= letters else f"{text[:letters]}..."


def _check_place(path: Path, room: int, dry: bool) -> None:
    check_local(path)
    whole = path.absolute()
    if "\0" in str(whole):
        raise InputError(f"expected a path, got one with a zero byte: {shortened(str(path))!r}")
    above = next((parent for parent in whole.parents if _exists(parent)), Path(whole.anchor))
    longest = max((len(os.fsencode(part)) for part in whole.parts), default=0)
    if longest > (limit := _limit("PC_NAME_MAX", above, NAME_BYTES)):
        raise InputError(
            f"{shortened(str(path))}: expected names of at most {limit} bytes (file system limit), got {longest}"
        )
    length = len(os.fsencode(whole)) + (room + 1 if room else 0)
    if length >= (limit := _limit("PC_PATH_MAX", above, PATH_BYTES)):
        raise InputError(
            f"{shortened(str(path))}: expected a path of under {limit} bytes, got {length} with what is written there"
        )
    if not above.is_dir():
        raise InputError(f"cannot write {path}: expected folders, got the file {above}")
    if not dry and not whole.exists() and not os.access(above, os.W_OK | os.X_OK):
        raise InputError(f"cannot write {path}: no permission to write into the folder {above}")


def _exists(path: Path) -> bool:
    """Whether there is something; a name that the system refuses is none."""
    try:
        return path.exists()
    except OSError:
        return False


def _limit(name: str, folder: Path, otherwise: int) -> int:
    """A limit of the file system of `folder`, if it can be queried."""
    try:
        found = os.pathconf(folder, name)
    except (AttributeError, OSError, ValueError):  # Windows has none
        return otherwise
    return found if found > 0 else otherwise
