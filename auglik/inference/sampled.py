"""What the models of differences have in common once they are sampled: diagnostics, their warning, the draws' tree."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import xarray

from auglik.convergence import LEAST_ESS, WORST_RHAT, not_converged
from auglik.inference.rows import Diagnostics


class Sampled(Protocol):
    """Draws of one model, and whether they can be relied on."""

    @property
    def data(self) -> xarray.DataTree: ...
    @property
    def rhat(self) -> float: ...
    @property
    def ess(self) -> float: ...
    @property
    def divergences(self) -> int: ...


def diagnostics_of(posteriors: Sequence[Sampled]) -> Diagnostics:
    """The worst of all; NaN where there is none."""
    if not posteriors:
        return Diagnostics(float("nan"), float("nan"), 0)
    return Diagnostics(
        max(one.rhat for one in posteriors),
        min(one.ess for one in posteriors),
        sum(one.divergences for one in posteriors),
    )


def convergence_warnings(sampler: str, found: Diagnostics) -> list[str]:
    """That a sampler, by its name, cannot be relied on."""
    if found.rhat > WORST_RHAT or found.ess < LEAST_ESS:
        return [not_converged(sampler, found.rhat, found.ess)]
    return []


def tree_of(posteriors: Mapping[str, Sampled]) -> xarray.DataTree:
    """The draws of the one model, or each model's as a child of its name."""
    if len(posteriors) == 1:
        return next(iter(posteriors.values())).data
    return xarray.DataTree(children={name: one.data for name, one in posteriors.items()})
