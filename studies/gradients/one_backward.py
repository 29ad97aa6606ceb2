"""One backward pass of a view that is drawn by its weight, against the whole step: noise and cost.

A forward pass costs 1 and a backward pass 2, so the whole step of K views costs 3K and this one K + 3.
"""

from collections.abc import Sequence

import numpy as np
import torch
import xarray

from auglik.objectives.one_backward import drawn_view
from auglik.studies.gradients.measure import Orbit, pick, scattered, torch_weights
from auglik.studies.study import Claim, Context, at_most
from auglik.system.keys import host_generator

NAMES = ("log-mean", "durbin-koopman")


def one_view_weights(name: str, orbit: Orbit, picks: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
    """What each drawn view of an image counts in the gradient, all but one 0: [K,B,R], [B,R] -> [K,B,R]."""
    drawn = drawn_view(orbit.objective_of(name), *pick(orbit, picks), torch.from_numpy(uniforms).flatten())
    weights = torch.zeros(picks.shape).flatten(1).double()
    weights.scatter_(0, drawn.view[None], drawn.factor[None])
    return weights.reshape(picks.shape).numpy()


def extra_variance(weights: np.ndarray, picks: np.ndarray, orbit: Orbit) -> float:
    """The mean over draws of the variance that drawing a view adds (tr Cov), from the weights [K,B,R] of all views.

    sum |w| sum_k |w_k| |g_k|^2 - |sum_k w_k g_k|^2 for each image, over B^2: images are drawn by themselves.
    """
    B = picks.shape[1]
    images, grams = np.arange(B)[:, None], orbit.gradients @ orbit.gradients.swapaxes(1, 2)
    squares = np.einsum("bmm->bm", grams)[images, picks]
    whole = scattered(weights, picks, orbit.log_p.shape[1])
    mean_squares = np.einsum("rbm,bmn,rbn->rb", whole, grams, whole)
    second = np.abs(weights).sum(0) * (np.abs(weights) * squares).sum(0)
    return float((second.T - mean_squares).sum(1).mean() / B**2)


def one_backward(orbit: Orbit, views: Sequence[int], context: Context, draws: int) -> xarray.Dataset:
    """Both gradients on the same views, by aggregator and K."""
    B, m = orbit.log_p.shape
    generator = host_generator(context.seed, "gradients", "one backward")
    picks, uniforms = generator.integers(0, m, (views[-1], B, draws)), generator.random((B, draws))
    names = ("variance", "one_variance", "extra", "exact_extra", "extra_z", "difference_z")
    columns = {name: np.full((len(NAMES), len(views)), np.nan) for name in names}
    norms = np.full((len(NAMES), len(views)), np.nan)
    for row, name in enumerate(NAMES):
        for place, K in enumerate(views):
            weights = torch_weights(name, orbit, picks[:K])
            single = one_view_weights(name, orbit, picks[:K], uniforms)
            whole = orbit.combined(scattered(weights, picks[:K], m))
            one = orbit.combined(scattered(single, picks[:K], m))
            direction = whole.mean(0) / np.linalg.norm(whole.mean(0))
            along = (one - whole) @ direction
            squares, exact = ((one - whole) ** 2).sum(1), extra_variance(weights, picks[:K], orbit)
            values = {
                "variance": whole.var(0, ddof=1).sum(),
                "one_variance": one.var(0, ddof=1).sum(),
                "extra": squares.mean(),
                "exact_extra": exact,
                "extra_z": abs(squares.mean() - exact) / (squares.std() / np.sqrt(draws)),
                "difference_z": abs(along.mean()) / (along.std() / np.sqrt(draws)),
            }
            norms[row, place] = np.linalg.norm(whole.mean(0))
            for key, value in values.items():
                columns[key][row, place] = value
    dims, counts = ("aggregator", "views"), np.array(views)
    data = xarray.Dataset(
        {key: (dims, value) for key, value in columns.items()}, {"aggregator": list(NAMES), "views": list(views)}
    )
    for key, variance in (("signal_to_noise", "variance"), ("one_signal_to_noise", "one_variance")):
        data[key] = (dims, norms / np.sqrt(columns[variance]))
    data["cost"], data["one_cost"] = ("views", 3 * counts), ("views", counts + 3)
    # Noise falls with the images of a step: what counts is variance times cost.
    data["efficiency"] = data.variance * data.cost / (data.one_variance * data.one_cost)
    data.attrs["meaning"] = (
        "efficiency: variance x cost of the whole step over that of one backward; over 1 it is worth it"
    )
    return data


def one_backward_claims(data: xarray.Dataset) -> list[Claim]:
    """It is unbiased, and as noisy as its formula says."""
    claims = []
    for name in NAMES:
        row = data.sel(aggregator=name)
        text = f"{name}: one backward's gradient off the whole step's, at the worst K, in standard errors"
        claims.append(at_most(text, row.difference_z.max(), 4.0))
        text = f"{name}: variance that drawing one view adds, off its formula, at the worst K, in standard errors"
        claims.append(at_most(text, row.extra_z.max(), 4.0))
    return claims


def one_backward_remark(data: xarray.Dataset) -> str:
    """Noise and cost side by side."""
    row = data.sel(aggregator="log-mean")
    parts = []
    for K in data.views.values:
        one, whole, cost, efficiency = (
            float(value.sel(views=K))
            for value in (row.one_signal_to_noise, row.signal_to_noise, row.one_cost / row.cost, row.efficiency)
        )
        parts.append(f"K = {K}: {one:.2f} of {whole:.2f} at {cost:.2f} of the cost, efficiency {efficiency:.2f}")
    return (
        "One backward pass of a view drawn by its responsibility, signal-to-noise ratio under log-mean of the whole"
        f" step's: {'; '.join(parts)}. Efficiency is variance times cost, the whole step's over this one's."
    )
