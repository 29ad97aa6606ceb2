"""Scoring: the same rules for every run, however it was trained."""

import hashlib
import math
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from auglik.objectives import Schedule
from auglik.runs.demands import evaluated_at_once
from auglik.runs.resolve import Split, TrainingData
from auglik.runs.resolved import ResolvedRun
from auglik.sampling.chain import members
from auglik.scoring.metrics import marginal_log_likelihood, scores
from auglik.system.devices import autocast
from auglik.system.processes import ONE, Processes
from auglik.system.progress import Progress
from auglik.views import Gallery, Mollification, Pipeline, Shape

CLEAN_BATCH, CLEAN_BATCH_PIXELS = 1000, 1000 * 64 * 64
"""Images in a forward pass over clean images: fewer than a thousand where they are larger than 64x64."""


Predict = Callable[[Tensor], Tensor]
"""Standardized images [V,c,H,W] -> log-probabilities of the classes [V,C]."""
Reduce = Callable[[Tensor], Tensor]
"""Log-probabilities of M views of B images [M,B,C] -> what is kept of them [...,B,C]."""


class Evaluation(NamedTuple):
    """Scores by name, the arrays that they were computed from, and a digest of the draws of all evaluation views."""

    scores: dict[str, float]
    arrays: dict[str, NDArray[np.generic]]
    views_digest: str


class Seen(NamedTuple):
    """Log-probabilities of M views of N images: at the label [M,N], and what `keep` made of those of all classes."""

    at_label: Tensor
    kept: Tensor
    """[...,N,C]"""
    digests: list[str]
    """Of the draws of each view."""


def evaluate(
    run: ResolvedRun,
    network: nn.Module,
    test: Split,
    indices: NDArray[np.int64],
    progress: Progress = lambda share: None,
    processes: Processes = ONE,
) -> Evaluation:
    """Scores a trained network on the test images, which have the positions `indices` [N] in the whole test set.

    clean_*: the clean predictive. folded_*: a few test views folded as the objective predicts. mollified_*: every
    test image under a few mollified views, each a separate prediction. marginal_*: log of the mean of the
    categorical likelihood over the M evaluation views. With several `processes` each predicts its share of the
    images, and all get the same scores.
    """
    aggregator, evaluation = run.objective.aggregator, run.config.evaluation
    M, F = evaluation.views, evaluation.folded_views
    predict, labels = predictor(run, network), test.labels.cpu().numpy()
    clean = host(clean_log_probabilities(predict, test.gallery, processes))
    augmented = look_at_views(
        predict,
        test,
        run.evaluation_views.pipeline(test.gallery.shape),
        evaluation.seed,
        0,
        M,
        lambda log_p: aggregator.predictive(log_p[:F]).log_softmax(-1),
        lambda share: progress(share * M / (M + F)),
        processes,
    )
    mollified = look_at_views(
        predict,
        test,
        only_mollified(run, test.gallery.shape),
        evaluation.seed,
        1,
        F,
        lambda log_p: log_p,
        lambda share: progress((M + share * F) / (M + F)),
        processes,
    )
    folded, each_view = host(augmented.kept), host(mollified.kept)
    marginal = marginal_log_likelihood(host(augmented.at_label))
    parts = {
        "clean": scores(clean, labels),
        "folded": scores(folded, labels),
        "mollified": scores(each_view.reshape(-1, clean.shape[1]), np.tile(labels, F)),
    }
    found = {f"{part}_{name}": value for part, of_part in parts.items() for name, value in of_part._asdict().items()}
    found |= {
        "marginal_log_likelihood": marginal.plain,
        "marginal_log_likelihood_corrected": marginal.corrected,
        "marginal_standard_error": marginal.standard_error,
        "marginal_monte_carlo_error": marginal.monte_carlo_error,
        "effective_views": marginal.effective_views,
    }
    arrays: dict[str, NDArray[np.generic]] = {
        "log_probabilities": clean,
        "labels": labels,
        "indices": indices,
        "folded_log_probabilities": folded,
        "mollified_log_probabilities": each_view,
        "view_log_likelihoods": host(augmented.at_label),
    }
    views_digest = hashlib.sha256("".join(augmented.digests + mollified.digests).encode()).hexdigest()
    return Evaluation(found, arrays, views_digest)


def on_validation(
    run: ResolvedRun, network: nn.Module, data: TrainingData, processes: Processes = ONE
) -> dict[str, NDArray[np.generic]]:
    """Log-probabilities [V,C], labels and positions in the training part [V] of the clean validation images.

    V = 0 if none were held out.
    """
    gallery, labels = data.validation
    empty = np.empty((0, data.classes), np.float32)
    predict = predictor(run, network)
    predicted = host(clean_log_probabilities(predict, gallery, processes)) if len(labels) else empty
    return {
        "validation_log_probabilities": predicted,
        "validation_labels": labels.cpu().numpy(),
        "validation_indices": data.validation_indices,
    }


def only_mollified(run: ResolvedRun, shape: Shape) -> Pipeline:
    """The evaluation's mollification without clean views and without other augmentation."""
    schedule = run.evaluation_views.mollification.schedule
    if schedule.shares()[0] == 1:
        schedule = Schedule()
    return Pipeline(shape, (), Mollification(replace(schedule, clean=0.0)))


def predictor(run: ResolvedRun, network: nn.Module) -> Predict:
    """The network's clean predictive, as the likelihood reads its outputs; it leaves the network's mode as it was.

    That of a chain is the mean of its draws' probabilities.
    """
    likelihood = run.objective.likelihood

    @torch.no_grad()
    def predict(images: Tensor) -> Tensor:
        was_training, found = network.training, []
        network.eval()
        for member in members(network):
            with autocast(run.device, run.precision, scoring=True):
                logits = member(images.contiguous(memory_format=torch.channels_last))
            found.append(likelihood.log_probabilities(logits))
        network.train(was_training)
        return torch.stack(found).logsumexp(0) - math.log(len(found)) if len(found) > 1 else found[0]

    return predict


def draw_log_likelihoods(
    run: ResolvedRun, network: nn.Module, test: Split, processes: Processes
) -> NDArray[np.float32]:
    """The log-probability of every clean test image's label under every draw of a chain [S,N]."""
    found = [clean_log_probabilities(predictor(run, member), test.gallery, processes) for member in members(network)]
    return host(torch.stack(found).gather(2, test.labels[None, :, None].expand(len(found), -1, 1))[..., 0])


def clean_log_probabilities(predict: Predict, gallery: Gallery, processes: Processes = ONE) -> Tensor:
    """[N,C] of all images of a gallery, without augmentation."""
    batches = batches_of(len(gallery), clean_batch(gallery), processes)
    gallery.announce(own for _, own in batches)
    return torch.cat(
        [processes.gathered(predict(gallery.clean(slice(own[0], own[-1] + 1))), len(batch)) for batch, own in batches]
    )


def batches_of(images: int, size: int, processes: Processes) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """All images in turn, `size` at a time in each process, and what this one takes of each batch: one at the least."""
    positions, size = np.arange(images), size * processes.count
    batches = [positions[start : start + size] for start in range(0, images, size)]
    parts = [batch[processes.part(len(batch))] for batch in batches]
    return [(batch, own if len(own) else batch[-1:]) for batch, own in zip(batches, parts, strict=True)]


def look_at_views(
    predict: Predict,
    test: Split,
    pipeline: Pipeline,
    seed: int,
    epoch: int,
    views: int,
    keep: Reduce,
    progress: Progress,
    processes: Processes,
) -> Seen:
    """M = `views` evaluation views of every test image: one draw, keyed by the evaluation's seed alone.

    `keep` reduces the log-probabilities of a batch, so that those of all views and images are never held.
    """
    N, device = len(test.labels), test.labels.device
    draws = pipeline.draw(seed, epoch, views, N, device, purpose="evaluation")
    at_label: list[Tensor] = []
    kept: Tensor | None = None
    batches = batches_of(N, view_batch(test.gallery), processes)
    pipeline.announce(test.gallery, draws, (own for _, own in batches))
    for batch, own in batches:
        images = pipeline.render(test.gallery, draws, own).images
        log_p = predict(images.flatten(0, 1)).unflatten(0, (views, len(own)))
        labels = test.labels[own[0] : own[-1] + 1]
        of_labels = log_p.gather(2, labels[None, :, None].expand(views, -1, -1))[..., 0]
        at_label.append(processes.gathered(of_labels, len(batch), 1))
        reduced = processes.gathered(keep(log_p), len(batch), -2)
        if kept is None:
            kept = reduced.new_empty((*reduced.shape[:-2], N, reduced.shape[-1]))
        kept[..., batch[0] : batch[-1] + 1, :] = reduced
        progress((batch[-1] + 1) / N)
    assert kept is not None  # as there is an image
    return Seen(torch.cat(at_label, dim=1), kept, draws.view_digests())


def clean_batch(gallery: Gallery) -> int:
    """Clean images in one forward pass."""
    return min(CLEAN_BATCH, max(1, CLEAN_BATCH_PIXELS // (gallery.height * gallery.width)))


def view_batch(gallery: Gallery) -> int:
    """Images whose views share a forward pass."""
    return evaluated_at_once(gallery.height, gallery.width)


def host(values: Tensor) -> NDArray[np.float32]:
    return values.float().cpu().numpy()
