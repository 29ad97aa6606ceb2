"""The densities of a finished chain's draws on its training images."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from auglik.objectives import InputError
from auglik.objectives.view_counts import DrawsViews
from auglik.runs import checkpoint as checkpoints
from auglik.runs.demands import evaluated_at_once
from auglik.runs.evaluation import host
from auglik.runs.resolve import TrainingData, training_objective, training_pipeline
from auglik.runs.resolved import ResolvedRun
from auglik.runs.step import make_network
from auglik.sampling.chain import Drawn
from auglik.sampling.files import Densities
from auglik.system.devices import autocast, send


def densities(folder: Path, settings: str, run: ResolvedRun, data: TrainingData) -> Densities:
    """Under the run's objective, each of its training images in one draw of K views, keyed by the evaluation's seed.

    `settings` is the run's hash. Raises InputError as `check_left_out` and loading the checkpoint do.
    """
    check_left_out(run)
    found = checkpoints.load(folder / checkpoints.NAME, settings)
    network = found.load_into(make_network(run, data.training.gallery.channels, data.classes))
    if not isinstance(network, Drawn):
        raise InputError(f"{folder}: expected a chain, got a point estimate")
    log_likelihood, log_prior = _of_draws(run, data, network)
    return Densities(log_likelihood, log_prior.cpu().numpy())


def check_left_out(run: ResolvedRun) -> None:
    """Raises InputError for views that let no image be left out by itself."""
    if run.training_views.mixing is not None:
        raise InputError(f"augment: expected no mixing where images are left out, got {run.config.view.augment}:"
                         " a label is then of two images")  # fmt: skip
    if run.config.broadcast_weights:
        raise InputError("broadcast_weights: expected false where images are left out: weights are then of a batch")
    if isinstance(run.objective.aggregator, DrawsViews):
        raise InputError(f"aggregator: expected a fixed number of views where images are left out, got"
                         f" {run.config.aggregator}")  # fmt: skip


@torch.no_grad()
def _of_draws(run: ResolvedRun, data: TrainingData, network: Drawn) -> tuple[NDArray[np.float64], Tensor]:
    """Of each draw: the log-likelihoods of the images [S,N] on the host, and its log-prior [S] on the device."""
    gallery, labels = data.training
    N, K = len(labels), run.config.views
    objective = training_objective(run, data.classes)
    pipeline = training_pipeline(run, gallery.shape, data.classes, data.rows)
    drawn = pipeline.draw(run.config.evaluation.seed, 0, K, N, run.device, purpose="leave one out")
    size = evaluated_at_once(gallery.height, gallery.width)
    batches = [np.arange(start, min(start + size, N)) for start in range(0, N, size)]
    pipeline.announce(gallery, drawn, batches)
    log_prior = send(np.array([_independent(run, member) for member in network.members()]), run.device)
    terms = []
    for batch in batches:
        views = pipeline.render(gallery, drawn, batch)
        images = views.images.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        of_batch = []
        for place, member in enumerate(network.members()):
            with autocast(run.device, run.precision, scoring=True):
                logits = member.eval()(images).unflatten(0, (K, len(batch)))
            of_batch.append(objective.log_likelihood(logits, views.decay, labels[views.positions], views.weight))
            term = run.prior.of_predictions(objective.likelihood.log_probabilities(logits))
            if term is not None:
                log_prior[place] += term.double().mean(0).sum()
        terms.append(host(torch.stack(of_batch)))
    return np.concatenate(terms, 1).astype(np.float64), log_prior


def _independent(run: ResolvedRun, network: nn.Module) -> float:
    """The log-prior of all weights but for what predictions add."""
    return sum(float(run.prior.log_density(weights.double()).sum()) for weights in network.parameters())
