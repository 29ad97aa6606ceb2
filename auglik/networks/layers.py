"""What the convolutional networks are made of."""

from torch import nn


def convolution(
    inputs: int, outputs: int, pool: nn.Module | None = None, *, kernel: int = 3, activation: nn.Module | None = None
) -> list[nn.Module]:
    """3x3 convolution (2x2: without padding), pooling where given, batch norm, ReLU or another activation.

    Maxima are taken before the norm, so that norm and activation cost a quarter, in both directions.
    """
    pooling = [] if pool is None else [pool]
    return [
        nn.Conv2d(inputs, outputs, kernel, padding=(kernel - 1) // 2, bias=False),
        *pooling,
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True) if activation is None else activation,
    ]
