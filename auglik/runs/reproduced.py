"""Whether a finished run that is scored again has the clean scores of its own predictions."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from auglik.objectives import InputError
from auglik.runs.own_code import code_digests, own_code
from auglik.runs.resolved import ResolvedRun
from auglik.runs.results import Results
from auglik.runs.settings import flatten
from auglik.scoring.columns import fixed
from auglik.scoring.metrics import judged
from auglik.scoring.predictions import load_predictions

ROUNDING, ROUNDING_BF16 = 1e-4, 1e-2
"""The most that rounding is taken to move a clean NLL (relative beyond 1 nat), or an error rate beyond one image.

Three networks on digits moved by 4e-8 from float64 to float32, and by 3e-4 and .006 to bfloat16.
"""


class Scorer(NamedTuple):
    """What scored a run, as far as that is known."""

    device: str | None
    """By name."""
    versions: Mapping[str, str]
    """Of libraries."""


def unlike_recorded(
    folder: Path,
    results: Results,
    run: ResolvedRun,
    positions: NDArray[np.int64],
    error: float,
    nll: float,
    now: Scorer,
) -> str | None:
    """A line if clean scores of the test images at `positions` [n] are not those of the run's own predictions of them.

    `run` is the one in `folder`, `now` what scored it this time. None where they are alike to rounding, and where there
    is nothing to compare with: a run that was not scored or not on all of these images, predictions that are gone.
    """
    if results.test_digest is None:
        return None
    try:
        own = load_predictions(folder)
        if not np.isin(positions, own.indices).all():
            return None
        order = np.argsort(own.indices)
        rows = order[np.searchsorted(own.indices, positions, sorter=order)]
        found = judged(own.log_probabilities[rows], own.labels[rows])
    except InputError:  # a report says what is wrong with them
        return None
    its_error, its_nll = float((found.correct == 0).mean()), float(found.nll.mean())
    most = ROUNDING_BF16 if run.precision == "bf16" else ROUNDING
    if _close(nll, its_nll, most * max(1.0, its_nll)) and _close(error, its_error, most + 1 / len(rows)):
        return None
    return (
        f"{folder}: clean NLL {fixed(nll, 4)} and error {fixed(error, 4)}, where the run recorded predictions of these"
        f" images with {fixed(its_nll, 4)} and {fixed(its_error, 4)}: {_cause(results, run, now)}"
    )


def _close(a: float, b: float, most: float) -> bool:
    return a == b or (math.isfinite(most) and abs(a - b) <= most)  # NLLs may be inf


def _cause(results: Results, run: ResolvedRun, now: Scorer) -> str:
    """What is known to be different now, else what may be."""
    own = code_digests(own_code(flatten(run.config)))
    causes = [f"{name} has been edited" for name, code in own.items() if code != (results.own_code or {}).get(name)]
    causes += [
        f"{name} is {now.versions[name]}, was {was}"
        for name, was in results.versions.items()
        if now.versions.get(name, was) != was
    ]
    if now.device not in (None, results.device):
        causes.append(f"scored on {now.device}, trained on {results.device}")
    return (
        ", ".join(causes) or "have its config.toml, the code of its network or the images in its files changed since?"
    )
