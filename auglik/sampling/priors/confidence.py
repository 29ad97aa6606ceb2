"""A prior for confident predictions that does what cooling the likelihood does."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from auglik.sampling.priors.checks import check_positive, check_scale
from auglik.sampling.priors.gaussian import Gaussian
from auglik.system.array_types import Float64Array


@dataclass(frozen=True)
class Confidence:
    """N(0, scale^2) times prod over training images of (max_c p_c)^(1/T - 1).

    Where the likeliest class is the label, that is the likelihood at temperature T (Marek et al. 2024,
    arXiv:2403.01272).
    """

    T: float = 0.1
    scale: float = 1.0

    def __post_init__(self) -> None:
        check_positive("confidence", T=self.T)
        check_scale("confidence", self.scale)

    def log_density(self, weights: Tensor) -> Tensor:
        return Gaussian(self.scale).log_density(weights)

    def slope(self, weights: Tensor) -> Tensor:
        return Gaussian(self.scale).slope(weights)

    def draw(self, generator: np.random.Generator, count: int) -> Float64Array:
        return Gaussian(self.scale).draw(generator, count)

    def of_predictions(self, log_p: Tensor) -> Tensor | None:
        return (1 / self.T - 1) * log_p.amax(-1)
