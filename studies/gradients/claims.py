"""What the study of gradients checks besides its measurements: torch against the twins, exactly."""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
import torch
import xarray
from jax import Array

from auglik.objectives import AGGREGATORS, LIKELIHOODS, Objective
from auglik.studies.common.compiling import quickly
from auglik.studies.common.trained import Trained
from auglik.studies.estimators.claims import FIT_FROM, slope_of
from auglik.studies.gradients.measure import (
    Orbit,
    Picked,
    all_pairs,
    chained,
    pick,
    scattered,
    torch_logit_gradients,
    torch_weights,
)
from auglik.studies.study import Claim, at_least, at_most, equal
from auglik.studies.twins import AGGREGATOR_TWINS, LIKELIHOOD_TWINS
from auglik.system.keys import host_generator

WHOLE_TABLE = "geometric-normalized"
"""The one aggregator whose value at a label depends on the table at the others."""


def relative(a: np.ndarray, b: np.ndarray) -> float:
    """The norm of the difference over that of b."""
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


def jacobian_claim(found: Trained, orbit: Orbit, seed: int, step: float = 1e-5) -> Claim:
    """torch's Jacobian of the network along a random direction, by central differences of the weights."""
    direction = host_generator(seed, "gradients", "direction").standard_normal(orbit.jacobian.shape[-1])
    parameters = list(found.network.parameters())
    moves = torch.from_numpy(direction).split([value.numel() for value in parameters])
    logits = []
    with torch.no_grad():
        for sign in (1, -2, 1):
            for value, move in zip(parameters, moves, strict=True):
                value.add_(move.view_as(value), alpha=sign * step)
            logits.append(found.logits(found.views).numpy())
    differences = (logits[0] - logits[1]) / (2 * step)
    text = "torch's Jacobian of the network against central differences, median relative error of a view"
    # The median: where a ReLU or a maximum switches within the step, a difference is none of either side's derivative.
    errors = np.abs(orbit.jacobian @ direction - differences).max(-1) / np.abs(differences).max(-1)
    return at_most(text, np.median(errors), 1e-6)


def twin_logit_gradients(cells: Sequence[tuple[str, str]], seen: Picked) -> list[np.ndarray]:
    """jax.grad of the composed twins, (likelihood, aggregator) each, at the logits [K,B R,C]."""

    @quickly
    def gradients(logits: Array, decay: Array, labels: Array) -> list[Array]:
        def at_label(logits: Array, likelihood: str, aggregator: str) -> Array:
            folded = AGGREGATOR_TWINS[aggregator](LIKELIHOOD_TWINS[likelihood](logits, decay))
            return jnp.take_along_axis(folded, labels[:, None], 1).sum()

        return [jax.grad(at_label)(logits, *cell) for cell in cells]

    return [np.asarray(gradient) for gradient in gradients(*(jnp.asarray(value.numpy()) for value in seen))]


def pair_claims(orbit: Orbit, laplace: Mapping[str, np.ndarray]) -> list[Claim]:
    """Every aggregator of all pairs of views: torch's parameter gradient, the twin's and the Laplace integral's."""
    claims = []
    pairs = all_pairs(orbit)
    twins = twin_logit_gradients([("categorical", name) for name in AGGREGATORS], pick(orbit, pairs))

    def of_parameters(of_logits: np.ndarray) -> np.ndarray:
        drawn = of_logits.reshape(*pairs.shape, -1)
        return chained(scattered(drawn, pairs, orbit.log_p.shape[1]).mean(0), orbit)

    for name, twin in zip(AGGREGATORS, twins, strict=True):
        gradient = of_parameters(torch_logit_gradients(name, orbit, pairs))
        text = f"categorical + {name}, all pairs of views: parameter gradient against jax.grad of the twin, relative"
        claims.append(at_most(text, relative(gradient, of_parameters(twin)), 1e-10))
        if name in laplace:
            text = f"categorical + {name}, all pairs of views: that against the derivative of the Laplace integral"
            claims.append(at_most(text, relative(gradient, orbit.combined(laplace[name][0])), 1e-9))
    return claims


def likelihood_claims(found: Trained, orbits: Mapping[str, Orbit], seed: int) -> list[Claim]:
    """torch's backward pass from loss to weights against the twins' gradient times the Jacobian, K = 3."""
    orbit = next(iter(orbits.values()))  # logits and decay are those of all
    m, B = orbit.decay.shape
    picks = host_generator(seed, "gradients", "backward").integers(0, m, (3, B, 1))
    chosen = torch.from_numpy(picks)[..., 0], torch.arange(B)
    twins = twin_logit_gradients([(name, "log-mean") for name in orbits], pick(orbit, picks))
    claims = []
    for name, twin in zip(orbits, twins, strict=True):
        logits = found.logits(found.views[chosen])
        loss = Objective(LIKELIHOODS[name], AGGREGATORS["log-mean"]).loss(logits, orbit.decay[chosen], found.labels)
        backward = torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(found.network.parameters()))])
        gradient = chained(scattered(twin.reshape(3, B, 1, -1), picks, m)[0], orbit)
        text = f"{name} + log-mean: torch's backward pass through the network against jax.grad of the twins, relative"
        claims.append(at_most(text, relative(-backward.numpy(), gradient), 1e-8))
    return claims


def twin_pair_weights(names: Sequence[str], orbit: Orbit) -> dict[str, np.ndarray]:
    """What each aggregator's twin gives to both views of every pair of every image, by jax.grad: [2,B,m^2]."""
    B, m = orbit.log_p.shape
    table = np.take_along_axis(orbit.log_p[None].repeat(2, 0), all_pairs(orbit), 2).reshape(2, -1, 1)

    def total(table: Array, name: str) -> Array:
        return AGGREGATOR_TWINS[name](table).sum()

    gradients = quickly(lambda values: [jax.grad(total)(values, name) for name in names])(jnp.asarray(table))
    return {name: np.asarray(value).reshape(2, B, m * m) for name, value in zip(names, gradients, strict=True)}


def pair_variance(weights: np.ndarray, orbit: Orbit) -> float:
    """tr Cov of the batch's gradient under two views, from all pairs' weights [2,B,m^2]; images are independent."""
    B, m = orbit.log_p.shape
    i, j = np.indices((m, m)).reshape(2, -1)
    total = 0.0
    for b in range(B):
        gram = orbit.gradients[b] @ orbit.gradients[b].T
        v, w = weights[:, b]
        square = (v**2 * gram[i, i] + 2 * v * w * gram[i, j] + w**2 * gram[j, j]).mean()
        mean = (np.bincount(i, v, m) + np.bincount(j, w, m)) / m**2
        total += square - mean @ gram @ mean
    return float(total / B**2)


def sum_claims(orbit: Orbit, seed: int) -> list[Claim]:
    """The views' weights are shares: they sum to one, responsibilities and corrected ones alike."""
    B, m = orbit.log_p.shape
    picks = host_generator(seed, "gradients", "sums").integers(0, m, (5, B, 50))
    return [
        at_most(f"{name}: sum of the views' gradient weights of an image minus 1, the worst of {B * 50} draws of 5",
                np.abs(torch_weights(name, orbit, picks).sum(0) - 1).max(), 1e-12)
        for name in AGGREGATORS if name != WHOLE_TABLE
    ]  # fmt: skip


def measured_claims(data: xarray.Dataset, orbit: Orbit) -> list[Claim]:
    """What sampling says, against what is exact."""
    views, claims = data.views.values, []
    twins = twin_pair_weights(list(data.aggregator.values), orbit)
    of_pairs = {name: pair_variance(weights, orbit) for name, weights in twins.items()}
    for name in twins:
        row = data.sel(aggregator=name)
        text = (
            f"{name}: mean parameter gradient against the exact expectation, worst K and direction, in standard errors"
        )
        claims.append(at_most(text, row.largest_z.max(), 4.0))
        two = row.sel(views=2)
        text = f"{name}: variance of the parameter gradient of 2 views (tr Cov) against that of all pairs"
        claims.append(equal(text, two.variance, of_pairs[name], 4 * float(two.variance_error)))
    jensen = data.sel(aggregator="jensen")
    text = "jensen: K times its variance at K = 64 over that of all pairs, as variances of means of independent views"
    ratio = 64 * jensen.variance.sel(views=64) / (2 * of_pairs["jensen"])
    error = 4 * float(jensen.variance_error.sel(views=64) / jensen.variance.sel(views=64))
    claims.append(equal(text, ratio, 1, error))
    text = "jensen: cosine of its expected gradient to the exact marginal's, at every K"
    claims.append(at_most(text, jensen.cosine_of_mean.max(), 0.98))
    powers = {"log-mean": -1, "durbin-koopman": -2}
    for name, power in powers.items():
        row = data.sel(aggregator=name)
        text = (
            f"{name}: bias of its sampled gradient along the exact bias, against it, at the worst K, in standard errors"
        )
        claims.append(at_most(text, row.bias_z.max(), 4.0))
        slope = slope_of(views, row.relative_bias.values, np.zeros((len(views),) * 2)).value
        text = f"{name}: slope of the log of its gradient's bias over K = {FIT_FROM}..{views[-1]} (theory {power})"
        claims.append(equal(text, slope, power, 0.3))
    sixteen = data.sel(views=16).relative_bias
    ratio = sixteen.sel(aggregator="durbin-koopman") / sixteen.sel(aggregator="log-mean")
    claims.append(at_most("durbin-koopman's gradient bias over log-mean's at K = 16", ratio, 0.25))
    effective = data.squared_responsibilities - data.exact_squared_responsibilities
    worst = np.abs(effective / data.squared_responsibilities_error).max()
    text = "log-mean: mean sum of squared responsibilities against the exact one, at the worst K, in standard errors"
    claims.append(at_most(text, worst, 4.0))
    return claims + negative_claims(data, orbit, (twins["durbin-koopman"] < 0).any(0).mean())


def negative_claims(data: xarray.Dataset, orbit: Orbit, of_twin: float) -> list[Claim]:
    """The share of images with a view of negative weight under durbin-koopman; `of_twin` is that of all pairs."""
    share = data.negative_share
    falls = [float(share.sel(views=K) - share.sel(views=2 * K)) for K in data.views.values[:-1]]
    of_torch = (torch_weights("durbin-koopman", orbit, all_pairs(orbit)) < 0).any(0).mean()
    return [
        equal("durbin-koopman: share of all pairs of views with a negative weight, torch against the twin",
              of_torch, of_twin, 1e-12),
        equal("durbin-koopman: share of images with a negative weight under 2 random views against all pairs",
              share.sel(views=2), of_twin, 4 * float(data.negative_share_error.sel(views=2))),
        at_least("durbin-koopman: that share falls with K, the least fall from K to 2K", min(falls), 0),
        at_most("durbin-koopman: that share at K = 16", share.sel(views=16), 0.005),
    ]  # fmt: skip
