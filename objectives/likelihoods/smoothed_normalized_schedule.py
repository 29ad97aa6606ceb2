"""Label smoothing, normalized over labels and over the smoothing levels that training actually uses."""

from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor

from auglik.objectives.contracts import Remark
from auglik.objectives.likelihoods.smoothed import smoothed_table
from auglik.objectives.likelihoods.smoothed_normalized import DENSITY
from auglik.objectives.numerics import degraded, log_softmax
from auglik.objectives.schedule import Schedule
from auglik.objectives.toward import Toward


def log_normalizer_under(measure: tuple[Tensor, Tensor], log_f: Tensor, toward: Tensor | None = None) -> Tensor:
    """log Z = logsumexp over classes j and nodes m of [log f_j + gamma_m d_j + log w_m], d_j = log g_j - log f_j.

    log g_j = sum_c pi_jc log f_c, pi = `toward`, is the mean of log f if it is None.

    [...,C] -> [...], the measure as nodes gamma_m and weights w_m. For gamma = t alone it is
    log sum_j f_j 1F1(alpha; alpha+beta; d_j), for clean views alone 0.
    """
    levels, log_weights = measure[0].to(log_f), measure[1].log().to(log_f)  # a float32 has no weights below 1e-45
    d = degraded(log_f, toward) - log_f
    return (log_f + (d[..., None] * levels + log_weights).logsumexp(-1)).logsumexp(-1)


@dataclass(frozen=True)
class SmoothedNormalizedSchedule(Toward):
    """table_j = smoothed_j - log Z_schedule(f): a density over (label, level), the level as `schedule` draws it.

    A run passes the schedule of its own mollification. Without a clean role it is unbounded, as the uniform one is.
    Time is in proportion to the nodes of the measure: 129 for the default schedule, 351 where its alpha is 9.
    """

    formula: ClassVar[str] = "smoothed_j - log Z_schedule(f), the level gamma(t) with t ~ Beta, 0 for clean views"
    source: ClassVar[str] = "auglik; Heinonen et al. 2025, Eq. 10, under the training distribution of the level"
    soft_labels: ClassVar[bool] = False
    extra_outputs: ClassVar[int] = 0
    remarks: ClassVar[tuple[Remark, ...]] = (DENSITY,)

    schedule: Schedule = field(default_factory=Schedule)
    toward: Tensor | None = field(default=None, repr=False, compare=False)
    measure: tuple[Tensor, Tensor] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "measure", self.schedule.measure())

    def label_decay(self, decay: Tensor) -> Tensor:
        return decay

    def table(self, logits: Tensor, decay: Tensor) -> Tensor:
        log_f = log_softmax(logits)
        return (
            smoothed_table(log_f, decay, self.toward)
            - log_normalizer_under(self.measure, log_f, self.toward)[..., None]
        )

    def log_probabilities(self, logits: Tensor) -> Tensor:
        return log_softmax(logits)
