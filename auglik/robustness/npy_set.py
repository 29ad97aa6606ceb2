"""-C sets as folders of `<corruption>.npy`: CIFAR-10-C, CIFAR-100-C, the mollification code's, and made ones."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from auglik.data import Arrays, LazyArrays
from auglik.data.arrays import label_column
from auglik.data.listing import arrays_in, named
from auglik.data.npy_folder import CORRUPTION_LABELS
from auglik.data.source import one_line
from auglik.data.stored import read_header
from auglik.objectives import InputError
from auglik.robustness.protocol import SEVERITIES, check_complete
from auglik.robustness.stream import Condition, ReadImages
from auglik.scoring.corruptions import CORRUPTIONS

LABELS = ("labels.npy", CORRUPTION_LABELS)
SAMPLES, SAMPLE_BYTES = 64, 4096


def npy_conditions(
    folder: Path,
    test: Arrays | LazyArrays,
    chosen: NDArray[np.int64],
    severities: Sequence[int],
    allow_missing: bool = False,
    class_names: Sequence[str] = (),
) -> list[Condition]:
    """The conditions of a folder whose arrays hold the whole test set at severities 1 to 5 in turn, channels last.

    Of every severity, the images `chosen` [n] from the N of the test set are read, through a memory map. Labels are
    class numbers or, where the names of all classes are numbers, these. Raises
    InputError for missing corruptions, labels that are not the test set's, and arrays that are damaged, not uint8 or
    of another shape than [5N,H,W,c].
    """
    found = arrays_in(folder)
    names = check_complete(set(found) - {Path(name).stem for name in LABELS}, str(folder), allow_missing)
    numeric = class_names and all(name.lstrip("-").isdecimal() for name in class_names)
    _check_labels(folder, test.labels, np.array(list(map(int, class_names)))[test.labels] if numeric else test.labels)
    maps = {name: _open(found[name], test.images.shape) for name in names}
    return [
        Condition(
            kind="corruption",
            name=name,
            category=CORRUPTIONS[name],
            severity=severity,
            labels=test.labels[chosen],
            read=_reader(maps[name], rows),
        )
        for name in names
        for severity in severities
        for rows in [chosen + (severity - 1) * len(test.labels)]
    ]


def npy_fingerprint(folder: Path) -> str:
    """SHA-256 of the names, sizes and 64 evenly spaced samples of the folder's arrays: cheap, whatever their size."""
    state = hashlib.sha256()
    for path in arrays_in(folder).values():
        size = path.stat().st_size
        state.update(f"{path.name} {size}\n".encode())
        for part in _samples(path, size):
            state.update(part)
    return state.hexdigest()


def _samples(path: Path, size: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        for index in range(SAMPLES):
            file.seek(max(0, size - SAMPLE_BYTES) * index // (SAMPLES - 1))
            yield file.read(SAMPLE_BYTES)


def _reader(images: NDArray[np.uint8], rows: NDArray[np.int64]) -> ReadImages:
    return lambda where: images[rows[where]]


def _open(path: Path, test: tuple[int, ...]) -> NDArray[np.uint8]:
    """A memory map [5N,H,W,c] of the array at `path`, of test images of the shape (N,c,H,W)."""
    images = _map(path)
    N, c, H, W = test
    expected = (len(SEVERITIES) * N, H, W, c)
    shape = (*images.shape, 1) if images.ndim == 3 else images.shape
    if images.dtype != np.uint8 or shape != expected:
        raise InputError(
            f"{path}: expected uint8 images {list(expected)}, got {images.dtype} {list(images.shape)}"
            f" ({_cause(shape, expected)})"
        )
    return images.reshape(expected).view(np.uint8)


def _cause(shape: tuple[int, ...], expected: tuple[int, ...]) -> str:
    if len(shape) != 4 or shape == expected:
        return "not raw images, channels last?"
    if shape[1] == expected[3]:
        return "channels first? They go last"
    if shape[3] != expected[3]:
        return f"{shape[3]} channels, where the network takes {expected[3]}"
    if shape[1:3] != expected[1:3]:
        return "images of another size: from another data set?"
    return (
        f"not {len(SEVERITIES)} severities of {expected[0] // len(SEVERITIES)} test images: truncated, or another set?"
    )


def _check_labels(folder: Path, labels: NDArray[np.int64], by_name: NDArray[np.int64]) -> None:
    """Raises InputError where the labels are neither those of the test set, five times over, nor their names."""
    path = next((path for path in (named(folder, name) for name in LABELS) if path.is_file()), None)
    if path is None:
        raise InputError(f"{folder}: expected {' or '.join(LABELS)} next to the corruptions, got no such file")
    found = label_column(np.array(_map(path)), str(path), len(SEVERITIES) * len(labels))
    same = max((found.reshape(len(SEVERITIES), -1) == expected).mean() for expected in (labels, by_name))
    if same < 1:
        raise InputError(
            f"{path}: expected the labels of the test set, five times over; {1 - same:.1%} of them differ"
            " (another set, or another order?)"
        )


def _map(path: Path) -> NDArray[np.generic]:
    try:
        with path.open("rb") as file:
            read_header(file, path.stat().st_size, str(path))
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: expected a whole .npy array ({one_line(error)})") from None
