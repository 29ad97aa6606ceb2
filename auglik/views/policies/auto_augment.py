"""AutoAugment (Cubuk et al. 2019): one of 25 learned pairs of operations, each with a chance and a strength."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal, Self

import numpy as np
from torch import Tensor

from auglik.settings.names import look_up
from auglik.views.augmentation import Applied, Drawn, Parameters, Shape
from auglik.views.operations import Run, as_is, compiled
from auglik.views.policies.learned import LEARNED
from auglik.views.policies.space import Space, check_size, in_turn, reported

BINS = 10


def ranges(shape: Shape) -> dict[str, tuple[float, float]]:
    """Weakest and strongest magnitude of each operation."""
    return {
        "shear-x": (0, 0.3),
        "shear-y": (0, 0.3),
        "translate-x": (0, 150 / 331 * shape.width),
        "translate-y": (0, 150 / 331 * shape.height),
        "rotate": (0, 30),
        "brightness": (0, 0.9),
        "color": (0, 0.9),
        "contrast": (0, 0.9),
        "sharpness": (0, 0.9),
        "posterize": (8, 4),
        "solarize": (1, 0),
        "autocontrast": (0, 0),
        "equalize": (0, 0),
        "invert": (0, 0),
    }


@dataclass(frozen=True)
class AutoAugment:
    """The policy learned on `policy`: cifar10, imagenet or svhn; torchvision's distribution."""

    policy: str = "cifar10"
    bilinear: bool = False
    run: Run = field(default=as_is, repr=False)
    domain: ClassVar[Literal["levels"]] = "levels"
    noisy: ClassVar[bool] = False

    def __post_init__(self) -> None:
        look_up("auto-augment policy", self.policy, LEARNED)

    def compiled(self) -> Self:
        return replace(self, run=compiled)

    def check(self, shape: Shape) -> None:
        check_size("auto-augment", shape)

    def draw(self, generator: np.random.Generator, count: int, shape: Shape) -> Parameters:
        """Operations and magnitudes [n,2], coefficients [n,2,6]."""
        pairs, operations = LEARNED[self.policy], ranges(shape)
        positions = np.array([[list(operations).index(step.operation) for step in pair] for pair in pairs])
        chances = np.array([[step.chance for step in pair] for pair in pairs])
        strengths = np.array([[step.strength for step in pair] for pair in pairs])
        pair = generator.integers(len(pairs), size=count)
        done = generator.random((count, 2)) < chances[pair]
        space = Space.of({**operations, "identity": (0, 0)}, BINS)
        which = np.where(done, positions[pair], len(operations))
        return space.drawn(generator, which, strengths[pair], shape)

    def applied(self, parameters: Parameters, shape: Shape) -> Sequence[Applied]:
        return reported(parameters, shape)

    def render(self, images: Tensor, drawn: Drawn) -> Tensor:
        return in_turn(images, drawn, self.bilinear, self.run)
