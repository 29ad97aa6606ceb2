"""Label relaxation: a label is a set of distributions, and only predictions outside it incur a loss."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from auglik.objectives.contracts import Remark
from auglik.objectives.errors import InputError
from auglik.objectives.likelihoods.tempered import SWAMPS
from auglik.objectives.numerics import log_softmax, per_class


def divergence_below(log_f: Tensor, bound: Tensor) -> Tensor:
    """b log(b/f) + (1-b) log((1-b)/(1-f)) where f < b, else 0; elementwise, b in [0,1]."""
    outside = log_f.exp() < bound
    # Each place inside sees b = f = 1/2 instead: at f = 1 or b = 0 the unused logarithms are infinite.
    log_f, b = torch.where(outside, log_f, -torch.log(torch.full_like(log_f, 2))), torch.where(outside, bound, 0.5)
    divergence = torch.special.xlogy(1 - b, 1 - b) + b * (b.log() - log_f) - (1 - b) * torch.log(-torch.expm1(log_f))
    return torch.where(outside, divergence, 0.0)


@dataclass(frozen=True)
class LabelRelaxation:
    """table_j = -min KL(p || f) over the distributions p that leave p_j >= b = (1-gamma)(1-alpha): 0 where f_j >= b.

    The nearest p keeps b on the label and divides the rest as f does, so that KL(p || f) is that of Bernoulli(b) and
    Bernoulli(f_j). Decay widens the set, for the lost mass may lie on any class; at gamma = 1 it holds everything. In a
    log-mean such a view, as one with f_j >= b, has likelihood one for its label and swamps the others. exp(table) sums
    to more than one over labels, and a set belongs to one label, so that soft labels are refused.
    Raises InputError for alpha outside [0,1); at alpha = 0 clean views are categorical.
    """

    formula: ClassVar[str] = "-KL(Bernoulli(b) || Bernoulli(f_j)) where f_j < b = (1-gamma)(1-alpha), else 0"
    source: ClassVar[str] = "Lienen & Hüllermeier 2021; with decay: auglik"
    soft_labels: ClassVar[bool] = False
    extra_outputs: ClassVar[int] = 0
    schedule: ClassVar[None] = None
    remarks: ClassVar[tuple[Remark, ...]] = (SWAMPS,)

    alpha: float = 0.1

    def __post_init__(self) -> None:
        if not 0 <= self.alpha < 1:
            raise InputError(
                f"label-relaxation: expected alpha in [0,1), got {self.alpha}: at 1 the loss is always zero"
            )

    def label_decay(self, decay: Tensor) -> Tensor:
        return decay

    def table(self, logits: Tensor, decay: Tensor) -> Tensor:
        log_f = log_softmax(logits)
        bound = ((1 - per_class(decay)) * (1 - self.alpha)).to(log_f.dtype)
        return -divergence_below(log_f, bound)

    def log_probabilities(self, logits: Tensor) -> Tensor:
        return log_softmax(logits)
