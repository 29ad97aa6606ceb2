"""When draws of Markov chains are reliable (Vehtari et al. 2021), and the warning when they are not.

A statistic that is not a number, as of a chain that never moved, is worse than any number. Quantities that are missing,
NaN in every draw, have none.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import xarray
from arviz_base import from_dict
from arviz_stats import ess, rhat  # type: ignore[attr-defined]


class Limits(NamedTuple):
    """What chains must reach."""

    r_hat: float = 1.01
    """At most."""
    ess: float = 400
    """At least."""
    divergent: float = 0.01
    """At most that share of the transitions."""


LIMITS = Limits()


class Worst(NamedTuple):
    """Of some quantities: NaN of none."""

    r_hat: float
    ess_bulk: float
    ess_tail: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Diagnostics:
    """Of a sampler, over all parameters of all posteriors."""

    r_hat: float
    """The worst."""
    ess_bulk: float
    """The smallest."""
    ess_tail: float
    divergences: int
    chains: int
    draws: int
    """Of each chain."""
    posteriors: int = 1

    def warnings(self, what: str, limits: Limits = LIMITS) -> list[str]:
        """Sentences for a report on what was sampled: that it cannot be relied on."""
        said = []
        if not (self.r_hat <= limits.r_hat and self.ess_bulk >= limits.ess):
            said.append(
                f"{what}'s sampler has not converged: R-hat {self.r_hat:.3f} (at most {limits.r_hat}), "
                f"effective sample size {self.ess_bulk:.0f} (at least {limits.ess})"
            )
        if self.divergences > limits.divergent * self.chains * self.draws * self.posteriors:
            said.append(f"{what} had {self.divergences} divergent transitions: its tails are less certain")
        return said


def worst(
    r_hat: npt.ArrayLike, ess_bulk: npt.ArrayLike, ess_tail: npt.ArrayLike, present: npt.ArrayLike = True
) -> Worst:
    """The largest R-hat and the smallest effective sample sizes of the quantities that are `present`; one shape."""
    columns = (np.asarray(column, float)[np.asarray(present, bool)] for column in (r_hat, ess_bulk, ess_tail))
    return Worst(*(float(pick(column)) if column.size else np.nan
                   for pick, column in zip((np.max, np.min, np.min), columns, strict=True)))  # fmt: skip


def diagnose(
    draws: Mapping[str, npt.NDArray[np.float64]], diverging: npt.NDArray[np.bool_] | npt.NDArray[np.float64]
) -> Diagnostics:
    """Of draws [chain,draw,...] of every quantity that was sampled, and of transitions [chain,draw,...]."""
    data = from_dict({"posterior": dict(draws)})["posterior"].to_dataset()

    def over_all(statistics: xarray.Dataset) -> npt.NDArray[np.float64]:
        return np.concatenate([np.asarray(values, float).ravel() for values in statistics.data_vars.values()])

    present = over_all(data.notnull().any(("chain", "draw"))) > 0
    found = worst(over_all(rhat(data)), over_all(ess(data, method="bulk")), over_all(ess(data, method="tail")), present)
    chains, count, *others = diverging.shape
    return Diagnostics(
        r_hat=found.r_hat,
        ess_bulk=found.ess_bulk,
        ess_tail=found.ess_tail,
        divergences=int(diverging.sum()),
        chains=chains,
        draws=count,
        posteriors=int(np.prod(others, initial=1)),
    )
