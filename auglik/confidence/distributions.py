"""What labels degrade toward: distributions pi_j of classes, as files, from confusions and from people's answers."""

import csv
import hashlib
import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from auglik.data.class_names import ClassNames
from auglik.objectives import InputError
from auglik.objectives.toward import at_chance, check_distributions, keeps_chance
from auglik.system.array_types import Float64Array
from auglik.system.files import write_csv

UNIFORM, ONLINE = "uniform", "online"
"""What labels degrade toward without a file: all classes alike; what the network in training takes a class for."""


class Distributions(NamedTuple):
    """pi [C,C] float64, in row j the distribution of class j; names [C], and where they are from, unless unknown."""

    pi: torch.Tensor
    class_names: ClassNames | None
    source: str


def class_means(predicted: Float64Array, labels: np.ndarray, classes: int) -> torch.Tensor:
    """pi of mean predictions [N,C] by class, the rest in proportion to them where each class keeps 1/C of its own.

    Raises InputError for a class without images.
    """
    counts = np.bincount(labels, minlength=classes)
    if not counts.all():
        raise InputError(f"expected images of every class, got none of class number {int(np.argmin(counts))}")
    sums = np.stack([predicted[labels == j].sum(0) for j in range(classes)])
    return at_chance(torch.from_numpy(sums / counts[:, None]))


def write_distributions(path: Path, found: Distributions) -> None:
    """A .csv file: a line for each class, the first cell its name, columns by name. Raises InputError if refused."""
    names = found.class_names or ()
    rows = [
        {found.source: name, **dict(zip(names, map(repr, row.tolist()), strict=True))}
        for name, row in zip(names, found.pi, strict=True)
    ]
    write_csv(path, rows, [found.source, *names])


def read_distributions(path: Path) -> Distributions:
    """From a .csv file with class names, or a .npy file without, whose classes are then in the data set's order.

    Raises InputError for a file that cannot be read, rows that are no distributions, and rows that are not named as the
    columns are.
    """
    content = _content(path)
    try:
        if path.suffix == ".npy":
            pi = np.asarray(np.load(io.BytesIO(content), allow_pickle=False), np.float64)
            found = Distributions(torch.from_numpy(pi), None, path.name)
        else:
            found = _from_text(content.decode())
        check_distributions(found.pi)
    except InputError as error:
        raise InputError(f"degrade_toward {path}: {error}") from None
    except (ValueError, EOFError, csv.Error):
        raise InputError(
            f"degrade_toward {path}: expected a matrix [C,C] in a .csv or .npy file, as `auglik confusions` writes it"
        ) from None
    return found


def digest_of(path: Path) -> str:
    """SHA-256 of the file. Raises InputError if it cannot be read."""
    return hashlib.sha256(_content(path)).hexdigest()


def check_classes(path: Path, found: Distributions, class_names: ClassNames, *, softened: bool) -> None:
    """Raises InputError unless its classes are those of the data set [C], in their order.

    With `softened` confidence p = 1 - gamma + gamma/C, also unless each class keeps 1/C of its own.
    """
    names = found.class_names
    if len(found.pi) != len(class_names) or (names is not None and tuple(names) != tuple(class_names)):
        got = ", ".join(names[:5]) if names is not None else f"{len(found.pi)} classes without names"
        raise InputError(
            f"degrade_toward {path}: expected the {len(class_names)} classes {', '.join(class_names[:5])}..., in this"
            f" order, got {got}: is it of another data set?"
        )
    if softened and not keeps_chance(found.pi):
        raise InputError(
            f"degrade_toward {path}: --soften gives p = 1 - gamma + gamma/C, so each class must keep 1/C of its own"
            " (`auglik confusions` writes such a file), but it does not"
        )


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"degrade_toward {path}: expected a file, got {error.strerror or error}") from None


def _from_text(text: str) -> Distributions:
    rows = [row for row in csv.reader(text.splitlines()) if row]
    head, lines = (rows[0], rows[1:]) if rows else ([], [])
    names = tuple(head[1:])
    if not names or [row[0] for row in lines] != list(names) or any(len(row) != len(head) for row in lines):
        raise InputError("expected a row for each column, of the same names in the same order")
    pi = torch.tensor([[float(value) for value in row[1:]] for row in lines], dtype=torch.float64)
    return Distributions(pi, names, head[0])
