"""Stochastic-gradient Hamiltonian Monte Carlo."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from auglik.objectives import InputError


@dataclass(frozen=True)
class Sghmc:
    """Langevin dynamics with momenta (Chen et al. 2014, arXiv:1402.4102) and one gradient a step, by BAOAB.

    m -= h U', theta += h m / 2, m = momentum m + sqrt((1 - momentum^2) T) noise, theta += h m / 2, with h^2 = step:
    the splitting of Leimkuhler & Matthews 2013 ("Rational construction of stochastic numerical methods for molecular
    sampling"), whose positions have the right variance under a quadratic U at any stable step, h^2 U'' < 4. Symplectic
    Euler steps with noise of variance 2 (1 - momentum) T have the kinetic temperature 2 T / (1 + momentum) if short.
    Momenta are measured in the middle of the kick, where BAOAB's step ends: there their variance is T (1 - h^2 U''/4),
    less for long steps, and more with the noise of gradients. Raises InputError for a momentum outside of [0,1).
    """

    momentum: float = 0.9
    has_momenta: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 0 <= self.momentum < 1:
            raise InputError(f"sghmc: expected a momentum in [0,1), got {self.momentum}")

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
        h, spread = math.sqrt(step), math.sqrt((1 - self.momentum**2) * temperature)
        squares = []
        for theta, m, slope, drawn in zip(positions, momenta, slopes, noise, strict=True):
            m.sub_(slope, alpha=h / 2)
            squares.append(m.square().sum())
            m.sub_(slope, alpha=h / 2)
            theta.add_(m, alpha=h / 2)
            m.mul_(self.momentum).add_(drawn, alpha=spread)
            theta.add_(m, alpha=h / 2)
        return torch.stack(squares).sum()
