"""What a finished run predicted, read back from its folder."""

import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from objectives import InputError

PREDICTIONS = "predictions.npz"

Array = NDArray[np.float32]


class Predictions(NamedTuple):
    """Log-probabilities of one run: of N test images in C classes, under M evaluation views, F of them folded."""

    log_probabilities: Array
    """Of the clean test images [N,C]."""
    labels: NDArray[np.int64]
    """[N]"""
    indices: NDArray[np.int64]
    """The images' places in the test set [N]."""
    folded_log_probabilities: Array
    """[N,C]"""
    mollified_log_probabilities: Array
    """[F,N,C]"""
    view_log_likelihoods: Array
    """At the label, under the evaluation views [M,N]."""
    validation_log_probabilities: Array
    """Of the clean validation images [V,C]; V may be 0."""
    validation_labels: NDArray[np.int64]
    """[V]"""


def load_predictions(folder: Path) -> Predictions:
    """The predictions of the finished run in `folder`. Raises InputError where they are missing, damaged or torn."""
    path = folder / PREDICTIONS
    try:
        with np.load(path, allow_pickle=False) as archive:
            found = Predictions(*(archive[name] for name in Predictions._fields))
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: expected the predictions of a finished run, got {reason}; run it again") from None
    N, C = found.log_probabilities.shape[:1], found.log_probabilities.shape[1:]
    expected = {
        "labels": N,
        "indices": N,
        "folded_log_probabilities": N + C,
        "mollified_log_probabilities": found.mollified_log_probabilities.shape[:1] + N + C,
        "view_log_likelihoods": found.view_log_likelihoods.shape[:1] + N,
        "validation_log_probabilities": found.validation_labels.shape + C,
    }
    for name, shape in expected.items():
        if getattr(found, name).shape != shape:
            raise InputError(f"{path}: expected {name} {list(shape)}, got {list(getattr(found, name).shape)}")
    return found
