"""What a network's specification offers."""

from typing import ClassVar, Protocol

from torch import nn


class Network(Protocol):
    """A frozen dataclass whose fields are the network's parameters.

    learning_rate is the default for SGD: momentum 0.9, weight decay 5e-4, batches of 128 images, a cosine to zero.
    small: several runs at a time, in one-thread processes, are faster than one run with all threads.
    """

    learning_rate: ClassVar[float]
    warmup: ClassVar[float]
    nesterov: ClassVar[bool]
    small: ClassVar[bool]

    def build(self, channels: int, outputs: int) -> nn.Module:
        """A module [B,c,H,W] -> [B,outputs] whose last layer is the linear layer `head`; its weights do not matter."""
        ...
