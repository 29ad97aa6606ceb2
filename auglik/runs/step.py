"""One training step: views of a batch, forward through network and objective, backward, and the optimizer."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from auglik.objectives import Objective
from auglik.runs.resolve import TrainingData, initial_network, training_pipeline
from auglik.runs.resolved import ResolvedRun
from auglik.sampling.langevin import Langevin
from auglik.system.devices import autocast
from auglik.system.keys import stream_key
from auglik.views import Draws, Pipeline

Loss = Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor]
"""Logits [K,B,C], decay [K,B], labels [B] or [B,C] and weight [K,B] -> the mean loss, 0-d."""


class Learner(NamedTuple):
    """A network in training with its objective and views, and the functions of a step, compiled if requested."""

    objective: Objective
    network: nn.Module
    optimizer: torch.optim.Optimizer
    pipeline: Pipeline
    forward: Callable[[Tensor], Tensor]
    loss_of: Loss


class Taken(NamedTuple):
    """The results of a step: its loss, 0-d and detached, logits [K,B,C], labels [B] and the objective's arguments."""

    loss: Tensor
    logits: Tensor
    hard_labels: Tensor
    arguments: tuple[Tensor, Tensor, Tensor, Tensor | None]
    """Logits, decay [K,B], labels [B] or [B,C], and weight [K,B]."""
    clipped: Tensor | None
    """Whether the gradient exceeded the largest norm and was clipped: 0-d bool; None without a limit."""


def make_network(run: ResolvedRun, channels: int, classes: int) -> nn.Module:
    """The run's network at its initial weights, on its device, channels last."""
    return initial_network(run, channels, classes).to(run.device).to(memory_format=torch.channels_last)


def make_optimizer(run: ResolvedRun, network: nn.Module) -> torch.optim.Optimizer:
    """The run's optimizer of all parameters, or its sampler."""
    if run.sampler is not None:
        sampling = run.config.sampling
        return Langevin(
            network.parameters(), sampler=run.sampler, prior=run.prior, images=run.trained_on(),
            temperature=sampling.posterior_temperature, likelihood_temperature=sampling.likelihood_temperature,
            key=stream_key(run.config.seed, "sampling"),
        )  # fmt: skip
    return run.optimizer.build(
        network.parameters(), weight_decay=run.weight_decay, momentum=run.momentum, nesterov=run.nesterov
    )


def begin(run: ResolvedRun, data: TrainingData) -> Learner:
    """The learner of a run before its first step."""
    gallery, _ = data.training
    objective, pipeline = run.objective.to(run.device), training_pipeline(run, gallery.shape, data.classes)
    network = make_network(run, gallery.channels, data.classes)
    optimizer = make_optimizer(run, network)
    learner = Learner(
        objective=objective, network=network, optimizer=optimizer, pipeline=pipeline, forward=network,
        loss_of=objective.loss if run.sampler is None else loss_with_prior(run, objective),
    )  # fmt: skip
    if not run.config.compile:
        return learner
    forward, loss_of = torch.compile(network), torch.compile(learner.loss_of)
    return learner._replace(pipeline=pipeline.compiled(), forward=forward, loss_of=loss_of)


def loss_with_prior(run: ResolvedRun, objective: Objective) -> Loss:
    """The loss, less what the predictions add to the prior, at the power at which `Langevin` takes its gradient."""
    power = run.config.sampling.likelihood_temperature

    def loss(logits: Tensor, decay: Tensor, labels: Tensor, weight: Tensor | None) -> Tensor:
        term = run.prior.of_predictions(objective.likelihood.log_probabilities(logits))
        value = objective.loss(logits, decay, labels, weight)
        return value if term is None else value - power * term.mean()

    return loss


def take_step(
    learner: Learner,
    run: ResolvedRun,
    data: TrainingData,
    draws: Draws,
    batch: NDArray[np.int64],
    targets: Tensor | None,
    rate: float,
) -> Taken:
    """One step at learning rate `rate` on the images in `batch` [B].

    `targets` [C,C] are the soft labels of the classes if they are learned.
    """
    gallery, all_labels = data.training
    views = learner.pipeline.render(gallery, draws, batch)
    labels = hard_labels = views.labels(all_labels, data.classes)
    if targets is not None:
        labels = targets[hard_labels]
    weight = views.weight
    if weight is not None and run.config.broadcast_weights:
        weight = weight.mean().expand_as(weight)

    for group in learner.optimizer.param_groups:
        group["lr"] = rate
    with autocast(run.device, run.precision):
        logits = learner.forward(views.images.flatten(0, 1).contiguous(memory_format=torch.channels_last))
    logits = logits.unflatten(0, (run.config.views, len(batch)))
    loss = learner.loss_of(logits, views.decay, labels, weight)
    learner.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    clipped, clip = None, run.config.optimization.gradient_clip
    if clip is not None:
        clipped = nn.utils.clip_grad_norm_(learner.network.parameters(), clip) > clip
    learner.optimizer.step()
    return Taken(
        loss=loss.detach(),
        logits=logits,
        hard_labels=hard_labels,
        arguments=(logits, views.decay, labels, weight),
        clipped=clipped,
    )
