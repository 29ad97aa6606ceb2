"""AugMix (Hendrycks et al. 2020): an image mixed with several chains of operations on it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal, Self

import numpy as np
from torch import Tensor

from auglik.settings.fields import expect
from auglik.views.augmentation import Applied, Drawn, Parameters, Shape
from auglik.views.operations import BATCHED, Run, as_is, compiled, done_by, operate
from auglik.views.operations.blends import mixture
from auglik.views.policies.space import GROUPINGS, Space, check_size, operations_of

BINS = 10
DEEPEST = 3
"""Operations in a chain of random depth, at most."""


def ranges(shape: Shape, all_ops: bool) -> dict[str, tuple[float, float]]:
    """Weakest and strongest magnitude of each operation."""
    blends = ("brightness", "color", "contrast", "sharpness") if all_ops else ()
    return {
        "shear-x": (0, 0.3),
        "shear-y": (0, 0.3),
        "translate-x": (0, shape.width / 3),
        "translate-y": (0, shape.height / 3),
        "rotate": (0, 30),
        "posterize": (4, 0),
        "solarize": (1, 0),
        "autocontrast": (0, 0),
        "equalize": (0, 0),
        **dict.fromkeys(blends, (0.0, 0.9)),
        "identity": (0, 0),
    }


@dataclass(frozen=True)
class AugMix:
    """`width` chains of `depth` operations (-1: one to three), of strengths below `severity` of ten.

    The image's share is Beta(alpha, alpha), the rest is divided by Dirichlet(alpha); torchvision's distribution.
    """

    severity: int = 3
    width: int = 3
    depth: int = -1
    alpha: float = 1.0
    all_ops: bool = True
    bilinear: bool = True
    run: Run = field(default=as_is, repr=False)
    domain: ClassVar[Literal["levels"]] = "levels"
    noisy: ClassVar[bool] = False

    def __post_init__(self) -> None:
        expect(1 <= self.severity <= BINS, "augmix severity", f"1..{BINS}", self.severity)
        expect(self.width >= 1, "augmix width", "1 or more", self.width)
        expect(self.depth == -1 or self.depth >= 1, "augmix depth", "1 or more, or -1 for one to three", self.depth)
        expect(0 < self.alpha < np.inf, "augmix alpha", "a positive number", self.alpha)

    def compiled(self) -> Self:
        return replace(self, run=compiled)

    def check(self, shape: Shape) -> None:
        check_size("augmix", shape)

    def draw(self, generator: np.random.Generator, count: int, shape: Shape) -> Parameters:
        """Operations and magnitudes [n,R,S], coefficients [n,R,S,6], shares [n,R]: branch 0 is the image itself."""
        W, S = self.width, DEEPEST if self.depth == -1 else self.depth
        operations = ranges(shape, self.all_ops)
        unchanged = len(operations) - 1
        depth = generator.integers(1, DEEPEST, (count, W, 1), endpoint=True) if self.depth == -1 else S
        which = generator.integers(unchanged, size=(count, W, S))
        which = np.where(np.arange(S) < depth, which, unchanged)
        which = np.concatenate([np.full((count, 1, S), unchanged), which], 1)
        at = generator.integers(self.severity, size=which.shape)
        image = generator.beta(self.alpha, self.alpha, (count, 1))
        chains = generator.dirichlet([self.alpha] * W, count) * (1 - image)
        share = np.concatenate([image, chains], 1).astype(np.float32)
        return {**Space.of(operations, BINS).drawn(generator, which, at, shape), "share": share}

    def applied(self, parameters: Parameters, shape: Shape) -> Sequence[Applied]:
        """The image and each chain, with their shares."""
        operation, drawn = operations_of(parameters)
        share = np.asarray(parameters["share"], np.float32)
        magnitude, seen = done_by(operation, drawn, shape.height, shape.width, BATCHED)
        return [
            Applied(share[:, branch], operation[:, branch], magnitude[:, branch], seen[:, branch])
            for branch in range(share.shape[1])
        ]

    def render(self, images: Tensor, drawn: Drawn) -> Tensor:
        operation, _ = operations_of(drawn.host)
        V, R, _ = operation.shape
        branches = images.repeat_interleave(R, 0, output_size=V * R)
        flat, coefficients = operation.reshape(V * R, -1), drawn.device["coefficients"].flatten(0, 1)
        branches = operate(branches, flat, coefficients, GROUPINGS[self.bilinear], self.run)
        return self.run(mixture, branches.unflatten(0, (V, R)), drawn.device["share"])
