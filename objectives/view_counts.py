"""How many views an image is given by an aggregator that draws their number: Russian roulette, capped.

Such an aggregator has `survival(K)`, the probability P(at least K views) for the K that it stops at, `stops(most)`.
Of a cap the last stop takes what is left, so that its values depend on no cap, and their mean over counts is exactly
that of what it estimates from `most` views: the log-mean, whose bias is of order 1/most.
"""

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from auglik.objectives.contracts import Aggregator
from auglik.objectives.errors import InputError

REMARK = (
    "each image has a random number of views, the setting their largest number; gradients have a heavy tail: clip them"
)
"""Of every such aggregator, for a report."""


@runtime_checkable
class DrawsViews(Protocol):
    """What an aggregator has besides its contract if the number of its views is drawn for each image."""

    def stops(self, most: int) -> tuple[int, ...]:
        """The numbers of views that may be drawn, ascending, the first 1 and none over `most`."""
        ...

    def survival(self, views: int) -> float:
        """The probability of at least as many views, falling from 1 at one view."""
        ...


def law_of_views(aggregator: Aggregator, most: int) -> dict[int, float]:
    """The probability of each number of views up to `most`; all of it at `most` for those that take any fixed K."""
    if not isinstance(aggregator, DrawsViews):
        return {most: 1.0}
    stops = aggregator.stops(most)
    alive = [*map(aggregator.survival, stops), 0.0]
    return {stop: alive[place] - alive[place + 1] for place, stop in enumerate(stops)}


def mean_views(aggregator: Aggregator, most: int) -> float:
    """What a step costs in forward passes of an image, on average."""
    return sum(views * share for views, share in law_of_views(aggregator, most).items())


def drawn_views(aggregator: Aggregator, most: int, uniforms: Tensor) -> Tensor:
    """The numbers of views of images [B], int64, from numbers uniform on [0,1) [B]: the largest stop that survives."""
    if not isinstance(aggregator, DrawsViews):
        return (0 * uniforms + most).long()
    counts = (0 * uniforms + 1).long()
    for stop in aggregator.stops(most):
        counts = counts.masked_fill(uniforms < aggregator.survival(stop), stop)
    return counts


def check_drawn_views(aggregator: Aggregator, most: int, *, weighted: bool, compiled: bool) -> None:
    """Raises InputError if the aggregator draws the number of views and training cannot do so: see the messages."""
    if not isinstance(aggregator, DrawsViews):
        return
    name, reached = type(aggregator).__name__, max(aggregator.stops(most))
    if reached != most:
        raise InputError(f"views: {name} draws at most {reached} of {most} views; expected {reached} or {2 * reached}")
    if weighted:
        raise InputError(f"soften_into: {name} needs views of equal weight; expected target")
    if compiled:
        raise InputError(f"compile: {name} draws the number of views of each image, and compiled code is for one shape")


def relative_variance(shares: Tensor) -> Tensor:
    """Var p / I^2 of views of likelihood p, estimated from what K of each image count for, [K,B] -> [B]; K >= 2.

    With shares p_k / sum p, this is the sample variance of p over the square of its mean; it is at most K.
    """
    K = len(shares)
    r = shares / shares.sum(0).clamp_min(torch.finfo(shares.dtype).tiny)
    return (K * (r**2).sum(0) - 1).clamp_min(0.0) * (K / (K - 1))
