"""The entropy of the labels that training sees, in nats."""

import numpy as np
import numpy.typing as npt
from scipy import special

from auglik.objectives.errors import InputError
from auglik.scoring.metrics import array_of


def mean_label_entropy(
    decay: npt.ArrayLike,
    classes: int,
    own_share: npt.ArrayLike | None = None,
    importance: npt.ArrayLike | None = None,
) -> float:
    """Mean over `decay` gamma, of any shape, of the entropy in nats of the label (1-gamma) e + gamma/C.

    The mean is weighted by `importance`, of the same shape, if given.
    e is one-hot, or the mixture of two classes of shares s and 1-s, s = `own_share` (broadcast against gamma).
    Raises InputError for decays and shares outside [0, 1], an empty array and fewer than two classes.
    """
    gamma, share = array_of("decays", decay), array_of("shares", 1.0 if own_share is None else own_share)
    if gamma.size == 0 or not bool(((gamma >= 0) & (gamma <= 1)).all()):
        got = f"{gamma.min()} to {gamma.max()}" if gamma.size else "none"
        raise InputError(f"expected decays between 0 and 1, got {got}: decay is the share of the label that is lost")
    if not bool(((share >= 0) & (share <= 1)).all()):
        raise InputError(f"expected shares between 0 and 1, got {share.min()} to {share.max()}")
    if classes < 2:
        raise InputError(f"expected at least 2 classes, got {classes}")
    floor = gamma / classes
    own, other = (special.entr((1 - gamma) * part + floor) for part in (share, 1 - share))
    return float(np.average(own + other + (classes - 2) * special.entr(floor), weights=_weights(importance)))


def mean_degraded_entropy(
    decay: npt.ArrayLike, labels: npt.ArrayLike, toward: npt.ArrayLike, importance: npt.ArrayLike | None = None
) -> float:
    """Mean over views and images, gamma [K,N], of the entropy in nats of (1-gamma) y + gamma y pi.

    It is weighted by `importance` [K,N], if given.
    y are labels [N,C] as distributions, pi the distributions [C,C] that classes degrade toward.
    """
    gamma, y = array_of("decays", decay), array_of("labels", labels)
    lost = y @ array_of("distributions", toward)
    entropies = [special.entr((1 - g)[:, None] * y + g[:, None] * lost).sum(1) for g in gamma]
    if importance is not None:
        return float(np.average(np.stack(entropies), weights=_weights(importance)))
    return float(sum(entropy.mean() for entropy in entropies) / len(entropies))


def _weights(importance: npt.ArrayLike | None) -> npt.NDArray[np.float64] | None:
    return None if importance is None else np.asarray(importance, np.float64)
