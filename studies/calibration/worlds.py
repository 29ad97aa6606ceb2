"""Worlds of classifiers whose calibration error is known, made without a word of the code that estimates it.

To network s an image of class y shows z_s = d (d e_y + sqrt(r) g + sqrt(1-r) h_s), g and h_s standard normal in every
class. softmax(z_s) is the posterior of y given z_s: calibrated, whatever s saw. As the networks share g, they err on
the same images. A distortion of the posterior, or of the labels, makes a world.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import special

from auglik.system.array_types import Float64Array, IndexArray

SHARED = 0.7
BINS = 15
STEP = 100_000
"""Images of a population that are drawn at a time."""


class World(NamedTuple):
    """What networks report in place of the posterior of C classes, and which labels are wrong."""

    name: str
    confidence: Callable[[Float64Array], Float64Array]
    """Logits of the posterior [...,C] to the confidence reported for the likeliest class [...]."""
    classes: int = 10
    evidence: float = 2.6
    """d, in standard deviations: the networks' accuracy is .83 at 2.6 and 10 classes."""
    flipped: float = 0.0
    """The share of labels that are redrawn."""

    @property
    def calibrated(self) -> bool:
        return self.confidence is posterior and self.flipped == 0


class Answers(NamedTuple):
    """Of S networks on N images, each [S,N]."""

    confidence: Float64Array
    correct: Float64Array


def temperature(T: float) -> Callable[[Float64Array], Float64Array]:
    """Softmax of the logits over T: T = 1 is calibrated, less is overconfident."""
    return lambda z: special.softmax(z / T, axis=-1).max(-1)


posterior = temperature(1.0)


def _at_the_top(z: Float64Array) -> Float64Array:
    p = special.softmax(z, axis=-1).max(-1)
    return np.where(p > 0.9, special.softmax(2 * z, axis=-1).max(-1), p)


def _by_class(z: Float64Array) -> Float64Array:
    T = np.where(z.argmax(-1) % 2 == 0, 0.7, 1.4)
    return special.softmax(z / T[..., None], axis=-1).max(-1)


def _wave(z: Float64Array) -> Float64Array:
    p = special.softmax(z, axis=-1).max(-1)
    return np.clip(p + 0.04 * np.sin(6 * np.pi * p), 1 / z.shape[-1], 1 - 1e-9)


def _timid(z: Float64Array) -> Float64Array:
    return 0.5 + 0.2 * temperature(4.0)(z)


WORLDS = (
    World("calibrated", posterior),
    World("calibrated, 2 classes", posterior, 2, 1.3),
    World("calibrated, accuracy .97", posterior, evidence=3.8),
    World("T = 0.67", temperature(0.67)),
    World("T = 0.8", temperature(0.8)),
    World("T = 0.9", temperature(0.9)),
    World("T = 1.2", temperature(1.2)),
    World("T = 1.5", temperature(1.5)),
    World("T = 0.67, 2 classes", temperature(0.67), 2, 1.3),
    World("T = 0.67, accuracy .97", temperature(0.67), evidence=3.8),
    World("overconfident above .9 only", _at_the_top),
    World("T by class, 0.7 or 1.4", _by_class),
    World("accuracy off by a wave", _wave),
    World("a sixth of the labels drawn anew", posterior, flipped=1 / 6),
)
TIMID = (
    World("confidence .5 to .7, accuracy .97", _timid, evidence=3.8),
    World("confidence .5 to .7, accuracy .99", _timid, evidence=4.3),
)
"""Underconfident and hardly ever wrong: small test sets hold a few errors or none, in several bins."""


def evidence(
    world: World, networks: int, images: int, generator: np.random.Generator
) -> tuple[Float64Array, IndexArray]:
    """Logits of the posterior [S,N,C] and the classes that made them [N]."""
    y = generator.integers(world.classes, size=images)
    shared = np.sqrt(SHARED) * generator.normal(size=(images, world.classes))
    shared[np.arange(images), y] += world.evidence
    own = generator.normal(size=(networks, images, world.classes))
    return world.evidence * (shared + np.sqrt(1 - SHARED) * own), y


def answers(world: World, networks: int, images: int, generator: np.random.Generator) -> Answers:
    """One test set."""
    z, labels = evidence(world, networks, images, generator)
    if world.flipped:
        anew = generator.integers(world.classes, size=images)
        labels = np.where(generator.random(images) < world.flipped, anew, labels)
    return Answers(world.confidence(z), (z.argmax(-1) == labels).astype(np.float64))


def true_bins(world: World, generator: np.random.Generator, images: int) -> tuple[Float64Array, ...]:
    """Of one network's images by bin of confidence: how many, the sum of confidence, and of the chance of being right,
    each [BINS]."""
    totals = np.zeros((3, BINS))
    for _ in range(images // STEP):
        z, _ = evidence(world, 1, STEP, generator)
        confidence = world.confidence(z)[0]
        right = special.softmax(z[0], axis=-1).max(-1)
        right = (1 - world.flipped) * right + world.flipped / world.classes
        place = np.ceil(np.clip(confidence, 1e-12, 1) * BINS).astype(np.intp) - 1
        totals += [np.bincount(place, column, BINS) for column in (np.ones(STEP), confidence, right)]
    return tuple(totals)


def true_error(world: World, generator: np.random.Generator, images: int) -> float:
    """The binned ECE, from the chance of being right in place of whether an answer is."""
    number, confidence, right = true_bins(world, generator, images)
    return float(np.abs(right - confidence).sum() / number.sum())
