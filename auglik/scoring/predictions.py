"""The predictions of a finished run, read from its folder."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from auglik.data.source import one_line
from auglik.objectives import InputError
from auglik.system.array_types import Float32Array
from auglik.system.npz import read_npz

PREDICTIONS = "predictions.npz"


class Predictions(NamedTuple):
    """Log-probabilities of one run: of N test images in C classes, under M evaluation views, F of them folded."""

    log_probabilities: Float32Array
    """Of the clean test images [N,C]."""
    labels: NDArray[np.int64]
    """[N]"""
    indices: NDArray[np.int64]
    """The images' positions in the whole test set, which identify them [N]."""
    folded_log_probabilities: Float32Array
    """[N,C]"""
    mollified_log_probabilities: Float32Array
    """[F,N,C]"""
    view_log_likelihoods: Float32Array
    """At the label, under the evaluation views [M,N]."""
    validation_log_probabilities: Float32Array
    """Of the clean validation images [V,C]; V may be 0."""
    validation_labels: NDArray[np.int64]
    """[V]"""
    validation_indices: NDArray[np.int64]
    """The validation images' positions in the data set's training part [V]."""
    test_digest: str = ""
    """Of the pixels and labels of the test images."""
    evaluation_views_digest: str = ""
    """Of the draws of all evaluation views."""

    @property
    def images_digest(self) -> str:
        """What identifies the N images: equal for runs that can be paired image by image, in this order."""
        parts = (np.ascontiguousarray(part, dtype="<i8").tobytes() for part in (self.indices, self.labels))
        return hashlib.sha256(b"|".join([*parts, self.test_digest.encode()])).hexdigest()[:16]


PARTS: Mapping[str, Callable[[Predictions], Float32Array]] = {
    "clean": lambda run: run.log_probabilities,
    "folded": lambda run: run.folded_log_probabilities,
    "mollified": lambda run: run.mollified_log_probabilities,
}
"""The predictions that are scored, by the names of the scores of a run: [N,C], [N,C] and [F,N,C]."""


def part_of(run: Predictions, part: str) -> tuple[Float32Array, NDArray[np.int64]]:
    """Log-probabilities [N,C] or [FN,C] and their labels: each mollified view is a separate prediction."""
    log_p = PARTS[part](run)
    rows = log_p.reshape(-1, log_p.shape[-1])
    return rows, np.tile(run.labels, len(rows) // log_p.shape[-2])


DAMAGED = "; delete it and run it again"
DIGESTS = ("test_digest", "evaluation_views_digest")


def as_arrays(texts: Mapping[str, str]) -> dict[str, NDArray[np.str_]]:
    """Texts as arrays without axes, which a `.npz` file holds."""
    return {name: np.array(text) for name, text in texts.items()}


def load_predictions(folder: str | Path) -> Predictions:
    """The predictions of the finished run in `folder`; large arrays stay in the file until they are looked at.

    Raises InputError if they are missing, damaged or torn, and for what no run writes: other shapes and types,
    labels that are not classes, no images.
    """
    path = Path(folder) / PREDICTIONS
    if not path.is_file():
        raise InputError(f"{path}: expected the predictions of a finished run, got no such file; run it again")
    try:
        read = read_npz(path)
        if missing := [name for name in Predictions._fields if name not in read]:
            raise KeyError(f"{missing[0]} is not a file in the archive")
        kept = {name: _widened(name, read[name]) for name in Predictions._fields}
        found = Predictions(**kept | {name: str(kept[name]) for name in DIGESTS})  # type: ignore[arg-type]
    except Exception as error:  # NumPy, zipfile and zlib fail in many ways on damaged bytes
        reason = one_line(error)
        raise InputError(f"{path}: expected the predictions of a finished run ({reason}){DAMAGED}") from None
    _check_types(path, found)
    _check_shapes(path, found)
    classes = found.log_probabilities.shape[1]
    for name in ("labels", "validation_labels"):
        labels = getattr(found, name)
        if labels.size and not 0 <= labels.min() <= labels.max() < classes:
            raise InputError(
                f"{path}: expected {name} in 0..{classes - 1}, got {labels.min()} to {labels.max()}{DAMAGED}"
            )
    return found


def _widened(name: str, array: NDArray[np.generic]) -> NDArray[np.generic]:
    """The types that a run writes: kept elsewhere, numbers may have been rounded to half precision.

    Distributions are normalized again then, as rounding takes their sums off 1 by up to 2e-3.
    """
    if array.dtype.kind in "iu":
        return array.astype(np.int64)
    if array.dtype != np.float16:
        return array
    wide = array.astype(np.float32)
    return special.log_softmax(wide, axis=-1) if name.endswith("log_probabilities") else wide


def _check_types(path: Path, found: Predictions) -> None:
    for name in (name for name in Predictions._fields if name not in DIGESTS):
        array: NDArray[np.generic] = getattr(found, name)
        kind = "iu" if name.endswith(("labels", "indices")) else "f"
        if array.dtype.kind not in kind:
            expected = "integers" if kind == "iu" else "floating-point numbers"
            raise InputError(f"{path}: expected {name} as {expected}, got {array.dtype}{DAMAGED}")


def _check_shapes(path: Path, found: Predictions) -> None:
    if found.log_probabilities.ndim != 2 or found.log_probabilities.size == 0 or found.validation_labels.ndim != 1:
        raise InputError(
            f"{path}: expected log_probabilities [N,C] and validation_labels [V], got "
            f"{list(found.log_probabilities.shape)} and {list(found.validation_labels.shape)}{DAMAGED}"
        )
    N, C = found.log_probabilities.shape[:1], found.log_probabilities.shape[1:]
    expected = {
        "labels": N,
        "indices": N,
        "folded_log_probabilities": N + C,
        "mollified_log_probabilities": found.mollified_log_probabilities.shape[:1] + N + C,
        "view_log_likelihoods": found.view_log_likelihoods.shape[:1] + N,
        "validation_log_probabilities": found.validation_labels.shape + C,
        "validation_indices": found.validation_labels.shape,
    }
    for name, shape in expected.items():
        if getattr(found, name).shape != shape:
            raise InputError(f"{path}: expected {name} {list(shape)}, got {list(getattr(found, name).shape)}")
