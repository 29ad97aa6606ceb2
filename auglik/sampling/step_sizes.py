"""Step sizes over a chain, and which of its steps are drawn from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from auglik.objectives import InputError
from auglik.optimization.schedules import half_cosine


@dataclass(frozen=True)
class Constant:
    """One step size; draws after the first `burn_in` of the steps. Raises InputError for a share outside of [0,1)."""

    burn_in: float = 0.5
    warms_up: ClassVar[bool] = False
    explores: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not 0 <= self.burn_in < 1:
            raise InputError(f"constant: expected burn_in, a share of the steps, in [0,1), got {self.burn_in}")

    def factor(self, step: int, steps: int) -> float:
        return 1.0

    def stretches(self, steps: int) -> list[range]:
        return [range(round(self.burn_in * steps), steps)]


@dataclass(frozen=True)
class Cyclical:
    """Half a cosine from the highest rate to zero, `cycles` times (Zhang et al. 2020, arXiv:1902.03932).

    The first `explore` of each cycle has no noise, the rest is drawn from. Raises InputError for fewer than one cycle,
    and a share outside of [0,1).
    """

    cycles: int = 4
    explore: float = 0.8
    warms_up: ClassVar[bool] = False
    explores: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.cycles < 1:
            raise InputError(f"cyclical: expected at least one cycle, got {self.cycles}")
        if not 0 <= self.explore < 1:
            raise InputError(f"cyclical: expected explore, a share of the steps, in [0,1), got {self.explore}")

    def factor(self, step: int, steps: int) -> float:
        start, end = self._cycle(((step + 1) * self.cycles - 1) // steps, steps)
        return half_cosine(step - start, end - start)

    def stretches(self, steps: int) -> list[range]:
        if self.cycles > steps:
            raise InputError(f"cyclical: expected at most one cycle a step, got {self.cycles} in {steps} steps")
        cycles = (self._cycle(place, steps) for place in range(self.cycles))
        return [range(start + round(self.explore * (end - start)), end) for start, end in cycles]

    def _cycle(self, place: int, steps: int) -> tuple[int, int]:
        """Its first step and the first after it: lengths differ by one where steps are no multiple of the cycles."""
        return place * steps // self.cycles, (place + 1) * steps // self.cycles


def draw_steps(stretches: Sequence[range], draws: int) -> list[int]:
    """After how many steps each draw is taken: evenly within each stretch, the last at its end.

    Raises InputError unless every stretch has the same number of draws, and no more of them than steps.
    """
    each, rest = divmod(draws, len(stretches))
    if rest or not each:
        raise InputError(f"draws: expected a multiple of the {len(stretches)} cycles of the step sizes, got {draws}")
    shortest = min(map(len, stretches))
    if each > shortest:
        raise InputError(f"draws: expected at most one a step, got {each} in {shortest} steps: take more epochs")
    return [stretch.start + (place + 1) * len(stretch) // each for stretch in stretches for place in range(each)]
