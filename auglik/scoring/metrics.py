"""Metrics of a classifier: pure functions of log-probabilities log_p [N,C] and labels [N].

Representation: row i of log_p is the natural logarithm of a distribution over the C classes (it sums to one within
1e-3; -inf stands for probability zero), labels are integers in 0..C-1, everything is computed in float64, some rows at
a time, so that a large array, or one that is mapped from a file, is never copied whole.
All of these raise InputError for anything else, e.g. logits, probabilities, one-hot labels or an empty set.
The prediction is the class of greatest probability (the first of several), the confidence is its probability.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from auglik.objectives.errors import InputError
from auglik.scoring.blocks import blocks
from auglik.scoring.intervals import standard_error
from auglik.system.array_types import Float64Array, IndexArray

ROW_SUM_TOLERANCE = 1e-3
HALF_PRECISION = 0.03
"""Rounding to bfloat16 takes the sum of 10,000 equal probabilities off 1 by so much at most, to float16 by 0.4%."""

PRIMARY = "clean_nll"
"""The primary endpoint, named before there are results; all others are exploratory."""


class Scores(NamedTuple):
    """The scores of a run; `_asdict()` gives names and values."""

    error: float
    nll: float
    brier: float
    ece: float
    ece_equal_mass: float
    ece_batches_of_100: float
    mean_confidence: float


class Marginal(NamedTuple):
    """The mean over test images of log E_view p(label given view), estimated from M views."""

    plain: float
    corrected: float
    standard_error: float
    monte_carlo_error: float
    effective_views: float


class Judged(NamedTuple):
    """What all metrics are made of, one number an image [N]."""

    nll: Float64Array
    """-log p_label, in nats."""
    brier: Float64Array
    confidence: Float64Array
    correct: Float64Array
    """1 or 0."""


def scores(log_p: npt.ArrayLike, labels: npt.ArrayLike) -> Scores:
    """All metrics of this module, calibration with 15 bins."""
    return scores_of(judged(log_p, labels))


def scores_of(found: Judged) -> Scores:
    """The same, from what every image adds."""
    return Scores(
        error=float((found.correct == 0).mean()),
        nll=float(found.nll.mean()),
        brier=float(found.brier.mean()),
        ece=ece_of(found, 15),
        ece_equal_mass=_equal_mass_ece(found, 15),
        ece_batches_of_100=_batched_ece(found, 100, 15),
        mean_confidence=float(found.confidence.mean()),
    )


def error(log_p: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """The share of images whose predicted class is not their label."""
    return float((judged(log_p, labels).correct == 0).mean())


def nll(log_p: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """Mean of -log p_label, in nats; inf where a label has probability zero."""
    return float(judged(log_p, labels).nll.mean())


def brier(log_p: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """Mean over images of sum_c (p_c - [c = label])^2, between 0 and 2 (Brier 1950)."""
    return float(judged(log_p, labels).brier.mean())


def mean_confidence(log_p: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """The mean probability of the predicted class; compared with 1 - error it shows over- or underconfidence."""
    return float(judged(log_p, labels).confidence.mean())


def expected_calibration_error(log_p: npt.ArrayLike, labels: npt.ArrayLike, bins: int = 15) -> float:
    """sum_b n_b/N |accuracy_b - confidence_b| over the bins ((b-1)/bins, b/bins] (Guo et al. 2017, Eq. 3)."""
    return ece_of(judged(log_p, labels), bins)


def equal_mass_calibration_error(log_p: npt.ArrayLike, labels: npt.ArrayLike, bins: int = 15) -> float:
    """The same over `bins` bins of equally many images, up to one, in the order of their confidence.

    Images of the very same confidence share their mean accuracy, so that the bins that a tie is split
    over depend neither on the order of the images nor on their labels.
    """
    return _equal_mass_ece(judged(log_p, labels), bins)


def batched_calibration_error(log_p: npt.ArrayLike, labels: npt.ArrayLike, batch: int = 100, bins: int = 15) -> float:
    """The mean of `expected_calibration_error` over consecutive batches, each weighted by its size.

    Only for comparison with tables that were made so (the supervised mollification paper's): it depends on the order
    of the images and on `batch`, and is biased upwards, by about sqrt(N / batch) on a calibrated model.
    """
    return _batched_ece(judged(log_p, labels), batch, bins)


def judged(log_p: npt.ArrayLike, labels: npt.ArrayLike) -> Judged:
    """What every image adds to the metrics. Raises InputError for wrong log-probabilities and labels."""
    rows, targets = _checked_shapes(log_p, labels)
    return joined(_judged(rows[some], targets[some], some.start) for some in blocks(*rows.shape))


def joined(parts: Iterable[Judged]) -> Judged:
    """Of all images, from some at a time."""
    return Judged(*map(np.concatenate, zip(*parts, strict=True)))


def marginal_log_likelihood(view_log_likelihoods: npt.ArrayLike) -> Marginal:
    """The augmented marginal log-likelihood of N images from [M,N] log-likelihoods log p_m of their labels in M views.

    With r_m = p_m / sum p and s = M/(M-1) sum_m (r_m - 1/M)^2, the squared standard error of log mean p by the delta
    method, per image: plain = log(1/M sum_m p_m), which underestimates; corrected = plain + s/2 (Durbin and Koopman
    1997), within [plain, plain + 1/2]. `standard_error` is of the corrected values over the images,
    `monte_carlo_error` = sqrt(sum_i s_i)/N from the views alone, `effective_views` the mean of 1/sum_m r_m^2.
    Raises InputError for a wrong or empty shape, M = 1, NaN or inf, and an image that no view gives any likelihood.
    """
    log_p = array_of("log-likelihoods [M,N]", view_log_likelihoods)
    if log_p.ndim != 2 or log_p.size == 0:
        raise InputError(f"expected log-likelihoods [M,N] of M views of N images, got shape {log_p.shape}")
    if len(log_p) == 1:
        raise InputError("expected log-likelihoods of M >= 2 views, got 1: one view says nothing about their spread")
    best = log_p.max(axis=0)
    if not np.isfinite(best).all():
        image = int(np.flatnonzero(~np.isfinite(best))[0])
        raise InputError(
            f"expected log-likelihoods below inf, one per image above -inf; the greatest of image {image} "
            f"is {best[image]}: are the logits finite?"
        )
    return _marginal(log_p)


def _marginal(log_p: Float64Array) -> Marginal:
    M, N = log_p.shape
    responsibility = special.softmax(log_p, axis=0)
    plain = special.logsumexp(log_p, axis=0) - np.log(M)
    squared_error = M / (M - 1) * np.square(responsibility - 1 / M).sum(axis=0)
    corrected = plain + squared_error / 2
    return Marginal(
        plain=float(plain.mean()),
        corrected=float(corrected.mean()),
        standard_error=standard_error(corrected),
        monte_carlo_error=float(np.sqrt(squared_error.sum()) / N),
        effective_views=float((1 / np.square(responsibility).sum(axis=0)).mean()),
    )


def _judged(rows: npt.NDArray[np.generic], labels: IndexArray, first: int) -> Judged:
    """Of some rows [n,C], which begin at `first`. Raises InputError for rows that are no distributions."""
    log_p = rows.astype(np.float64)
    image = np.arange(labels.size)
    p = _probabilities(log_p, first)
    p[image, labels] -= 1
    return Judged(
        nll=-log_p[image, labels],
        brier=np.square(p).sum(axis=1),
        confidence=np.exp(log_p.max(axis=1)),
        correct=(log_p.argmax(axis=1) == labels).astype(np.float64),
    )


def ece_of(found: Judged, bins: int) -> float:
    """`expected_calibration_error`, from what every image adds."""
    return summed_gaps(found.correct - found.confidence, equal_width(found.confidence, bins))


def _equal_mass_ece(found: Judged, bins: int) -> float:
    _check_count("bins", bins)
    confidence, tie, size = np.unique(found.confidence, return_inverse=True, return_counts=True)
    accuracy = np.bincount(tie, weights=found.correct) / size
    gap_in_order = np.repeat(accuracy - confidence, size)
    return summed_gaps(gap_in_order, np.arange(found.correct.size) * bins // found.correct.size)


def _batched_ece(found: Judged, batch: int, bins: int) -> float:
    _check_count("batch", batch)
    batch_index = np.arange(found.correct.size) // batch
    return summed_gaps(found.correct - found.confidence, batch_index * bins + equal_width(found.confidence, bins))


def equal_width(confidence: Float64Array, bins: int) -> IndexArray:
    """The index of the right-closed bin of each confidence: how many inner edges lie below it (the last has no end)."""
    _check_count("bins", bins)
    return np.searchsorted(np.arange(1, bins) / bins, confidence, side="left")


def summed_gaps(gap: Float64Array, group: IndexArray) -> float:
    """sum over groups of |sum of their gaps|, over N; a group without images adds nothing."""
    return float(np.abs(np.bincount(group, weights=gap)).sum() / gap.size)


def _check_count(name: str, value: int) -> None:
    if value < 1:
        raise InputError(f"expected {name} >= 1, got {value}")


def array_of(name: str, values: npt.ArrayLike) -> Float64Array:
    """`values` in float64. Raises InputError, which names them, for what NumPy cannot read."""
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, RuntimeError):
        raise InputError(
            f"expected an array of {name}, got {type(values).__name__} that NumPy cannot read: "
            "a tensor must be detached and on the CPU"
        ) from None


def _checked_shapes(log_p: npt.ArrayLike, labels: npt.ArrayLike) -> tuple[npt.NDArray[np.generic], IndexArray]:
    """log_p [N,C], floating-point as it is, and labels [N], or InputError."""
    given = isinstance(log_p, np.ndarray) and log_p.dtype.kind == "f"
    rows = np.asarray(log_p) if given else array_of("log-probabilities [N,C]", log_p)
    targets = np.asarray(labels)
    if rows.ndim != 2 or rows.size == 0:
        raise InputError(f"expected log-probabilities [N,C] of at least one image, got shape {rows.shape}")
    if targets.shape != rows.shape[:1] or targets.dtype.kind not in "iu":
        raise InputError(
            f"expected integer labels [N] = [{len(rows)}], got {targets.dtype} {list(targets.shape)}: "
            "one class index per row of the log-probabilities"
        )
    _check_range(targets, classes=rows.shape[1])
    return rows, targets.astype(np.intp)


def _check_range(labels: npt.NDArray[np.integer], classes: int) -> None:
    if labels.min() < 0 or labels.max() >= classes:
        raise InputError(f"expected labels in 0..{classes - 1}, got {labels.min()} to {labels.max()}: other classes?")


def _probabilities(log_p: Float64Array, first: int) -> Float64Array:
    """exp of rows [n,C]. Raises InputError unless each sums to 1."""
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows or is NaN is refused below
        p = np.exp(log_p)
        total = p.sum(axis=1)
        wrong = ~(np.abs(total - 1) <= ROW_SUM_TOLERANCE)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise InputError(
            f"expected log-probabilities, each row's exponentials summing to 1, got {total[row]:.6g} in row"
            f" {first + row}: {_likely_cause(log_p[row], float(total[row]))}"
        )
    return p


def _likely_cause(row: Float64Array, total: float) -> str:
    if np.isnan(row).any():
        return "it holds NaN, did training diverge?"
    if row.min() >= 0 and abs(row.sum() - 1) <= ROW_SUM_TOLERANCE:
        return "are these probabilities? Take their logarithm"
    if abs(total - 1) <= HALF_PRECISION:
        return "were they rounded to half precision? Take log_softmax in float32, and of rounded ones once more"
    return "are these logits? Take their log_softmax"
