"""A prior for confident predictions whose density is bounded."""

import math
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from auglik.objectives import InputError
from auglik.sampling.priors.checks import check_positive, check_scale
from auglik.sampling.priors.gaussian import Gaussian
from auglik.system.array_types import Float64Array


@dataclass(frozen=True)
class Dirclip:
    """N(0, scale^2) times prod over training images and classes of max(p_c, e^clip)^(alpha - 1).

    The clipped Dirichlet density of Marek et al. 2024 (arXiv:2403.01272): alpha < 1 favours confidence, and log p_c is
    clipped from below, as the density had no bound. Raises InputError for a clip that is not negative.
    """

    alpha: float = 0.9
    clip: float = -10.0
    scale: float = 1.0

    def __post_init__(self) -> None:
        check_positive("dirclip", alpha=self.alpha)
        check_scale("dirclip", self.scale)
        if not -math.inf < self.clip < 0:
            raise InputError(f"dirclip: expected clip, the least log-probability, < 0, got {self.clip}")

    def log_density(self, weights: Tensor) -> Tensor:
        return Gaussian(self.scale).log_density(weights)

    def slope(self, weights: Tensor) -> Tensor:
        return Gaussian(self.scale).slope(weights)

    def draw(self, generator: np.random.Generator, count: int) -> Float64Array:
        return Gaussian(self.scale).draw(generator, count)

    def of_predictions(self, log_p: Tensor) -> Tensor | None:
        return (self.alpha - 1) * log_p.clamp_min(self.clip).sum(-1)
