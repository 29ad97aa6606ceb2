"""Operations on batches of levels, uint8 [V,c,H,W], each view with its own magnitude.

They do what torchvision's v2 functional operations do with black as the fill. Pixels are equal but for ties: where a
source lies between two pixels, the nearest may be the other one, and where an interpolated, blended or stretched value
lies at the edge of a level, so may the level next to it. Float32 decides these, and rounds differently by processor, by
library and by the order of a sum (contrast's mean gray, with every pixel at once).
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
