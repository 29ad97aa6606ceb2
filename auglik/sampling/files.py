"""What a finished run that sampled left in its predictions.npz beside what every run does."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from auglik.objectives import InputError
from auglik.scoring.predictions import PREDICTIONS
from auglik.system.array_types import Float32Array

DRAW_LOG_LIKELIHOODS, TEMPERATURES = "draw_log_likelihoods", "temperatures"


class ChainFile(NamedTuple):
    """One chain."""

    draw_log_likelihoods: Float32Array
    """The log-probability of every clean test image's label under every draw [S,N]."""
    temperatures: Float32Array
    """Kinetic and configurational, of the steps that were drawn from [n,2]; NaN for what the sampler has not."""


def load_chain(folder: Path) -> ChainFile | None:
    """The chain of the finished run in `folder`; None if it sampled nothing. Raises InputError for a damaged one."""
    path = folder / PREDICTIONS
    with np.load(path, allow_pickle=False) as archive:
        if DRAW_LOG_LIKELIHOODS not in archive:
            return None
        found = ChainFile(archive[DRAW_LOG_LIKELIHOODS], archive[TEMPERATURES])
    S, N = found.draw_log_likelihoods.shape
    if not S or not N or found.temperatures.ndim != 2 or found.temperatures.shape[1] != 2:
        raise InputError(f"{path}: expected draws [S,N] and temperatures [n,2], got {[S, N]} and"
                         f" {list(found.temperatures.shape)}; run it again")  # fmt: skip
    return found
