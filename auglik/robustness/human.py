"""Human label distributions (Peterson et al. 2019, CIFAR-10H): scores of predictions against people's answers."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import special

from auglik.data.source import one_line
from auglik.objectives import InputError
from auglik.scoring.conditions import Score
from auglik.scoring.metrics import equal_width, summed_gaps
from auglik.system.array_types import Float64Array

AGREEMENT = 0.9
"""The least share of images whose most frequent human answer is the label: 99% for CIFAR-10H."""
SUM_TOLERANCE = 1e-3
ECE_BINS = 15


def load_human_labels(path: Path, labels: NDArray[np.int64], class_names: Sequence[str]) -> Float64Array:
    """Distributions [N,C] of the answers of people about each test image, in the order of the class names [C].

    Raises InputError for a file that cannot be read, another shape, rows that are not distributions, answers that agree
    with fewer than 90% of the labels [N], and a class whose images most people take for another: the file has no names,
    so that columns in another order show only there.
    """
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path}: expected a .npy file of human labels ({one_line(error)})") from None
    expected = (len(labels), len(class_names))
    if not isinstance(found, np.ndarray) or found.shape != expected or found.dtype.kind not in "fiu":
        got = f"{found.dtype} {list(found.shape)}" if isinstance(found, np.ndarray) else "an archive"
        raise InputError(f"{path}: expected human labels {list(expected)}, got {got}: for another test set?")
    human = found.astype(np.float64)
    if not (human >= 0).all() or not (np.abs(human.sum(axis=1) - 1) <= SUM_TOLERANCE).all():
        raise InputError(f"{path}: expected rows that are distributions (are these counts? divide by their sums)")
    agreement = (human.argmax(axis=1) == labels).mean()
    if agreement < AGREEMENT:
        raise InputError(
            f"{path}: expected people to agree with at least {AGREEMENT:.0%} of the test labels,"
            f" they do with {agreement:.1%}: another test set, or another order?"
        )
    for number in np.unique(labels):
        taken_for = human[labels == number].mean(axis=0).argmax()
        if taken_for != number:
            raise InputError(
                f"{path}: expected people to take most images of class {class_names[number]} for it, they take them for"
                f" {class_names[taken_for]}: columns in another order of classes?"
            )
    return human / human.sum(axis=1, keepdims=True)


def human_scores(log_p: NDArray[np.floating], human: Float64Array) -> list[Score]:
    """Scores of log-probabilities [N,C] against human distributions h [N,C]: two rows.

    expected: the metrics in expectation over labels drawn from h. nll is the cross-entropy -sum_c h_c log p_c, and a
    prediction counts as correct with probability h at its class, in the error and in the ECE's accuracies.
    excess: beyond those of h itself as the prediction. nll is KL(h || p), brier sum_c (p_c - h_c)^2.
    """
    log_p = log_p.astype(np.float64)
    p, rows = np.exp(log_p), np.arange(len(human))
    predicted = log_p.argmax(axis=1)
    correct, confidence = human[rows, predicted], p[rows, predicted]
    cross_entropy = -(human * np.where(human > 0, log_p, 0)).sum(axis=1)
    entropy = special.entr(human).sum(axis=1)
    own_brier = 1 - np.square(human).sum(axis=1)
    distance = np.square(p - human).sum(axis=1)
    ece = summed_gaps(correct - confidence, equal_width(confidence, ECE_BINS))

    def row(name: str, error: Float64Array, nll: Float64Array, brier: Float64Array) -> Score:
        return Score(
            kind="human", name=name, category="", severity=None, error=float(error.mean()), nll=float(nll.mean()),
            brier=float(brier.mean()), ece=ece, images=len(human),
        )  # fmt: skip

    return [
        row("expected", 1 - correct, cross_entropy, own_brier + distance),
        row("excess", human.max(axis=1) - correct, cross_entropy - entropy, distance),
    ]
