"""Shares of images that a network names rightly, by class and transformation, with partial pooling over classes.

Hierarchical logistic models in NumPyro, one of each operation, sampled by HMC: a class of few images
lies near the rest.
"""

from typing import NamedTuple, TypeVar, cast

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax import Array
from numpy.typing import NDArray
from scipy.special import expit

from auglik.inference.convergence import Diagnostics, diagnose
from auglik.inference.whitened import posteriors
from auglik.objectives.errors import InputError
from auglik.system.array_types import Float64Array

Tensor = TypeVar("Tensor", Array, Float64Array)

WARMUP, DRAWS = 300, 2500
TRAJECTORY = 4.0
"""Longer than for a normal: where classes differ by several logits the posterior is skewed."""
LEAST = 0.02
"""The smallest share that a curve is taken to have where a step of Newton's method starts from it."""


class Counts(NamedTuple):
    """Of one operation, or of all along a first axis."""

    right: Array
    """[C,m]"""
    images: Array
    strength: Array
    """[m]"""


class Pooled(NamedTuple):
    """What the posteriors of O operations say."""

    share: Float64Array
    """Their means [O,C,m], by class and strength."""
    scales: Float64Array
    """Means [O,2] of the classes' standard deviations, in logits: where nothing is done, and of how much that grows."""
    diagnostics: Diagnostics


def pooled(right: NDArray[np.int64], images: NDArray[np.int64], strength: Float64Array, seed: int) -> Pooled:
    """The posteriors of shares from `right` of `images` [O,C,m] at m strengths [O,m] in [0,1]; cells may be empty.

    logit p[c,i] = curve[i] + a[c] + strength[i] b[c]: a and b normal around 0 with scales that are learned, right ~
    Binomial(images, p). Raises InputError for other counts.
    """
    of_one_shape = right.ndim == 3 and images.shape == right.shape and strength.shape == right.shape[::2]
    if not of_one_shape or not ((right >= 0) & (right <= images)).all():
        raise InputError(
            f"expected counts [O,C,m], none above that of its images, at strengths [O,m], got shapes"
            f" {list(right.shape)}, {list(images.shape)} and {list(strength.shape)}: is it a row per class?"
        )
    data = Counts(*(cast(Array, of_each.astype(float)) for of_each in (right, images, strength)))
    drawn = posteriors(_model, data, "pooling", seed, WARMUP, DRAWS, TRAJECTORY)
    sites = {name: drawn.sites[name] for name in ("curve", "scales", "effects")}
    found = diagnose(sites, drawn.statistics["diverging"])
    share = [
        expit(_logits(sites["curve"][:, :, o], sites["effects"][:, :, o], strength[o])).mean((0, 1))
        for o in range(len(right))
    ]
    return Pooled(np.stack(share), sites["scales"].mean((0, 1)), found)


def _logits(curve: Tensor, effects: Tensor, strength: Tensor) -> Tensor:
    """[...,C,m] of a curve [...,m] and effects [...,C,2] at strengths [m]."""
    return curve[..., None, :] + effects[..., :1] + effects[..., 1:] * strength


def _model(data: Counts) -> None:
    m = data.right.shape[1]
    curve = 1 + 3 * jnp.asarray(numpyro.sample("shape", dist.Normal(0, 1).expand([m]).to_event(1)))
    scales = jnp.exp(jnp.asarray(numpyro.sample("log_scales", dist.Normal(-1, 1).expand([2]).to_event(1))))
    effects = _effects(data, scales)
    logits = _logits(curve, effects, data.strength)
    for name, value in {"curve": curve, "scales": scales, "effects": effects}.items():
        numpyro.deterministic(name, value)
    # The binomial without its coefficients, which do not depend on p and would take most of the time.
    numpyro.factor("right", (data.right * logits - data.images * jax.nn.softplus(logits)).sum())


def _effects(data: Counts, scales: Array) -> Array:
    """a and b of every class [C,2], normal around 0 with these scales [2].

    Sampled as deviates from what prior and counts together say of them, given the scales, by a step of Newton's method
    from the curve that all classes share. That leaves the posterior as it is and makes it nearly normal.
    """
    z = jnp.asarray(numpyro.sample("classes", dist.Normal(0, 1).expand([data.right.shape[0], 2]).to_event(2)))
    p = jnp.clip((data.right.sum(0) + 0.5) / (data.images.sum(0) + 1), LEAST, 1 - LEAST)
    powers = jnp.stack([jnp.ones_like(data.strength), data.strength, data.strength**2])
    slope = (data.right - data.images * p) @ powers[:2].T
    level, both, growth = ((data.images * (p * (1 - p))) @ powers.T).T  # entries of the Hessian
    level, growth = level + 1 / scales[0] ** 2, growth + 1 / scales[1] ** 2
    root = jnp.sqrt(level)  # of Cholesky's factor [[root, 0], [corner, rest]]
    corner = both / root
    rest = jnp.sqrt(growth - corner**2)
    b = ((slope[:, 1] - corner * slope[:, 0] / root) / rest + z[:, 1]) / rest
    a = ((slope[:, 0] / root + z[:, 0]) - corner * b) / root
    effects = jnp.stack([a, b], 1)
    prior = dist.Normal(0, scales).log_prob(effects).sum() - dist.Normal(0, 1).log_prob(z).sum()
    numpyro.factor("prior", prior - jnp.log(root * rest).sum())
    return effects
