"""Cross-entropy on hard labels."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from auglik.objectives.contracts import Remark
from auglik.objectives.numerics import log_softmax


@dataclass(frozen=True)
class Categorical:
    """table_j = log f_j: every view keeps its whole label, whatever its decay."""

    formula: ClassVar[str] = "log f_j"
    source: ClassVar[str] = "softmax cross-entropy"
    soft_labels: ClassVar[bool] = True
    extra_outputs: ClassVar[int] = 0
    schedule: ClassVar[None] = None
    remarks: ClassVar[tuple[Remark, ...]] = ()

    def label_decay(self, decay: Tensor) -> Tensor:
        return torch.zeros_like(decay)

    def table(self, logits: Tensor, decay: Tensor) -> Tensor:
        return log_softmax(logits)

    def log_probabilities(self, logits: Tensor) -> Tensor:
        return log_softmax(logits)
