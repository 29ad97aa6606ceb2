"""RandAugment (Cubuk et al. 2019): several operations in turn, all at one strength."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal, Self

import numpy as np
from torch import Tensor

from auglik.settings.fields import expect
from auglik.views.augmentation import Applied, Drawn, Parameters, Shape
from auglik.views.operations import Run, as_is, compiled
from auglik.views.policies.auto_augment import ranges
from auglik.views.policies.space import Space, check_size, in_turn, reported


@dataclass(frozen=True)
class RandAugment:
    """`operations` in turn at strength `magnitude` of 0..`bins`-1; torchvision's distribution.

    They are AutoAugment's but for invert, and identity.
    """

    operations: int = 2
    magnitude: int = 9
    bins: int = 31
    bilinear: bool = False
    run: Run = field(default=as_is, repr=False)
    domain: ClassVar[Literal["levels"]] = "levels"
    noisy: ClassVar[bool] = False

    def __post_init__(self) -> None:
        expect(self.operations >= 1, "rand-augment operations", "1 or more", self.operations)
        expect(self.bins >= 2, "rand-augment bins", "2 or more", self.bins)
        expect(0 <= self.magnitude < self.bins, "rand-augment magnitude", f"0..{self.bins - 1}", self.magnitude)

    def compiled(self) -> Self:
        return replace(self, run=compiled)

    def check(self, shape: Shape) -> None:
        check_size("rand-augment", shape)

    def draw(self, generator: np.random.Generator, count: int, shape: Shape) -> Parameters:
        """Operations and magnitudes [n,S], coefficients [n,S,6]."""
        operations = {"identity": (0.0, 0.0), **ranges(shape)}
        del operations["invert"]
        which = generator.integers(len(operations), size=(count, self.operations), dtype=np.uint8)
        space = Space.of(operations, self.bins)
        return space.drawn(generator, which, np.full(which.shape, self.magnitude), shape)

    def applied(self, parameters: Parameters, shape: Shape) -> Sequence[Applied]:
        return reported(parameters, shape)

    def render(self, images: Tensor, drawn: Drawn) -> Tensor:
        return in_turn(images, drawn, self.bilinear, self.run)
