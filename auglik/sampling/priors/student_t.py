"""Independent weights with tails of a power."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from auglik.sampling.priors.checks import check_positive, check_scale
from auglik.system.array_types import Float64Array


@dataclass(frozen=True)
class StudentT:
    """Student's t with `df` degrees of freedom, times scale (Fortuin et al. 2022, arXiv:2102.06571)."""

    df: float = 3.0
    scale: float = 1.0

    def __post_init__(self) -> None:
        check_positive("student-t", df=self.df)
        check_scale("student-t", self.scale)

    def log_density(self, weights: Tensor) -> Tensor:
        return -(self.df + 1) / 2 * (weights**2 / (self.df * self.scale**2)).log1p()

    def slope(self, weights: Tensor) -> Tensor:
        return -(self.df + 1) * weights / (self.df * self.scale**2 + weights**2)

    def draw(self, generator: np.random.Generator, count: int) -> Float64Array:
        return self.scale * generator.standard_t(self.df, count)

    def of_predictions(self, log_p: Tensor) -> Tensor | None:
        return None
