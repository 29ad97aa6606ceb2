"""One training step: views of a batch, forward through network and objective, backward, and the optimizer."""

import copy
from collections.abc import Callable
from typing import NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from auglik.networks.batch_norm import over_processes
from auglik.networks.randomness import draw_part
from auglik.objectives import InputError, Objective
from auglik.objectives.view_counts import DrawsViews
from auglik.runs.loop import lengths
from auglik.runs.resolve import TrainingData, initial_network, training_objective, training_pipeline
from auglik.runs.resolved import ResolvedRun
from auglik.sampling.langevin import Langevin
from auglik.system.compiling import torch_compile
from auglik.system.devices import autocast
from auglik.system.keys import stream_key
from auglik.system.processes import ONE, Part, Processes
from auglik.views import Draws, Pipeline, Shape, Views

Loss = Callable[[Tensor, Tensor, Tensor, Tensor | None, Tensor | None], Tensor]
"""Logits [K,B,C], decay [K,B], labels [B] or [B,C], weight and log_importance [K,B] -> the mean loss, 0-d."""


class Learner(NamedTuple):
    """A network in training with its objective and views, and the functions of a step, compiled if requested."""

    objective: Objective
    network: nn.Module
    optimizer: torch.optim.Optimizer
    pipeline: Pipeline
    forward: Callable[[Tensor], Tensor]
    loss_of: Loss
    images: int
    """In a step, over all processes."""
    processes: Processes = ONE


class Batch(NamedTuple):
    """Images of a step that have the same number of views: what was drawn for these views, and the images [B]."""

    draws: Draws
    images: NDArray[np.int64]


def parts_of(draws: Draws, batch: NDArray[np.int64], counts: NDArray[np.int64] | None) -> list[Batch]:
    """The images of a batch by their number of views, `counts` [N] of all images; None: all have all views."""
    if counts is None:
        return [Batch(draws, batch)]
    return [Batch(draws.first(int(K)), batch[counts[batch] == K]) for K in np.unique(counts[batch])]


class Arguments(NamedTuple):
    """What an objective is given: logits [K,B,C], decay [K,B], labels [B] or [B,C], weight and log_importance [K,B]."""

    logits: Tensor
    decay: Tensor
    labels: Tensor
    weight: Tensor | None
    log_importance: Tensor | None


class Given(NamedTuple):
    """What a step knows of the views of B images beside the images: `Arguments` without the logits."""

    decay: Tensor
    labels: Tensor
    weight: Tensor | None
    log_importance: Tensor | None


class Updated(NamedTuple):
    """Of a step whose weights have changed: logits [K,B,C] by part, the mean loss, 0-d and detached, and `clipped`."""

    logits: list[Tensor]
    loss: Tensor
    clipped: Tensor | None


Update = Callable[[Learner, ResolvedRun, list[Tensor], list[Given], float], Updated]


class Taken(NamedTuple):
    """The results of a step: its loss, 0-d and detached, and by part the class of each image [B] and the arguments.

    The loss is that of the whole step; the images are those of this process, in parts of one number of views.
    """

    loss: Tensor
    hard_labels: list[Tensor]
    arguments: list[Arguments]
    clipped: Tensor | None
    """Whether the gradient exceeded the largest norm and was clipped: 0-d bool; None without a limit."""


def make_network(run: ResolvedRun, channels: int, classes: int) -> nn.Module:
    """The run's network at its initial weights, on its device, channels last."""
    return initial_network(run, channels, classes).to(run.device).to(memory_format=torch.channels_last)


def make_optimizer(run: ResolvedRun, network: nn.Module, images: int) -> torch.optim.Optimizer:
    """The run's optimizer of all parameters, or its sampler given that many training images."""
    if run.sampler is not None:
        sampling = run.config.sampling
        return Langevin(
            network.parameters(), sampler=run.sampler, prior=run.prior, images=images,
            temperature=sampling.posterior_temperature, likelihood_temperature=sampling.likelihood_temperature,
            key=stream_key(run.config.seed, "sampling"),
        )  # fmt: skip
    return run.optimizer.build(
        network.parameters(), weight_decay=run.weight_decay, momentum=run.momentum, nesterov=run.nesterov
    )


def begin(run: ResolvedRun, data: TrainingData, processes: Processes = ONE) -> Learner:
    """The learner of a run before its first step. Raises InputError for a step of fewer images than processes."""
    gallery, _ = data.training
    objective = training_objective(run, data.classes)
    pipeline = training_pipeline(run, gallery.shape, data.classes, data.rows)
    network, images = make_network(run, gallery.channels, data.classes), lengths(run, len(gallery)).images
    if processes.count > 1:
        processes.agreed(lambda: share_steps(network, run, images, processes))
    optimizer = make_optimizer(run, network, len(gallery))
    learner = Learner(
        objective=objective, network=network, optimizer=optimizer, pipeline=pipeline, forward=network,
        loss_of=objective.loss if run.sampler is None else loss_with_prior(run, objective),
        images=images, processes=processes,
    )  # fmt: skip
    all_used = processes.count == 1 or uses_all(network, gallery.shape, run.device)
    if not run.config.compile:
        return learner._replace(forward=processes.parallel(network, all_used))
    compiled = cast(nn.Module, torch_compile(network))
    forward, loss_of = processes.parallel(compiled, all_used), torch_compile(learner.loss_of)
    return learner._replace(pipeline=pipeline.compiled(), forward=forward, loss_of=loss_of)


def uses_all(network: nn.Module, shape: Shape, device: torch.device) -> bool:
    """Whether every parameter has a gradient, as the network sees black images."""
    probe = copy.deepcopy(network).eval()
    probe(torch.zeros(2, *shape, device=device)).sum().backward()
    return all(parameter.grad is not None for parameter in probe.parameters() if parameter.requires_grad)


def share_steps(network: nn.Module, run: ResolvedRun, images: int, processes: Processes) -> None:
    """Makes the network see its part of a step's images as it would in the whole step."""
    if images < processes.count:
        raise InputError(f"expected an image of a step for each of {processes.count} processes, got {images}")
    if run.sampler is not None:
        raise InputError("expected one process for a run that samples a chain, got several: start it alone")
    if isinstance(run.objective.aggregator, DrawsViews):
        raise InputError("expected one process where numbers of views are drawn, got several: start it alone")
    if run.config.adaptive.active:
        raise InputError("expected one process where views follow earlier ones, got several: start it alone")
    own = processes.part(images)
    draw_part(network, Part(own.start, own.stop, images))
    if run.config.batch_norm == "global":
        over_processes(network)


def loss_with_prior(run: ResolvedRun, objective: Objective) -> Loss:
    """The loss, less what the predictions add to the prior, at the power at which `Langevin` takes its gradient."""
    power = run.config.sampling.likelihood_temperature

    def loss(
        logits: Tensor, decay: Tensor, labels: Tensor, weight: Tensor | None, log_importance: Tensor | None
    ) -> Tensor:
        term = run.prior.of_predictions(objective.likelihood.log_probabilities(logits))
        value = objective.loss(logits, decay, labels, weight, log_importance)
        return value if term is None else value - power * term.mean()

    return loss


def rendered_parts(learner: Learner, data: TrainingData, parts: list[Batch]) -> list[Views]:
    """The views of the images of a step, by their number of views."""
    return [learner.pipeline.render(data.training.gallery, part.draws, part.images) for part in parts]


def update(learner: Learner, run: ResolvedRun, images: list[Tensor], given: list[Given], rate: float) -> Updated:
    """Forward, backward and a step of the optimizer at learning rate `rate`, on images [K,B,c,H,W] by part."""
    for group in learner.optimizer.param_groups:
        group["lr"] = rate
    flat = [one.flatten(0, 1) for one in images]
    together = flat[0] if len(flat) == 1 else torch.cat(flat)
    return learn(learner, run, together.contiguous(memory_format=torch.channels_last), given)


def learn(learner: Learner, run: ResolvedRun, images: Tensor, given: list[Given]) -> Updated:
    """The same at the optimizer's own rate, on images [V,c,H,W] of all parts, channels last."""
    processes, mine = learner.processes, sum(of_views.decay.shape[1] for of_views in given)
    with autocast(run.device, run.precision):
        every = learner.forward(images)
    sizes = [of_views.decay.numel() for of_views in given]
    logits = [part.unflatten(0, of_views.decay.shape) for part, of_views in zip(every.split(sizes), given, strict=True)]
    losses = [learner.loss_of(part, *of_views) for part, of_views in zip(logits, given, strict=True)]
    loss = losses[0]
    if len(given) > 1:
        shares = [of_views.decay.shape[1] / mine for of_views in given]
        loss = torch.stack([value * share for value, share in zip(losses, shares, strict=True)]).sum()
    loss = processes.weighted(loss, mine, learner.images)
    learner.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    clipped, clip = None, run.config.optimization.gradient_clip
    if clip is not None:
        clipped = nn.utils.clip_grad_norm_(learner.network.parameters(), clip) > clip
    learner.optimizer.step()
    return Updated(logits=logits, loss=processes.mean(loss.detach()), clipped=clipped)


def take_step(
    learner: Learner,
    run: ResolvedRun,
    data: TrainingData,
    rendered: list[Views],
    targets: Tensor | None,
    rate: float,
    updates: Update = update,
) -> Taken:
    """One step at learning rate `rate` on views of images of this process, by their number; one forward sees them all.

    `targets` [C,C] are the soft labels of the classes if they are learned, `updates` what does the same as `update`.
    """
    hard_labels = [views.labels(data.training.labels, data.classes) for views in rendered]
    processes, mine = learner.processes, sum(len(views.positions) for views in rendered)
    weights = [views.weight for views in rendered if views.weight is not None]
    if weights and run.config.broadcast_weights:
        mean = torch.cat([weight.flatten() for weight in weights]).mean()
        mean = processes.mean(processes.weighted(mean, mine, learner.images))
        weights = [mean.expand_as(weight) for weight in weights]
    given = []
    for place, (views, hard) in enumerate(zip(rendered, hard_labels, strict=True)):
        weight = weights[place] if weights else None
        labels = hard if targets is None else targets[hard]
        given.append(Given(decay=views.decay, labels=labels, weight=weight, log_importance=views.log_importance))
    images = [views.images for views in rendered]
    updated = updates(learner, run, images, given, rate)
    arguments = [Arguments(logits, *of_views) for logits, of_views in zip(updated.logits, given, strict=True)]
    return Taken(loss=updated.loss, hard_labels=hard_labels, arguments=arguments, clipped=updated.clipped)
