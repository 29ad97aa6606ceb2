"""A user's own data set: a dataclass of the contract, or a function `(data_dir, download)` that gives one."""

from collections.abc import Callable
from pathlib import Path
from typing import cast

from auglik.data.source import Source, Traits
from auglik.objectives.errors import InputError
from auglik.objectives.probes import expect, expect_count
from auglik.settings.foreign import Code, said_of
from auglik.settings.registry import conforming

Make = Callable[[Path, bool], Source]


def accept(value: object) -> Source | Make:
    """What foreign code gives. Raises InputError for anything but a data set."""
    if callable(value) and not isinstance(value, type):
        return cast(Make, value)
    return checked(value)


def checked(value: object) -> Source:
    """A data set whose facts are what they should be; its images are checked when they are read."""
    source = cast(Source, conforming(value, "a data set", Source))
    if not isinstance(source.traits, Traits):
        raise InputError(
            f"expected traits = auglik.data.Traits(flip=..., network=..., epochs=...), got {source.traits!r}"
        )
    expect_count(source.classes, 2, "classes")
    names: object = source.class_names
    alike = isinstance(names, tuple) and len(set(names)) == len(names) == source.classes
    expect(alike, f"class_names as a tuple of {source.classes} different names", f"{names!r:.80}")
    return source


def opened_own(entry: Source | Make, code: Code, data_dir: Path, download: bool) -> Source:
    """The data set that an entry is or gives."""
    with said_of(code):
        return checked(entry(data_dir, download)) if callable(entry) else entry
