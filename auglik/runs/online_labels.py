"""Online label smoothing: a class's label is in part the network's mean correct prediction for it in the last epoch."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from auglik.objectives.errors import InputError
from auglik.objectives.numerics import log_softmax


@dataclass(frozen=True, eq=False)
class OnlineLabels:
    """Targets alpha e_j + (1-alpha) S_j. S_j: the mean of the correct predictions for class j, an epoch before.

    Zhang et al. 2021, "Delving deep into label smoothing". S starts uniform, and a class without correct predictions in
    an epoch keeps its S_j. The targets [C,C][labels] are soft labels [B,C], which the likelihood must take and which
    it degrades by each view's decay. Nothing here waits for the device; tensors change in place. `begin` makes one.
    """

    alpha: float
    soft: Tensor
    """S [C,C], float64; row j is a distribution."""
    sums: Tensor
    """The sums of correct predictions by class in the current epoch [C,C], float64."""
    counts: Tensor
    """Their number [C], float64."""

    @classmethod
    def begin(cls, classes: int, device: torch.device, alpha: float = 0.5) -> "OnlineLabels":
        """Before the first epoch. Raises InputError for alpha outside [0,1] and fewer than two classes."""
        if not 0 <= alpha <= 1:
            raise InputError(f"online label smoothing: expected alpha in [0,1], the label's own share, got {alpha}")
        if classes < 2:
            raise InputError(f"online label smoothing: expected at least 2 classes, got {classes}")
        zeros = torch.zeros(classes, classes, dtype=torch.float64, device=device)
        return cls(alpha, zeros + 1 / classes, zeros, zeros[0].clone())

    @torch.no_grad()
    def update(self, logits: Tensor, labels: Tensor) -> None:
        """Adds the predictions of a step, each view separately: [K,B,C] or [B,C], labels [B].

        `logits` may be log-probabilities, from `likelihood.log_probabilities` if there are more than C outputs.
        Raises InputError for other shapes and for soft labels.
        """
        C = len(self.counts)
        if labels.is_floating_point() or labels.ndim != 1:
            raise InputError(
                f"online label smoothing: expected integer labels [B], got {list(labels.shape)}: mixed images have no"
                " single class; train without mixing"
            )
        if logits.shape[-2:] != (len(labels), C) or logits.ndim not in (2, 3):
            raise InputError(
                f"online label smoothing: expected logits [K,B,C] or [B,C] of B, C = {[len(labels), C]},"
                f" got {list(logits.shape)}: over the C classes, without a sink"
            )
        p = log_softmax(logits).exp().double().flatten(0, -2)
        label = labels.long().expand(logits.shape[:-1]).flatten()
        right = (logits.argmax(-1).flatten() == label).double()
        self.sums.index_add_(0, label, p * right[:, None])
        self.counts.index_add_(0, label, right)

    def end_epoch(self) -> None:
        """The epoch's means become S, and the sums are reset."""
        means = self.sums / self.counts.clamp_min(1)[:, None]
        self.soft.copy_(torch.where(self.counts[:, None] > 0, means, self.soft))
        self.sums.zero_()
        self.counts.zero_()

    def targets(self) -> Tensor:
        """The label of every class [C,C], float32: row j for class j. It changes only at the end of an epoch."""
        own = torch.eye(len(self.soft), dtype=torch.float64, device=self.soft.device)
        return (self.alpha * own + (1 - self.alpha) * self.soft).float()

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint keeps."""
        return {"soft": self.soft, "sums": self.sums, "counts": self.counts}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Continues from `state`. Raises InputError for another number of classes."""
        for name, kept in self.state().items():
            if name not in state or state[name].shape != kept.shape:
                got = list(state[name].shape) if name in state else "none"
                raise InputError(f"online label smoothing: expected {name} {list(kept.shape)}, got {got}")
            kept.copy_(state[name])
