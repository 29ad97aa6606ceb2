"""Label smoothing, normalized over labels and over a smoothing level uniform on [0,1]."""

from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor

from auglik.objectives.contracts import Remark
from auglik.objectives.likelihoods.smoothed import smoothed_table
from auglik.objectives.normalizer import log_sum_mean_and_label, log_sum_of_logarithmic_means
from auglik.objectives.numerics import log_softmax, per_class
from auglik.objectives.toward import Toward

DENSITY = Remark(
    "the training loss is that of a density, so it is not an NLL; all scores are of the network's probabilities"
)


def log_normalizer(log_f: Tensor, toward: Tensor | None = None) -> Tensor:
    """log Z(f) = log sum_j L(g_j, f_j), log g_j = sum_c pi_jc log f_c, L the logarithmic mean: [...,C] -> [...].

    Z(f) = sum_j int_0^1 prod_i f_i^{q_i(a, e_j)} da is 1 for uniform f, and nowhere more where the columns of pi sum to
    one too, as those of the uniform pi do (None).
    """
    return log_sum_of_logarithmic_means(log_f, toward)


@dataclass(frozen=True)
class SmoothedNormalized(Toward):
    """table_j = smoothed_j - log Z(f): a density over (label, level), the level uniform on [0,1].

    As a density it is unbounded: on clean labels the loss keeps falling as the logits grow, so its value is never
    tabulated next to an NLL.
    """

    formula: ClassVar[str] = "smoothed_j - log Z(f), Z(f) = sum_j L(fbar, f_j), L the logarithmic mean"
    source: ClassVar[str] = "Heinonen et al. 2025, Eq. 10-11"
    soft_labels: ClassVar[bool] = False
    extra_outputs: ClassVar[int] = 0
    schedule: ClassVar[None] = None
    remarks: ClassVar[tuple[Remark, ...]] = (DENSITY,)

    toward: Tensor | None = field(default=None, repr=False, compare=False)

    def label_decay(self, decay: Tensor) -> Tensor:
        return decay

    def table(self, logits: Tensor, decay: Tensor) -> Tensor:
        return self.column(logits, decay)

    def column(self, logits: Tensor, decay: Tensor, labels: Tensor | None = None) -> Tensor:
        log_f = log_softmax(logits)
        if labels is not None and self.toward is None:
            log_Z, mean, own = log_sum_mean_and_label(log_f, labels)
            gamma = per_class(decay)
            return (1 - gamma) * own + gamma * mean - log_Z
        return smoothed_table(log_f, decay, self.toward, labels) - log_normalizer(log_f, self.toward)[..., None]

    def log_probabilities(self, logits: Tensor) -> Tensor:
        return log_softmax(logits)
