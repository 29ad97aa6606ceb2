"""The categorical likelihood to the power of the kept label mass, and its normalized form."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from auglik.objectives.contracts import Remark
from auglik.objectives.numerics import log_softmax, per_class

SWAMPS = Remark(
    "a view that lost its label has likelihood one for every label and swamps the mean of likelihoods",
    lambda aggregator: aggregator.likelihood_power > 0,
)


@dataclass(frozen=True)
class Tempered:
    """table_j = (1-gamma) log f_j: f_j to the power of the kept label mass.

    Heinonen et al. 2025, Eq. 6; their Eq. 8 prints the exponent gamma. Unnormalized: at gamma = 1 every label has
    likelihood one.
    """

    formula: ClassVar[str] = "(1-gamma) log f_j"
    source: ClassVar[str] = "Heinonen et al. 2025, Eq. 6 (Eq. 8 prints the exponent gamma)"
    soft_labels: ClassVar[bool] = True
    extra_outputs: ClassVar[int] = 0
    schedule: ClassVar[None] = None
    remarks: ClassVar[tuple[Remark, ...]] = (SWAMPS,)

    def label_decay(self, decay: Tensor) -> Tensor:
        return decay

    def table(self, logits: Tensor, decay: Tensor) -> Tensor:
        return (1 - per_class(decay)) * log_softmax(logits)

    def log_probabilities(self, logits: Tensor) -> Tensor:
        return log_softmax(logits)
