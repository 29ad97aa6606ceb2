"""Confidence under two operations at once."""

from collections.abc import Callable, Mapping

import numpy as np
from torch import Tensor

from auglik.confidence_tables.measuring import Score
from auglik.confidence_tables.probes import Probe
from auglik.system.array_types import Float64Array


def measure_pairs(
    first: Mapping[str, Probe],
    second: Mapping[str, Probe],
    images: Tensor,
    score: Score,
    progress: Callable[[float], None] = lambda share: None,
) -> Float64Array:
    """The mean score [S,S] of `images` [N,c,H,W] under every two operations at their strengths, in turn; symmetric.

    An operation comes before those after it. `second` are the same as `first` with squares and noise of other draws, so
    that two squares are not in one place. Of one operation twice both orders are measured, and averaged.
    """
    ends = np.cumsum([0, *(len(probe.at) for probe in first.values())])
    blocks = dict(zip(first, ends, strict=False))
    found = np.empty((ends[-1], ends[-1]))
    for i, (name, probe) in enumerate(first.items()):
        for m, strength in enumerate(probe.at):
            begun = probe.apply(images, float(strength))
            for other, then in list(second.items())[i:]:
                for n, further in enumerate(then.at):
                    value = float(score(other, then.apply(begun, float(further))).double().mean())
                    found[blocks[name] + m, blocks[other] + n] = value
            progress((blocks[name] + m + 1) / ends[-1])
        own = slice(blocks[name], blocks[name] + len(probe.at))
        found[own, own] = (found[own, own] + found[own, own].T) / 2
        found[own.stop :, own] = found[own, own.stop :].T
    return found
