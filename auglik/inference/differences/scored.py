"""Scores of one run, per test image and in the mean, under the names of comparison.csv."""

from collections.abc import Callable, Mapping

import numpy as np

from auglik.objectives.errors import InputError
from auglik.scoring.columns import PART_TITLES, REPORTED
from auglik.scoring.metrics import marginal_log_likelihood, scores
from auglik.scoring.predictions import Predictions, part_of
from auglik.system.array_types import Float64Array

METRIC_NAMES = tuple(column.name for column in REPORTED)


def image_nll(run: Predictions) -> Float64Array:
    """-log p_label of the clean test images [N], in nats."""
    return -run.log_probabilities[np.arange(len(run.labels)), run.labels].astype(np.float64)


def run_scores(run: Predictions) -> dict[str, float]:
    """Clean, folded and mollified scores and the corrected marginal log-likelihood; NaN where a run diverged."""
    found: dict[str, float] = {}
    for part in PART_TITLES:
        of_part = _or_nan(lambda part=part: scores(*part_of(run, part))._asdict(), METRIC_NAMES)  # type: ignore[misc]
        found |= {f"{part}_{metric}": of_part[metric] for metric in METRIC_NAMES}
    marginal = _or_nan(lambda: {"": marginal_log_likelihood(run.view_log_likelihoods).corrected}, ("",))
    return found | {"marginal_log_likelihood_corrected": marginal[""]}


def _or_nan(measure: Callable[[], Mapping[str, float]], names: tuple[str, ...]) -> Mapping[str, float]:
    try:
        return measure()
    except InputError:
        return dict.fromkeys(names, float("nan"))
