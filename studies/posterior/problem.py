"""The model whose posterior is sampled: a Bayesian softmax regression on principal components of digits.

phi [D+1,C-1] has the prior N(0, PRIOR^2); logits = x phi A with A [C-1,C] orthonormal contrasts. That is the prior
N(0, PRIOR^2) on all C columns of weights, less the direction that moves all logits alike and changes nothing.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import helmert
from scipy.special import log_softmax

from auglik.data import Arrays, channel_statistics, first, open_dataset
from auglik.objectives import Schedule
from auglik.system.array_types import Float64Array
from auglik.views import Gallery, Mollification, Pipeline

CLASSES = (3, 8, 9)
"""Digits that are easily confused."""
FEATURES = 5
IMAGES = 80
CHOICE = 0
"""Keys the choice of images and the noise: the problem is the same whatever seed the study samples with."""
VIEWS = 4
PRIOR = 2.0
SIZE = (FEATURES + 1) * (len(CLASSES) - 1)


class Problem(NamedTuple):
    """Features x, the last of them 1, and labels; N training images seen in K views, M test images."""

    views: Float64Array
    """[K,N,D+1]"""
    decay: Float64Array
    """[K,N]"""
    labels: NDArray[np.int64]
    """[N]"""
    clean: Float64Array
    """[N,D+1]: the training images without noise."""
    test: Float64Array
    """[M,D+1]"""
    test_labels: NDArray[np.int64]
    """[M]"""


class Pair(NamedTuple):
    """A likelihood and an aggregator by name."""

    likelihood: str
    aggregator: str

    def __str__(self) -> str:
        return f"{self.likelihood} + {self.aggregator}"


PAIRS = (
    Pair("categorical", "jensen"),
    Pair("tempered", "jensen"),
    Pair("smoothed", "jensen"),
    Pair("smoothed", "log-mean"),
    Pair("smoothed-normalized", "log-mean"),
    Pair("dirichlet", "log-mean"),
)


def contrasts() -> Float64Array:
    """A: orthonormal rows that sum to zero, [C-1,C]."""
    return np.asarray(helmert(len(CLASSES)), np.float64)


def logits_of(phi: Float64Array, features: Float64Array) -> Float64Array:
    """[...,P], [n,D+1] -> [...,n,C]."""
    return features @ phi.reshape(*phi.shape[:-1], FEATURES + 1, len(CLASSES) - 1) @ contrasts()


def log_predictive(phi: Float64Array, features: Float64Array, labels: NDArray[np.int64]) -> Float64Array:
    """The categorical log f_y of images without noise: [...,P], [n,D+1], [n] -> [...,n]."""
    return np.take_along_axis(
        log_softmax(logits_of(phi, features), axis=-1), labels.reshape(*(1,) * (phi.ndim - 1), -1, 1), -1
    )[..., 0]


def make_problem() -> Problem:
    """Training images in K clean or noisy views each, which auglik draws and renders; test images as they are."""
    digits = open_dataset("digits")
    train, test = first(_chosen(digits.train()), IMAGES, CHOICE), _chosen(digits.test())
    mean, std = channel_statistics(train.images)
    cpu = torch.device("cpu")
    gallery = Gallery.pack(train.images, mean, std, cpu)
    pipeline = Pipeline(gallery.shape, (), Mollification(Schedule(clean=1.0, noise=2.0, blur=0.0)))
    draws = pipeline.draw(CHOICE, 0, VIEWS, IMAGES, cpu, purpose="posterior study")
    rendered = pipeline.render(gallery, draws, np.arange(IMAGES))

    clean = _flat(gallery.clean(slice(None)))
    centre = clean.mean(0)
    _, scales, components = np.linalg.svd(clean - centre, full_matrices=False)
    to_unit_variance = components[:FEATURES].T / (scales[:FEATURES] / np.sqrt(IMAGES))

    def features(images: Float64Array) -> Float64Array:
        ones = np.ones((*images.shape[:-1], 1))
        return np.concatenate([(images - centre) @ to_unit_variance, ones], -1)

    unseen = _flat(Gallery.pack(test.images, mean, std, cpu).clean(slice(None)))
    return Problem(
        views=features(_flat(rendered.images)), decay=rendered.decay.double().numpy(), labels=train.labels,
        clean=features(clean), test=features(unseen), test_labels=test.labels,
    )  # fmt: skip


def _chosen(arrays: Arrays) -> Arrays:
    """The images of CLASSES, their labels renumbered from 0."""
    among = np.isin(arrays.labels, CLASSES)
    return Arrays(arrays.images[among], np.searchsorted(CLASSES, arrays.labels[among]))


def _flat(images: torch.Tensor) -> Float64Array:
    """[...,c,H,W] -> [...,c H W]."""
    return images.flatten(-3).double().numpy()
