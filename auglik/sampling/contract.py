"""The contracts of samplers, priors and step sizes: frozen dataclasses whose fields are their parameters."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from torch import Tensor

from auglik.system.array_types import Float64Array


class Sampler(Protocol):
    """A Markov transition with one gradient of U."""

    @property
    def has_momenta(self) -> bool:
        """Whether momenta, of unit mass, are a part of its state; else it is given none."""
        ...

    def move(
        self,
        positions: Sequence[Tensor],
        momenta: Sequence[Tensor],
        slopes: Sequence[Tensor],
        noise: Sequence[Tensor],
        *,
        step: float,
        temperature: float,
    ) -> Tensor | None:
        """Moves positions and momenta in place, all of one shape by place; `slopes` of U, `noise` standard normal.

        `step` is the learning rate over N, the square of a symplectic integrator's time step. Returns the sum of
        squares of the momenta where the step ends, 0-d; None without momenta.
        """
        ...


class Prior(Protocol):
    """A density of the weights, alike and independent, that may depend on predictions for the training images too."""

    def log_density(self, weights: Tensor) -> Tensor:
        """Of every weight, up to a constant: any shape."""
        ...

    def slope(self, weights: Tensor) -> Tensor:
        """Its derivative."""
        ...

    def draw(self, generator: np.random.Generator, count: int) -> Float64Array:
        """That many weights [n] of the density but for what predictions add to it."""
        ...

    def of_predictions(self, log_p: Tensor) -> Tensor | None:
        """The log-density that predictions add: log-probabilities [K,B,C] -> [K,B], up to a constant; None for nothing.

        An image counts once: as the mean over its views.
        """
        ...


class StepSizes(Protocol):
    """The step sizes of a chain, and when it draws."""

    @property
    def warms_up(self) -> bool:
        """False: as rate schedules that take no warm-up."""
        ...

    def factor(self, step: int, steps: int) -> float:
        """The share of the highest learning rate at a step in 0..steps."""
        ...

    def stretches(self, steps: int) -> list[range]:
        """The steps of which draws are taken, one stretch after another, each with as many."""
        ...

    @property
    def explores(self) -> bool:
        """Whether steps outside of the stretches are without noise."""
        ...
