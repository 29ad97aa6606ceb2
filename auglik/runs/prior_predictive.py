"""What networks predict before they have seen data: their weights are draws of the prior."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from auglik.objectives import InputError
from auglik.runs.evaluation import Predict, clean_log_probabilities, host, predictor
from auglik.runs.resolve import Split, TrainingData, initial_network
from auglik.runs.resolved import ResolvedRun
from auglik.system.array_types import Float64Array
from auglik.system.devices import send
from auglik.system.keys import host_generator
from auglik.system.progress import Progress


@dataclass(frozen=True, kw_only=True)
class PriorPredictive:
    """Of S networks and N clean test images of C classes."""

    largest: NDArray[np.float32]
    """The probability of the likeliest class [S,N]."""
    shares: Float64Array
    """The share of the images whose likeliest class each is [S,C]."""
    left_out: Float64Array | None
    """What the prior's factor for predictions adds to the log-density of each network [S], on the clean training
    images; the networks are drawn without it. None for a prior that has no such factor."""

    def said(self) -> list[str]:
        """The same in sentences."""
        S, N, C = *self.largest.shape, self.shares.shape[1]
        low, high = np.quantile(self.largest, [0.05, 0.95])
        most = self.shares.max(1)
        lines = [
            f"{S} networks of the prior on {N} test images: the likeliest class has probability"
            f" {self.largest.mean():.3f} on average ({low:.3f} to {high:.3f} for 90% of predictions; even were"
            f" {1 / C:.3g})",
            f"a network's commonest class takes {most.mean():.1%} of the images on average"
            f" ({most.min():.1%} to {most.max():.1%})",
        ]
        if self.left_out is not None:
            share = np.exp(self.left_out - self.left_out.max())
            lines.append(
                "without the prior's factor for predictions of training images: its log differs between networks by"
                f" {self.left_out.std():.4g} nats (standard deviation), and importance weights would leave"
                f" {share.sum() ** 2 / (share**2).sum():.1f} of {S} networks"
            )
        return lines


def prior_predictive(
    run: ResolvedRun, data: TrainingData, test: Split, networks: int, progress: Progress = lambda share: None
) -> PriorPredictive:
    """That many networks, all of whose parameters are drawn from the run's prior, keyed by its seed.

    Raises InputError if some of them overflow.
    """
    network = initial_network(run, test.gallery.shape.channels, data.classes).to(run.device)
    predict = predictor(run, network)
    largest, shares, left_out, overflown = [], [], list[float](), 0
    for place in range(networks):
        generator = host_generator(run.config.seed, "prior predictive", place)
        with torch.no_grad():
            for weights in network.parameters():
                drawn = run.prior.draw(generator, weights.numel()).reshape(weights.shape)
                weights.copy_(send(drawn, run.device))
        log_p = host(clean_log_probabilities(predict, test.gallery))
        largest.append(np.exp(log_p.max(1)))
        shares.append(np.bincount(log_p.argmax(1), minlength=data.classes) / len(log_p))
        factor = _factor(run, predict, data)
        left_out += factor
        overflown += not np.isfinite([*largest[-1], *factor]).all()
        progress((place + 1) / networks)
    if overflown:
        raise InputError(
            f"prior: expected networks that predict numbers, got {overflown} of {networks} that overflow; a smaller"
            " scale or lighter tails cure it"
        )
    return PriorPredictive(
        largest=np.stack(largest), shares=np.stack(shares), left_out=np.array(left_out) if left_out else None
    )


def _factor(run: ResolvedRun, predict: Predict, data: TrainingData) -> list[float]:
    """What predictions of the clean training images add to the log-density: one number, or none."""
    if run.prior.of_predictions(torch.zeros(1, 1, data.classes)) is None:
        return []
    added = run.prior.of_predictions(clean_log_probabilities(predict, data.training.gallery)[None])
    assert added is not None
    return [float(added.double().sum())]
