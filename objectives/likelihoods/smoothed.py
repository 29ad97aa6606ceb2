"""Label smoothing as an unnormalized likelihood."""

from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor

from auglik.objectives.contracts import Remark
from auglik.objectives.numerics import at_label, degraded, log_softmax, per_class
from auglik.objectives.toward import Toward


def smoothed_table(log_f: Tensor, decay: Tensor, toward: Tensor | None = None, labels: Tensor | None = None) -> Tensor:
    """(1-gamma) log f_j + gamma sum_c pi_jc log f_c: [K,B,C], [K,B], pi [C,C] or None for uniform -> [K,B,C].

    With `labels` [B] the column of the observed label alone, [K,B,1].
    """
    gamma = per_class(decay)
    return (1 - gamma) * at_label(log_f, labels) + gamma * at_label(degraded(log_f, toward), labels)


@dataclass(frozen=True)
class Smoothed(Toward):
    """table_j = (1-gamma) log f_j + gamma mean_c log f_c: cross-entropy with q = (1-gamma) e_j + gamma/C."""

    formula: ClassVar[str] = "(1-gamma) log f_j + gamma mean_c log f_c"
    source: ClassVar[str] = "Heinonen et al. 2025; label smoothing: Szegedy et al. 2016"
    soft_labels: ClassVar[bool] = True
    extra_outputs: ClassVar[int] = 0
    schedule: ClassVar[None] = None
    remarks: ClassVar[tuple[Remark, ...]] = ()

    toward: Tensor | None = field(default=None, repr=False, compare=False)

    def label_decay(self, decay: Tensor) -> Tensor:
        return decay

    def table(self, logits: Tensor, decay: Tensor) -> Tensor:
        return self.column(logits, decay)

    def column(self, logits: Tensor, decay: Tensor, labels: Tensor | None = None) -> Tensor:
        return smoothed_table(log_softmax(logits), decay, self.toward, labels)

    def log_probabilities(self, logits: Tensor) -> Tensor:
        return log_softmax(logits)
