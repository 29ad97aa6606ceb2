"""What the models see of the runs: counts per cell, seed and bin, and how far seeds err on the same images."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy import special

from auglik.inference.calibration.bins import Outcomes, bounded_logit, count, equal_mass, equal_width
from auglik.system.array_types import Float64Array

LOGIT_BOUND = 9.2
"""Confidences beyond 1e-4 from 0 or 1 enter the models' logits as that: a test set can't tell them apart."""
LINE_SPREAD = LOGIT_BOUND / 2
"""Prior standard deviation of the curve's level and slope, in logits: any that a test set can tell is within two."""
LEAST_SCALE = 0.1
"""Of the logits of confidence, by which they are standardized: images of one bin differ by about that."""
BEND_SPREAD = 0.3
"""Prior standard deviation of the factor of the standardized logit's square, in logits."""
LARGEST_SQUARE = 16.0
"""Of a standardized logit: no bend is told from errors further than four standard deviations away."""
CURVE_SPREAD = 0.5
"""Prior standard deviation of the curve about its parabola, in logits."""
LENGTH_SCALE = 0.2
"""Of the curve about its parabola, in confidence."""
GROUPS = 40
MOST_SHARED = 0.95
UNKNOWN = 1e6


class CellData(NamedTuple):
    """One cell with S seeds; an absent seed has no images."""

    images: Float64Array
    """[S,B], in the bins of the reliability diagram."""
    correct: Float64Array
    confidence: Float64Array
    """Sum over the images of the bin [S,B]."""
    shared: float
    """rho: the share of the variance of a bin's accuracy that is luck with the images, common to the seeds."""
    luck: Float64Array
    """Standard deviation of that luck, in logits [B]."""
    common_luck: float
    """Of the luck with images that seeds put into different bins, taken as common to all bins."""
    curve_root: Float64Array
    """Cholesky factor of the curve's prior covariance [B,B]."""
    group_images: Float64Array
    """[S,G], in G groups of equally many images in the order of their confidence."""
    group_correct: Float64Array
    group_logit: Float64Array
    """Mean logit of confidence, 0 in an empty group [S,G]."""
    centre: float
    scale: float
    """By which the model standardizes logits: their mean and standard deviation, images weighted by p (1-p)."""
    shared_anywhere: float
    """rho over all images, not only those that seeds put into one bin."""
    luck_root: Float64Array
    """Cholesky factor of the covariance of the luck with the intercept and slope, standardized [2,2]."""
    seed_line: Float64Array
    """Each seed's own intercept and slope, standardized, less those of the identity [S,2]."""
    own_variance: Float64Array
    """Of those, from luck that is not shared; UNKNOWN where there is no seed or no other [S,2]."""
    several: bool
    """Whether there are seeds to compare."""


def cell_data(runs: Mapping[int, Outcomes], seeds: Sequence[int], bins: int) -> CellData:
    """The counts of one cell; `seeds` are those of all cells, of which this one may lack some."""
    edges = equal_width(bins)
    present = [seeds.index(seed) for seed in runs]
    binned = [count(run.confidence, run.correct, edges) for run in runs.values()]
    images, correct, confidence = (_placed(column, present, len(seeds)) for column in zip(*binned, strict=True))
    accuracy = (correct.sum(0) + 0.5) / (images.sum(0) + 1)
    information = np.maximum(images.sum(0) / len(runs), 1) * accuracy * (1 - accuracy)
    same_bin, anywhere = shared_luck(list(runs.values()), edges)
    grouped = [_groups(run) for run in runs.values()]
    group_images, group_correct, group_logit = (_placed(c, present, len(seeds)) for c in zip(*grouped, strict=True))
    centre, scale = _standard(group_images, group_correct, group_logit)
    x = np.stack([np.ones_like(group_logit), (group_logit - centre) / scale], -1)
    fisher = _logistic_fit(group_images, group_correct, group_logit, x)[1]
    covariance = np.linalg.inv(fisher / len(runs))
    seed_line, own_variance = np.zeros((len(seeds), 2)), np.full((len(seeds), 2), UNKNOWN)
    if len(runs) > 1:
        for s in present:
            seed_line[s], own = _logistic_fit(group_images[s], group_correct[s], group_logit[s], x[s])
            own_variance[s] = (1 - anywhere) / np.diag(own)
    return CellData(
        images=images,
        correct=correct,
        confidence=confidence,
        shared=same_bin,
        luck=np.sqrt(same_bin / information),
        common_luck=float(np.sqrt(max(anywhere - same_bin, 0) / information.sum())),
        curve_root=_curve_root((mean_logit(confidence.sum(0), images.sum(0)) - centre) / max(scale, LEAST_SCALE)),
        group_images=group_images,
        group_correct=group_correct,
        group_logit=group_logit,
        centre=centre,
        scale=scale,
        shared_anywhere=anywhere,
        luck_root=np.linalg.cholesky(covariance) * np.sqrt(anywhere),
        seed_line=seed_line,
        own_variance=own_variance,
        several=len(runs) > 1,
    )


def _curve_root(x: Float64Array) -> Float64Array:
    """Cholesky factor [B,B] of the prior covariance of the curve's deviation from the identity, in logits.

    A parabola in the standardized logits of confidence x [B], and a Matérn-3/2 process about it. Narrower priors, with
    calibrated networks in their middle, took what they did not expect for luck with the images.
    """
    centre = (np.arange(x.size) + 0.5) / x.size
    distance = np.sqrt(3) * np.abs(centre[:, None] - centre) / LENGTH_SCALE
    process = (1 + distance) * np.exp(-distance)
    square = np.minimum(np.square(x), LARGEST_SQUARE)
    wide = LINE_SPREAD**2 * (1 + np.outer(x, x)) + BEND_SPREAD**2 * np.outer(square, square)
    return np.linalg.cholesky(wide + CURVE_SPREAD**2 * process)


def shared_luck(runs: Sequence[Outcomes], edges: Float64Array) -> tuple[float, float]:
    """The correlation of seeds' errors on the same image: (if in the same bin, anywhere), in [0, MOST_SHARED].

    With residuals r_si = correct - accuracy of the seed's bin: sum over pairs s != t and images i of r_si r_ti (in the
    first only where both seeds put i into one bin), over (S-1) sum r_si^2. 0 for one seed, or without any error.
    """
    if len(runs) == 1:
        return 0.0, 0.0
    N, bins = runs[0].correct.size, edges.size + 1
    residuals, places = [], []
    for run in runs:
        place = np.searchsorted(edges, run.confidence, side="left")
        total = np.bincount(place, run.correct, bins) / np.maximum(np.bincount(place, minlength=bins), 1)
        residuals.append(run.correct - total[place])
        places.append(place + np.arange(N) * bins)
    own = float(np.square(residuals).sum())
    if own == 0:
        return 0.0, 0.0
    same_bin = np.square(np.bincount(np.concatenate(places), np.concatenate(residuals))).sum() - own
    anywhere = np.square(np.sum(residuals, axis=0)).sum() - own
    same_bin, anywhere = (np.clip(pairs / ((len(runs) - 1) * own), 0, MOST_SHARED) for pairs in (same_bin, anywhere))
    return float(same_bin), float(anywhere)


def _placed(rows: Sequence[Float64Array], places: Sequence[int], seeds: int) -> Float64Array:
    table = np.zeros((seeds, rows[0].size))
    table[list(places)] = rows
    return table


def _groups(run: Outcomes) -> tuple[Float64Array, Float64Array, Float64Array]:
    """Images, correct ones and the mean logit [G] of groups of equal mass."""
    logit = np.clip(run.log_odds, -LOGIT_BOUND, LOGIT_BOUND)
    images, correct, total = count(logit, run.correct, equal_mass(logit, GROUPS))
    return images, correct, total / np.maximum(images, 1)


def _standard(images: Float64Array, correct: Float64Array, logit: Float64Array) -> tuple[float, float]:
    """Mean and standard deviation that make intercept and slope uncorrelated, as far as the information goes."""
    x = np.stack([np.ones_like(logit), logit], -1)
    p = special.expit(np.clip(logit + x @ _logistic_fit(images, correct, logit, x)[0], -20, 20))
    weight = images * p * (1 - p)
    mean = (weight * logit).sum() / weight.sum()
    deviation = np.sqrt((weight * np.square(logit - mean)).sum() / weight.sum())
    return float(mean), float(deviation) if deviation > 1e-3 else 1.0


def _logistic_fit(
    n: Float64Array, k: Float64Array, offset: Float64Array, x: Float64Array
) -> tuple[Float64Array, Float64Array]:
    """theta [2] of k of n right at logit offset + x theta, under a prior N(0, 4), and its Fisher information [2,2]."""
    n, k, offset, x = n.ravel(), k.ravel(), offset.ravel(), x.reshape(-1, 2)
    theta = np.zeros(2)
    for _ in range(30):
        p = special.expit(np.clip(offset + x @ theta, -20, 20))
        information = (x.T * (n * p * (1 - p))) @ x
        step = np.linalg.solve(information + np.eye(2) / 4, x.T @ (k - n * p) - theta / 4)
        theta = theta + step / max(1.0, float(np.abs(step).max()))
    return theta, information + 1e-6 * np.eye(2)


def mean_logit(total: Float64Array, images: Float64Array) -> Float64Array:
    """The logit of a bin's mean confidence; of its centre where it has no image. [..., B] twice."""
    bins = images.shape[-1]
    centre = (np.arange(bins) + 0.5) / bins
    return bounded_logit(np.where(images > 0, total / np.maximum(images, 1), centre), LOGIT_BOUND)
