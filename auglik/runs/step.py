"""One training step: views of a batch, forward through network and objective, backward, and the optimizer."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from auglik.objectives import Objective
from auglik.runs.resolve import TrainingData, initial_network, training_objective, training_pipeline
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


class Part(NamedTuple):
    """Images of a step that have the same number of views: what was drawn for these views, and the images [B]."""

    draws: Draws
    images: NDArray[np.int64]


def parts_of(draws: Draws, batch: NDArray[np.int64], counts: NDArray[np.int64] | None) -> list[Part]:
    """The images of a batch by their number of views, `counts` [N] of all images; None: all have all views."""
    if counts is None:
        return [Part(draws, batch)]
    return [Part(draws.first(int(K)), batch[counts[batch] == K]) for K in np.unique(counts[batch])]


class Arguments(NamedTuple):
    """What an objective is given: logits [K,B,C], decay [K,B], labels [B] or [B,C], and weight [K,B]."""

    logits: Tensor
    decay: Tensor
    labels: Tensor
    weight: Tensor | None


class Taken(NamedTuple):
    """The results of a step: its loss, 0-d and detached, and by part the class of each image [B] and the arguments."""

    loss: Tensor
    hard_labels: list[Tensor]
    arguments: list[Arguments]
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
    objective, pipeline = training_objective(run), training_pipeline(run, gallery.shape, data.classes)
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
    learner: Learner, run: ResolvedRun, data: TrainingData, parts: list[Part], targets: Tensor | None, rate: float
) -> Taken:
    """One step at learning rate `rate` on a batch, by the number of views of its images; one forward sees all views.

    `targets` [C,C] are the soft labels of the classes if they are learned.
    """
    gallery, all_labels = data.training
    rendered = [learner.pipeline.render(gallery, part.draws, part.images) for part in parts]
    hard_labels = [views.labels(all_labels, data.classes) for views in rendered]

    for group in learner.optimizer.param_groups:
        group["lr"] = rate
    flat = [views.images.flatten(0, 1) for views in rendered]
    images = flat[0] if len(flat) == 1 else torch.cat(flat)
    with autocast(run.device, run.precision):
        every = learner.forward(images.contiguous(memory_format=torch.channels_last))
    arguments = []
    for views, hard, logits in zip(rendered, hard_labels, every.split([len(one) for one in flat]), strict=True):
        weight = views.weight
        if weight is not None and run.config.broadcast_weights:
            weight = weight.mean().expand_as(weight)
        labels = hard if targets is None else targets[hard]
        arguments.append(Arguments(logits.unflatten(0, views.decay.shape), views.decay, labels, weight))
    losses = [learner.loss_of(*one) for one in arguments]
    loss = losses[0]
    if len(parts) > 1:
        shares = [len(part.images) / sum(len(part.images) for part in parts) for part in parts]
        loss = torch.stack([value * share for value, share in zip(losses, shares, strict=True)]).sum()
    learner.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    clipped, clip = None, run.config.optimization.gradient_clip
    if clip is not None:
        clipped = nn.utils.clip_grad_norm_(learner.network.parameters(), clip) > clip
    learner.optimizer.step()
    return Taken(loss=loss.detach(), hard_labels=hard_labels, arguments=arguments, clipped=clipped)
