"""The posterior of a small network, by NUTS from a JAX twin and by SGHMC from the objective that runs are trained with.

One hidden layer of tanh units on the features of the posterior study, under categorical + log-mean. Hidden units can be
exchanged and change sign, so weights are not compared but what they predict.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import torch
from jax import Array
from torch import Tensor

from auglik.inference.chains import SOONER, compiled, one_by_one, whitened
from auglik.objectives import AGGREGATORS, LIKELIHOODS, Objective
from auglik.studies.posterior.problem import CLASSES, FEATURES, Problem
from auglik.studies.sampling.measure import Target
from auglik.studies.twins import AGGREGATOR_TWINS, LIKELIHOOD_TWINS
from auglik.system.array_types import Float64Array
from auglik.system.keys import seed_sequence

LIKELIHOOD, AGGREGATOR = "categorical", "log-mean"
HIDDEN, PRIOR = 4, 1.0
INPUTS = (FEATURES + 1) * HIDDEN
SIZE = INPUTS + (HIDDEN + 1) * len(CLASSES)


def logits(phi: Tensor, features: Tensor) -> Tensor:
    """Of S networks: [S,P], [...,D+1] -> [...,S,C]."""
    first, last = phi.split([INPUTS, SIZE - INPUTS], -1)
    hidden = torch.einsum("...d,sdh->...sh", features, first.view(len(phi), FEATURES + 1, HIDDEN)).tanh()
    last = last.view(len(phi), HIDDEN + 1, len(CLASSES))
    return torch.einsum("...sh,shc->...sc", hidden, last[:, :-1]) + last[:, -1]


def image_terms(problem: Problem, phi: Tensor) -> Tensor:
    """The log-likelihood of every image under S networks: [S,P] -> [N,S]."""
    objective, S = Objective(LIKELIHOODS[LIKELIHOOD], AGGREGATORS[AGGREGATOR]), len(phi)
    decay = torch.from_numpy(problem.decay).repeat_interleave(S, 1)
    labels = torch.from_numpy(problem.labels).repeat_interleave(S)
    outputs = logits(phi, torch.from_numpy(problem.views)).flatten(1, 2)
    return objective.log_likelihood(outputs, decay, labels, None).view(-1, S)


NETWORK = Target(f"network of {HIDDEN} hidden units, {LIKELIHOOD} + {AGGREGATOR}", SIZE, PRIOR, image_terms)


def nuts(problem: Problem, chains: int, warmup: int, draws: int, seed: int) -> Float64Array:
    """[chain,draw,P], from draws of the prior."""
    data = problem.views, problem.decay, problem.labels

    def log_density(phi: Array, views: Array, decay: Array, labels: Array) -> Array:
        first, last = phi[:INPUTS].reshape(-1, HIDDEN), phi[INPUTS:].reshape(-1, len(CLASSES))
        hidden = jnp.tanh(views @ first)
        table = LIKELIHOOD_TWINS[LIKELIHOOD](hidden @ last[:-1] + last[-1], decay)
        folded = AGGREGATOR_TWINS[AGGREGATOR](table)
        return jnp.take_along_axis(folded, labels[:, None], 1).sum() - (phi**2).sum() / (2 * PRIOR**2)

    key = jax.random.key(int(seed_sequence(seed, "nuts", NETWORK.name).generate_state(1)[0]))
    begin, run = jax.random.split(key)
    chain = compiled(whitened(log_density, "NUTS", warmup, draws), SOONER)
    start = PRIOR * np.asarray(jax.random.normal(begin, (chains, SIZE)), np.float64)
    found = one_by_one(chain, jax.random.split(run, chains), start, *data, np.zeros(SIZE), np.eye(SIZE))
    return np.asarray(found.z)


class Apart(NamedTuple):
    """How far the probabilities of test images and classes under two samples are apart."""

    means_on_average: float
    means: float
    """The furthest."""
    deviations: float
    """The furthest; posterior standard deviations of a probability."""


def predictions_apart(problem: Problem, here: Float64Array, there: Float64Array) -> Apart:
    """Of draws [...,P]."""
    one, other = (probabilities(problem, phi.reshape(-1, SIZE)) for phi in (here, there))
    means, deviations = np.abs(one.mean(0) - other.mean(0)), np.abs(one.std(0) - other.std(0))
    return Apart(float(means.mean()), float(means.max()), float(deviations.max()))


def probabilities(problem: Problem, phi: Float64Array) -> Float64Array:
    """Of test images under every draw: [S,P] -> [S,M,C]."""
    return logits(torch.tensor(phi), torch.from_numpy(problem.test)).softmax(-1).numpy().swapaxes(0, 1)
