"""A training step of preact-resnet-18 on 128 CIFAR-10 images, K = 1: what bfloat16 gains, and what is not network.

Ours is that of `auglik.runs.training`: views rendered, bfloat16 autocast, channels last, objective, fused SGD, meters.
The peer is the same network's float32 step on a ready tensor in the default memory layout, SGD by default.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from auglik.objectives import negative_share, view_gradients
from auglik.runs.loop import INTERVAL, learning_rate, note
from auglik.runs.step import make_network, make_optimizer
from auglik.system.devices import autocast
from benchmarks import timing
from benchmarks.command import benchmark, cifar10_option, rounds_option, threads_option

RUN = timing.run_of(network="preact-resnet-18", views=1, device="cpu", precision="bf16")
CONFIG = RUN.config
STEPS = 10**6
"""The length of the learning rate's schedule."""


class Step:
    """The parts of a training step, in the order of `auglik.runs.training.train`."""

    def __init__(self, images: NDArray[np.uint8]) -> None:
        self.gallery, self.count = timing.gallery_of(images), len(images)
        self.labels = torch.arange(self.count) % 10
        self.objective, self.pipeline = RUN.objective, RUN.training_views.pipeline(self.gallery.shape)
        self.network = make_network(RUN, 3, 10)
        self.optimizer = make_optimizer(RUN, self.network, self.count)
        self.loss_sum, self.negative_sum, self.last_loss = torch.zeros(3, dtype=torch.float64).unbind()
        self.draws = self.pipeline.draw(0, 0, CONFIG.views, self.count, timing.CPU)
        self.following = timing.batches(self.count)
        self.steps: Iterator[int] = iter(range(STEPS))
        self.ready_logits = torch.randn(timing.BATCH, 10, generator=torch.Generator().manual_seed(0)).bfloat16()

    def whole(self) -> None:
        self.once(self.network)

    def without_network(self) -> None:
        self.once(None)

    def once(self, network: nn.Module | None) -> None:
        """A step; without a network, its logits are ready ones and the optimizer rests."""
        step = next(self.steps)
        views = self.pipeline.render(self.gallery, self.draws, self.following())
        labels = self.labels[views.positions]
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(RUN, step, STEPS)
        images = views.images.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        if network is None:
            logits = self.ready_logits.clone().requires_grad_()
        else:
            with autocast(timing.CPU, CONFIG.precision):
                logits = network(images)
        logits = logits.unflatten(0, (CONFIG.views, timing.BATCH))
        loss = self.objective.loss(logits, views.decay, labels)
        if network is not None:
            self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if network is not None:
            self.optimizer.step()
        note(self.loss_sum, self.last_loss, loss.detach())
        if step % INTERVAL == 0:
            shares = negative_share(view_gradients(self.objective, logits, views.decay, labels))
            self.negative_sum.add_(shares)

    def draw(self) -> None:
        self.pipeline.draw(0, 1, CONFIG.views, self.count, timing.CPU)


def with_share_of_draws(step: Step, timed: timing.Timed) -> timing.Timed:
    """Adds a step's share of its epoch's draws."""
    return timing.Timed(lambda: timed.seconds() + timing.seconds_of(step.draw) * timing.BATCH / step.count, timed.n)


def bare(network: nn.Module, images: Tensor, labels: Tensor) -> timing.Timed:
    """The float32 step on a ready tensor."""
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=RUN.momentum, weight_decay=RUN.weight_decay)

    def once() -> None:
        optimizer.zero_grad()
        cross_entropy(network(images), labels).backward()
        optimizer.step()

    return timing.median_of(once, 1, warm_up=1)


@benchmark(__doc__)
@cifar10_option
@rounds_option(7)
@threads_option
def main(cifar10: Path | None, rounds: int) -> None:
    images, images_are = timing.images_of(cifar10)
    step = Step(images)
    default_layout = make_network(RUN, 3, 10).to(memory_format=torch.contiguous_format)
    timed = {
        "step, bf16": with_share_of_draws(step, timing.median_of(step.whole, 2, warm_up=1)),
        "not network or optimizer": with_share_of_draws(step, timing.median_of(step.without_network, 2 * INTERVAL)),
        "step, fp32": bare(
            default_layout, step.gallery.clean(slice(timing.BATCH)).contiguous(), step.labels[: timing.BATCH]
        ),
    }
    seconds = timing.interleaved(timed, rounds)
    rows = [
        timing.Row("whole step", "step, bf16", "step, fp32", goal=2),
        timing.Row("overhead", "not network or optimizer", "step, bf16", goal=0.03, costs=True, percent=True),
    ]
    timing.print_table(f"preact-resnet-18, batches of {timing.BATCH} images, {images_are}, K = 1", rows, timed, seconds)


if __name__ == "__main__":
    main()
