"""Objectives, forward and backward from logits [K,B,C], against cross-entropy with soft labels of the same logits.

The peer is eager `F.cross_entropy` of [K B,C], as loops that do not compile call it; goals are against it. Beside them
stand eager objectives, and compiled ones against a compiled peer.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot

from auglik.objectives import AGGREGATORS, LIKELIHOODS, Objective
from benchmarks.command import benchmark, rounds_option, threads_option
from benchmarks.timing import BATCH, Row, Timed, interleaved, median_of, print_table

VIEWS = 4
PER_ROUND = 50
PEER = "cross_entropy"


class Goal(NamedTuple):
    """At most so many times the peer's time, by number of classes."""

    likelihood: str
    aggregator: str
    at_most: dict[int, float]
    eager: Mapping[int, float] = MappingProxyType({1000: 3})
    """Of the uncompiled objective."""


GOALS = (
    Goal("categorical", "log-mean", {10: 1.2, 1000: 1.3}),
    Goal("categorical", "durbin-koopman", {10: 1.2, 1000: 1.3}),
    Goal("smoothed", "log-mean", {10: 1.2, 1000: 1.3}),
    Goal("smoothed", "durbin-koopman", {10: 1.2, 1000: 1.3}),
    Goal("smoothed-normalized", "log-mean", {10: 2, 1000: 1.8}, eager={1000: 6}),
)


def forward_and_backward(loss: Callable[[Tensor], Tensor], logits: Tensor) -> Timed:
    """The median time of a loss and its gradient."""
    leaf = logits.clone().requires_grad_()

    def once() -> None:
        leaf.grad = None
        loss(leaf).backward()

    return median_of(once, PER_ROUND)


def compare(C: int, rounds: int) -> None:
    """Prints the table for C classes."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(VIEWS, BATCH, C, generator=generator)
    decay = torch.rand(VIEWS, BATCH, generator=generator)
    labels = torch.randint(C, (BATCH,), generator=generator)
    soft = ((1 - decay)[..., None] * one_hot(labels, C) + decay[..., None] / C).flatten(0, 1)

    def peer(flat: Tensor) -> Tensor:
        return cross_entropy(flat, soft)

    # Compiled code of one function is kept up to a limit, and all objectives share `Objective.loss`.
    torch.compiler.reset()
    timed = {
        PEER: forward_and_backward(peer, logits.flatten(0, 1)),
        f"{PEER} compiled": forward_and_backward(torch.compile(peer), logits.flatten(0, 1)),
    }
    rows = [Row(f"C={C}", f"{PEER} compiled", PEER, costs=True)]
    for goal in GOALS:
        objective = Objective(LIKELIHOODS[goal.likelihood], AGGREGATORS[goal.aggregator])
        name = f"{goal.likelihood} + {goal.aggregator}"
        losses = {"compiled": torch.compile(objective.loss), "eager": objective.loss}
        for how, loss in losses.items():

            def of(leaf: Tensor, loss: Callable[[Tensor, Tensor, Tensor], Tensor] = loss) -> Tensor:
                return loss(leaf, decay, labels)

            timed[f"{name} {how}"] = forward_and_backward(of, logits)
        rows.append(Row(f"C={C}", f"{name} compiled", PEER, goal=goal.at_most.get(C), costs=True))
        rows.append(Row(f"C={C}", f"{name} compiled", f"{PEER} compiled", costs=True))
        rows.append(Row(f"C={C}", f"{name} eager", PEER, goal=goal.eager.get(C), costs=True))
    seconds = interleaved(timed, rounds)
    print_table(f"Forward and backward of logits [{VIEWS},{BATCH},{C}]", rows, timed, seconds)


@benchmark(__doc__, compiles=True)
@rounds_option(15)
@threads_option
def main(rounds: int) -> None:
    for C in (10, 1000):
        compare(C, rounds)


if __name__ == "__main__":
    main()
