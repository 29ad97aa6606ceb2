"""Scoring: the same rules for every run, whatever it was trained with."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from auglik.config import EvaluationConfig, RunConfig
from auglik.devices import autocast
from auglik.metrics import marginal_log_likelihood, scores
from auglik.prepare import Split, pipeline_of
from auglik.views import Gallery, Mollification, Pipeline
from objectives import Objective, Schedule

CLEAN_BATCH = 1000
"""Images in a forward pass over clean images."""
VIEW_BATCH = 32
"""Images whose M views are in one forward pass; it keys the pixel noise, so another value is another draw."""


class Evaluation(NamedTuple):
    """Scores by name, and the arrays that they were computed from."""

    results: dict[str, float]
    arrays: dict[str, NDArray[np.generic]]


def evaluate(config: RunConfig, network: nn.Module, test: Split) -> Evaluation:
    """Scores a trained network on the test images.

    clean_*: the clean predictive. folded_*: a few test views folded as the objective predicts. mollified_*: every
    test image under a few mollified views, each a prediction of its own. marginal_*: log of the mean of the
    categorical likelihood over the M evaluation views.
    """
    objective, evaluation = config.objective(), config.evaluation
    labels = test.labels.cpu().numpy()
    clean = host(clean_log_probabilities(config, network, objective, test.gallery))

    augmented = views_log_probabilities(
        config, network, objective, test, pipeline_of(evaluation.view), evaluation.views
    )
    folded = host(objective.aggregator.predictive(augmented[: evaluation.folded_views]).log_softmax(-1))
    at_label = host(augmented.gather(2, test.labels[None, :, None].expand(len(augmented), -1, -1))[..., 0])
    marginal = marginal_log_likelihood(at_label)

    mollified = host(
        views_log_probabilities(
            config, network, objective, test, only_mollified(evaluation), evaluation.folded_views, epoch=1
        )
    )
    every_view = mollified.reshape(-1, mollified.shape[-1])
    parts = {
        "clean": scores(clean, labels),
        "folded": scores(folded, labels),
        "mollified": scores(every_view, np.tile(labels, len(mollified))),
    }
    results = {f"{part}_{name}": value for part, found in parts.items() for name, value in found._asdict().items()}
    results |= {
        "marginal_log_likelihood": marginal.plain,
        "marginal_log_likelihood_corrected": marginal.corrected,
        "marginal_standard_error": marginal.standard_error,
        "marginal_monte_carlo_error": marginal.monte_carlo_error,
        "effective_views": marginal.effective_views,
    }
    arrays = {
        "log_probabilities": clean,
        "labels": labels,
        "indices": np.arange(len(labels)),
        "folded_log_probabilities": folded,
        "mollified_log_probabilities": mollified,
        "view_log_likelihoods": at_label,
    }
    return Evaluation(results, arrays)


def only_mollified(evaluation: EvaluationConfig) -> Pipeline:
    """The evaluation's mollification without clean views and without other augmentation."""
    schedule = evaluation.view.schedule()
    if schedule.shares()[0] == 1:
        schedule = Schedule()
    return Pipeline(None, Mollification(replace(schedule, clean=0.0)))


@torch.no_grad()
def clean_log_probabilities(config: RunConfig, network: nn.Module, objective: Objective, gallery: Gallery) -> Tensor:
    """[N,C] of all images of a gallery, as they are."""
    chunks = [
        forward(config, network, objective, gallery.clean(slice(start, start + CLEAN_BATCH)))
        for start in range(0, len(gallery), CLEAN_BATCH)
    ]
    return torch.cat(chunks)


@torch.no_grad()
def views_log_probabilities(
    config: RunConfig,
    network: nn.Module,
    objective: Objective,
    test: Split,
    pipeline: Pipeline,
    views: int,
    epoch: int = 0,
) -> Tensor:
    """[M,N,C] of M evaluation views of every test image: one draw, keyed by the evaluation's seed alone."""
    N, device = len(test.labels), test.labels.device
    draws = pipeline.draw(config.evaluation.seed, epoch, views, N, device, purpose="evaluation")
    chunks = []
    for step, start in enumerate(range(0, N, VIEW_BATCH)):
        batch = np.arange(start, min(start + VIEW_BATCH, N))
        images = pipeline.render(test.gallery, draws, batch, step).images
        chunks.append(forward(config, network, objective, images.flatten(0, 1)).unflatten(0, (views, len(batch))))
    return torch.cat(chunks, dim=1)


def forward(config: RunConfig, network: nn.Module, objective: Objective, images: Tensor) -> Tensor:
    """Log-probabilities of the classes, [V,c,H,W] -> [V,C]; the network is left in the mode it was in."""
    was_training = network.training
    network.eval()
    with autocast(images.device, config.precision):
        logits = network(images.contiguous(memory_format=torch.channels_last))
    network.train(was_training)
    return objective.likelihood.log_probabilities(logits)


def host(values: Tensor) -> NDArray[np.float32]:
    return values.float().cpu().numpy()
