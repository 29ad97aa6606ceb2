"""Ways of running a kernel: as it is, or through torch.compile."""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from auglik.system.compiling import torch_compile
from auglik.views.operations.autocontrast import stretch
from auglik.views.operations.bits import switch
from auglik.views.operations.blends import blend, mixture
from auglik.views.operations.equalize import flatten_histogram
from auglik.views.operations.gathering import gathered
from auglik.views.operations.geometry import bilinear, nearest
from auglik.views.operations.operation import Kernel
from auglik.views.operations.sharpness import sharpen, sharpened


class Run(Protocol):
    """Runs a kernel on views [n,c,H,W] and coefficients [n,...]."""

    def __call__(self, kernel: Kernel, images: Tensor, coefficients: Tensor) -> Tensor: ...


def as_is(kernel: Kernel, images: Tensor, coefficients: Tensor) -> Tensor:
    """The kernel itself."""
    return kernel(images, coefficients)


def compiled(kernel: Kernel, images: Tensor, coefficients: Tensor) -> Tensor:
    """Through torch.compile, once for each size of images and any number of views, where that is faster."""
    source = (COMPILABLE if images.device.type == "cpu" else COMPILABLE_ELSEWHERE).get(kernel)
    if source is None:
        return kernel(images, coefficients)
    if source not in _COMPILED:
        _COMPILED[source] = for_any_number(source)
    return _COMPILED[source](images, coefficients)


def for_any_number(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A function of tensors through torch.compile, once for any length of their first axes."""
    through = torch_compile(function, dynamic=False)

    def run(*arguments: Tensor) -> Tensor:
        if min(map(len, arguments)) < 2:  # one view would be compiled anew
            return function(*arguments)
        for argument in arguments:
            torch._dynamo.maybe_mark_dynamic(argument, 0)
        return through(*arguments)

    return run


COMPILABLE: dict[Kernel, Kernel] = {
    nearest: gathered,
    blend: blend,
    switch: switch,
    stretch: stretch,
    sharpen: sharpen,
    mixture: mixture,
}
"""What each kernel is compiled from on a CPU."""
COMPILABLE_ELSEWHERE: dict[Kernel, Kernel] = {
    **COMPILABLE,
    flatten_histogram: flatten_histogram,
    bilinear: bilinear,
    sharpen: sharpened,
}
"""The same but on a CPU, where equalizing takes 3 times as long compiled, interpolating 1.3 times."""
_COMPILED: dict[Kernel, Callable[..., Tensor]] = {}
