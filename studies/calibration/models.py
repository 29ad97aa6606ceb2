"""Curve and slope of the NumPyro models where the truth is known in closed form.

Of two classes and logits over T, logit accuracy = T logit confidence at every confidence: slope T, intercept 0.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import special

from auglik.inference.calibration import calibrate
from auglik.scoring.predictions import Predictions
from auglik.studies.calibration.worlds import BINS, World, evidence, temperature
from auglik.studies.study import Claim, at_least
from auglik.system.keys import host_generator

CELLS, IMAGES, NETWORKS, DRAWS = 120, 500, 3, 300
TEMPERATURES = (1.0, 0.67)
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


def model_claims(seed: int) -> list[Claim]:
    """That bands of curve, slope and intercept hold the truth; cells are independent, bins of a cell are not."""
    runs = {}
    for T in TEMPERATURES:
        generator = host_generator(seed, "calibration models", round(1000 * T))
        for number in range(CELLS):
            z, labels = evidence(World("", temperature(T), 2, 1.3), NETWORKS, IMAGES, generator)
            log_p = special.log_softmax(z / T, axis=-1).astype(np.float32)
            runs[f"{T} {number}"] = {s: predictions(log_p[s], labels) for s in range(NETWORKS)}
    found = calibrate(runs, seed=seed, draws=DRAWS, bins=BINS).cells
    claims = []
    for T in TEMPERATURES:
        cells = [found[f"{T} {number}"] for number in range(CELLS)]
        held: dict[str, list[float]] = {
            "slope": [bool(c.slope.lower_95 <= T <= c.slope.upper_95) for c in cells],
            "intercept": [bool(c.intercept.lower_95 <= 0 <= c.intercept.upper_95) for c in cells],
            "curve": [],
        }
        for cell in cells:
            curve = cell.curve
            truth = special.expit(T * special.logit(curve.confidence))
            inside = (curve.posterior.lower_95 <= truth) & (truth <= curve.posterior.upper_95)
            held["curve"].append(float(inside[curve.counts >= ENOUGH].mean()))
        for name, shares in held.items():
            error = max(np.std(shares), np.sqrt(0.95 * 0.05)) / np.sqrt(CELLS)
            claims.append(
                at_least(
                    f"T = {T}: share of {name} bands that hold the truth", float(np.mean(shares)), 0.95, ERRORS * error
                )
            )
    return claims
