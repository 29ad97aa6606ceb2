"""Online confusions: what labels degrade toward follows what the network in training takes validation images for."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from auglik.objectives.errors import InputError
from auglik.objectives.toward import at_chance

RATE = 0.5
"""The share of an epoch's confusions in the running mean."""


@dataclass(frozen=True, eq=False)
class OnlineConfusions:
    """pi [C,C], in row j the running mean of what the network took validation images of class j for.

    It is uniform in the first epoch and changes at the end of each. No label feeds on itself: validation images are not
    trained on, and every class keeps 1/C of its own in pi whatever is predicted, so that predictions only share out the
    mass which a view's decay has taken from the label. A class without validation images keeps the uniform row.
    Validation scores are then of images that had a part in training, by the means of their classes.
    """

    toward: Tensor
    """pi, float64: that of the likelihood in training, in place."""

    @torch.no_grad()
    def end_epoch(self, log_p: Tensor, labels: Tensor) -> None:
        """Takes in the predictions [V,C] for the validation images, labels [V].

        Where they are not finite nothing changes: the loop will say which step went wrong.
        """
        p, C = log_p.double().exp().cpu(), len(self.toward)
        if not p.isfinite().all():
            return
        label = labels.long().cpu()
        counts = torch.bincount(label, minlength=C)[:, None]
        means = torch.zeros(C, C, dtype=torch.float64).index_add_(0, label, p) / counts.clamp_min(1)
        seen = torch.where(counts > 0, at_chance(means), self.toward.cpu())
        self.toward.lerp_(seen.to(self.toward), RATE)

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint keeps."""
        return {"confusions": self.toward}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Continues from `state`. Raises InputError for another number of classes."""
        kept = state.get("confusions", torch.empty(0))
        if kept.shape != self.toward.shape:
            raise InputError(f"online confusions: expected {list(self.toward.shape)}, got {list(kept.shape)}")
        self.toward.copy_(kept)
