"""What frozen features know of the classes: weighted nearest neighbours and a linear classifier."""

import warnings
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from auglik.runs.resolve import Split
from auglik.system.devices import autocast

BATCH = 1000
"""Images in a forward pass, and queries whose similarities to all training images are held at a time."""
ITERATIONS = 1000


class Features(NamedTuple):
    """Features float32 [N,d] and labels [N] of one part of the data."""

    values: Tensor
    labels: Tensor


class Linear(NamedTuple):
    """A linear probe's accuracy, and the iterations of its fit; ITERATIONS where it was cut off."""

    accuracy: float
    iterations: int


@torch.no_grad()
def features_of(backbone: nn.Module, split: Split, precision: str) -> Features:
    """The backbone's features of clean images, in evaluation mode; the mode is left as it was."""
    gallery, labels = split
    training, device = backbone.training, gallery.pixels.device
    backbone.eval()
    parts = []
    places = np.arange(len(gallery))
    batches = [places[start : start + BATCH] for start in range(0, len(gallery), BATCH)]
    gallery.announce(batches)
    for batch in batches:
        with autocast(device, precision, scoring=True):
            parts.append(
                backbone(
                    gallery.clean(slice(batch[0], batch[-1] + 1)).contiguous(memory_format=torch.channels_last)
                ).float()
            )
    backbone.train(training)
    return Features(torch.cat(parts), labels)


def neighbour_accuracy(bank: Features, queries: Features, classes: int, k: int, temperature: float) -> float:
    """Accuracy of the vote of the k nearest training images, each with weight exp(cos/temperature).

    Wu et al. 2018 (arXiv:1805.01978), section 3.4; ties go to the lower class.
    """
    known = normalize(bank.values)
    parts = zip(queries.values.split(BATCH), queries.labels.split(BATCH), strict=True)
    right = [_right(known, bank.labels, Features(*part), classes, k, temperature) for part in parts]
    return int(torch.stack(right).sum()) / len(queries.labels)


def _right(known: Tensor, known_labels: Tensor, queries: Features, classes: int, k: int, temperature: float) -> Tensor:
    """How many of the queries the vote names rightly, 0-d: the device is waited for once they are all under way."""
    similarity, nearest = (normalize(queries.values) @ known.T).topk(k)
    # All weights of a query by one factor, so that exp stays in range at any temperature.
    weight = ((similarity - similarity[:, :1]) / temperature).exp()
    votes = weight.new_zeros(len(queries.values), classes)
    votes.scatter_add_(1, known_labels[nearest], weight)
    return (votes.argmax(1) == queries.labels).sum()


def linear_accuracy(bank: Features, queries: Features) -> Linear:
    """Accuracy of multinomial logistic regression on standardized features with the penalty |W|^2/2."""
    from sklearn.exceptions import ConvergenceWarning  # here, as scikit-learn takes a second to import
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=ITERATIONS))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        probe.fit(bank.values.cpu().numpy(), bank.labels.cpu().numpy())
    accuracy = probe.score(queries.values.cpu().numpy(), queries.labels.cpu().numpy())
    return Linear(float(accuracy), int(np.max(probe[-1].n_iter_)))
