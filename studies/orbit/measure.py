"""Every aggregator on random views of an orbit, and on all pairs of them."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from auglik.objectives import AGGREGATORS, LIKELIHOODS
from auglik.studies.common.trained import Trained
from auglik.studies.estimators.measure import CHUNK, FIXED, VIEWS, controls, views_of
from auglik.studies.study import Context
from auglik.system.keys import host_generator

MIXES_LABELS = "geometric-normalized"
"""The one aggregator that needs the likelihoods of all labels: C times the work, so it is sampled up to fewer views."""
MIXED_UP_TO = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class Tables:
    """The categorical likelihood on the orbit of N images, m views each."""

    log_f: np.ndarray
    """By torch, for every label [m,N,C]."""
    log_p: np.ndarray
    """At the true label [N,m]."""
    log_integral: np.ndarray
    """log of the mean likelihood over the orbit [N], by NumPy from probabilities."""
    relative_variance: np.ndarray
    """V = Var p / I^2 over the orbit [N]."""
    weights: np.ndarray
    """1/m [m]."""


class Sampled(NamedTuple):
    """One aggregator's error against log I over images and draws, by K [n]."""

    bias: np.ndarray
    covariance: np.ndarray
    """Of the biases [n,n]."""
    rmse: np.ndarray

    @property
    def standard_error(self) -> np.ndarray:
        return np.sqrt(np.diag(self.covariance))


def tables_of(found: Trained, logits: np.ndarray) -> Tables:
    """From logits [m,N,C] of the orbit."""
    labels = found.labels.numpy()
    log_f = LIKELIHOODS["categorical"].table(torch.from_numpy(logits), torch.zeros(logits.shape[:2])).numpy()
    mass = np.exp(logits - logits.max(-1, keepdims=True))
    p = (mass / mass.sum(-1, keepdims=True))[:, np.arange(len(labels)), labels].T
    weights = np.full(len(logits), 1 / len(logits))
    log_p = log_f[:, np.arange(len(labels)), labels].T
    integral = p @ weights
    return Tables(
        log_f=log_f, log_p=log_p, log_integral=np.log(integral),
        relative_variance=(p**2) @ weights / integral**2 - 1, weights=weights,
    )  # fmt: skip


def fold(name: str, tables: Tables, labels: np.ndarray, picks: np.ndarray) -> np.ndarray:
    """torch's aggregator of the orbit's views `picks` [K,N,R], at the true label: [N,R]."""
    _, N, R = picks.shape
    image = np.arange(N)[:, None].repeat(R, 1)
    if name == MIXES_LABELS:
        every = torch.from_numpy(tables.log_f[picks, image]).flatten(1, 2)
        folded = torch.cat([AGGREGATORS[name].fold(part) for part in every.split(CHUNK, 1)])
        return folded.numpy()[np.arange(N * R), np.repeat(labels, R)].reshape(N, R)
    table = torch.from_numpy(tables.log_p[image, picks]).flatten(1)[..., None]
    return torch.cat([AGGREGATORS[name].fold(part) for part in table.split(CHUNK, 1)]).numpy().reshape(N, R)


def views_sampled(name: str) -> np.ndarray:
    """The numbers of views at which an aggregator is sampled."""
    return views_of(name)[views_of(name) <= MIXED_UP_TO] if name == MIXES_LABELS else views_of(name)


def sample(
    tables: Tables, labels: np.ndarray, context: Context, key: str, rounds: int, draws: int
) -> dict[str, Sampled]:
    """Every aggregator on the same draws, `draws` a round for each image; errors are averaged over the images."""
    errors: dict[str, list[np.ndarray]] = {name: [] for name in FIXED}
    squares = {name: np.zeros(len(views_sampled(name))) for name in FIXED}
    N, m = tables.log_p.shape
    for index in range(rounds):
        generator = host_generator(context.seed, "orbit", key, index)
        picks = generator.integers(0, m, (int(VIEWS[-1]), N, draws))
        ratio = np.exp(tables.log_p - tables.log_integral[:, None])[np.arange(N)[:, None], picks]
        known = {K: controls(ratio[:K], tables.relative_variance[:, None]) for K in VIEWS}
        for name in FIXED:
            reduced = []
            for place, K in enumerate(views_sampled(name)):
                error = fold(name, tables, labels, picks[:K]) - tables.log_integral[:, None]
                squares[name][place] += (error**2).mean() / rounds
                reduced.append((error - known[K].get(name, 0.0)).mean(0))
            errors[name].append(np.stack(reduced))
        context.progress(0.2 + 0.7 * (index + 1) / rounds)
    found = {}
    for name, parts in errors.items():
        replicates = np.concatenate(parts, 1)
        covariance = np.cov(replicates) / replicates.shape[1]
        found[name] = Sampled(replicates.mean(1), covariance, np.sqrt(squares[name]))
    return found


def over_all_pairs(name: str, tables: Tables, labels: np.ndarray) -> np.ndarray:
    """The expectation for two views of each image [N], torch's aggregator averaged over all m^2 pairs."""
    N, m = tables.log_p.shape
    pairs = np.indices((m, m)).reshape(2, 1, -1)
    return fold(name, tables, labels, np.broadcast_to(pairs, (2, N, m * m))).mean(1)


def pairs_of_geometric_normalized(tables: Tables, labels: np.ndarray) -> np.ndarray:
    """The same for geometric-normalized, from its definition in probability space: [N]."""
    f = np.exp(tables.log_f)
    values = np.zeros(len(labels))
    for first in f:
        means = np.sqrt(first * f)
        of_label = means[:, np.arange(len(labels)), labels] / means.sum(-1)
        values += np.log(of_label).sum(0)
    return values / len(f) ** 2
