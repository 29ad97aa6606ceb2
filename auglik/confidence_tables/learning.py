"""A small estimator of difficulty: class, operation, strength and features of the image -> confidence.

An item response model with covariates (De Boeck and Wilson 2004): every operation at each of its strengths is an item,
an image is a vector of traits, its class's embedding plus its features' weights, and logit p = curve + loading .
traits. The outcome is whether a network, which was trained on other images, names the class: fitted by the Bernoulli
likelihood with normal priors, of the width that predicts images best that were left out.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import optimize
from scipy.special import entr, expit, logsumexp, xlogy

from auglik.confidence.estimator import Fit, confidences, traits_of
from auglik.data.images import parts
from auglik.objectives import InputError
from auglik.system.array_types import Float64Array
from auglik.system.keys import host_generator

FEATURES = ("log-odds", "entropy", "brightness", "contrast", "edges")
"""What an untouched image offers to whoever trains: what the network gives its class and how unsure it is, and three
statistics of its pixels. The first is the last layer's features along the one direction that counts for the class;
weights for all of them would be more than a few hundred images can determine."""

TRAITS = 3
PRECISIONS = (1.0, 3.0, 10.0, 30.0, 100.0)
"""Of the normal priors of loadings, embeddings and weights; one is chosen. That of the curves is 0.1."""
PARTS = 3
"""Of the images, each left out once to choose among these."""
FEWEST = 2 * PARTS
"""Of the images that are learned from."""
CLIP = 1e-6
"""Nearest that a probability may come to 0 or 1 in the log score."""


def features(images: NDArray[np.uint8], log_p: Float64Array, labels: NDArray[np.int64]) -> Float64Array:
    """FEATURES [N,5] of images [N,c,H,W] with log-probabilities [N,C] and labels [N]."""
    own = np.take_along_axis(log_p, labels[:, None], 1)[:, 0]
    others = log_p.copy()
    others[np.arange(len(labels)), labels] = -np.inf
    network = np.stack([own - logsumexp(others, axis=1), entr(np.exp(log_p)).sum(1)], 1)
    return np.concatenate([network, np.concatenate([_pixels(images[part]) for part in parts(images.shape)])], 1)


def _pixels(images: NDArray[np.uint8]) -> Float64Array:
    """Brightness, contrast and edges [n,3] of images [n,c,H,W], in units of [0,1]."""
    grey = images.mean(1, dtype=np.float64) / 255
    edges = sum(np.abs(np.diff(grey, axis=axis)).mean((1, 2)) for axis in (1, 2))
    return np.stack([grey.mean((1, 2)), grey.std((1, 2)), edges], 1)


class Outcomes(NamedTuple):
    """What a network made of V images."""

    right: Float64Array
    """Whether it named the class, 1 or 0, at every strength [V,S]."""
    labels: NDArray[np.int64]
    """[V]"""
    features: Float64Array
    """[V,F]"""

    def at(self, rows: NDArray[np.int64]) -> "Outcomes":
        """Of some of the images."""
        return Outcomes(self.right[rows], self.labels[rows], self.features[rows])


def learn(seen: Outcomes, classes: int, seed: int) -> Fit:
    """The estimator of one network's outcomes. Raises InputError for fewer images than are left out at a time."""
    if len(seen.labels) < FEWEST:
        raise InputError(f"learned: expected at least {FEWEST} validation images, got {len(seen.labels)}")
    part = host_generator(seed, "confidence learned").permutation(len(seen.labels)) % PARTS
    scores = [
        sum(_left_out(seen, np.flatnonzero(part == one), classes, precision, seed) for one in range(PARTS))
        for precision in PRECISIONS
    ]
    return _fit(seen, classes, PRECISIONS[int(np.argmin(scores))], seed)


def _left_out(seen: Outcomes, rows: NDArray[np.int64], classes: int, precision: float, seed: int) -> float:
    """The log score in nats, summed over the images at `rows`, of a fit to the others."""
    fit = _fit(seen.at(np.setdiff1d(np.arange(len(seen.labels)), rows)), classes, precision, seed)
    return float(log_score(predicted(fit, 0, seen.at(rows)), seen.right[rows]).sum())


def _fit(seen: Outcomes, classes: int, precision: float, seed: int) -> Fit:
    """The posterior mode at a precision, by L-BFGS from classes and features that do not count."""
    V, S = seen.right.shape
    F, r = seen.features.shape[1], TRAITS
    center, spread = seen.features.mean(0), seen.features.std(0)
    scale = np.where(spread > 0, spread, 1.0)
    x, own = (seen.features - center) / scale, np.eye(classes)[seen.labels]
    shapes = ((S,), (S, r), (classes, r), (F, r))
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])

    def split(flat: Float64Array) -> list[Float64Array]:
        return [part.reshape(shape) for part, shape in zip(np.split(flat, ends[:-1]), shapes, strict=True)]

    def loss(flat: Float64Array) -> tuple[float, Float64Array]:
        curve, loading, embedding, weights = split(flat)
        traits = own @ embedding + x @ weights
        logits = curve + traits @ loading.T
        residual = expit(logits) - seen.right
        of_traits = residual @ loading
        prior = 0.05 * (curve**2).sum() + precision / 2 * sum((part**2).sum() for part in (loading, embedding, weights))
        gradients = (
            residual.sum(0) + 0.1 * curve,
            residual.T @ traits + precision * loading,
            own.T @ of_traits + precision * embedding,
            x.T @ of_traits + precision * weights,
        )
        value = np.logaddexp(0, logits).sum() - (seen.right * logits).sum() + prior
        return float(value), np.concatenate([gradient.ravel() for gradient in gradients])

    share = (seen.right.sum(0) + 0.5) / (V + 1)
    generator = host_generator(seed, "confidence learned", "loadings")
    begin = np.zeros(ends[-1])
    begin[: ends[0]] = np.log(share / (1 - share))
    begin[ends[0] : ends[1]] = (np.eye(r)[0] + 0.3 * generator.standard_normal((S, r))).ravel()
    found = optimize.minimize(loss, begin, jac=True, method="L-BFGS-B", options={"maxiter": 500})
    curve, loading, embedding, weights = (part[None] for part in split(found.x))
    return Fit(
        curve=curve, loading=loading, embedding=embedding, weights=weights, center=center[None], scale=scale[None]
    )  # fmt: skip


def predicted(fit: Fit, number: int, seen: Outcomes) -> Float64Array:
    """p [V,S] of images, by the estimator of that number; their outcomes have no part in it."""
    return confidences(fit, number, traits_of(fit, number, seen.labels, seen.features))


def brier_score(p: Float64Array, right: Float64Array) -> Float64Array:
    """(p - right)^2."""
    return (p - right) ** 2


def log_score(p: Float64Array, right: Float64Array) -> Float64Array:
    """-log of what was said of what came, in nats."""
    inside = np.clip(p, CLIP, 1 - CLIP)
    found: Float64Array = -(xlogy(right, inside) + xlogy(1 - right, 1 - inside))
    return found


class Judged(NamedTuple):
    """How well it was said whether a network names images that nobody was fitted to."""

    brier: float
    log: float
    """Nats."""
    said: float
    """The mean p; calibrated on average if it is the share that was right."""
    error: float
    """Standard error, over images, of how far the log score lies above the reference's."""


def judge(p: Float64Array, right: Float64Array, reference: Float64Array) -> Judged:
    """Of p [n,S] against outcomes [n,S], beside `reference` [n,S]; strengths of one image are no independent trials."""
    score = log_score(p, right)
    above = (score - log_score(reference, right)).mean(1)
    return Judged(
        brier=float(brier_score(p, right).mean()), log=float(score.mean()), said=float(p.mean()),
        error=float(above.std(ddof=1) / np.sqrt(len(above))),
    )  # fmt: skip
