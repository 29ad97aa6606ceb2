"""What a run learns from the views of one pass over the images for those of the next: a proposal, numbers of views.

What views of a pass count for decides nothing before the pass has ended: given what came before, its views are
independent of how they were chosen, so that importance weights are exact and no estimate stops on its own views.
"""

from collections.abc import Mapping
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from auglik.objectives import InputError, Objective, view_gradients
from auglik.objectives.view_counts import relative_variance
from auglik.runs.adaptive_settings import least_views
from auglik.runs.resolved import ResolvedRun
from auglik.runs.step import Batch, Taken
from auglik.system.devices import send
from auglik.system.keys import host_generator
from auglik.views.allocation import MEMORY, shared_out, steadied
from auglik.views.proposal import NO_PROPOSAL, Proposal

KEPT = 0.5
"""How much of what a proposal follows is kept beside each new pass."""


@final
class Adapted:
    """A proposal and numbers of views that follow what each view counted for in the objective's gradient.

    In a log-mean that is its responsibility. `settings` of neither make neither. Tensors change in place; nothing
    waits for the device but `advance`.
    """

    def __init__(self, run: ResolvedRun, images: int) -> None:
        config, self._objective = run.config, run.objective
        schedule = run.training_views.mollification.schedule
        own = Proposal.own(schedule)
        self.proposal = None if config.adaptive.proposal == NO_PROPOSAL else own
        """Of the pass under way."""
        self.counts: NDArray[np.int64] | None = None
        """The number of views of every image [N] in the pass under way; None if all have all."""
        self._mean, self._most, self._seed = config.adaptive.mean_views, config.views, config.seed
        self._sums = torch.zeros(len(own.masses), dtype=torch.float64, device=run.device)
        self._spread = torch.zeros(images, dtype=torch.float64, device=run.device)
        """The mean relative variances of images over the passes in which they were seen, as `_passes` counts them."""
        self._passes = torch.zeros_like(self._spread)
        self._share_out(0)

    @property
    def active(self) -> bool:
        return self.proposal is not None or self.counts is not None

    def _share_out(self, epoch: int) -> None:
        if self._mean is None:
            return
        spread = steadied(self._spread.cpu().numpy(), self._passes.cpu().numpy())
        ties = host_generator(self._seed, "view counts", epoch).random(len(spread))
        self.counts = shared_out(spread, least_views(self._objective), self._most, self._mean, ties)

    @torch.no_grad()
    def update(self, objective: Objective, taken: Taken, parts: list[Batch]) -> None:
        """Counts the views of a step, by number of views of an image."""
        if not self.active:
            return
        for arguments, part in zip(taken.arguments, parts, strict=True):
            counted = view_gradients(objective, *arguments).abs().double()
            if self.proposal is not None:
                assert part.draws.cell is not None
                cell = send(part.draws.cell[:, part.images].astype(np.int64), counted.device)
                self._sums.index_add_(0, cell.flatten(), counted.flatten())
            if self.counts is not None:
                images = send(part.images, counted.device)
                before, passes = self._spread[images], (self._passes[images] + 1).clamp_max(MEMORY)
                self._spread[images] = before + (relative_variance(counted) - before) / passes
                self._passes[images] = passes

    def advance(self, epoch: int) -> None:
        """Makes proposal and numbers of views for a pass; it waits for the device. Call it once, as the pass begins."""
        if self.proposal is not None:
            self.proposal = self.proposal.following(self._sums.cpu().numpy())
            self._sums.mul_(KEPT)
        self._share_out(epoch)

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint keeps; nothing without settings."""
        found: dict[str, Tensor] = {}
        if self.proposal is not None:
            found |= {"masses": torch.from_numpy(self.proposal.masses), "sums": self._sums.cpu()}
        if self.counts is not None:
            found |= {
                "counts": torch.from_numpy(self.counts),
                "spread": self._spread.cpu(),
                "passes": self._passes.cpu(),
            }
        return found

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Continues from `state`. Raises InputError for one of other settings or another number of images."""
        for name, own in self.state().items():
            if name not in state or state[name].shape != own.shape:
                got = list(state[name].shape) if name in state else "none"
                raise InputError(f"the checkpoint's {name}: expected {list(own.shape)}, got {got}")
        if self.proposal is not None:
            self.proposal = Proposal(self.proposal.schedule, state["masses"].numpy())
            self._sums.copy_(state["sums"])
        if self.counts is not None:
            self.counts = state["counts"].numpy()
            self._spread.copy_(state["spread"])
            self._passes.copy_(state["passes"])
