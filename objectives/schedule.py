"""How much of its label a mollified view loses, and the distribution of that loss in training."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from auglik.objectives.errors import InputError
from auglik.objectives.numerics import beta_nodes

ROLES = ("clean", "noise", "blur", "both")


@dataclass(frozen=True)
class Schedule:
    """The role and temperature of a view: role by its share, t ~ Beta(alpha, beta), decay gamma(role, t).

    noise: gamma = sin(t pi/2)^(2 k_noise), from the signal-to-noise ratio of cos(t pi/2) x + sin(t pi/2) eps;
    blur: gamma = t^k_blur; both: 1-gamma = (1-gamma_noise)(1-gamma_blur); clean: 0.
    Heinonen et al. 2025, Eq. 13 (which, as printed, equates t^k with the kept share). Shares are relative.
    Raises InputError for shares, Beta parameters or exponents out of range.
    """

    clean: float = 1.0
    noise: float = 1.0
    blur: float = 1.0
    both: float = 0.0
    alpha: float = 1.0
    beta: float = 2.0
    k_noise: float = 1.0
    k_blur: float = 1.0

    def __post_init__(self) -> None:
        for role in ROLES:
            share = getattr(self, role)
            if not (math.isfinite(share) and share >= 0):
                raise InputError(f"the share of role {role} must be a number >= 0, got {share}")
        total = sum(getattr(self, role) for role in ROLES)
        if not 0 < total < math.inf:
            raise InputError(f"expected shares of the roles that sum to a number > 0, got {total:g}")
        for name in ("alpha", "beta", "k_noise", "k_blur"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise InputError(f"{name} must be a number > 0, got {value}")

    def shares(self) -> tuple[float, ...]:
        """The shares in the order of ROLES, summing to one."""
        raw = [getattr(self, role) for role in ROLES]
        total = sum(raw)
        return tuple(share / total for share in raw)

    def decay(self, role: str, temperature: Tensor) -> Tensor:
        """gamma(role, t), elementwise in t in [0,1]."""
        if role == "clean":
            return torch.zeros_like(temperature)
        if role == "noise":
            return torch.sin(temperature * (math.pi / 2)) ** (2 * self.k_noise)
        if role == "blur":
            return temperature**self.k_blur
        if role == "both":
            return 1 - (1 - self.decay("noise", temperature)) * (1 - self.decay("blur", temperature))
        raise InputError(f"expected a role of {', '.join(ROLES)}, got {role!r}")

    def measure(self) -> tuple[Tensor, Tensor]:
        """Nodes gamma_m and weights w_m (float64 [M], summing to one) of the distribution of the decay.

        A point mass at 0 for the clean role and, for every other, nodes in v with t = v^m, m the integer that makes the
        decay at least cubic in v at t = 0: nodes in t converge slowly there for fractional exponents (off by 0.15 nats
        at k = 0.5), as do nodes in v for a fractional m (by 1e-5). Raises InputError as `beta_nodes` does.
        """
        noise, blur = math.ceil(3 / (2 * self.k_noise)), math.ceil(3 / self.k_blur)
        power = {"clean": 1, "noise": noise, "blur": blur, "both": max(noise, blur)}
        steepest = {"noise": 2 * self.k_noise, "blur": self.k_blur, "both": max(2 * self.k_noise, self.k_blur)}
        levels, weights = [], []
        for role, share in zip(ROLES, self.shares(), strict=True):
            if share == 0:
                continue
            if role == "clean":
                levels.append(torch.zeros(1, dtype=torch.float64))
                weights.append(torch.full((1,), share, dtype=torch.float64))
                continue
            v, weight = beta_nodes(self.alpha, self.beta, power[role], steepest[role])
            levels.append(self.decay(role, v ** power[role]))
            weights.append(share * weight)
        return torch.cat(levels), torch.cat(weights)
