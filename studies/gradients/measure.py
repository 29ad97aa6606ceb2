"""Parameter gradients of objectives on the orbits of a batch of images.

A view's weight w_k = d objective / d l_k times grad l_k, summed over views and averaged over images, is the objective's
gradient, so that the gradient of any draw of views is a combination of the orbit's B m gradients grad l_bi.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call, jacrev, vmap

from auglik.objectives import Likelihood, Objective, view_gradients
from auglik.studies.common.trained import Trained


class Orbit(NamedTuple):
    """B images, m views each, under one likelihood."""

    objective_of: Callable[[str], Objective]
    """The objective with an aggregator of that name."""
    logits: Tensor
    """[m,B,C]."""
    decay: Tensor
    """[m,B]."""
    labels: Tensor
    """[B]."""
    log_p: np.ndarray
    """The table at the true label [B,m]."""
    jacobian: np.ndarray
    """d logits / d parameters [m,B,C,P]."""
    gradients: np.ndarray
    """grad log p of every view [B,m,P]."""

    @property
    def uniform(self) -> np.ndarray:
        """The weights of the views in the orbit, 1/m [m]."""
        return np.full(self.log_p.shape[1], 1 / self.log_p.shape[1])

    @property
    def responsibilities(self) -> np.ndarray:
        """p_bi / sum_i p_bi: what the exact marginal's gradient gives to every view [B,m]."""
        p = np.exp(self.log_p - self.log_p.max(1, keepdims=True))
        return p / p.sum(1, keepdims=True)

    def compressed(self) -> "Orbit":
        """For sampling under the categorical likelihood, smaller: the label against the rest, the same p of the label.

        And gradients in at most B m coordinates, which keep their lengths and angles; no more is read from them.
        """
        B, m, P = self.gradients.shape
        logits = torch.from_numpy(np.stack([self.log_p, np.log(-np.expm1(self.log_p))], -1).swapaxes(0, 1))
        coordinates = np.transpose(np.linalg.qr(self.gradients.reshape(B * m, P).T, mode="r"))
        gradients = np.ascontiguousarray(coordinates).reshape(B, m, -1)
        return self._replace(logits=logits, labels=torch.zeros_like(self.labels), gradients=gradients)

    def combined(self, weights: np.ndarray) -> np.ndarray:
        """Weights [...,B,m] -> gradients, averaged over the images [...,P]."""
        B, m, P = self.gradients.shape
        return weights.reshape(*weights.shape[:-2], B * m) @ self.gradients.reshape(B * m, P) / B


def jacobian_of(found: Trained) -> np.ndarray:
    """d logits / d parameters of every view: [m,B,C,P]."""
    parameters = {name: value.detach() for name, value in found.network.named_parameters()}
    buffers = dict(found.network.named_buffers())

    def logits(values: dict[str, Tensor], image: Tensor) -> Tensor:
        return functional_call(found.network, {**values, **buffers}, image[None])[0]

    parts = vmap(jacrev(logits), (None, 0), chunk_size=100)(parameters, found.views.flatten(0, 1))
    flat = torch.cat([part.flatten(2) for part in parts.values()], 2)
    return flat.unflatten(0, found.views.shape[:2]).numpy()


def orbit_under(
    likelihood: Likelihood,
    objective_of: Callable[[str], Objective],
    found: Trained,
    decay: Tensor,
    jacobian: np.ndarray,
) -> Orbit:
    """The orbit under a likelihood, its gradients by the chain rule through torch's table."""
    with torch.no_grad():
        logits = found.logits(found.views)
    logits.requires_grad_()
    table = likelihood.table(logits, decay)
    at_label = table.gather(2, found.labels[None, :, None].expand(len(table), -1, -1))[..., 0]
    (of_logits,) = torch.autograd.grad(at_label.sum(), logits)
    gradients = np.ascontiguousarray((of_logits.numpy()[..., None, :] @ jacobian)[..., 0, :].swapaxes(0, 1))
    log_p = at_label.detach().numpy().T.copy()
    return Orbit(
        objective_of=objective_of, logits=logits.detach(), decay=decay, labels=found.labels, log_p=log_p,
        jacobian=jacobian, gradients=gradients,
    )  # fmt: skip


class Picked(NamedTuple):
    """The views that were drawn, as the objective sees them: R draws of K views of B images in one batch of B R."""

    logits: Tensor
    """[K,B R,C]."""
    decay: Tensor
    """[K,B R]."""
    labels: Tensor
    """[B R]."""


def pick(orbit: Orbit, picks: np.ndarray) -> Picked:
    """From places in the orbit [K,B,R]."""
    _, B, R = picks.shape
    image = np.arange(B)[:, None].repeat(R, 1)
    logits = torch.from_numpy(orbit.logits.numpy()[picks, image]).flatten(1, 2)
    return Picked(
        logits, torch.from_numpy(orbit.decay.numpy()[picks, image]).flatten(1), orbit.labels.repeat_interleave(R)
    )


def torch_weights(name: str, orbit: Orbit, picks: np.ndarray) -> np.ndarray:
    """What an aggregator's gradient gives to every drawn view, as training logs it: [K,B,R] -> [K,B,R]."""
    return view_gradients(orbit.objective_of(name), *pick(orbit, picks)).numpy().reshape(picks.shape)


def torch_logit_gradients(name: str, orbit: Orbit, picks: np.ndarray) -> np.ndarray:
    """d log-likelihood / d logits of every drawn view by autograd: [K,B,R] -> [K,B,R,C]."""
    logits, decay, labels = pick(orbit, picks)
    logits.requires_grad_()
    value = orbit.objective_of(name).log_likelihood(logits, decay, labels)
    (gradient,) = torch.autograd.grad(value.sum(), logits)
    return gradient.numpy().reshape(*picks.shape, -1)


def scattered(values: np.ndarray, picks: np.ndarray, views: int) -> np.ndarray:
    """Sums over the draws by the view drawn: values [K,B,R,...], picks [K,B,R] -> [R,B,m,...]."""
    _, B, R = picks.shape
    sums = np.zeros((R, B, views, *values.shape[3:]))
    image, draw = np.arange(B)[:, None], np.arange(R)
    for value, picked in zip(values, picks, strict=True):  # within one k no place is hit twice
        sums[draw, image, picked] += value
    return sums


def chained(of_logits: np.ndarray, orbit: Orbit) -> np.ndarray:
    """d / d the orbit's logits [...,B,m,C] -> parameter gradients averaged over the images [...,P]."""
    m, B, C, P = orbit.jacobian.shape
    flat = of_logits.swapaxes(-3, -2).reshape(*of_logits.shape[:-3], m * B * C)
    return flat @ orbit.jacobian.reshape(m * B * C, P) / B


def all_pairs(orbit: Orbit) -> np.ndarray:
    """Every pair of views of every image: [2,B,m^2]."""
    B, m = orbit.log_p.shape
    return np.broadcast_to(np.indices((m, m)).reshape(2, 1, -1), (2, B, m * m))


def control(name: str, ratio: np.ndarray) -> np.ndarray:
    """A control variate for an aggregator's weights of drawn views, ratio p/I [K,B,R] -> [K,B,R].

    The weights' expansion in u = I_K/I - 1, with s^2 the sample variance of p/I; none for those with a bias of order 1.
    """
    K, u, s2 = len(ratio), ratio.mean(0) - 1, ratio.var(0, ddof=1)
    if name == "log-mean":
        return ratio / K * (1 - u + u**2)
    if name == "durbin-koopman":
        return ratio / K * (1 - u + u**2 - s2 / K) + ratio * (ratio - ratio.mean(0)) / (K * (K - 1))
    return np.zeros_like(ratio)


def control_mean(name: str, ratio: np.ndarray, views: int) -> np.ndarray:
    """The mean of `control` over draws, less the exact marginal's share: ratio p/I of the orbit's views [B,m] -> [B,m].

    E[u^2 p] and E[s^2 p / K] given p are both ((p/I - 1)^2 + (K-1) V) / K^2, and those of u p and of the last term of
    durbin-koopman (p/I - 1) / K: there all cancels, and what remains of its bias is of order 1/K^2.
    """
    shares, variance = ratio / ratio.shape[1], ratio.var(1, keepdims=True)
    if name == "log-mean":
        return shares * (-(ratio - 1) / views + ((ratio - 1) ** 2 + (views - 1) * variance) / views**2)
    return np.zeros_like(shares) if name == "durbin-koopman" else -shares


class Spread(NamedTuple):
    """Statistics of R gradients [R,P] besides their mean, with standard errors."""

    variance: float
    """tr Cov."""
    variance_error: float
    cosine: float
    """Mean cosine of one draw's gradient to the exact one."""
    cosine_error: float


def spread(gradients: np.ndarray, mean: np.ndarray, target: np.ndarray) -> Spread:
    """Of gradients [R,P] whose expectation is `mean` [P]."""
    squares = ((gradients - mean) ** 2).sum(1)
    cosines = gradients @ target / np.linalg.norm(gradients, axis=1) / np.linalg.norm(target)
    root = np.sqrt(len(gradients))
    return Spread(
        float(squares.mean()), float(squares.std() / root), float(cosines.mean()), float(cosines.std() / root)
    )


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """Of the angle between two vectors."""
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
