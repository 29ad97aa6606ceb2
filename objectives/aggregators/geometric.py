"""The product of the views' likelihoods, tempered."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from auglik.objectives.aggregators.jensen import Jensen
from auglik.objectives.checks import in_float32
from auglik.objectives.errors import InputError

_MEAN = Jensen()


def check_temperature(name: str, temperature: float) -> None:
    """Raises InputError unless the posterior temperature T is a number > 0 that float32 divides by."""
    if not (temperature > 0 and in_float32(temperature)):
        raise InputError(f"{name}: expected T > 0, got {temperature} (float32 needs 1e-30 to 1e30)")


@dataclass(frozen=True)
class Geometric:
    """(1/T) sum_k omega_k l_k: T = 1 is jensen, T = 1/K counts every view as a datum, T < 1 is a cold posterior."""

    formula: ClassVar[str] = "(1/T) sum_k omega_k l_k (at T = 1 equal to jensen)"
    source: ClassVar[str] = "Kapoor et al. 2022; Heinonen et al. 2025, Eq. 24"
    minimum_views: ClassVar[int] = 1
    trains: ClassVar[bool] = True
    label_by_label: ClassVar[bool] = True
    likelihood_power: ClassVar[float] = 0.0

    T: float = 1.0

    def __post_init__(self) -> None:
        check_temperature("geometric", self.T)

    @property
    def remarks(self) -> tuple[str, ...]:
        return ("geometric at T = 1 is jensen",) if self.T == 1 else ()

    def fold(self, table: Tensor, weight: Tensor | None = None, log_importance: Tensor | None = None) -> Tensor:
        return _MEAN.fold(table, weight, log_importance) / self.T

    def predictive(self, log_probabilities: Tensor) -> Tensor:
        return _MEAN.predictive(log_probabilities)
