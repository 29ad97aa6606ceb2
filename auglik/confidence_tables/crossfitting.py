"""Confidence by class or by image, in folds: the network that says it of an image was not trained on that image."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from auglik.confidence.image_table import ImageTable, Strengths
from auglik.confidence.strength import strength
from auglik.confidence_tables.measuring import Score, scores
from auglik.confidence_tables.probes import Probe
from auglik.confidence_tables.reference import Reference
from auglik.data import Arrays, ClassNames, LazyArrays, Source, Traits, opened, take
from auglik.objectives import InputError
from auglik.runs.evaluation import clean_log_probabilities
from auglik.system.array_types import Float32Array, Float64Array
from auglik.system.keys import host_generator
from auglik.views import Gallery


@dataclass(frozen=True)
class PartSource:
    """A data set with only the training images at `rows`."""

    source: Source
    rows: NDArray[np.int64]

    @property
    def name(self) -> str:
        return self.source.name

    @property
    def traits(self) -> Traits:
        return self.source.traits

    @property
    def classes(self) -> int:
        return self.source.classes

    @property
    def class_names(self) -> ClassNames:
        return self.source.class_names

    def opened(self, part: Literal["train", "test"]) -> Arrays | LazyArrays:
        arrays = opened(self.source, part)
        return take(arrays, self.rows) if part == "train" else arrays

    def train(self) -> Arrays:
        arrays = self.opened("train")
        return arrays if isinstance(arrays, Arrays) else arrays.loaded()

    def test(self) -> Arrays:
        return self.source.test()

    def check(self) -> None:
        self.source.check()


def folds_of(labels: NDArray[np.int64], folds: int, seed: int) -> NDArray[np.int64]:
    """The fold of each image [N], 0..folds-1, each with its share of every class.

    Raises InputError if a class has too few images for every fold to keep one and the rest another.
    """
    smallest = int(np.unique(labels, return_counts=True)[1].min())
    if smallest < folds:
        raise InputError(f"folds: expected at most the {smallest} images of the rarest class, got {folds}")
    fold = np.empty(len(labels), np.int64)
    order = host_generator(seed, "confidence folds").permutation(len(labels))
    for number in np.unique(labels):
        members = order[labels[order] == number]
        fold[members] = (np.arange(len(members)) + number) % folds
    return fold


def probability(network: Reference, labels: Tensor, device: torch.device) -> Score:
    """What a network gives the class of each image; labels [N]."""

    def score(operation: str, transformed: Tensor) -> Tensor:
        gallery = Gallery.pack(transformed.numpy(), network.mean, network.std, device)
        log_p = clean_log_probabilities(network.predict, gallery)
        return log_p.double().cpu().gather(1, labels[:, None])[:, 0].exp()

    return score


def by_image(
    probes: Mapping[str, Probe],
    arrays: Arrays,
    fold: NDArray[np.int64],
    score_of: Callable[[int, Tensor], Score],
    progress: Callable[[float], None],
) -> Float32Array:
    """The score of every image at every strength [N,S]; `score_of` a fold and the labels of its images."""
    found = np.empty((len(fold), sum(len(probe.at) for probe in probes.values())), np.float32)
    folds = int(fold.max()) + 1
    for number in range(folds):
        rows = np.flatnonzero(fold == number)
        score = score_of(number, torch.from_numpy(arrays.labels[rows]))
        measured = scores(probes, torch.from_numpy(arrays.images[rows]), score)
        progress((number + 1) / folds)
        found[rows] = np.concatenate(list(measured.values())).T
    return found


def counts_by_class(
    measured: Mapping[str, Float64Array], labels: NDArray[np.int64], classes: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How many images of each class were named rightly, and how many there were: both [O,C,m], m the most strengths.

    `measured`: right or wrong, 1 or 0, [m,N] of every operation; strengths that one lacks have no images.
    """
    of_class = np.eye(classes, dtype=np.int64)[labels]
    most = max(len(values) for values in measured.values())
    right = np.zeros((len(measured), classes, most), np.int64)
    images = right.copy()
    for number, values in enumerate(measured.values()):
        right[number, :, : len(values)] = (values.astype(np.int64) @ of_class).T
        images[number, :, : len(values)] = of_class.sum(0)[:, None]
    return right, images


def strengths_of(probes: Mapping[str, Probe]) -> Float64Array:
    """The relative strength [O,m] in [0,1] of every operation at every strength that it was measured at, padded."""
    found = np.zeros((len(probes), max(len(probe.at) for probe in probes.values())))
    for number, (name, probe) in enumerate(probes.items()):
        seen = probe.at if probe.axis == "visibility" else np.ones_like(probe.at)
        found[number, : len(probe.at)] = strength(name, probe.at, seen)
        if name.startswith("translate"):  # whose strength is the visibility that magnitudes of a whole edge leave
            found[number, : len(probe.at)] = np.abs(probe.at) / np.abs(probe.at).max()
    return found


def whole_table(
    probes: Mapping[str, Probe],
    values: Float32Array,
    group: NDArray[np.int64],
    source: str,
    dataset: str,
    digest: str,
    class_names: Sequence[str],
) -> ImageTable:
    """A table of values [G,S], the operations' strengths in turn."""
    return ImageTable(
        source=source, dataset=dataset, digest=digest, class_names=class_names, operations=columns_in_turn(probes),
        values=values, group=group,
    )  # fmt: skip


def columns_in_turn(probes: Mapping[str, Probe]) -> dict[str, Strengths]:
    """The columns of all operations' strengths, one operation after the other."""
    ends = np.cumsum([len(probe.at) for probe in probes.values()]).tolist()
    return {
        name: Strengths(probe.axis, probe.at, slice(end - len(probe.at), end))
        for (name, probe), end in zip(probes.items(), ends, strict=True)
    }
