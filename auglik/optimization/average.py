"""The average of a network's weights over its steps, which predicts better than the last of them."""

import copy
from collections.abc import Iterable
from typing import final

from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn, update_bn


@final
class Average:
    """The exponential moving average: after step t, that of step s counts decay^(t-s), normalized over 1..t.

    So the initial weights count nothing, and early averages are as short as the run. The statistics of batch norm are
    not averaged: `measure` recomputes them under the averaged weights. All other buffers are the network's.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).requires_grad_(False)
        """At the averaged weights; its own statistics are of use only after `measure`."""
        self._of, self._decay = network, decay

    def update(self, done: int) -> None:
        """Counts the weights after step `done`, from 1 on."""
        share = (1 - self._decay) / (1 - self._decay**done)
        weights, own = ([*network.parameters()] for network in (self._of, self.network))
        get_ema_multi_avg_fn(1 - share)(own, weights, done)

    def measure(self, views: Iterable[Tensor]) -> None:
        """Sets the statistics of batch norm to their means over batches of views [V,c,H,W], in training mode."""
        for own, buffer in zip(self.network.buffers(), self._of.buffers(), strict=True):
            own.copy_(buffer)
        update_bn(views, self.network)
