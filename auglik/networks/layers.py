"""What the convolutional networks are made of."""

from torch import Tensor, nn


def convolution(
    inputs: int,
    outputs: int,
    pool: nn.Module | None = None,
    *,
    kernel: int = 3,
    stride: int = 1,
    groups: int = 1,
    activation: nn.Module | None = None,
) -> list[nn.Module]:
    """3x3 convolution (2x2: without padding), pooling where given, batch norm, ReLU or another activation.

    Maxima are taken before the norm, so that norm and activation cost a quarter, in both directions.
    """
    pooling = [] if pool is None else [pool]
    return [
        nn.Conv2d(inputs, outputs, kernel, stride, padding=(kernel - 1) // 2, groups=groups, bias=False),
        *pooling,
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True) if activation is None else activation,
    ]


def normalized(inputs: int) -> list[nn.Module]:
    """Batch norm and ReLU, as they come before a convolution where activations are pre-activations."""
    return [nn.BatchNorm2d(inputs), nn.ReLU(inplace=True)]


class Averaged(nn.Module):
    """[B,c,H,W] -> [B,outputs]: the linear layer `head` of the body's averages over the image."""

    def __init__(self, body: nn.Module, features: int, outputs: int) -> None:
        super().__init__()
        self.body = body
        self.head = nn.Linear(features, outputs)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.body(images).mean((2, 3)))
