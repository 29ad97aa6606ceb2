"""What the hierarchical model is given, from per-image differences."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


class Data(NamedTuple):
    """Mean differences of C cells on S seeds. A seed that a cell lacks is False in `there`, its y is ignored."""

    y: Floats
    """[C,S]"""
    there: npt.NDArray[np.bool_]
    """[C,S]"""
    reference: npt.NDArray[np.int64]
    """Which of R references each cell is compared with [C]."""
    image_covariance: Floats
    """V [C,C], of the mean over the test images."""


def model_data(differences: Sequence[Floats], seeds: Sequence[Sequence[int]], references: Sequence[str]) -> Data:
    """From every cell's differences [S_c,N] of its seeds on the same N test images, and its reference's name."""
    columns = sorted({seed for of_cell in seeds for seed in of_cell})
    y = np.zeros((len(differences), len(columns)))
    there = np.zeros(y.shape, dtype=bool)
    for cell, (d, own) in enumerate(zip(differences, seeds, strict=True)):
        places = [columns.index(seed) for seed in own]
        y[cell, places], there[cell, places] = d.mean(1), True
    names = sorted(set(references))
    index = np.array([names.index(name) for name in references], dtype=np.int64)
    return Data(y, there, index, image_covariance(differences, seeds))


def image_covariance(differences: Sequence[Floats], seeds: Sequence[Sequence[int]]) -> Floats:
    """V [C,C]: covariance between cells of what the draw of N test images does to their mean differences.

    The covariance over images of the seed means, less what residuals of shared seeds n_cd leave in it,
    n_cd / (S_c S_d) cov_res, by N. It is made positive semidefinite on the scale of correlations and keeps its
    diagonal, V_cc = `Components.image_variance` / N, lest a cell of large variance should lend some to the others.
    A pair with fewer than two shared seeds keeps the share of the residuals.
    """
    C, N = len(differences), differences[0].shape[1]
    means = np.stack([d.mean(0) - d.mean() for d in differences])
    covariance = means @ means.T / (N - 1)
    total = np.diag(covariance).copy()
    for c in range(C):
        for other in range(c, C):
            shared = sorted(set(seeds[c]) & set(seeds[other]))
            if len(shared) < 2:
                continue
            first, second = (_residual(differences[k], seeds[k], shared) for k in (c, other))
            residual = float((first * second).sum()) / ((len(shared) - 1) * (N - 1))
            left = residual * len(shared) / (len(seeds[c]) * len(seeds[other]))
            covariance[c, other] -= left
            covariance[other, c] = covariance[c, other]
    scale = np.sqrt(np.maximum(total, np.finfo(np.float64).tiny))
    eigenvalues, vectors = np.linalg.eigh(covariance / np.outer(scale, scale))
    root = scale[:, None] * vectors * np.sqrt(np.maximum(eigenvalues, 0))
    found = np.square(root).sum(1)
    variance = np.maximum(np.diag(covariance), 0)
    root *= np.sqrt(np.divide(variance, found, out=np.zeros(C), where=found > 0))[:, None]
    return root @ root.T / N


def _residual(d: Floats, seeds: Sequence[int], shared: Sequence[int]) -> Floats:
    kept = d[[list(seeds).index(seed) for seed in shared]]
    return kept - kept.mean(1, keepdims=True) - kept.mean(0) + kept.mean()
