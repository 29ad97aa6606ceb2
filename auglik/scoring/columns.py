"""How tables show metrics: their columns, the parts of an evaluation, and tables as text."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from auglik.scoring.intervals import Interval, summary

ABSENT = "–"
"""The sign for a missing number."""

HUGE = 1e6
"""From it on, digits after the point say nothing: a number is written with three significant ones."""

PART_TITLES = {"clean": "Clean test images", "mollified": "Mollified test images", "folded": "Folded test views"}
"""Of the parts of an evaluation, in the order in which they are compared."""


def fixed(value: float, digits: int, *, sign: bool = False) -> str:
    """With so many digits after the point, if it is not huge."""
    return f"{value:{'+' if sign else ''}{'.3g' if abs(value) >= HUGE else f'.{digits}f'}}"


def digits_of(value: float, fewest: int) -> int:
    """As many as it takes to see that a value above 0 is that, at least `fewest`, at most 9."""
    return next((digits for digits in range(fewest, 9) if round(value, digits) > 0), 9)


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
        return fixed(mean, self.digits) + ("" if math.isnan(error) else f" ± {fixed(error, self.digits)}")

    def difference(self, interval: Interval, *, sides: bool = False) -> str:
        """`mean [lower, upper]` with signs, the bounds if there are some; `sides`: and digits for the side of 0."""
        mean, lower, upper = (self.scale * value for value in (interval.mean, interval.lower, interval.upper))
        if not math.isfinite(mean):
            return ABSENT
        digits = self.telling(mean, lower, upper) if sides else self.digits
        shown, *bounds = (fixed(value, digits, sign=True) for value in (mean, lower, upper))
        return shown if math.isnan(lower) else f"{shown} [{', '.join(bounds)}]"

    def telling(self, *values: float) -> int:
        """Its digits, or as many more, up to 9, as it takes to see of each scaled value on which side of 0 it lies."""
        return digits_of(
            min((abs(value) for value in values if value and math.isfinite(value)), default=1.0), self.digits
        )


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
    """A line of titles and a line a row: names `first` characters wide, entries `entry`, or more where texts need it.

    Two spaces at least are between any two.
    """
    lines = {"": titles, **rows}
    widths = [max(entry, *(len(text) + 2 for text in column)) for column in zip(*lines.values(), strict=True)]
    return [
        (f"{name:<{first}}" + "".join(f"{text:>{width}}" for text, width in zip(row, widths, strict=True))).rstrip()
        for name, row in lines.items()
    ]
