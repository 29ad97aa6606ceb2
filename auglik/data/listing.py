"""What lies in a folder of data: one rule for every kind of data set.

Hidden files and folders are no data, nor is what macOS, Windows and network drives leave; endings are read in either
case; text is UTF-8, with or without a byte-order mark, and with either system's line ends.
"""

import codecs
import os
from pathlib import Path

from objectives.errors import InputError

LITTER = frozenset(
    (
        "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "@eadir", "$recycle.bin",
        "system volume information",
    )
)  # fmt: skip
UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def is_litter(name: str) -> bool:
    """Whether a file or folder of this name is hidden (macOS's `._` files included) or one that a system left."""
    return name.startswith(".") or name.lower() in LITTER


def listed(folder: Path) -> list[str]:
    """The names in a folder, in order, without litter. Raises OSError as `os.listdir` does."""
    return sorted(name for name in os.listdir(folder) if not is_litter(name))


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


def read_text(path: Path) -> str:
    """A text file with `\\n` at its line ends. Raises InputError for another encoding, OSError where it cannot be read."""
    content = path.read_bytes()
    if content.startswith(UTF_16) or b"\0" in content:
        raise InputError(f"{path}: expected text in UTF-8, got UTF-16 or binary content: save it as UTF-8")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: expected text in UTF-8, got another encoding ({error}): save it as UTF-8") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")
