"""What lies in a folder of data: one rule for every kind of data set.

Hidden files and folders are no data, nor is what macOS, Windows and network drives leave; endings are read in either
case.
"""

import os
import sys
from pathlib import Path

from auglik.objectives.errors import InputError

LITTER = frozenset(
    (
        "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "@eadir", "$recycle.bin",
        "system volume information",
    )
)  # fmt: skip


def is_litter(name: str) -> bool:
    """Whether a file or folder of this name is hidden (macOS's `._` files included) or one that a system left."""
    return name.startswith(".") or name.lower() in LITTER


def listed(folder: Path) -> list[str]:
    """The names in a folder, in order, without litter.

    Raises OSError if it cannot be read, InputError for a name that is no text, as what is written of it would not be.
    """
    names = sorted(path.name for path in folder.iterdir() if not is_litter(path.name))
    for name in names:
        if not is_text(name):
            raise InputError(
                f"{folder}: expected names of files in {sys.getfilesystemencoding()}, got {os.fsencode(name)!r}: in"
                " another encoding, perhaps (rename it), or the system's is not UTF-8 (set PYTHONUTF8=1)"
            )
    return names


def is_text(name: str) -> bool:
    """Whether it has no bytes that the encoding of file names knows no letter for."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def folders(folder: Path) -> list[str]:
    """The names of the folders in it, in order, without litter."""
    return [name for name in listed(folder) if (folder / name).is_dir()]


def named(folder: Path, name: str) -> Path:
    """The file of this name, or the first whose name differs from it in case alone; else the path that is missing."""
    exact = folder / name
    if exact.exists() or not folder.is_dir():
        return exact
    return next((folder / entry for entry in listed(folder) if entry.lower() == name.lower()), exact)


def arrays_in(folder: Path) -> dict[str, Path]:
    """The `.npy` files of a folder by their name without its ending, in order."""
    return {Path(name).stem: folder / name for name in listed(folder) if name.lower().endswith(".npy")}
