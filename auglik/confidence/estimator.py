"""The learned estimator of confidence as a .npz file, with the features of every training image: checked on reading."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from auglik.confidence.image_table import Strengths, columns_of, operations_of, whole
from auglik.system.array_types import Float64Array
from auglik.system.files import write_npz

FORMAT = 1


class Fit(NamedTuple):
    """logit p = curve[s] + loading[s] . (embedding[class] + features weights), of E estimators, one for each fold."""

    curve: Float64Array
    """[E,S], of every operation at each of its strengths."""
    loading: Float64Array
    """[E,S,r]: how it bears on each trait of an image."""
    embedding: Float64Array
    """[E,C,r], of the classes."""
    weights: Float64Array
    """[E,F,r], of features in units of their deviation."""
    center: Float64Array
    """[E,F], of the images that it was fitted to."""
    scale: Float64Array
    """[E,F]"""


@dataclass(frozen=True, kw_only=True)
class Estimator:
    """Confidence of training images at the S strengths of all operations; "identity" is always among them.

    No estimator or network of a fold was fitted to an image of it.
    """

    source: str
    """What was learned, in words."""
    dataset: str
    digest: str
    """Of the data set's training images and labels."""
    class_names: Sequence[str]
    """[C]"""
    operations: Mapping[str, Strengths]
    feature_names: Sequence[str]
    """[F]"""
    fit: Fit
    fold: NDArray[np.int64]
    """Of every training image [N]: the estimator that speaks of it."""
    label: NDArray[np.int64]
    """[N]"""
    features: Float64Array
    """[N,F], as the fold's network and the image have them."""

    @cached_property
    def traits(self) -> Float64Array:
        """What the operations' loadings meet in every training image [N,r]."""
        found = np.empty((len(self.fold), self.fit.loading.shape[2]))
        for number in range(len(self.fit.curve)):
            rows = self.fold == number
            found[rows] = traits_of(self.fit, number, self.label[rows], self.features[rows])
        return found

    @cached_property
    def mean(self) -> Float64Array:
        """The mean confidence of all training images at every strength [S]."""
        sums = np.zeros(self.fit.curve.shape[1])
        for number in range(len(self.fit.curve)):
            sums += confidences(self.fit, number, self.traits[self.fold == number]).sum(0)
        return sums / len(self.fold)


def traits_of(fit: Fit, number: int, label: NDArray[np.int64], features: Float64Array) -> Float64Array:
    """Traits [n,r] of images of these labels [n] and features [n,F], by the estimator of that number."""
    standardized = (features - fit.center[number]) / fit.scale[number]
    return fit.embedding[number][label] + standardized @ fit.weights[number]


def confidences(fit: Fit, number: int, traits: Float64Array) -> Float64Array:
    """p [n,S] of images of these traits [n,r] at all strengths."""
    found: Float64Array = expit(fit.curve[number] + traits @ fit.loading[number].T)
    return found


def write_estimator(path: Path, found: Estimator) -> None:
    """Raises InputError if the system refuses."""
    write_npz(
        path, learned=np.array(FORMAT), source=np.array(found.source), dataset=np.array(found.dataset),
        digest=np.array(found.digest), class_names=np.array(found.class_names),
        feature_names=np.array(found.feature_names), fold=found.fold, label=found.label, features=found.features,
        **columns_of(found.operations), **found.fit._asdict(),
    )  # fmt: skip


def parse_estimator(content: bytes, where: str) -> Estimator:
    """The estimator in a file's content. Raises InputError, naming `where`, for anything that is no whole one."""
    with whole(where, "what `auglik confidence --by learned` wrote"):
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            if "learned" not in file or int(file["learned"]) != FORMAT:
                raise ValueError("a table of another kind" if "values" in file else "another format")
            found = Estimator(
                source=str(file["source"]), dataset=str(file["dataset"]), digest=str(file["digest"]),
                class_names=tuple(file["class_names"].tolist()), feature_names=tuple(file["feature_names"].tolist()),
                operations=operations_of(file), fit=Fit(**{name: file[name] for name in Fit._fields}),
                fold=file["fold"], label=file["label"], features=file["features"],
            )  # fmt: skip
        _check(found)
    return found


def _check(found: Estimator) -> None:
    fit, N = found.fit, len(found.fold)
    E, _, r = fit.loading.shape
    C, F = len(found.class_names), len(found.feature_names)
    columns = sum(len(strengths.at) for strengths in found.operations.values())
    expected = ((E, columns), (E, columns, r), (E, C, r), (E, F, r), (E, F), (E, F))
    if tuple(array.shape for array in fit) != expected or not all(np.isfinite(array).all() for array in fit):
        raise ValueError(f"parameters of other shapes than {columns} strengths and {C} classes, or not finite")
    if not (fit.scale > 0).all() or found.features.shape != (N, F) or not np.isfinite(found.features).all():
        raise ValueError(f"features {list(found.features.shape)} of {N} images, or some that are not finite")
    for name, numbers, count in (("folds", found.fold, E), ("labels", found.label, C)):
        if numbers.shape != (N,) or numbers.dtype.kind != "i" or not N or numbers.min() < 0 or numbers.max() >= count:
            raise ValueError(f"{name} {list(numbers.shape)} of others than {count}")
