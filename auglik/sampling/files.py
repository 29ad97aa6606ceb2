"""What a finished run that sampled left: in its predictions.npz beside what every run does, and in densities.npz."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from auglik.data.source import one_line
from auglik.objectives import InputError
from auglik.scoring.predictions import DAMAGED, PREDICTIONS
from auglik.system.array_types import Float32Array, Float64Array
from auglik.system.files import write_compressed_npz

DRAW_LOG_LIKELIHOODS, TEMPERATURES = "draw_log_likelihoods", "temperatures"
DENSITIES = "densities.npz"
AGAIN = "delete it, and run `auglik sample --leave-one-out` again"


class ChainFile(NamedTuple):
    """One chain."""

    draw_log_likelihoods: Float32Array
    """The log-probability of every clean test image's label under every draw [S,N]."""
    temperatures: Float32Array
    """Kinetic and configurational, of the steps that were drawn from [n,2]; NaN for what the sampler has not."""


def load_chain(folder: Path) -> ChainFile | None:
    """The chain of the finished run in `folder`; None if it sampled nothing. Raises InputError for a damaged one."""
    path = folder / PREDICTIONS
    try:
        with np.load(path, allow_pickle=False) as archive:
            if DRAW_LOG_LIKELIHOODS not in archive:
                return None
            found, N = ChainFile(archive[DRAW_LOG_LIKELIHOODS], archive[TEMPERATURES]), len(archive["labels"])
    except Exception as error:  # NumPy, zipfile and zlib fail in many ways on damaged bytes
        raise InputError(f"{path}: expected the draws of a chain ({one_line(error)}){DAMAGED}") from None
    draws, temperatures = (values.shape for values in found)
    if len(draws) != 2 or not draws[0] or draws[1] != N or len(temperatures) != 2 or temperatures[1] != 2:
        raise InputError(f"{path}: expected draws [S,{N}] and temperatures [n,2], got {list(draws)} and"
                         f" {list(temperatures)}{DAMAGED}")  # fmt: skip
    for name, values in found._asdict().items():
        if values.dtype.kind != "f":
            raise InputError(f"{path}: expected {name} as floating-point numbers, got {values.dtype}{DAMAGED}")
    return found


class Densities(NamedTuple):
    """Of the S draws of a chain, on fixed views of N training images."""

    log_likelihood: Float64Array
    """Of every image [S,N]."""
    log_prior: Float64Array
    """Up to a constant [S]."""


def write_densities(folder: Path, found: Densities) -> None:
    """Beside the run's results. Raises InputError if it cannot write."""
    log_likelihood = found.log_likelihood.astype(np.float32)
    write_compressed_npz(folder / DENSITIES, log_likelihood=log_likelihood, log_prior=found.log_prior)


def load_densities(folder: Path) -> Densities | None:
    """What `write_densities` wrote there; None if nothing. Raises InputError for a damaged file."""
    path = folder / DENSITIES
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as archive:
            found = Densities(archive["log_likelihood"].astype(np.float64), archive["log_prior"].astype(np.float64))
    except Exception as error:  # NumPy, zipfile and zlib fail in many ways on damaged bytes
        raise InputError(f"{path}: expected the densities of draws ({one_line(error)}); {AGAIN}") from None
    if found.log_likelihood.ndim != 2 or found.log_prior.shape != found.log_likelihood.shape[:1]:
        raise InputError(f"{path}: expected log-likelihoods [S,N] and log-priors [S], got"
                         f" {[list(values.shape) for values in found]}; {AGAIN}")  # fmt: skip
    return found
