"""The objectives that property tests walk, the views they are walked on, and their twins with gradients.

A case is a likelihood or an aggregator with its parameters; every registered name is here, also with parameters other
than its defaults. Shapes are (K, B, C); those of equal C have equal K * B, so that one compiled likelihood twin serves.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Generic, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import torch
from jax import Array
from torch import Tensor

from auglik.objectives import AGGREGATORS, LIKELIHOODS, Aggregator, Likelihood, Schedule, SmoothedNormalizedSchedule
from auglik.objectives.probes.aggregators import refuses_importance, refuses_weights
from auglik.settings.names import Value, parameters, parse
from auglik.studies.objectives.cases import amplified
from auglik.studies.twins import AGGREGATOR_TWINS, DOMAIN, LIKELIHOOD_TWINS, Twin

T = TypeVar("T")

DTYPES = (torch.float32, torch.float64)
SHAPES = ((4, 12, 10), (3, 16, 2), (2, 4, 100))
ONE_VIEW = (1, 48, 10)
EXTREME_SHAPES = ((2, 24, 10), (2, 24, 2))
SETTINGS = ("plain", "weighted", "outside")
HALVES = (torch.bfloat16, torch.float16)


@dataclass(frozen=True)
class Case(Generic[T]):
    """An instance with the name of its twin and its parameters.

    `center`: where its network's logits lie.
    """

    label: str
    name: str
    instance: T
    parameters: Mapping[str, Value] = field(default_factory=dict, hash=False)
    center: float = 0.0

    def __str__(self) -> str:
        return self.label


def _named(kind: str, text: str, registry: Mapping[str, T], center: float = 0.0) -> Case[T]:
    instance = parse(kind, text, registry)
    return Case(text, text.partition(":")[0], instance, parameters(instance), center)


def _scheduled(label: str, schedule: Schedule) -> Case[Likelihood]:
    name = "smoothed-normalized-schedule"
    return Case(f"{name}:{label}", name, SmoothedNormalizedSchedule(schedule), asdict(schedule))


LIKELIHOOD_CASES: tuple[Case[Likelihood], ...] = (
    *(_named("likelihood", name, LIKELIHOODS) for name in LIKELIHOODS if name != "noisy-dirichlet"),
    # Densities on the logits themselves: far from their labels' logits they leave the twins' domain.
    _named("likelihood", "noisy-dirichlet", LIKELIHOODS, center=-7.0),
    _named("likelihood", "noisy-dirichlet:alpha_eps=0.5", LIKELIHOODS, center=-1.0),
    _scheduled("blur", Schedule(clean=0, noise=0, k_blur=0.5, alpha=2.0, beta=1.5)),
    _scheduled("all", Schedule(clean=0.5, noise=1, blur=2, both=1, alpha=0.7, beta=2.5, k_noise=1.0, k_blur=2.0)),
)

AGGREGATOR_CASES: tuple[Case[Aggregator], ...] = (
    *(_named("aggregator", name, AGGREGATORS) for name in AGGREGATORS),
    *(_named("aggregator", name, AGGREGATORS) for name in ("geometric:T=2", "geometric-normalized:T=0.8")),
    *(_named("aggregator", name, AGGREGATORS) for name in ("power-mean:rho=1.5", "power-mean:rho=-1")),
)
ALIKE = tuple(name for name, entry in AGGREGATORS.items() if refuses_weights(entry, equal=False))
"""Those that take views of equal weight alone, if any."""
SAMPLED = tuple(name for name, entry in AGGREGATORS.items() if refuses_importance(entry))
"""Those that take no log importance."""


@dataclass(frozen=True, eq=False)
class Views:
    """What an objective sees of a batch, and a cotangent of its folded table: [K,B,C'], [K,B], ..., [B,C]."""

    logits: Tensor
    decay: Tensor
    cotangent: Tensor
    weight: Tensor | None = None
    log_importance: Tensor | None = None

    def to(self, dtype: torch.dtype) -> "Views":
        """The same views in another dtype; they are drawn such that float32 holds them."""
        weight, log_importance = self.weight, self.log_importance
        return Views(
            self.logits.to(dtype),
            self.decay.to(dtype),
            self.cotangent.to(dtype),
            None if weight is None else weight.to(dtype),
            None if log_importance is None else log_importance.to(dtype),
        )


def _float32_values(values: np.ndarray) -> Tensor:
    return torch.tensor(values, dtype=torch.float32).double()


@functools.cache
def ordinary_views(
    shape: tuple[int, int, int],
    *,
    extra_outputs: int = 0,
    center: float = 0.0,
    setting: str = "plain",
    equal_weights: bool = False,
) -> Views:
    """Logits about N(center, 2), decays in (0,1); `weighted`: importance, and weights that are zero now and then.

    The first image has no weight at all. `equal_weights`: those of an image's views are equal. `outside`: the same, and
    no view of the first two images has importance, of the third only the last two, of the fourth none that has weight.
    """
    K, B, C = shape
    rng = np.random.default_rng([K, B, C])
    logits, decay = rng.normal(center, 2.0, (K, B, C + extra_outputs)), rng.uniform(size=(K, B))
    drawn = [logits, decay, rng.normal(size=(B, C))]
    if setting != "plain":
        weight = rng.uniform(0.2, 2.0, (1 if equal_weights else K, B)) * np.ones((K, 1))
        if not equal_weights:
            weight[rng.integers(K, size=B // 2), np.arange(0, 2 * (B // 2), 2)] = 0
        weight[:, 0] = 0
        importance = rng.normal(0, 0.2, (K, B))
        if setting == "outside":
            importance[:, :2] = importance[:-2, 2] = -np.inf
            weight[:, 1:3] = weight[-1:, 1:3] + 0.1
            if not equal_weights:
                weight[:, 3] = np.eye(K)[0]
            importance[slice(None) if equal_weights else 0, 3] = -np.inf
        drawn += [weight, importance]
    return Views(*map(_float32_values, drawn))


EXTREME_SCALES = (0.0, 1e-6, 1e-3, 1.0, 20.0, 50.0, 80.0, 200.0)


@functools.cache
def extreme_views(shape: tuple[int, int, int], *, extra_outputs: int = 0) -> Views:
    """Logits within each of EXTREME_SCALES (0: exactly uniform); an image's decays are all 0, all 1 or both in turn."""
    K, B, C = shape
    rng = np.random.default_rng([K, B, C])
    scale = np.resize(EXTREME_SCALES, B)[:, None]
    decay = np.zeros((K, B))
    decay[:, 1::3] = 1.0
    decay[::2, 2::3] = 1.0
    logits = scale * rng.uniform(-1, 1, (K, B, C + extra_outputs))
    return Views(*map(_float32_values, (logits, decay, rng.normal(size=(B, C)))))


def as_array(tensor: Tensor) -> Array:
    """A tensor in float64, as the twins take it."""
    return jnp.asarray(tensor.detach().double().numpy())


@functools.cache
def _with_gradient(twin: Twin) -> Callable[..., tuple[Array, Array]]:
    """(first argument, the others, cotangent, parameters) -> value and gradient in the first argument, compiled."""

    def value_and_gradient(
        x: Array, others: tuple[Array | None, ...], cotangent: Array, parameters: Mapping[str, float]
    ) -> tuple[Array, Array]:
        value, pull = jax.vjp(lambda x: twin(x, *others, **parameters), x)
        return value, pull(cotangent)[0]

    # Compilation is nearly all of the time, so it is made quick rather than thorough.
    options = {"xla_backend_optimization_level": "0", "xla_llvm_disable_expensive_passes": "True"}
    return jax.jit(value_and_gradient, compiler_options=options)


def twin_table(case: Case[Likelihood], logits: Tensor, decay: Tensor, cotangent: Array) -> tuple[Array, Array]:
    """The twin's table [K,B,C] and the gradient in the logits [K,B,C'] of its product with a cotangent [K,B,C]."""
    K, B = decay.shape
    flat = [as_array(logits).reshape(1, K * B, -1), as_array(decay).reshape(1, -1), cotangent.reshape(1, K * B, -1)]
    table, gradient = _with_gradient(LIKELIHOOD_TWINS[case.name])(flat[0], (flat[1],), flat[2], dict(case.parameters))
    return table.reshape(K, B, -1), gradient.reshape(K, B, -1)


def twin_fold(
    case: Case[Aggregator], table: Array, weight: Tensor | None, log_importance: Tensor | None, cotangent: Tensor
) -> tuple[Array, Array]:
    """The twin's fold [B,C] and the gradient in the table [K,B,C] of its product with a cotangent [B,C]."""
    others = tuple(None if value is None else as_array(value) for value in (weight, log_importance))
    return _with_gradient(AGGREGATOR_TWINS[case.name])(table, others, as_array(cotangent), dict(case.parameters))


@functools.cache
def _table_of(likelihood: Case[Likelihood], views: Views) -> Array:
    K, B = views.decay.shape
    return twin_table(likelihood, views.logits, views.decay, jnp.zeros((K, B, views.cotangent.shape[-1])))[0]


class Reference(NamedTuple):
    """Table [K,B,C], its fold [B,C], and the gradient in the logits [K,B,C'] of the fold times the cotangent."""

    table: np.ndarray
    folded: np.ndarray
    gradient: np.ndarray


def twin_objective(likelihood: Case[Likelihood], aggregator: Case[Aggregator], views: Views) -> Reference:
    """The twins of a whole objective; its gradient by the chain rule over the two."""
    table = _table_of(likelihood, views)
    folded, pulled = twin_fold(aggregator, table, views.weight, views.log_importance, views.cotangent)
    _, gradient = twin_table(likelihood, views.logits, views.decay, pulled)
    return Reference(np.asarray(table), np.asarray(folded), np.asarray(gradient))


def amplification(aggregator: Case[Aggregator], table: np.ndarray) -> np.ndarray:
    """By how much an aggregator amplifies rounding of its table [K,B,C], for every image [B]."""
    return np.broadcast_to(amplified(aggregator.name, aggregator.parameters.get("order", 1), table), table.shape[1])


def images_in_domain(aggregator: Case[Aggregator], table: np.ndarray) -> np.ndarray:
    """Which images [B] of a table [K,B,C] the twin of the aggregator can hold in float64."""
    rho, T = (float(str(aggregator.parameters.get(name, 1.0))) for name in ("rho", "T"))
    power = max(1.0, abs(rho), 1 / T, 1.9 * (aggregator.name == "thermodynamic"))  # whose derivative has a mass squared
    return power * np.abs(table).max((0, 2)) < DOMAIN
