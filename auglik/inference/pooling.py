"""Shares of images that a network names rightly, by class and transformation, with partial pooling over classes.

Hierarchical logistic models in NumPyro, one of each operation, sampled by NUTS: a class of few images lies near the rest.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax import Array
from numpy.typing import NDArray

from auglik.inference.chains import SOONER, Chain, compiled, of_model
from auglik.inference.convergence import Diagnostics, diagnose
from auglik.objectives.errors import InputError
from auglik.system.array_types import Float64Array

CHAINS, WARMUP, DRAWS = 4, 500, 1000


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
    O, C, m = right.shape
    if images.shape != right.shape or strength.shape != (O, m) or not np.all((right >= 0) & (right <= images)):
        raise InputError(
            f"expected counts [O,C,m], none above that of its images, at strengths [O,m], got shapes {list(right.shape)},"
            f" {list(images.shape)} and {list(strength.shape)}: is it a row per class?"
        )
    keys = jax.random.split(jax.random.key(seed), CHAINS * O)
    drawn = _sampler()(keys, *(np.concatenate([of_each] * CHAINS) for of_each in (right, images, strength)))
    z, diverging = (
        np.moveaxis(np.asarray(values).reshape(CHAINS, O, *values.shape[1:]), 1, 2)
        for values in (drawn.z, drawn.diverging)
    )
    scales, logits = z[..., :2], z[..., 2:].reshape(*z.shape[:3], C, m)
    found = diagnose({"scales": scales, "logits": logits}, diverging)
    return Pooled((1 / (1 + np.exp(-logits))).mean((0, 1)), scales.mean((0, 1)), found)


def _model(right: Array, images: Array, strength: Array) -> None:
    C, m = right.shape
    curve = numpyro.sample("curve", dist.Normal(1, 3).expand([m]).to_event(1))
    scales = numpyro.sample("scales", dist.HalfNormal(1).expand([2]).to_event(1))
    a, b = scales[:, None] * numpyro.sample("classes", dist.Normal(0, 1).expand([2, C]).to_event(2))
    logits = curve + a[:, None] + strength * b[:, None]
    numpyro.deterministic("found", jnp.concatenate([scales, logits.ravel()]))
    # The binomial without its coefficients, which do not depend on p and would take most of the time.
    numpyro.factor("right", (right * logits - images * jax.nn.softplus(logits)).sum())


@functools.cache
def _sampler() -> Callable[[Array, NDArray[np.int64], NDArray[np.int64], Float64Array], Chain]:
    """All chains of all operations at once [CHAINS O]."""
    return compiled(jax.vmap(of_model(_model, "found", WARMUP, DRAWS, dense=True)), SOONER)
