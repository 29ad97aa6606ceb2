"""How often does durbin-koopman want a view worse? The share of images with a view of negative gradient weight.

Beta(2,2) views. A negative weight needs one view that dominates: K/(K-1) (sum r^2 - r_k) > 1, while
sum r^2 <= (1-e)^2 + e^2 with e what all others have of the responsibility. So (1-e)^2 + e^2 > (K-1)/K: the other
likelihoods sum to less than h(K) = e/(1-e) times the largest, e at equality. At K = 4 that happens once in a million
images, so views are drawn from there: the others over h times the largest ~ Dirichlet(2,..,2,1), the largest ~
Beta(2K,2), with importance weights.
"""

import jax
import jax.numpy as jnp
import numpy as np
import torch
import xarray
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import betaincinv, betaln, gammaincinv, gammaln
from scipy.stats import beta, qmc  # type: ignore[attr-defined]

from auglik.objectives import AGGREGATORS, LIKELIHOODS, Objective, view_gradients
from auglik.studies.common.compiling import quickly
from auglik.studies.study import Claim, Context, at_most, equal
from auglik.studies.twins import AGGREGATOR_TWINS
from auglik.system.keys import host_generator

COUNTS = (2, 3, 4)


def ratio_bound(views: int) -> float:
    """h(K): a negative weight needs all other likelihoods to sum to less than this share of the largest."""
    rest = (1 - np.sqrt(2 * (views - 1) / views - 1)) / 2
    return float(rest / (1 - rest))


def proposed(largest: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Largest ~ Beta(2K,2) [R] and others ~ Dirichlet(2,..,2,1) [R,K-1] as views p [K,R] and importance weights [R].

    The weight of a view set is its density under Beta(2,2) views over that of the proposal; the first view, which
    dominates, stands for any of the K.
    """
    K, h = others.shape[1] + 1, ratio_bound(others.shape[1] + 1)
    rest = others * h * largest[:, None]
    constant = K * np.exp(betaln(2 * K, 2) - betaln(2, 2) - gammaln(2 * K - 1))
    return np.concatenate([largest[:, None], rest], 1).T, constant * (6 * h**2 * (1 - rest)).prod(1)


def random_views(generator: np.random.Generator, views: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """`proposed` from pseudo-random numbers."""
    parts = generator.dirichlet([2.0] * (views - 1) + [1.0], count)
    return proposed(generator.beta(2 * views, 2, count), parts[:, :-1])


def quasi_random_views(generator: np.random.Generator, views: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """`proposed` from scrambled Sobol points."""
    uniforms = qmc.Sobol(views + 1, scramble=True, rng=generator).random(count)
    parts = gammaincinv([2.0] * (views - 1) + [1.0], uniforms[:, 1:])
    return proposed(betaincinv(2 * views, 2, uniforms[:, 0]), (parts / parts.sum(1, keepdims=True))[:, :-1])


def torch_gradients(p: np.ndarray) -> np.ndarray:
    """The weights that durbin-koopman gives to views p [K,R], as training would log them."""
    objective = Objective(LIKELIHOODS["categorical"], AGGREGATORS["durbin-koopman"])
    logits = torch.from_numpy(np.log(np.stack([p, 1 - p], -1)))
    labels = torch.zeros(p.shape[1], dtype=torch.int64)
    return view_gradients(objective, logits, torch.zeros(p.shape, dtype=torch.float64), labels).numpy()


_twin_gradients = quickly(jax.grad(lambda log_p: AGGREGATOR_TWINS["durbin-koopman"](log_p[..., None]).sum()))


def twin_gradients(p: np.ndarray) -> np.ndarray:
    """The same from the twin, in probability space."""
    return np.asarray(_twin_gradients(jnp.asarray(np.log(p))))


def share_of_two() -> float:
    """K = 2 by quadrature: P(p_1/(p_1+p_2) < root) twice, the root of the twin's weight found numerically."""
    root = brentq(lambda r: twin_gradients(np.array([[r], [1 - r]]))[0, 0], 0.05, 0.4)
    odds = root / (1 - root)
    integral, _ = quad(lambda other: beta.pdf(other, 2, 2) * beta.cdf(odds * other, 2, 2), 0, 1)
    return float(2 * integral)


def negative_shares(context: Context) -> xarray.Dataset:
    """Shares by K: torch on random draws with a standard error, the reference by quadrature or quasi-random points."""
    draws, points = (50_000, 2**14) if context.quick else (1_000_000, 2**17)
    rows = []
    for K in COUNTS:
        generator = host_generator(context.seed, "estimators", "negative", K)
        p, weights = random_views(generator, K, draws)
        values = weights * (torch_gradients(p) < 0).any(0)
        if K == 2:
            reference, reference_error = share_of_two(), 0.0
        else:
            reference, reference_error = quasi_random_share(K, points, context.seed)
        rows.append((values.mean(), values.std() / np.sqrt(draws), reference, reference_error))
    names = ("share", "standard_error", "reference", "reference_error")
    columns = zip(names, np.array(rows).T, strict=True)
    return xarray.Dataset(
        {name: ("views", column, {"units": "share of images"}) for name, column in columns},
        {"views": list(COUNTS)},
        {"meaning": "images with a view of negative durbin-koopman weight, Beta(2,2) views"},
    )


def quasi_random_share(views: int, points: int, seed: int, repeats: int = 8) -> tuple[float, float]:
    """The share by scrambled Sobol points and the twin's gradient, with its standard error over scramblings."""
    found = []
    for repeat in range(repeats):
        generator = host_generator(seed, "estimators", "negative", "scrambling", views, repeat)
        p, weights = quasi_random_views(generator, views, points // repeats)
        found.append((weights * (twin_gradients(p) < 0).any(0)).mean())
    return float(np.mean(found)), float(np.std(found, ddof=1) / np.sqrt(repeats))


def negative_claims(shares: xarray.Dataset) -> list[Claim]:
    """Against the references, and against what the design states."""
    claims = []
    for K in COUNTS:
        row = shares.sel(views=K)
        error = float(np.hypot(row.standard_error, row.reference_error))
        text = f"Beta(2,2) views, K = {K}: share of images with a negative durbin-koopman weight"
        claims.append(equal(text, row.share, row.reference, 4 * error))
    text = "Beta(2,2) views, K = 2: share with a negative durbin-koopman weight, as the design states it, 9%"
    claims.append(equal(text, shares.share.sel(views=2), 0.09, 0.005))
    text = (
        "Beta(2,2) views, K = 4: share with a negative durbin-koopman weight, at most the 1.5% that the design states"
    )
    claims.append(at_most(text, shares.share.sel(views=4), 0.015))
    return claims


def negative_remark(shares: xarray.Dataset) -> str:
    """What the design's figure should be."""
    measured = ", ".join(f"{float(shares.reference.sel(views=K)):.2g} at K = {K}" for K in COUNTS)
    return (
        "Share of images with a negative durbin-koopman weight under Beta(2,2) views:"
        f" {measured}; the design's 'under 1.5%' at K = 4 is true, and far from the figure."
    )
