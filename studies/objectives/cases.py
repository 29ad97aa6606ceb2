"""What the study of the objectives walks: every objective with parameters, drawn views, and torch next to its twin."""

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import torch
from jax import Array
from torch import Tensor

from auglik.objectives import AGGREGATORS, LIKELIHOODS, Aggregator, Likelihood, Schedule, SmoothedNormalizedSchedule
from auglik.objectives.probes.aggregators import refuses_weights
from auglik.settings.names import Value, parameters, parse
from auglik.studies.common.compiling import quickly
from auglik.studies.twins import AGGREGATOR_TWINS, LIKELIHOOD_TWINS, Twin
from auglik.system.keys import host_generator

VIEWS, IMAGES = 4, 8
EXTREME_SCALES = (0.0, 1e-6, 1e-3, 1.0, 20.0, 50.0, 80.0, 200.0)
DTYPES = {"float32": torch.float32, "float64": torch.float64}
ROUNDINGS = 32
"""What torch may be off by, in units of its dtype's rounding at the magnitude of the terms."""

SCHEDULES = {
    "blur": Schedule(clean=0, noise=0, k_blur=0.5, alpha=2.0, beta=1.5),
    "all": Schedule(clean=0.5, noise=1, blur=2, both=1, alpha=0.7, beta=2.5, k_noise=0.5, k_blur=2.0),
}
CENTERS = {"noisy-dirichlet": -7.0, "noisy-dirichlet:alpha_eps=0.5": -1.0}
"""Where a network's logits lie; 0 but for the densities on the logits themselves."""


class LikelihoodCase(NamedTuple):
    """A likelihood with the name it is claimed under, its twin and the twin's parameters."""

    label: str
    likelihood: Likelihood
    twin: Twin
    parameters: Mapping[str, Value]


class AggregatorCase(NamedTuple):
    """An aggregator, likewise."""

    label: str
    aggregator: Aggregator
    twin: Twin
    parameters: Mapping[str, Value]


def likelihood_cases() -> list[LikelihoodCase]:
    """Every registered likelihood, and those with parameters under others than their defaults."""
    cases = []
    for label in (*LIKELIHOODS, "noisy-dirichlet:alpha_eps=0.5"):
        chosen = parse("likelihood", label, LIKELIHOODS)
        cases.append(LikelihoodCase(label, chosen, LIKELIHOOD_TWINS[label.partition(":")[0]], parameters(chosen)))
    name = "smoothed-normalized-schedule"
    for title, schedule in SCHEDULES.items():
        likelihood = SmoothedNormalizedSchedule(schedule)
        cases.append(LikelihoodCase(f"{name} ({title})", likelihood, LIKELIHOOD_TWINS[name], asdict(schedule)))
    return cases


def aggregator_cases() -> list[AggregatorCase]:
    """Every registered aggregator, and those with parameters under others than their defaults."""
    others = ("geometric:T=0.25", "geometric-normalized:T=0.8", "power-mean:rho=1.5", "power-mean:rho=-1",
              "jackknife:order=2", "thermodynamic:points=2", "multilevel:power=1.25")  # fmt: skip
    cases = []
    for label in (*AGGREGATORS, *others):
        chosen = parse("aggregator", label, AGGREGATORS)
        cases.append(AggregatorCase(label, chosen, AGGREGATOR_TWINS[label.partition(":")[0]], parameters(chosen)))
    return cases


class Batch(NamedTuple):
    """Logits [K,B,C'], decay [K,B] and a cotangent [K,B,C], of values that float32 holds."""

    logits: Tensor
    decay: Tensor
    cotangent: Tensor


def _held(values: np.ndarray) -> Tensor:
    """In float64, of values that float32 holds: both dtypes see the same numbers."""
    return torch.tensor(values, dtype=torch.float32).double()


def ordinary_batch(case: LikelihoodCase, classes: int, seed: int) -> Batch:
    """Logits about N(center, 2), decays uniform on [0,1]."""
    rng = host_generator(seed, "objectives", "ordinary", classes)
    logits = rng.normal(CENTERS.get(case.label, 0.0), 2, (VIEWS, IMAGES, classes + case.likelihood.extra_outputs))
    drawn = logits, rng.uniform(size=(VIEWS, IMAGES)), rng.normal(size=(VIEWS, IMAGES, classes))
    return Batch(*map(_held, drawn))


def extreme_batch(case: LikelihoodCase, classes: int, seed: int) -> Batch:
    """Logits within each of EXTREME_SCALES (0: exactly uniform), an image each; decays 0, 1 and between."""
    rng = host_generator(seed, "objectives", "extreme", classes)
    outputs = classes + case.likelihood.extra_outputs
    logits = np.array(EXTREME_SCALES)[:, None] * rng.uniform(-1, 1, (VIEWS, IMAGES, outputs))
    decay = np.tile(np.array([0.0, 1.0, 1e-3, 0.5])[:, None], (1, IMAGES))
    return Batch(*map(_held, (logits, decay, rng.normal(size=(VIEWS, IMAGES, classes)))))


class Folded(NamedTuple):
    """What an aggregator sees: table [K,B,C], weight and log-importance [K,B] or None, and a cotangent [B,C]."""

    table: Tensor
    weight: Tensor | None
    log_importance: Tensor | None
    cotangent: Tensor


def folded_batch(case: AggregatorCase, setting: str, classes: int, seed: int) -> Folded:
    """Views that agree, and that disagree by up to 250 nats, an image each; `setting`: plain, weight or importance.

    A weight is zero now and then, and all are for the first image; an image's are equal where others are refused.
    """
    rng = host_generator(seed, "objectives", "folded", classes)
    spread = np.array([0, 1e-6, 1e-2, 1, 3, 10, 60, 250])[:, None]
    table = -spread * rng.uniform(size=(VIEWS, IMAGES, classes)) + rng.normal(0, 2, (IMAGES, classes))
    weight = rng.uniform(0.2, 2, (VIEWS, IMAGES))
    weight[rng.integers(VIEWS, size=IMAGES // 2), np.arange(0, IMAGES, 2)] = 0
    weight[:, 0] = 0
    if refuses_weights(case.aggregator, equal=False):
        weight = np.broadcast_to(weight[:1], weight.shape)
    log_importance = rng.normal(0, 0.2, (VIEWS, IMAGES))
    return Folded(
        _held(table),
        _held(weight) if setting == "weight" else None,
        _held(log_importance) if setting == "importance" else None,
        _held(rng.normal(size=(IMAGES, classes))),
    )


def as_array(tensor: Tensor) -> Array:
    """A tensor in float64, as the twins take it."""
    return jnp.asarray(tensor.detach().double().numpy())


@functools.cache
def _with_gradient(twin: Twin) -> Callable[..., tuple[Array, Array]]:
    """(first argument, the others, cotangent, parameters) -> value and gradient in the first argument, compiled."""

    def value_and_gradient(
        x: Array, others: tuple[Array, ...], cotangent: Array, parameters: Mapping[str, Value]
    ) -> tuple[Array, Array]:
        value, pull = jax.vjp(lambda x: twin(x, *others, **parameters), x)
        return value, pull(cotangent)[0]

    return quickly(value_and_gradient)


class Pair(NamedTuple):
    """A value and a gradient, in float64."""

    value: np.ndarray
    gradient: np.ndarray


def twin_table(case: LikelihoodCase, batch: Batch) -> Pair:
    """The twin's table [K,B,C] and the gradient [K,B,C'] of its product with the cotangent."""
    logits, decay, cotangent = map(as_array, batch)
    return Pair(*map(np.asarray, _with_gradient(case.twin)(logits, (decay,), cotangent, dict(case.parameters))))


def torch_table(case: LikelihoodCase, batch: Batch, dtype: torch.dtype) -> Pair:
    """The same of the torch code, computed in `dtype`."""
    logits, decay, cotangent = (part.to(dtype, copy=True) for part in batch)
    table = case.likelihood.table(logits.requires_grad_(), decay)
    return _pair(table, logits, cotangent)


def twin_fold(case: AggregatorCase, batch: Folded) -> Pair:
    """The twin's fold [B,C] and the gradient [K,B,C] of its product with the cotangent."""
    ones, zeros = jnp.ones(batch.table.shape[:2]), jnp.zeros(batch.table.shape[:2])
    weight = ones if batch.weight is None else as_array(batch.weight)
    log_importance = zeros if batch.log_importance is None else as_array(batch.log_importance)
    arguments = as_array(batch.table), (weight, log_importance), as_array(batch.cotangent), dict(case.parameters)
    return Pair(*map(np.asarray, _with_gradient(case.twin)(*arguments)))


def torch_fold(case: AggregatorCase, batch: Folded, dtype: torch.dtype) -> Pair:
    """The same of the torch code, computed in `dtype`."""
    table, weight, log_importance, cotangent = (None if x is None else x.to(dtype, copy=True) for x in batch)
    assert table is not None and cotangent is not None  # noqa: PT018
    folded = case.aggregator.fold(table.requires_grad_(), weight, log_importance)
    return _pair(folded, table, cotangent)


def _pair(value: Tensor, leaf: Tensor, cotangent: Tensor) -> Pair:
    (gradient,) = torch.autograd.grad(value, leaf, cotangent)
    return Pair(value.detach().double().numpy(), gradient.double().numpy())


def magnitude_of_terms(case: LikelihoodCase, table: np.ndarray) -> np.ndarray:
    """What is added up to a table: [K,B,C] -> [K,B,1]; log B(1+q) has terms of log C! on either side."""
    constants = math.lgamma(table.shape[-1] + 1) if case.label == "dirichlet" else 0.0
    return 1 + constants + np.abs(table).max(-1, keepdims=True)


def amplified(aggregator: str, order: object, table: np.ndarray) -> np.ndarray:
    """By how much an aggregator amplifies rounding of its table [K,B,C], for every image [B]: 1 for most.

    A jackknife adds log-means times factors of alternating sign, so by the sum of their sizes; rounding of rho l moves
    what the thermodynamic bound multiplies by l.
    """
    if aggregator == "jackknife":
        K, m = len(table), int(str(order))
        factors = ((K - j) ** m / (math.factorial(j) * math.factorial(m - j)) for j in range(m + 1))
        return np.full(table.shape[1], sum(factors))
    return 1 + np.abs(table).max((0, 2)) * (aggregator == "thermodynamic")


class Worst(NamedTuple):
    """The entry where torch and its twin differ most, in units of what rounding allows there."""

    value: float
    reference: float
    tolerance: float

    @property
    def roundings(self) -> float:
        return ROUNDINGS * abs(self.value - self.reference) / self.tolerance


def worst(found: np.ndarray, exact: np.ndarray, magnitude: np.ndarray, dtype: torch.dtype) -> Worst:
    """The worst entry; one that is not finite is worse than any. `magnitude`: of the terms, broadcast to the values."""
    allowed = np.broadcast_to(ROUNDINGS * torch.finfo(dtype).eps * magnitude, exact.shape)
    at = np.unravel_index(np.argmax(np.nan_to_num(np.abs(found - exact) / allowed, nan=np.inf)), exact.shape)
    return Worst(float(found[at]), float(exact[at]), float(allowed[at]))


def worst_of(several: list[Worst]) -> Worst:
    """The worst of them."""
    return max(several, key=lambda entry: np.nan_to_num(entry.roundings, nan=np.inf))
