"""A simulation that shows the plug-in's bias and its removal: models of known calibration error, many test sets."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import special

from auglik.inference.calibration import errors
from auglik.inference.calibration.bins import Outcomes, count, equal_mass, equal_width
from auglik.system.array_types import Float64Array
from auglik.system.keys import host_generator

POPULATION = 1_000_000
CLASSES = 10
SPREAD = 3.0
"""Standard deviation of the true logits."""


class Estimate(NamedTuple):
    """The mean of an estimator over test sets."""

    mean: float
    standard_error: float
    truth: float
    """The same quantity of the population."""


class BiasRow(NamedTuple):
    """Estimators on test sets of N images of a model whose logits are the true ones over T; T = 1 is calibrated."""

    T: float
    images: int
    plug_in: Estimate
    equal_mass: Estimate
    debiased: Estimate
    squared_plug_in: Estimate
    squared_debiased: Estimate


def population(T: float, size: int, generator: np.random.Generator) -> tuple[Float64Array, Float64Array]:
    """Confidence softmax(logits / T) and the true probability softmax(logits) of the predicted class, each [size]."""
    logits = generator.normal(0, SPREAD, (size, CLASSES))
    highest = logits.max(axis=1)
    confidence, truth = (np.exp((highest - special.logsumexp(logits / t, axis=1) * t) / t) for t in (T, 1.0))
    return confidence, truth


def bias_table(
    temperatures: Sequence[float] = (1.0, 0.8, 0.5),
    images: Sequence[int] = (500, 2000, 10000),
    repeats: int = 300,
    bins: int = 15,
    seed: int = 0,
) -> list[BiasRow]:
    """One row for each temperature and number of images, `repeats` test sets each."""
    rows = []
    for T in temperatures:
        generator = host_generator(seed, "calibration", "bias", round(1000 * T))
        confidence, truth = population(T, POPULATION, generator)
        for N in images:
            found = []
            for _ in range(repeats):
                drawn = generator.integers(POPULATION, size=N)
                correct = (generator.random(N) < truth[drawn]).astype(np.float64)
                found.append(_estimates(Outcomes(confidence[drawn], special.logit(confidence[drawn]), correct), bins))
            rows.append(_row(T, N, np.array(found), _truths(confidence, truth, bins)))
    return rows


def _estimates(seen: Outcomes, bins: int) -> list[float]:
    width, mass = equal_width(bins), equal_mass(seen.confidence, bins)
    counts = count(seen.confidence, seen.correct, width)
    squared = np.square(counts.correct - counts.confidence) / np.maximum(counts.images, 1)
    return [
        errors.plug_in(counts),
        errors.plug_in(count(seen.confidence, seen.correct, mass)),
        errors.debiased(seen, width),
        float(squared.sum() / seen.correct.size),
        errors.debiased_squared(seen, width),
    ]


def _truths(confidence: Float64Array, truth: Float64Array, bins: int) -> list[float]:
    width = count(confidence, truth, equal_width(bins))
    mass = count(confidence, truth, equal_mass(confidence, bins))
    ece = errors.plug_in(width)
    squared = float((np.square(width.correct - width.confidence) / np.maximum(width.images, 1)).sum() / truth.size)
    return [ece, errors.plug_in(mass), ece, squared, squared]


def _row(T: float, N: int, found: Float64Array, truths: Sequence[float]) -> BiasRow:
    means, deviations = found.mean(axis=0), found.std(axis=0, ddof=1) / np.sqrt(len(found))
    estimates = (Estimate(float(m), float(s), t) for m, s, t in zip(means, deviations, truths, strict=True))
    return BiasRow(T, N, *estimates)
