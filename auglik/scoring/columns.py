"""How tables show metrics: their columns, the parts of an evaluation, and tables as text."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from auglik.scoring.intervals import Interval, summary

ABSENT = "–"
"""The sign for a missing number."""

PART_TITLES = {"clean": "Clean test images", "mollified": "Mollified test images", "folded": "Folded test views"}
"""Of the parts of an evaluation, in the order in which they are compared."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """A metric as tables show it: `scale` times its value, with `digits` digits, in its unit."""

    name: str
    """Of the field of the scores."""
    label: str
    unit: str = ""
    scale: float = 1
    digits: int = 4

    @property
    def title(self) -> str:
        """The label, with the sign of a percentage."""
        return f"{self.label} %" if self.unit == "%" else self.label

    def mean(self, values: Sequence[float]) -> str:
        """`mean ± standard error` over seeds; ABSENT for no values, or a mean that is not finite."""
        mean, error, *_ = summary([self.scale * value for value in values]) if values else (math.nan,) * 2
        if not math.isfinite(mean):
            return ABSENT
        return f"{mean:.{self.digits}f}" + ("" if math.isnan(error) else f" ± {error:.{self.digits}f}")

    def difference(self, interval: Interval) -> str:
        """`mean [lower, upper]` with signs, the bounds if there are some."""
        mean, lower, upper = (self.scale * value for value in (interval.mean, interval.lower, interval.upper))
        if not math.isfinite(mean):
            return ABSENT
        bounds = "" if math.isnan(lower) else f" [{lower:+.{self.digits}f}, {upper:+.{self.digits}f}]"
        return f"{mean:+.{self.digits}f}{bounds}"


ERROR = Column(name="error", label="error", unit="%", scale=100, digits=2)
NLL = Column(name="nll", label="NLL", unit="nats")
BRIER = Column(name="brier", label="Brier")
ECE = Column(name="ece", label="ECE", unit="%", scale=100, digits=2)
DEBIASED_ECE = Column(name="debiased_ece", label="debiased ECE", unit="%", scale=100, digits=2)
EQUAL_MASS_ECE = Column(name="ece_equal_mass", label="equal-mass ECE", unit="%", scale=100, digits=2)
CONFIDENCE = Column(name="mean_confidence", label="confidence", unit="%", scale=100, digits=2)
MARGINAL = Column(name="marginal_log_likelihood_corrected", label="marginal log-likelihood", unit="nats")
COVERED = Column(name="covered", label="covered", unit="%", scale=100, digits=2)

PRINTED = (ERROR, NLL, BRIER, ECE)
"""What a terminal has room for, and what is measured under corruption."""
REPORTED = (*PRINTED, EQUAL_MASS_ECE, CONFIDENCE)


def text_table(titles: Sequence[str], rows: Mapping[str, Sequence[str]], first: int, entry: int = 18) -> list[str]:
    """A line of titles and a line a row, the names `first` characters wide and each entry `entry`."""
    lines = [" " * first + "".join(f"{title:>{entry}}" for title in titles)]
    return lines + [
        (f"{name:<{first}}" + "".join(f"{text:>{entry}}" for text in row)).rstrip() for name, row in rows.items()
    ]
