"""Label mixing: the lost label mass goes to an extra class."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from auglik.objectives.contracts import Remark
from auglik.objectives.numerics import log_softmax, per_class


@dataclass(frozen=True)
class Sink:
    """table_j = (1-gamma) log f_j + gamma log f_sink; the sink is the last output; predictions renormalize over C."""

    formula: ClassVar[str] = "(1-gamma) log f_j + gamma log f_sink, over C+1 outputs"
    source: ClassVar[str] = "Heinonen et al. 2025, the label-mixing mode of the published code"
    soft_labels: ClassVar[bool] = True
    extra_outputs: ClassVar[int] = 1
    schedule: ClassVar[None] = None
    remarks: ClassVar[tuple[Remark, ...]] = ()

    def label_decay(self, decay: Tensor) -> Tensor:
        return decay

    def table(self, logits: Tensor, decay: Tensor) -> Tensor:
        log_f = log_softmax(logits)
        gamma = per_class(decay)
        return (1 - gamma) * log_f[..., :-1] + gamma * log_f[..., -1:]

    def log_probabilities(self, logits: Tensor) -> Tensor:
        return log_softmax(logits[..., :-1])
