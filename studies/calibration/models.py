"""Curve, slope and intercept of the NumPyro models where the truth is known: logits over T.

Of two classes logit accuracy = T logit confidence at every confidence: slope T, intercept 0. Of ten there is no such
line; a curve's truth is the chance of being right among many images of a bin.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import special

from auglik.inference.calibration import CellCalibration, calibrate
from auglik.inference.calibration.results import Band
from auglik.scoring.predictions import Predictions
from auglik.studies.calibration.worlds import BINS, World, evidence, temperature, true_bins
from auglik.studies.study import Claim, at_least
from auglik.system.keys import host_generator

CELLS, IMAGES, NETWORKS, DRAWS = 120, 500, 3, 300
POPULATION = 1_000_000
EVIDENCE = {2: 1.3, 10: 2.6}
"""d of worlds.py, by classes."""
SCALINGS = ((1.0, 2), (0.67, 2), (0.5, 10), (2.0, 10), (3.0, 10), (5.0, 10))
"""T and classes."""
ERRORS = 3.5
ENOUGH = 30
"""Images of a bin, of all networks, from which on its band is judged."""


def predictions(log_p: NDArray[np.float32], labels: NDArray[np.intp]) -> Predictions:
    """Of a run without validation images."""
    places = np.arange(len(labels))
    return Predictions(
        log_probabilities=log_p, labels=labels, indices=places, folded_log_probabilities=log_p,
        mollified_log_probabilities=log_p[None], view_log_likelihoods=log_p[None, :, 0],
        validation_log_probabilities=log_p[:0], validation_labels=labels[:0], validation_indices=places[:0],
    )  # fmt: skip


def model_claims(
    seed: int, scalings: Sequence[tuple[float, int]] = SCALINGS, number: int = CELLS, draws: int = DRAWS
) -> list[Claim]:
    """That bands of curve, slope and intercept hold the truth, of so many cells each; cells are independent, bins of a
    cell are not."""
    runs = {}
    for T, classes in scalings:
        generator = host_generator(seed, "calibration models", round(1000 * T), classes)
        for place in range(number):
            z, labels = evidence(_world(T, classes), NETWORKS, IMAGES, generator)
            log_p = special.log_softmax(z / T, axis=-1).astype(np.float32)
            runs[f"{T} {classes} {place}"] = {s: predictions(log_p[s], labels) for s in range(NETWORKS)}
    found = calibrate(runs, seed=seed, draws=draws, bins=BINS).cells
    claims = []
    for T, classes in scalings:
        cells = [found[f"{T} {classes} {place}"] for place in range(number)]
        for name, shares in _held(T, classes, cells, seed).items():
            error = max(np.std(shares), np.sqrt(0.95 * 0.05)) / np.sqrt(number)
            text = f"{_world(T, classes).name}: share of {name} bands that hold the truth"
            claims.append(at_least(text, float(np.mean(shares)), 0.95, ERRORS * error))
    return claims


def _held(T: float, classes: int, cells: Sequence[CellCalibration], seed: int) -> dict[str, list[float]]:
    """Whether each cell's bands hold the truth, of curves the share of bins."""
    world = _world(T, classes)
    images, _, right = true_bins(world, host_generator(seed, "calibration truth", world.name), POPULATION)
    truth = right / np.maximum(images, 1)
    held = {"curve": [float(_inside(c.curve.posterior, truth)[c.curve.counts >= ENOUGH].mean()) for c in cells]}
    if classes == 2:
        held["slope"] = [float(_inside(c.slope, T)) for c in cells]
        held["intercept"] = [float(_inside(c.intercept, 0.0)) for c in cells]
    return held


def _inside(band: Band, truth: NDArray[np.float64] | float) -> NDArray[np.bool_]:
    return np.asarray((band.lower_95 <= truth) & (truth <= band.upper_95))


def _world(T: float, classes: int) -> World:
    return World(f"T = {T:g}, {classes} classes", temperature(T), classes, EVIDENCE[classes])
