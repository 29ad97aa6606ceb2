"""The focal loss, which gives little weight to what is already well predicted."""

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from auglik.objectives.contracts import Remark
from auglik.objectives.errors import InputError
from auglik.objectives.likelihoods.smoothed import smoothed_table
from auglik.objectives.numerics import log_softmax
from auglik.objectives.toward import Toward


def focal_terms(log_f: Tensor, focus: float) -> Tensor:
    """(1-f)^focus log f, elementwise.

    1-f is kept above zero: the power's slope, infinite there for focus < 1, meets log f = 0.
    """
    rest = (-torch.expm1(log_f)).clamp_min(torch.finfo(log_f.dtype).tiny)
    return rest**focus * log_f


@dataclass(frozen=True)
class Focal(Toward):
    """table_j = (1-gamma) F_j + gamma mean_c F_c, F_c = (1-f_c)^focus log f_c: the mean of F under the degraded label.

    A loss rather than a likelihood: at focus > 0, exp(table) of a clean view sums to more than one over labels, and its
    mean under a label distribution is least at another f (Charoenphakdee et al. 2021). At focus 0 it is smoothed.
    Predictions are the softmax, as published. Raises InputError unless focus is a number >= 0.
    """

    formula: ClassVar[str] = "(1-gamma) F_j + gamma mean_c F_c, F_c = (1-f_c)^focus log f_c"
    source: ClassVar[str] = "Lin et al. 2017, Eq. 4, over C classes; with decay: auglik"
    soft_labels: ClassVar[bool] = True
    extra_outputs: ClassVar[int] = 0
    schedule: ClassVar[None] = None
    remarks: ClassVar[tuple[Remark, ...]] = ()

    focus: float = 2.0
    toward: Tensor | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 0 <= self.focus <= 1e30:  # beyond, a float32's gradient is not finite
            raise InputError(f"focal: expected a number >= 0 for focus, got {self.focus}")

    def label_decay(self, decay: Tensor) -> Tensor:
        return decay

    def table(self, logits: Tensor, decay: Tensor) -> Tensor:
        return smoothed_table(focal_terms(log_softmax(logits), self.focus), decay, self.toward)

    def log_probabilities(self, logits: Tensor) -> Tensor:
        return log_softmax(logits)
