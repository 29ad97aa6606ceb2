"""What the convolutional networks are made of."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_max_pool2d, max_pool2d


class FilterResponseNorm(nn.Module):
    """max(weight x / sqrt(nu^2 + 1e-6) + bias, threshold) with nu^2 the mean of x^2 over the image: [B,C,H,W].

    Singh & Krishnan 2020, arXiv:1911.09737. Each image is normalized by itself, so that a likelihood stays a product
    over images.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight, self.bias, self.threshold = (nn.Parameter(torch.empty(channels)) for _ in range(3))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.ones_(self.weight)
        nn.init.zeros_(self.bias)
        nn.init.zeros_(self.threshold)

    def forward(self, x: Tensor) -> Tensor:
        weight, bias, threshold = (values[:, None, None] for values in (self.weight, self.bias, self.threshold))
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        scale = (wide.square().mean((2, 3), keepdim=True) + 1e-6).rsqrt()
        return torch.maximum(weight * wide * scale + bias, threshold).to(x.dtype)


class GridMaxima(nn.Module):
    """Maxima over each part of an n x n grid of the image, [B,C,H,W] -> [B,C,n,n], as adaptive max pooling has them.

    Its backward pass adds in no fixed order on CUDA, which deterministic runs refuse; that of max pooling does not, but
    takes a CPU twice as long.
    """

    def __init__(self, n: int) -> None:
        super().__init__()
        self.n = n

    def forward(self, x: Tensor) -> Tensor:
        (H, W), n = x.shape[2:], self.n
        if x.device.type == "cpu":
            return adaptive_max_pool2d(x, n)
        if H % n == W % n == 0:
            return max_pool2d(x, (H // n, W // n))
        rows, columns = ([(i * side // n, -(-(i + 1) * side // n)) for i in range(n)] for side in (H, W))
        parts = [
            max_pool2d(x[:, :, top:bottom, left:right], (bottom - top, right - left))
            for top, bottom in rows
            for left, right in columns
        ]
        return torch.cat(parts, 2).unflatten(2, (n, n)).flatten(3)


NORMS: Mapping[str, Callable[[int], nn.Module]] = {
    "batch": nn.BatchNorm2d,
    "frn": FilterResponseNorm,
    "none": lambda channels: nn.Identity(),
}
"""What may follow a convolution, by name; it has a bias of its own but before batch norm, which would take it away."""


def convolution(
    inputs: int,
    outputs: int,
    pool: nn.Module | None = None,
    *,
    kernel: int = 3,
    stride: int = 1,
    groups: int = 1,
    activation: nn.Module | None = None,
    norm: str = "batch",
) -> list[nn.Module]:
    """3x3 convolution (2x2: without padding), pooling where given, a norm of NORMS, ReLU or another activation.

    The threshold of a filter response norm takes the ReLU's place.

    Maxima are taken before the norm, so that norm and activation cost a quarter, in both directions.
    """
    pooling = [] if pool is None else [pool]
    return [
        nn.Conv2d(inputs, outputs, kernel, stride, padding=(kernel - 1) // 2, groups=groups, bias=norm != "batch"),
        *pooling,
        NORMS[norm](outputs),
        activation or (nn.Identity() if norm == "frn" else nn.ReLU(inplace=True)),
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
