"""Independent normal weights."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from auglik.sampling.priors.checks import check_scale
from auglik.system.array_types import Float64Array


@dataclass(frozen=True)
class Gaussian:
    """N(0, scale^2): a scale of 1 is Wenzel et al. 2020's. Raises InputError for a scale that is not positive."""

    scale: float = 1.0

    def __post_init__(self) -> None:
        check_scale("gaussian", self.scale)

    def log_density(self, weights: Tensor) -> Tensor:
        return -(weights**2) / (2 * self.scale**2)

    def slope(self, weights: Tensor) -> Tensor:
        return -weights / self.scale**2

    def draw(self, generator: np.random.Generator, count: int) -> Float64Array:
        return generator.normal(0, self.scale, count)

    def of_predictions(self, log_p: Tensor) -> Tensor | None:
        return None

    def weight_decay(self, images: int) -> float:
        """With which the mean loss of that many images has its minimum at the mode."""
        return 1 / (images * self.scale**2)
