"""A table of confidence, measured on the validation images of a data set."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from auglik.confidence.table import MeasuredCurve
from auglik.confidence_tables.probes import Probe
from auglik.confidence_tables.similarity import similarities, similarity_for
from auglik.runs.evaluation import Predict, clean_log_probabilities
from auglik.views import Gallery

Score = Callable[[str, Tensor], Tensor]
"""An operation and what it made of all N images, uint8 [N,c,H,W] -> a value of each [N]."""


def measure(
    probes: Mapping[str, Probe], images: Tensor, score: Score, progress: Callable[[float], None] = lambda share: None
) -> dict[str, MeasuredCurve]:
    """The mean score of `images` [N,c,H,W] at every strength of every probe, with its standard error."""
    return {name: _curve(probes[name], values) for name, values in scores(probes, images, score, progress).items()}


def scores(
    probes: Mapping[str, Probe], images: Tensor, score: Score, progress: Callable[[float], None] = lambda share: None
) -> dict[str, NDArray[np.float64]]:
    """The score of each of `images` [N,c,H,W] at every strength of every probe: [m,N]."""
    total, done = sum(len(probe.at) for probe in probes.values()), 0
    found = {}
    for operation, probe in probes.items():
        values = []
        for strength in probe.at:
            values.append(score(operation, probe.apply(images, float(strength))).double().cpu().numpy())
            done += 1
            progress(done / total)
        found[operation] = np.stack(values)
    return found


def _curve(probe: Probe, values: NDArray[np.float64]) -> MeasuredCurve:
    """Means and standard errors over the images of values [m,N]; a single image has no standard error."""
    N = values.shape[1]
    spread = values.std(1, ddof=1) if N > 1 else np.full(len(values), np.nan)
    return MeasuredCurve(probe.axis, probe.at, values.mean(1), spread / np.sqrt(N))


def accuracy(predict: Predict, labels: Tensor, mean: list[float], std: list[float], device: torch.device) -> Score:
    """Whether a network names the class, 0 or 1 an image; labels [N], statistics as it was trained with."""

    def score(operation: str, transformed: Tensor) -> Tensor:
        log_p = clean_log_probabilities(predict, Gallery.pack(transformed.numpy(), mean, std, device))
        return (log_p.argmax(-1).cpu() == labels).double()

    return score


def similarity(measure_name: str, images: Tensor) -> Score:
    """How similar each image is to itself transformed."""

    def score(operation: str, transformed: Tensor) -> Tensor:
        return similarities(similarity_for(measure_name, operation), transformed, images)

    return score
