"""Ways of running a kernel: as it is, or through torch.compile."""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from auglik.views.operations.autocontrast import stretch
from auglik.views.operations.bits import switch
from auglik.views.operations.blends import blend, mixture
from auglik.views.operations.gathering import gathered
from auglik.views.operations.geometry import nearest
from auglik.views.operations.operation import Kernel
from auglik.views.operations.sharpness import sharpen


class Run(Protocol):
    """Runs a kernel on views [n,c,H,W] and coefficients [n,...]."""

    def __call__(self, kernel: Kernel, images: Tensor, coefficients: Tensor) -> Tensor: ...


def as_is(kernel: Kernel, images: Tensor, coefficients: Tensor) -> Tensor:
    """The kernel itself."""
    return kernel(images, coefficients)


def compiled(kernel: Kernel, images: Tensor, coefficients: Tensor) -> Tensor:
    """Through torch.compile, once for each size of images and any number of views, where that is faster."""
    if kernel not in COMPILABLE or len(images) < 2:  # one view would be compiled anew
        return kernel(images, coefficients)
    for argument in (images, coefficients):
        torch._dynamo.maybe_mark_dynamic(argument, 0)
    return _compiled(kernel)(images, coefficients)


def _compiled(kernel: Kernel) -> Callable[..., Tensor]:
    if kernel not in _COMPILED:
        _COMPILED[kernel] = torch.compile(COMPILABLE[kernel], dynamic=False)
    return _COMPILED[kernel]


COMPILABLE: dict[Kernel, Kernel] = {
    nearest: gathered,
    blend: blend,
    switch: switch,
    stretch: stretch,
    sharpen: sharpen,
    mixture: mixture,
}
"""What each kernel is compiled from. Compiled, equalizing takes 3 times as long on a CPU, interpolating 1.3 times."""
_COMPILED: dict[Kernel, Callable[..., Tensor]] = {}
