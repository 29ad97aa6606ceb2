"""Roles and temperatures from a proposal that follows what views count for, in place of their own distribution."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, betaincinv

from auglik.objectives import ROLES, InputError, Schedule
from auglik.system.array_types import Float64Array
from auglik.system.keys import host_generator
from auglik.views.mollification import MOLLIFICATION, Mollification

BINS = 16
"""Of each role's temperatures, equally likely under their Beta distribution."""
DEFENSIVE = 0.2
"""The share of the proposal that is the views' own distribution: no view counts more than 1/DEFENSIVE = 5 times."""
NO_PROPOSAL, RESPONSIBILITIES = "none", "responsibilities"
CLEAN = ROLES.index("clean")


OF_MOLLIFICATION = 2
"""Numbers that give a view's role and its temperature."""


class Mollified(NamedTuple):
    """Roles and temperatures of views of any one shape."""

    role: NDArray[np.uint8]
    temperature: NDArray[np.float32]
    cell: NDArray[np.uint8] | None = None
    """Role and bin, as role x BINS + bin; None, as the next, without a proposal."""
    log_importance: NDArray[np.float32] | None = None
    """Log of the views' own density over that of the proposal, at most -log DEFENSIVE."""


@dataclass(frozen=True, eq=False)
class Proposal:
    """Masses of every role's bins of temperature [4 BINS]; within a bin t is as its Beta distribution has it.

    The density of (role, t) is that of the schedule times a constant in each bin, so that importance weights are exact.
    A defensive mixture (Hesterberg 1995). `own` and `following` make it.
    """

    schedule: Schedule
    masses: Float64Array

    @classmethod
    def own(cls, schedule: Schedule) -> "Proposal":
        """The views' own distribution."""
        return cls(schedule, np.repeat(schedule.shares(), BINS) / BINS)

    def is_own(self) -> bool:
        return bool((self.masses == Proposal.own(self.schedule).masses).all())

    def following(self, counted: Float64Array) -> "Proposal":
        """The mixture of the own distribution and of what views counted for, summed by cell [4 BINS], at least 0.

        Where nothing was counted it stays as it is. A clean view looks the same at every temperature, so its bins are
        alike. Raises InputError for sums below 0 or not finite.
        """
        if not bool((np.isfinite(counted) & (counted >= 0)).all()):
            raise InputError(f"proposal: expected finite sums >= 0, got {counted.min():g} to {counted.max():g}")
        own = Proposal.own(self.schedule).masses
        shares = np.where(own > 0, counted, 0.0).reshape(-1, BINS)
        shares[CLEAN] = shares[CLEAN].mean()
        if not shares.sum() > 0:
            return self
        return Proposal(self.schedule, DEFENSIVE * own + (1 - DEFENSIVE) * (shares / shares.sum()).ravel())

    def log_weights(self) -> Float64Array:
        """Of the cells [4 BINS]; 0 for roles that do not occur."""
        own = Proposal.own(self.schedule).masses
        return np.log(np.where(own > 0, own, 1.0)) - np.log(np.where(own > 0, self.masses, 1.0))

    def place(self, uniforms: Float64Array) -> Mollified:
        """Views from two numbers of each, uniform on [0,1]: the role, then the temperature given the role [...,2].

        Both rise with their number, so that views of two proposals from the same numbers are near each other.
        """
        of_roles = self.masses.reshape(-1, BINS)
        role = _inverse(of_roles.sum(1), uniforms[..., 0])[0]
        bins, within = np.empty(role.shape, np.int64), np.empty(role.shape)
        for index, masses in enumerate(of_roles):
            chosen = role == index
            if chosen.any():
                bins[chosen], within[chosen] = _inverse(masses, uniforms[chosen, 1])
        temperature = betaincinv(self.schedule.alpha, self.schedule.beta, (bins + within) / BINS)
        return self._placed(role, temperature, bins)

    def weighted(self, role: NDArray[np.integer], temperature: Float64Array) -> Mollified:
        """Views that are drawn from it already."""
        quantile = betainc(self.schedule.alpha, self.schedule.beta, temperature)
        return self._placed(role, temperature, np.minimum((quantile * BINS).astype(np.int64), BINS - 1))

    def _placed(self, role: NDArray[np.integer], temperature: Float64Array, bins: NDArray[np.int64]) -> Mollified:
        cell = (role.astype(np.int64) * BINS + bins).astype(np.uint8)
        weights = self.log_weights().astype(np.float32)
        return Mollified(role.astype(np.uint8), temperature.astype(np.float32), cell, weights[cell])


def mollified(
    mollification: Mollification,
    proposal: Proposal | None,
    seed: int,
    purpose: str,
    epoch: int,
    shape: tuple[int, int],
    uniforms: Float64Array | None,
) -> Mollified:
    """Of views [K,N], from coupled numbers [K,N,D] if there are any.

    Under the own distribution as a proposal, as a run begins, they are bit for bit those without one. Under another,
    independent views keep the numbers of their roles, and their temperatures have numbers of their own.
    """
    views, count = shape
    if uniforms is None:
        keys = [(seed, purpose, MOLLIFICATION, epoch, view) for view in range(views)]
        drawn = [mollification.numbers(host_generator(*key), count) for key in keys]
        of_roles, temperature = (np.stack(values) for values in zip(*drawn, strict=True))
        role = mollification.role(of_roles)
    else:
        role, temperature = mollification.place(uniforms[..., :OF_MOLLIFICATION])
    if proposal is None:
        return Mollified(role, temperature.astype(np.float32))
    if proposal.is_own():
        return proposal.weighted(role, temperature)
    if uniforms is None:
        generators = [host_generator(seed, purpose, "proposal", epoch, view) for view in range(views)]
        uniforms = np.stack([of_roles, np.stack([generator.random(count) for generator in generators])], -1)
    return proposal.place(uniforms)


def _inverse(masses: Float64Array, uniforms: Float64Array) -> tuple[NDArray[np.int64], Float64Array]:
    """Which of some parts, in proportion to their masses, a number falls into, and how far into it, in [0,1]."""
    edges = np.cumsum(masses) / masses.sum()
    part = np.minimum(np.searchsorted(edges, uniforms, side="right"), np.flatnonzero(masses)[-1])
    low = np.where(part > 0, edges[part - 1], 0.0)
    return part, np.clip((uniforms - low) / (edges[part] - low), 0.0, 1.0)
