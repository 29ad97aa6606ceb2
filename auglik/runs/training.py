"""The training loop, top to bottom.

Nothing in a step waits for the device: the host knows every draw, and its sums stay on the device until a look.
All randomness is keyed by (seed, epoch, view, image): a checkpoint holds no generator, a resumed run is the same run.
"""

import hashlib
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from auglik.objectives import ROLES, Likelihood, negative_share, view_gradients
from auglik.runs.checkpoint import Checkpoint, Keeper
from auglik.runs.evaluation import Predict, clean_log_probabilities, predictor
from auglik.runs.log import Log
from auglik.runs.online_labels import OnlineLabels
from auglik.runs.resolve import TrainingData
from auglik.runs.settings import RunConfig
from auglik.runs.step import begin, take_step
from auglik.scoring.metrics import error, mean_label_entropy, nll
from auglik.system.keys import host_generator
from auglik.system.stop import Interrupted, StopRequest
from auglik.views import Draws, Pipeline

INTERVAL = 20
"""Steps between looks: for a loss that is not finite, and at the share of negative responsibilities."""


class Lengths(NamedTuple):
    """How the steps of a run are counted: `images` at a time, in passes over all images, and in epochs."""

    images: int
    steps_per_pass: int
    steps_per_epoch: int
    steps: int


class Meters(NamedTuple):
    """Sums over the epoch under way, 0-d float64 tensors on the device."""

    loss: Tensor
    negative_share: Tensor
    first_bad_step: Tensor
    """The first step whose loss was not finite, or -1."""


class Trained(NamedTuple):
    """A trained network, and what was seen of its training."""

    network: nn.Module
    digests: list[str]
    """Chained SHA-256 of the draws: of the batches, then of each view."""
    last_epoch: dict[str, float]
    train_seconds: float


class NonFiniteLossError(RuntimeError):
    """The loss stopped being finite; the message names the step, the objective and the views' statistics."""


def lengths(config: RunConfig, images: int) -> Lengths:
    """The steps of a run over `images` images; images that fill no whole step end no pass.

    Both budgets take the same number of steps: `views` makes fewer passes, at batch-size/K images a step.
    """
    assert config.epochs is not None
    per_step = min(config.images_per_step(), images)
    steps_per_epoch = max(1, images // config.batch_size)
    return Lengths(per_step, images // per_step, steps_per_epoch, config.epochs * steps_per_epoch)


def learning_rate(config: RunConfig, step: int, steps: int) -> float:
    """The rate at a step: up to its highest along a line over the warm-up, then to zero along half a cosine."""
    assert config.learning_rate is not None
    assert config.warmup is not None
    rising = round(config.warmup * steps)
    if step < rising:
        return config.learning_rate * (step + 1) / (rising + 1)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - rising) / (steps - rising)))


def train(
    config: RunConfig,
    data: TrainingData,
    settings: str,
    folder: Path,
    *,
    threads: int = 1,
    tensorboard: bool = False,
    resume: Checkpoint | None = None,
    stop: StopRequest | None = None,
    progress: Callable[[float], None] = lambda share: None,
) -> Trained:
    """Trains one run of resolved settings, writing metrics.jsonl and checkpoint.pt into `folder`.

    `resume` is the checkpoint to go on from, `progress` is told the share of steps done.
    Raises Interrupted once `stop` is set and the checkpoint written, NonFiniteLossError with the last good one kept.
    """
    device = torch.device(config.device)
    gallery, all_labels = data.training
    N, K = len(all_labels), config.views
    B, steps_per_pass, steps_per_epoch, steps = lengths(config, N)

    learner = begin(config, data)
    objective, network, optimizer, pipeline = learner[:4]
    online = None
    if config.online_labels < 1:
        online = OnlineLabels.begin(data.classes, device, config.online_labels)
    meters = Meters(*torch.tensor([0.0, 0.0, -1.0], dtype=torch.float64, device=device).unbind())
    first_step, digests, seconds_before = 0, [""] * (K + 1), 0.0
    line: dict[str, float] = {}
    if resume is not None:
        network.load_state_dict(resume.network)
        optimizer.load_state_dict(resume.optimizer)
        meters = Meters(*resume.meters.to(device).unbind())
        first_step, digests, seconds_before = resume.step, resume.digests, resume.train_seconds
        line = resume.last_epoch
        if online is not None:
            online.restore(resume.online_labels)
    targets = online.targets() if online is not None else None

    began, keeper = time.monotonic(), Keeper(folder)
    drawn_epoch, draws, batches = -1, None, np.empty((0, B), np.int64)

    def save(done: int) -> None:
        look(meters, config, pipeline, N)
        state = Checkpoint(
            settings=settings,
            step=done,
            network=network.state_dict(),
            optimizer=optimizer.state_dict(),
            meters=torch.stack(meters).cpu(),
            digests=digests,
            last_epoch=line,
            mean=data.mean,
            std=data.std,
            train_seconds=seconds_before + time.monotonic() - began,
            threads=threads,
            online_labels=online.state() if online is not None else {},
            class_names=data.class_names,
        )
        keeper.save(state)

    with Log(folder, first_step // steps_per_epoch, tensorboard) as log:
        for step in range(first_step, steps):
            epoch, position = divmod(step, steps_per_pass)
            if draws is None or epoch != drawn_epoch:
                order = host_generator(config.seed, "batches", epoch).permutation(N)
                draws, drawn_epoch = pipeline.draw(config.seed, epoch, K, N, device), epoch
                batches = order[: steps_per_pass * B].reshape(steps_per_pass, B)
                digests = chained(digests, batches, draws.view_digests()) if position == 0 else digests
                pipeline.announce(gallery, draws, batches[position:])
            rate = learning_rate(config, step, steps)
            taken = take_step(learner, config, data, draws, batches[position], targets, rate)
            if online is not None:
                online.update(objective.likelihood.log_probabilities(taken.logits.detach()), taken.hard_labels)

            done = step + 1
            meters.loss.add_(taken.loss)
            note_first_bad(meters.first_bad_step, taken.loss, step)
            if done % steps_per_epoch % INTERVAL == 0:
                meters.negative_share.add_(negative_share(view_gradients(objective, *taken.arguments)))
                look(meters, config, pipeline, N)
                progress(done / steps)
            if done % steps_per_epoch == 0:
                if online is not None:
                    online.end_epoch()
                    targets = online.targets()
                line = {
                    "epoch": done // steps_per_epoch,
                    "step": done,
                    "learning_rate": learning_rate(config, step, steps),
                    "loss": float(meters.loss) / steps_per_epoch,
                    "negative_share": float(meters.negative_share) / (1 + (steps_per_epoch - 1) // INTERVAL),
                    **label_statistics(draws, all_labels, data.classes, objective.likelihood),
                    **validation_scores(predictor(config, network), data),
                }
                log.write(line)
                meters.loss.zero_()
                meters.negative_share.zero_()
            stopping = bool(stop) and done < steps
            if done == steps or stopping or keeper.due():
                save(done)
            if stopping:
                raise Interrupted(f"stopped after step {done} of {steps}")
    return Trained(network, digests, line, seconds_before + time.monotonic() - began)


def label_statistics(draws: Draws, labels: Tensor, classes: int, likelihood: Likelihood) -> dict[str, float]:
    """Mean entropy in nats of the labels that an epoch's views were trained with, and their mean weight.

    What online labels learn is not counted.
    """
    decay = likelihood.label_decay(torch.from_numpy(draws.decay)).numpy()
    found = {"label_entropy": mean_label_entropy(decay, classes, draws.own_share(labels))}
    return found if draws.weight is None else {**found, "weight": float(draws.weight.mean())}


def chained(digests: list[str], batches: NDArray[np.int64], views: list[str]) -> list[str]:
    """The digests of all draws so far: of the images of every step [steps,B], then of each view.

    The first is that of B too: other batch sizes make other batches of one order. K = 2 has the first views of K = 4.
    """
    news = [hashlib.sha256(repr(batches.shape).encode() + batches.tobytes()).hexdigest(), *views]
    return [hashlib.sha256((old + new).encode()).hexdigest() for old, new in zip(digests, news, strict=True)]


def note_first_bad(first_bad_step: Tensor, loss: Tensor, step: int) -> None:
    """Keeps, on the device, the first step whose loss was not finite."""
    is_first = ~torch.isfinite(loss) & (first_bad_step < 0)
    first_bad_step.copy_(torch.where(is_first, float(step), first_bad_step))


def look(meters: Meters, config: RunConfig, pipeline: Pipeline, images: int) -> None:
    """Waits for the device. Raises NonFiniteLossError where a loss since the start was not finite."""
    step = int(meters.first_bad_step)
    if step < 0:
        return
    B, steps_per_pass, _, steps = lengths(config, images)
    epoch, position = divmod(step, steps_per_pass)
    batch = host_generator(config.seed, "batches", epoch).permutation(images)[position * B : (position + 1) * B]
    draws = pipeline.draw(config.seed, epoch, config.views, images, torch.device("cpu"))
    role, temperature, decay = (values[:, batch] for values in (draws.role, draws.temperature, draws.decay))
    shares = ", ".join(f"{name} {np.mean(role == i):.2f}" for i, name in enumerate(ROLES) if np.any(role == i))
    rate = learning_rate(config, step, steps)
    raise NonFiniteLossError(
        f"the loss is not finite at step {step} of {steps} under {config.likelihood} + {config.aggregator} at learning"
        f" rate {rate:.3g}; its views: {shares}; temperature {temperature.mean():.3f} (up to {temperature.max():.3f}),"
        f" decay {decay.mean():.3f} (up to {decay.max():.3f}); the last good checkpoint is kept; a lower learning"
        " rate is the usual cure"
    )


def validation_scores(predict: Predict, data: TrainingData) -> dict[str, float]:
    """Error and NLL on the clean validation images, where there are any."""
    gallery, labels = data.validation
    if len(labels) == 0:
        return {}
    log_p = clean_log_probabilities(predict, gallery).cpu().numpy()
    truth = labels.cpu().numpy()
    return {"validation_error": error(log_p, truth), "validation_nll": nll(log_p, truth)}
