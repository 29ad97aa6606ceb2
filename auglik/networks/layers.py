"""What the convolutional networks are made of."""

from torch import nn


def convolution(inputs: int, outputs: int, pool: nn.Module | None = None) -> list[nn.Module]:
    """3x3 convolution, pooling where given, batch norm, ReLU.

    Maxima are taken before the norm, so that norm and ReLU cost a quarter, in both directions.
    """
    pooling = [] if pool is None else [pool]
    return [
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        *pooling,
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    ]
