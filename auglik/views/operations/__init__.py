"""Operations on batches of levels, uint8 [V,c,H,W], each view under a magnitude of its own.

Equal to torchvision's v2 functional operations on a CPU, bit for bit, with black as the fill. Only contrast may differ,
by a level: in images of more than 65,793 pixels, whose mean depends on the order of its sum, and in those of 2 x 2.
"""

from dataclasses import replace

from auglik.views.operations.autocontrast import AUTOCONTRAST
from auglik.views.operations.bits import SWITCHES
from auglik.views.operations.blends import BLENDS
from auglik.views.operations.equalize import EQUALIZE
from auglik.views.operations.geometry import EXCHANGES, GEOMETRIC, bilinear
from auglik.views.operations.groups import Grouping, coefficients_of, done_by, operate
from auglik.views.operations.operation import COEFFICIENTS, Kernel, Operation
from auglik.views.operations.running import Run, as_is, compiled
from auglik.views.operations.sharpness import SHARPNESS

BATCHED: dict[str, Operation] = {
    **EXCHANGES,
    **GEOMETRIC,
    **BLENDS,
    "sharpness": SHARPNESS,
    **SWITCHES,
    "autocontrast": AUTOCONTRAST,
    "equalize": EQUALIZE,
}
"""By the names of `augmentation.OPERATIONS`; the geometric ones take the nearest pixel."""

BILINEAR: dict[str, Operation] = {
    **BATCHED,
    **{name: replace(operation, kernel=bilinear) for name, operation in GEOMETRIC.items()},
}
"""The same, the geometric ones interpolating between pixels."""

__all__ = [
    "BATCHED",
    "BILINEAR",
    "COEFFICIENTS",
    "Grouping",
    "Kernel",
    "Operation",
    "Run",
    "as_is",
    "coefficients_of",
    "compiled",
    "done_by",
    "operate",
]
