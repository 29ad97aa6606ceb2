"""Independent weights with exponential tails."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from auglik.sampling.priors.checks import check_scale
from auglik.system.array_types import Float64Array


@dataclass(frozen=True)
class Laplace:
    """exp(-abs(w) / scale), with variance 2 scale^2 (Fortuin et al. 2022, arXiv:2102.06571, compare it with others)."""

    scale: float = 1.0

    def __post_init__(self) -> None:
        check_scale("laplace", self.scale)

    def log_density(self, weights: Tensor) -> Tensor:
        return -weights.abs() / self.scale

    def slope(self, weights: Tensor) -> Tensor:
        return -weights.sign() / self.scale

    def draw(self, generator: np.random.Generator, count: int) -> Float64Array:
        return generator.laplace(0, self.scale, count)

    def of_predictions(self, log_p: Tensor) -> Tensor | None:
        return None
