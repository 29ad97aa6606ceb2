"""A Dirichlet label as log-normal matched gammas: a Gaussian likelihood on the logits themselves."""

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from auglik.objectives.checks import in_float32
from auglik.objectives.contracts import Remark
from auglik.objectives.errors import InputError
from auglik.objectives.numerics import at_least_float32, log_normal_density, log_softmax, per_class
from auglik.objectives.toward import Toward


@dataclass(frozen=True)
class NoisyDirichlet(Toward):
    """table_j = sum_c log N(logit_c; m_c, v_c), v_c = log(1 + 1/alpha_c), m_c = log alpha_c - v_c/2.

    alpha = alpha_eps + q with q = (1-gamma) e_j + gamma/C takes two values, one on the label and one off it, so the
    sum over c is the off-label density of all logits, corrected at c = j.
    Kapoor et al. 2022, "On uncertainty, tempering, and data augmentation in Bayesian classification";
    Milios et al. 2018. Raises InputError unless alpha_eps is a number > 0.
    """

    formula: ClassVar[str] = (
        "sum_c log N(logit_c; m_c, v_c), v = log(1+1/alpha), m = log alpha - v/2, alpha = alpha_eps + q"
    )
    source: ClassVar[str] = "Kapoor et al. 2022; Milios et al. 2018"
    soft_labels: ClassVar[bool] = False
    extra_outputs: ClassVar[int] = 0
    schedule: ClassVar[None] = None
    remarks: ClassVar[tuple[Remark, ...]] = ()

    alpha_eps: float = 0.01
    toward: Tensor | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not (self.alpha_eps > 0 and in_float32(self.alpha_eps)):
            raise InputError(
                f"noisy-dirichlet: expected alpha_eps > 0, got {self.alpha_eps} (float32 needs 1e-30 to 1e30)"
            )

    def label_decay(self, decay: Tensor) -> Tensor:
        return decay

    def table(self, logits: Tensor, decay: Tensor) -> Tensor:
        logits = at_least_float32(logits)
        gamma = per_class(decay).to(logits.dtype)
        if self.toward is not None:
            labels = torch.eye(logits.shape[-1]).to(logits), self.toward.to(logits)
            alphas = (self.alpha_eps + (1 - gamma) * own + gamma * row for own, row in zip(*labels, strict=True))
            return torch.stack([_matched_log_density(logits, alpha).sum(-1) for alpha in alphas], -1)
        off = gamma / logits.shape[-1]
        off_label = _matched_log_density(logits, self.alpha_eps + off)
        on_label = _matched_log_density(logits, self.alpha_eps + (1 - gamma) + off)
        return off_label.sum(-1, keepdim=True) + (on_label - off_label)

    def log_probabilities(self, logits: Tensor) -> Tensor:
        return log_softmax(logits)


def _matched_log_density(logits: Tensor, alpha: Tensor) -> Tensor:
    """log N(logit; m, v): the log of a Gamma(alpha, 1) variable as the normal with its mean and variance matched."""
    variance = torch.log1p(1 / alpha)
    return log_normal_density(logits, alpha.log() - 0.5 * variance, variance)
