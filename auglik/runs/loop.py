"""What every training loop does around its steps: rate, sums, digests, checks, resuming, checkpoints, stopping."""

import hashlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from auglik.optimization.average import Average
from auglik.runs.checkpoint import Checkpoint, Keeper
from auglik.runs.resolve import TrainingData
from auglik.runs.resolved import ResolvedRun
from auglik.sampling.chain import Chain
from auglik.system.processes import ONE, Processes
from auglik.system.stop import Interrupted, StopRequest

INTERVAL = 20
"""Steps between checks for a non-finite loss, and between measurements of the share of negative responsibilities."""

ALL_FINITE = -1.0
"""In the place of checkpoints that names the first step with a loss that is not finite: none is saved after one."""


class Lengths(NamedTuple):
    """How the steps of a run are counted: `images` at a time, in passes over all images, and in epochs."""

    images: int
    steps_per_pass: int
    steps_per_epoch: int
    steps: int


class NonFiniteLossError(RuntimeError):
    """The loss stopped being finite; the message names the step, the objective and the views' statistics."""


def lengths(run: ResolvedRun, images: int) -> Lengths:
    """The steps of a run over `images` images; images that fill no whole step end no pass.

    Both budgets take the same number of steps: `views` makes fewer passes, at batch-size/K images a step.
    """
    per_step = min(run.config.images_per_step(), images)
    steps_per_epoch = steps_of_epoch(images, run.config.batch_size)
    return Lengths(per_step, images // per_step, steps_per_epoch, run.epochs * steps_per_epoch)


def steps_of_epoch(images: int, batch_size: int) -> int:
    return max(1, images // batch_size)


def learning_rate(run: ResolvedRun, step: int, steps: int) -> float:
    """The rate at a step: linear up to its highest over the warm-up, then by the schedule."""
    rising = round(run.warmup * steps)
    if step < rising:
        return run.learning_rate * (step + 1) / (rising + 1)
    return run.learning_rate * run.rate_schedule.factor(step - rising, steps - rising)


@final
class Loop:
    """What a run carries from one step to the next, and the clock of its checkpoints.

    `sums` [names] are running sums over the current epoch, 0-d float64 tensors on the device. Its methods are in
    the order in which a loop calls them.
    """

    def __init__(
        self,
        run: ResolvedRun,
        data: TrainingData,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        sums: Sequence[str],
        views: int,
        *,
        settings: str,
        folder: Path,
        resume: Checkpoint | None,
        stop: StopRequest | None,
        average: Average | None = None,
        chain: Chain | None = None,
        processes: Processes = ONE,
    ) -> None:
        """Continues from `resume` if given. With several processes all call this, and the first one saves."""
        self.lengths = lengths(run, len(data.training.labels))
        self.first_step, self.digests, self.last_epoch = 0, [""] * (views + 1), dict[str, float]()
        meters = torch.tensor([*(0.0 for _ in sums), ALL_FINITE], dtype=torch.float64)
        self._seconds_before = 0.0
        if resume is not None:
            network.load_state_dict(resume.network)
            optimizer.load_state_dict(resume.optimizer)
            if average is not None:
                average.network.load_state_dict(resume.average or {})
            if chain is not None and resume.temperatures is not None:
                chain.restore(resume.temperatures, resume.draws or {})
            meters = resume.meters
            self.first_step, self.digests, self.last_epoch = resume.step, resume.digests, resume.last_epoch
            self._seconds_before = resume.train_seconds
        *values, _ = meters.to(run.device).unbind()
        self._losses, self._last = torch.zeros(INTERVAL, dtype=torch.float64, device=run.device), self.first_step
        """The last losses, each at its step modulo INTERVAL, and the last step."""
        self.sums: dict[str, Tensor] = dict(zip(sums, values, strict=True))
        self._run, self._data, self._network, self._optimizer = run, data, network, optimizer
        self._settings, self._stop, self._average, self._chain = settings, stop, average, chain
        self._processes = processes
        self._began, self._keeper, self._stopping = time.monotonic(), Keeper(folder), False

    def chain(self, batches: NDArray[np.int64], views: list[str]) -> None:
        """Counts an epoch's draws into the digests, as `chained` does."""
        self.digests = chained(self.digests, batches, views)

    def rate(self, step: int) -> float:
        return learning_rate(self._run, step, self.lengths.steps)

    def add_loss(self, step: int, loss: Tensor) -> None:
        """Adds a detached loss to `sums`, and keeps it until the next look."""
        self._last = step
        note(self.sums["loss"], self._losses[step % INTERVAL], loss)

    def look_due(self, done: int) -> bool:
        return done % self.lengths.steps_per_epoch % INTERVAL == 0

    def bad_step(self) -> int | None:
        """Waits for the device: the first of the last INTERVAL steps whose loss was not finite, if any."""
        bad = np.flatnonzero(~np.isfinite(self._losses.cpu().numpy()))
        return int((self._last - (self._last - bad) % INTERVAL).min()) if len(bad) else None

    def mean(self, name: str, count: int | None = None) -> float:
        """Of a sum, over the steps of an epoch or `count` of them; waits for the device."""
        return float(self.sums[name]) / (count or self.lengths.steps_per_epoch)

    def end_epoch(self, line: dict[str, float]) -> None:
        self.last_epoch = line
        for value in self.sums.values():
            value.zero_()

    def save_due(self, done: int) -> bool:
        """Whether the run ends here, is asked to stop, or is due for a checkpoint; call it once per step."""
        asked, due = self._processes.largest(bool(self._stop), self._processes.first and self._keeper.due())
        self._stopping = bool(asked) and done < self.lengths.steps
        return done == self.lengths.steps or self._stopping or bool(due)

    def save(self, done: int, online_labels: dict[str, Tensor], adapted: dict[str, Tensor] | None = None) -> None:
        """Writes the checkpoint; call it once every loss is known to be finite."""
        if not self._processes.first:
            return
        state = Checkpoint(
            settings=self._settings,
            step=done,
            network=self._network.state_dict(),
            optimizer=self._optimizer.state_dict(),
            meters=torch.tensor([*map(float, self.sums.values()), ALL_FINITE], dtype=torch.float64),
            digests=self.digests,
            last_epoch=self.last_epoch,
            mean=self._data.mean,
            std=self._data.std,
            train_seconds=self.seconds(),
            threads=torch.get_num_threads(),
            online_labels=online_labels,
            class_names=self._data.class_names,
            average=self._average.network.state_dict() if self._average is not None else None,
            temperatures=self._chain.temperatures.cpu() if self._chain is not None else None,
            draws=self._chain.draws if self._chain is not None else None,
            adapted=adapted or None,
        )
        self._keeper.save(state)

    def check_stop(self, done: int) -> None:
        """Raises Interrupted if `save_due` found that the run is asked to stop."""
        if self._stopping:
            raise Interrupted(f"stopped after step {done} of {self.lengths.steps}")

    def seconds(self) -> float:
        """Of training so far, including before the run was resumed."""
        return self._seconds_before + time.monotonic() - self._began


def chained(digests: list[str], batches: NDArray[np.int64], views: list[str]) -> list[str]:
    """The digests of all draws so far: of the images of every step [steps,B], then of each view.

    The first covers B too: the same order makes other batches at other sizes. K = 2 has the first views of K = 4.
    """
    news = [hashlib.sha256(repr(batches.shape).encode() + batches.tobytes()).hexdigest(), *views]
    return [hashlib.sha256((old + new).encode()).hexdigest() for old, new in zip(digests, news, strict=True)]


def note(total: Tensor, place: Tensor, loss: Tensor) -> None:
    """Adds a loss to a sum and puts it in its place, 0-d each: two launches."""
    total.add_(loss)
    place.copy_(loss)
