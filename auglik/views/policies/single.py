"""One operation alone, its strength drawn as TrivialAugment draws it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal, Self

import numpy as np
from torch import Tensor

from auglik.objectives import InputError
from auglik.settings.fields import expect
from auglik.settings.names import look_up
from auglik.views.augmentation import Applied, Drawn, Parameters, Shape
from auglik.views.operations import BATCHED, Run, as_is, compiled
from auglik.views.policies.space import Space, check_size, in_turn, reported
from auglik.views.policies.trivial_augment import WIDE

RANGES: dict[str, tuple[float, float]] = {**WIDE, "invert": (0, 0)}


@dataclass(frozen=True)
class Single:
    """`operation` at one of `bins` strengths, with a random sign where it goes both ways.

    Strengths are evenly spaced over `range`: `wide`, as TrivialAugmentWide has it, or `LOW..HIGH` in the operation's
    unit. Raises InputError for operations that TrivialAugment has not, and for magnitudes out of range.
    """

    operation: str = "shear-x"
    range: str = "wide"
    bins: int = 31
    bilinear: bool = False
    run: Run = field(default=as_is, repr=False)
    domain: ClassVar[Literal["levels"]] = "levels"
    noisy: ClassVar[bool] = False

    def __post_init__(self) -> None:
        look_up("operation", self.operation, RANGES)
        expect(self.bins >= 2, "single bins", "2 or more", self.bins)
        BATCHED[self.operation].check(f"single {self.operation}", np.array(self.ends()))

    def ends(self) -> tuple[float, float]:
        """The weakest and the strongest magnitude."""
        if self.range == "wide":
            return RANGES[self.operation]
        number = r"-?\d+\.?\d*"
        found = re.fullmatch(rf"({number})\.\.({number})", self.range)
        if found is None:
            raise InputError(f"single range: expected wide or LOW..HIGH, e.g. 0..30, got {self.range!r}")
        return float(found[1]), float(found[2])

    def compiled(self) -> Self:
        return replace(self, run=compiled)

    def check(self, shape: Shape) -> None:
        check_size("single", shape)

    def draw(self, generator: np.random.Generator, count: int, shape: Shape) -> Parameters:
        """Operation and magnitude [n,1], coefficients [n,1,6]."""
        space = Space.of({self.operation: self.ends()}, self.bins)
        at = generator.integers(self.bins, size=(count, 1))
        return space.drawn(generator, np.zeros_like(at), at, shape)

    def applied(self, parameters: Parameters, shape: Shape) -> Sequence[Applied]:
        return reported(parameters, shape)

    def render(self, images: Tensor, drawn: Drawn) -> Tensor:
        return in_turn(images, drawn, self.bilinear, self.run)
