"""The degraded label as a Dirichlet observation of the class probabilities."""

from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor

from auglik.objectives.contracts import Remark, folds_label_by_label
from auglik.objectives.likelihoods.smoothed import smoothed_table
from auglik.objectives.numerics import log_beta_of_degraded_label, log_beta_of_smoothed_label, log_softmax
from auglik.objectives.toward import Toward


@dataclass(frozen=True)
class Dirichlet(Toward):
    """table_j = log Dir(f given 1+q) = smoothed_j - log B(1+q), q = (1-gamma) e_j + gamma/C.

    The constant does not move the network under a Jensen bound; in a log-mean it re-weights views of unequal decay. At
    1,000 classes it is thousands of nats, which a float32 table holds to 5e-4, its spacing there.
    """

    formula: ClassVar[str] = "smoothed_j - log B(1+q), q = (1-gamma) e_j + gamma/C"
    source: ClassVar[str] = "Heinonen et al. 2025, Eq. 9 (which prints B(y); the concentration is 1+y)"
    soft_labels: ClassVar[bool] = False
    extra_outputs: ClassVar[int] = 0
    schedule: ClassVar[None] = None
    remarks: ClassVar[tuple[Remark, ...]] = (
        Remark(
            "the Dirichlet view trains exactly like smoothed here: its constants do not affect the gradient",
            lambda aggregator: aggregator.likelihood_power == 0 and folds_label_by_label(aggregator),
        ),
        Remark(
            "the Dirichlet view trains exactly like smoothed here, unless labels degrade toward some classes more than"
            " others: else its constants are those of all labels",
            lambda aggregator: aggregator.likelihood_power == 0 and not folds_label_by_label(aggregator),
        ),
        Remark(
            "under jensen the Dirichlet view trains exactly like smoothed; here its constants re-weight the views",
            lambda aggregator: aggregator.likelihood_power != 0,
        ),
    )

    toward: Tensor | None = field(default=None, repr=False, compare=False)

    def label_decay(self, decay: Tensor) -> Tensor:
        return decay

    def table(self, logits: Tensor, decay: Tensor) -> Tensor:
        log_f = log_softmax(logits)
        if self.toward is not None:
            return smoothed_table(log_f, decay, self.toward) - log_beta_of_degraded_label(decay, self.toward)
        return smoothed_table(log_f, decay) - log_beta_of_smoothed_label(decay, log_f.shape[-1])[..., None]

    def log_probabilities(self, logits: Tensor) -> Tensor:
        return log_softmax(logits)
