"""Rate schedules: the learning rate over the steps of a run, as a share of its highest."""

import math
from dataclasses import dataclass
from typing import ClassVar

from auglik.objectives import InputError
from auglik.optimization.contract import RateSchedule


def half_cosine(step: float, steps: float) -> float:
    """From 1 at step 0 to 0 at the last."""
    return 0.5 * (1 + math.cos(math.pi * step / steps))


@dataclass(frozen=True)
class Cosine:
    """To zero along half a cosine (Loshchilov & Hutter 2017, arXiv:1608.03983)."""

    warms_up: ClassVar[bool] = True

    def factor(self, step: int, steps: int) -> float:
        return half_cosine(step, steps)


@dataclass(frozen=True)
class Constant:
    """The highest rate to the end."""

    warms_up: ClassVar[bool] = True

    def factor(self, step: int, steps: int) -> float:
        return 1.0


@dataclass(frozen=True)
class Steps:
    """Times `by` after each share of the steps in `at`. Raises InputError unless these rise within (0,1)."""

    at: tuple[float, ...] = (0.5, 0.75)
    by: float = 0.1
    warms_up: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not all(a < b for a, b in zip((0.0, *self.at), (*self.at, 1.0), strict=True)):
            raise InputError(f"step: expected shares that rise within (0,1), got at={'/'.join(map(str, self.at))}")
        if not 0 < self.by < 1:
            raise InputError(f"step: expected by, the factor of the rate, in (0,1), got {self.by}")

    def factor(self, step: int, steps: int) -> float:
        return self.by ** sum(step >= round(share * steps) for share in self.at)


@dataclass(frozen=True)
class OneCycle:
    """Up from 1/start along half a cosine over the share `rise` of the steps, then down to 1/(start end).

    After Smith & Topin 2019, arXiv:1708.07120, as in fastai and torch; momentum stays as it is. Raises InputError for
    a rise outside of (0,1) and for divisors below 1.
    """

    rise: float = 0.3
    start: float = 25.0
    end: float = 1e4
    warms_up: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not 0 < self.rise < 1:
            raise InputError(f"one-cycle: expected rise, a share of the steps, in (0,1), got {self.rise}")
        if not (1 <= self.start < math.inf and 1 <= self.end < math.inf):
            raise InputError(f"one-cycle: expected divisors >= 1, got start={self.start}, end={self.end}")

    def factor(self, step: int, steps: int) -> float:
        lowest, last = 1 / self.start, steps - 1
        top = max(0.0, self.rise * steps - 1)
        if step < top:
            return 1 - (1 - lowest) * half_cosine(step, top)
        final = lowest / self.end
        return final + (1 - final) * half_cosine(step - top, last - top) if last > top else 1.0


SCHEDULES: dict[str, RateSchedule] = {
    "cosine": Cosine(),
    "constant": Constant(),
    "step": Steps(),
    "one-cycle": OneCycle(),
}
