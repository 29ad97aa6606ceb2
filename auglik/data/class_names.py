"""Class names, and the single rule that turns them into class numbers.

The training images define the names and their numbers. Everything else with classes (test images, corruptions, a
finished run, a confidence table) is matched to these by name; a set without names calls its classes by their numbers.
"""

from collections.abc import Collection, Iterable, Sequence
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray

from auglik.objectives.errors import InputError
from auglik.system.notices import say_once

ClassNames = tuple[str, ...]
"""Names [C] in the order of the class numbers."""
MOST_NAMED = 5


def by_number(count: int) -> ClassNames:
    """The names of unnamed classes: "0".."C-1"."""
    return tuple(map(str, range(count)))


def in_order(names: Iterable[str]) -> list[str]:
    """By number if all are numbers, else alphabetically."""
    ordered = sorted(names)
    return sorted(ordered, key=int) if all(name.isdecimal() for name in ordered) else ordered


def class_numbers(
    names: Sequence[str], known: Sequence[str], where: str, of: str, absent: Collection[str] = ()
) -> NDArray[np.int64]:
    """The number in `known` [C] of each of `names` [n], by name; those of `absent` need not be among `names`.

    Where one of the two has C names and the other the numbers 0..C-1, the order of the names counts, and a line says
    so. Raises InputError that lists the names that are extra or missing; `where` and `of` say whose the two are.
    """
    found, numbers = [_composed(name) for name in names], {_composed(name): i for i, name in enumerate(known)}
    seen, spared = set(found), {_composed(name) for name in absent}
    extra = [name for name in found if name not in numbers]
    missing = [name for name in numbers if name not in seen and name not in spared]
    if len(seen) < len(found) or len(numbers) < len(known):
        raise InputError(f"{where}: expected different class names, got duplicates")
    if not extra and not missing:
        return np.array([numbers[name] for name in found], np.int64)
    if _one_is_numbered(found, list(numbers)):
        pairs = ", ".join(f"{name} is {other}" for name, other in zip(names[:2], known, strict=False))
        say_once(f"{where}: classes matched to those of {of} by number, as only one of them has names ({pairs}, ...)")
        return np.arange(len(known))
    problems = [f"{some(extra)} which it lacks"] if extra else []
    problems += [f"no {some(missing)}"] if missing else []
    raise InputError(f"{where}: expected the {len(known)} classes of {of}, got {', and '.join(problems)}")


def _one_is_numbered(names: Sequence[str], known: Sequence[str]) -> bool:
    """Whether one is 0..C-1 and the other has C names, not all of them numbers: other numbers mean other classes."""
    numbered = [tuple(side) == by_number(len(side)) for side in (names, known)]
    numeric = [all(name.isdecimal() for name in side) for side in (names, known)]
    return len(names) == len(known) and any(numbered) and not all(numeric)


def absent_classes(names: Sequence[str], labels: NDArray[np.int64]) -> list[str]:
    """The names of the classes that do not occur in `labels` [N]."""
    counts = np.bincount(labels, minlength=len(names))
    return [name for name, count in zip(names, counts.tolist(), strict=True) if not count]


def absent_line(absent: Sequence[str]) -> str:
    """The notice if the scored test images lack classes."""
    return f"no test images of class {some(absent)}: scores are over the classes present"


def some(names: Sequence[object]) -> str:
    """The first few of a list, and how many more there are."""
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(map(str, names[:MOST_NAMED])) + more


def _composed(name: str) -> str:
    """A name in Unicode's composed form: macOS writes names of files decomposed."""
    return normalize("NFC", name)
