"""Where a value is on a picture, and the ticks of its axis."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from auglik.scoring.columns import HUGE

FILLED = 0.05
"""Share of an axis that stays free beyond its outermost values."""
TINY = 1e-6
"""Values below it are written in powers of ten."""
SIGNIFICANT = tuple(f".{digits}g" for digits in range(3, 18))
"""Three digits, or as many more as tell values apart."""
LEAST_SHARE = 1e-9
"""Of the greatest value: a logarithmic axis goes no further down, and values that are closer are alike."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scale:
    """An axis from the value `low` at pixel `start` to `high` at `end`; logarithmic where `log`."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """The pixel; values beyond the axis are at its ends."""
        low, high, value = (self._unit(one) for one in (self.low, self.high, min(max(value, self.low), self.high)))
        return self.start + (self.end - self.start) * (value - low) / (high - low)

    def ticks(self, count: int = 5) -> list[float]:
        """About `count` round values, two at least: one alone says nothing of the others."""
        sets = _log_ticks if self.log and self.high / self.low > 3 else _linear_ticks
        enough = [ticks for ticks in sets(self.low, self.high, count) if len(ticks) > 1]
        return min(enough, key=lambda ticks: (abs(len(ticks) - count), len(ticks)))

    def _unit(self, value: float) -> float:
        return math.log(value) if self.log else value


def covering(
    values: Iterable[float],
    start: float,
    end: float,
    *,
    log: bool = False,
    around: Iterable[float] = (),
    margin: float = FILLED,
) -> Scale:
    """Over all finite values, and those in `around` even if there are none; logarithmic only where all are positive."""
    found = [value for value in (*values, *around) if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(found), max(found)
    if log and low > LEAST_SHARE * high > 0:
        factor = max((high / low) ** margin, 1.02)
        return Scale(low=low / factor, high=high * factor, start=start, end=end, log=True)
    most, apart = max(abs(low), abs(high)), high - low
    room = apart * margin if apart > LEAST_SHARE * most else max(most, 1e-3) * 0.1
    return Scale(low=low - room, high=high + room, start=start, end=end)


def tick_texts(ticks: Iterable[float], *, sign: bool = False) -> list[str]:
    """Evenly spaced ones with the digits that tell them apart, others with their own."""
    found = list(ticks)
    steps = [high - low for low, high in pairwise(found)]
    if (steps and max(steps) > 1.01 * min(steps)) or any(0 < abs(value) < TINY for value in found):
        kind = "g"
    elif any(abs(value) >= HUGE for value in found):
        kind = next(kind for kind in SIGNIFICANT if len({f"{value:{kind}}" for value in found}) == len(found))
    else:
        kind = f".{max((_digits(value) for value in found), default=0)}f"
    return [f"{value:{'+' if sign and value else ''}{kind}}".replace("-", "−") for value in found]


def _rounded(value: float) -> float:
    """Without what floating point adds to a round number."""
    return float(f"{value:.12g}")


def _digits(value: float) -> int:
    return next((digits for digits in range(7) if math.isclose(round(value, digits), value, abs_tol=1e-9)), 7)


def _linear_ticks(low: float, high: float, count: int) -> Iterator[list[float]]:
    """Multiples of 1, 2 and 5 times powers of ten, from steps that are too long to those that are too short."""
    power = math.floor(math.log10((high - low) / count))
    for step in (factor * 10.0**place for place in (power + 1, power, power - 1) for factor in (5, 2, 1)):
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        yield [_rounded(place * step) for place in range(first, last + 1)]


def _log_ticks(low: float, high: float, count: int) -> Iterator[list[float]]:
    """Some leading digits of every power of ten, and powers of ten apart."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for digits in ((1, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
        found = [_rounded(d * 10.0**p) for p in powers for d in digits if low <= d * 10.0**p <= high]
        yield found
    yield from (found[::apart] for apart in range(2, len(found)))
