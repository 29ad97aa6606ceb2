"""The tempered likelihood, normalized over labels."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from auglik.objectives.contracts import Remark
from auglik.objectives.numerics import log_softmax, per_class


@dataclass(frozen=True)
class TemperedNormalized:
    """table_j = log_softmax_j((1-gamma) log f): a distribution over labels at every known decay.

    It is also what label smoothing becomes when it is normalized over labels at a known level, as the term
    gamma mean_c log f_c is the same for all labels.
    """

    formula: ClassVar[str] = "log_softmax_j((1-gamma) log f)"
    source: ClassVar[str] = "Heinonen et al. 2025, Eq. 6, normalized over labels"
    soft_labels: ClassVar[bool] = True
    extra_outputs: ClassVar[int] = 0
    schedule: ClassVar[None] = None
    remarks: ClassVar[tuple[Remark, ...]] = ()

    def label_decay(self, decay: Tensor) -> Tensor:
        return decay

    def table(self, logits: Tensor, decay: Tensor) -> Tensor:
        log_f = log_softmax(logits)
        # Above 0, which would make NaN of the log f = -inf of a masked class.
        kept = 1 - per_class(decay).to(log_f.dtype) + torch.finfo(log_f.dtype).tiny
        return log_softmax(kept * log_f)

    def log_probabilities(self, logits: Tensor) -> Tensor:
        return log_softmax(logits)
