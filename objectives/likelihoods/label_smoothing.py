"""Label smoothing by a fixed share, in addition to a view's decay."""

from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor

from auglik.objectives.contracts import Remark
from auglik.objectives.errors import InputError
from auglik.objectives.likelihoods.smoothed import smoothed_table
from auglik.objectives.numerics import at_least_float32, log_softmax
from auglik.objectives.toward import Toward


@dataclass(frozen=True)
class LabelSmoothing(Toward):
    """smoothed_j at the level gamma' = 1 - (1-gamma)(1-epsilon): of the mass that a view keeps, epsilon is spread too.

    On a clean view the label is (1-epsilon) e_j + epsilon/C. Raises InputError for epsilon outside [0,1).
    """

    formula: ClassVar[str] = "(1-gamma') log f_j + gamma' mean_c log f_c, 1-gamma' = (1-gamma)(1-epsilon)"
    source: ClassVar[str] = "Szegedy et al. 2016; with decay: auglik"
    soft_labels: ClassVar[bool] = True
    extra_outputs: ClassVar[int] = 0
    schedule: ClassVar[None] = None
    remarks: ClassVar[tuple[Remark, ...]] = ()

    epsilon: float = 0.1
    toward: Tensor | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 0 <= self.epsilon < 1:
            raise InputError(f"label-smoothing: expected epsilon in [0,1), got {self.epsilon}: at 1 no label is left")

    def label_decay(self, decay: Tensor) -> Tensor:
        return decay + self.epsilon * (1 - decay)

    def table(self, logits: Tensor, decay: Tensor) -> Tensor:
        return self.column(logits, decay)

    def column(self, logits: Tensor, decay: Tensor, labels: Tensor | None = None) -> Tensor:
        return smoothed_table(log_softmax(logits), self.label_decay(at_least_float32(decay)), self.toward, labels)

    def log_probabilities(self, logits: Tensor) -> Tensor:
        return log_softmax(logits)
