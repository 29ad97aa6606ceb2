"""The rule by which a family of differences is decided: one for the report, the command line and the API.

A cell is better or worse where Holm's p of no difference is at most 5%, practically equal where Holm's p of a
difference beyond +-rope is. So at most 5% of comparisons call any cell of their family better or worse that is not,
and at most 5% practically equal. As Holm's p is never below a cell's own, a decided cell has 0 outside of its 95%
interval, and one that is practically equal has that interval within +-rope.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from auglik.inference.law import Law, p_of_more, p_of_none
from auglik.scoring.intervals import FAMILY_WISE, holm
from auglik.system.array_types import Float64Array


class Decision(NamedTuple):
    """Of families along the last axis [...,m]; NaN and False where nothing is known."""

    p_none: Float64Array
    """Adjusted, of no difference."""
    p_more: Float64Array
    """Adjusted, of a difference beyond +-rope."""

    @property
    def decided(self) -> npt.NDArray[np.bool_]:
        """Better or worse, by the sign of the mean."""
        return self.p_none <= FAMILY_WISE

    @property
    def equal(self) -> npt.NDArray[np.bool_]:
        """Practically."""
        return self.p_more <= FAMILY_WISE


def decide(law: Law, rope: float) -> Decision:
    """Every cell's, of the laws [...,m] of all m cells of the family."""
    return Decision(holm(p_of_none(law)), holm(p_of_more(law, rope)))


def outcome(p_none: float, p_more: float, mean: float) -> str:
    """By adjusted p-values: equal before better or worse."""
    if np.isnan(p_none):
        return "unknown"
    if p_more <= FAMILY_WISE:
        return "equal"
    return "undecided" if p_none > FAMILY_WISE else "better" if mean < 0 else "worse"
