"""Which way does each objective pull the weights, and how noisily?

The parameter gradient of every objective from K random views of a batch of test images, against the gradient of the
exact marginal log-likelihood over the orbit (common.trained): bias, variance, signal-to-noise ratio, cosine; what
each view counts for (responsibilities; negative ones under durbin-koopman) and the views' effective number.

Expected gradients are exact: the derivative, in the orbit's log-likelihoods, of the Laplace integrals of common.exact,
and sums over all pairs of views. The biases of order 1/K and 1/K^2 are seen through control variates: the weights'
expansions in u = I_K/I - 1, whose means over the orbit are known.

Sources: Heinonen et al. 2025, Appendix C; Rainforth et al. 2018 (signal-to-noise ratios of importance-weighted bounds).
"""

from collections.abc import Mapping

import numpy as np
import torch
import xarray
from torch import Tensor

from auglik.objectives import AGGREGATORS, LIKELIHOODS, Objective
from auglik.studies.common import exact
from auglik.studies.common.trained import Trained, trained
from auglik.studies.gradients.allocation import allocated, allocated_claims, allocated_remark
from auglik.studies.gradients.claims import (
    WHOLE_TABLE,
    jacobian_claim,
    likelihood_claims,
    measured_claims,
    pair_claims,
    sum_claims,
)
from auglik.studies.gradients.figures import aggregator_figure, likelihood_figure
from auglik.studies.gradients.measure import (
    Orbit,
    chained,
    control,
    control_mean,
    cosine,
    jacobian_of,
    orbit_under,
    scattered,
    spread,
    torch_logit_gradients,
    torch_weights,
)
from auglik.studies.gradients.one_backward import one_backward, one_backward_claims, one_backward_remark
from auglik.studies.study import Context, Findings, at_least
from auglik.system.keys import host_generator

VIEWS = (2, 4, 8, 16, 32, 64)
SAMPLED = ("jensen", "log-mean", "durbin-koopman", "power-mean")
"""geometric at T = 1 is jensen; jackknife is not trained with; geometric-normalized is sampled apart."""
COMPARED = ("jensen", "log-mean", "durbin-koopman")


def no_decay(found: Trained) -> Tensor:
    """[m,B]: every view keeps its label."""
    return torch.zeros(found.views.shape[:2], dtype=torch.float64)


def lost_share(found: Trained) -> Tensor:
    """[m,B]: a view's decay is the share of the image that its shift pushes out, over that of the largest shift."""
    H, W = found.views.shape[-2:]
    lost = torch.tensor([1 - (1 - abs(offset.top) / H) * (1 - abs(offset.left) / W) for offset in found.offsets])
    return (lost / lost.max()).double()[:, None].expand(-1, len(found.labels)).contiguous()


def orbits_of(found: Trained, names: list[str], decay: Tensor, jacobian: np.ndarray) -> dict[str, Orbit]:
    """The orbit under each likelihood."""

    def under(name: str) -> Orbit:
        likelihood = LIKELIHOODS[name]
        return orbit_under(
            likelihood, lambda aggregator: Objective(likelihood, AGGREGATORS[aggregator]), found, decay, jacobian
        )

    return {name: under(name) for name in names}


def measure(orbit: Orbit, laplace: Mapping[str, np.ndarray], context: Context, draws: int) -> xarray.Dataset:
    """Every sampled aggregator at every K, all on the same draws."""
    B, m = orbit.log_p.shape
    picks = host_generator(context.seed, "gradients", "picks").integers(0, m, (VIEWS[-1], B, draws))
    shares = orbit.responsibilities
    target = orbit.combined(shares)
    jensen = orbit.combined(np.full((B, m), 1 / m))
    ratio = np.take_along_axis((m * shares)[None].repeat(VIEWS[-1], 0), picks, 2)
    names = ("relative_bias", "relative_bias_error", "bias_z", "largest_z", "cosine_of_mean", "cosine", "cosine_error",
             "variance", "variance_error", "signal_to_noise")  # fmt: skip
    columns = {name: np.full((len(SAMPLED), len(VIEWS)), np.nan) for name in names}
    for row, name in enumerate(SAMPLED):
        for place, K in enumerate(VIEWS):
            weights = torch_weights(name, orbit, picks[:K])
            gradients = orbit.combined(scattered(weights, picks[:K], m))
            mean = orbit.combined(laplace[name][place])
            bias = mean - target
            directions = np.stack([value / np.linalg.norm(value) for value in (target, jensen - 0.5 * target, bias)])
            along = (gradients - mean) @ directions.T
            found = spread(gradients, mean, target)
            rest = scattered(weights - control(name, ratio[:K]), picks[:K], m) + control_mean(name, m * shares, K)
            projected = orbit.combined(rest) @ directions[2]
            projected_error = projected.std() / np.sqrt(draws)
            values = {
                "relative_bias": np.linalg.norm(bias) / np.linalg.norm(target),
                "relative_bias_error": projected_error / np.linalg.norm(target),
                "bias_z": abs(projected.mean() - np.linalg.norm(bias)) / projected_error,
                "largest_z": np.abs(along.mean(0) / (along.std(0) / np.sqrt(draws))).max(),
                "cosine_of_mean": cosine(mean, target),
                "cosine": found.cosine,
                "cosine_error": found.cosine_error,
                "variance": found.variance,
                "variance_error": found.variance_error,
                "signal_to_noise": np.linalg.norm(mean) / np.sqrt(found.variance),
            }
            for key, value in values.items():
                columns[key][row, place] = value
        context.progress(0.2 + 0.5 * (row + 1) / len(SAMPLED))
    dims = ("aggregator", "views")
    data = xarray.Dataset(
        {key: (dims, value) for key, value in columns.items()},
        {"aggregator": list(SAMPLED), "views": list(VIEWS)},
        {"meaning": "relative_bias: |E g - g*| / |g*|, exact; relative_bias_error and bias_z: the standard error of its"
                    " sampled value along E g - g*, with control variates, and their difference in it; variance: tr Cov"
                    "; signal_to_noise: |E g| / sqrt(tr Cov); cosine: mean over draws of the angle to g*",
         "images": B, "views_of_orbit": m, "parameters": orbit.jacobian.shape[-1],
         "norm": float(np.linalg.norm(target))},
    )  # fmt: skip
    return data.merge(view_shares(orbit, picks))


def view_shares(orbit: Orbit, picks: np.ndarray) -> xarray.Dataset:
    """What single views count for, by K."""
    root = np.sqrt(picks.shape[2])
    rows = []
    for K in VIEWS:
        negative = (torch_weights("durbin-koopman", orbit, picks[:K]) < 0).any(0).mean(0)
        squares = (torch_weights("log-mean", orbit, picks[:K]) ** 2).sum(0)
        means = squares.mean(0)
        rows.append((negative.mean(), negative.std() / root, means.mean(), means.std() / root, (1 / squares).mean()))
    names = ("negative_share", "negative_share_error", "squared_responsibilities", "squared_responsibilities_error",
             "effective_views")  # fmt: skip
    columns = {name: ("views", column) for name, column in zip(names, np.array(rows).T, strict=True)}
    expected = exact.expected(orbit.log_p, orbit.uniform, VIEWS)["squared responsibilities"].mean(1)
    return xarray.Dataset({**columns, "exact_squared_responsibilities": ("views", expected)}, {"views": list(VIEWS)})


def normalized_geometric(orbit: Orbit, context: Context, draws: int) -> xarray.Dataset:
    """geometric-normalized by autograd at the logits, as its value depends on the table at every label."""
    B, m = orbit.log_p.shape
    target = orbit.combined(orbit.responsibilities)
    rows = []
    for K in VIEWS[:3]:
        picks = host_generator(context.seed, "gradients", "normalized", K).integers(0, m, (K, B, draws))
        gradients = chained(scattered(torch_logit_gradients(WHOLE_TABLE, orbit, picks), picks, m), orbit)
        mean = gradients.mean(0)
        found = spread(gradients, mean, target)
        rows.append(
            (cosine(mean, target), found.cosine, found.variance, np.linalg.norm(mean) / np.sqrt(found.variance))
        )
    names = ("cosine_of_mean", "cosine", "variance", "signal_to_noise")
    return xarray.Dataset(
        {name: ("views", column) for name, column in zip(names, np.array(rows).T, strict=True)},
        {"views": list(VIEWS[:3])},
        {"meaning": "sampled, as in the group `aggregators`", "draws": draws},
    )


def by_likelihood(orbits: Mapping[str, Orbit], context: Context, draws: int, views: int = 4) -> xarray.Dataset:
    """Each likelihood's gradient of 4 views against that of its own exact marginal, views decayed by their shift."""
    names = ("relative_bias", "signal_to_noise", "cosine")
    columns = {name: np.full((len(orbits), len(COMPARED)), np.nan) for name in names}
    attention = []
    for row, orbit in enumerate(orbits.values()):
        B, m = orbit.log_p.shape
        picks = host_generator(context.seed, "gradients", "likelihoods").integers(0, m, (views, B, draws))
        shares = orbit.responsibilities
        target = orbit.combined(shares)
        laplace = exact.expected_weights(orbit.log_p, orbit.uniform, [views])
        attention.append(float((shares * orbit.decay.numpy().T).sum(1).mean()))
        for column, name in enumerate(COMPARED):
            mean = orbit.combined(laplace[name][0])
            found = spread(orbit.combined(scattered(torch_weights(name, orbit, picks), picks, m)), mean, target)
            columns["relative_bias"][row, column] = np.linalg.norm(mean - target) / np.linalg.norm(target)
            columns["signal_to_noise"][row, column] = np.linalg.norm(mean) / np.sqrt(found.variance)
            columns["cosine"][row, column] = found.cosine
    dims = ("likelihood", "aggregator")
    return xarray.Dataset(
        {**{name: (dims, value) for name, value in columns.items()}, "decay_seen": ("likelihood", attention)},
        {"likelihood": list(orbits), "aggregator": list(COMPARED)},
        {"views": views, "mean_decay": float(next(iter(orbits.values())).decay.mean()),
         "meaning": "decay_seen: the orbit's decay weighted by the responsibilities of the exact marginal"},
    )  # fmt: skip


def gradients(context: Context) -> Findings:
    """Bias, variance, signal-to-noise ratio and cosine of each objective's parameter gradient, against K."""
    images, draws = (16, 600) if context.quick else (48, 3000)
    found = trained("digits", images, context.quick, context.seed)
    jacobian = jacobian_of(found)
    orbit = orbits_of(found, ["categorical"], no_decay(found), jacobian)["categorical"]
    others = [name for name, likelihood in LIKELIHOODS.items() if not likelihood.extra_outputs]
    orbits = orbits_of(found, others, lost_share(found), jacobian)
    context.progress(0.2)
    laplace = exact.expected_weights(orbit.log_p, orbit.uniform, VIEWS)
    laplace = {name: laplace[name] for name in AGGREGATORS if name in laplace}
    sampled = orbit.compressed()
    data = measure(sampled, laplace, context, draws)
    claims = [jacobian_claim(found, orbit, context.seed), *pair_claims(orbit, laplace)]
    context.progress(0.85)
    claims += likelihood_claims(found, orbits, context.seed) + sum_claims(orbit, context.seed)
    claims += measured_claims(data, sampled)
    table = by_likelihood(orbits, context, draws // 6)
    seen = table.decay_seen
    text = "tempered: decay of the views that its exact marginal attends to, over that under tempered-normalized"
    claims.append(at_least(text, seen.sel(likelihood="tempered") / seen.sel(likelihood="tempered-normalized"), 1.1))
    text = "noisy-dirichlet: decay of the views that its exact marginal attends to, against the mean of all views"
    claims.append(at_least(text, seen.sel(likelihood="noisy-dirichlet"), table.attrs["mean_decay"]))
    single = one_backward(sampled, VIEWS, context, draws)
    shared = allocated(sampled, context, draws // 2)
    claims += one_backward_claims(single) + allocated_claims(shared)
    groups = {
        "aggregators": data,
        "one-backward": single,
        "allocation": shared,
        "geometric-normalized": normalized_geometric(orbit, context, draws // 6),
        "likelihoods": table,
    }
    context.progress(1.0)
    figures = {"gradients-aggregators": aggregator_figure(data), "gradients-likelihoods": likelihood_figure(table)}
    return Findings(
        claims,
        xarray.DataTree.from_dict(groups),
        figures,
        [*remarks(data, table), one_backward_remark(single), allocated_remark(shared)],
    )


def remarks(data: xarray.Dataset, table: xarray.Dataset) -> list[str]:
    """What a reader should know."""
    negative = ", ".join(f"{float(data.negative_share.sel(views=K)):.2%} at K = {K}" for K in VIEWS[:4])
    effective = ", ".join(f"{float(data.effective_views.sel(views=K)):.1f} of {K}" for K in VIEWS[:4])
    four = data.sel(views=4)
    ratios = ", ".join(f"{name} {float(four.signal_to_noise.sel(aggregator=name)):.2f}" for name in SAMPLED)
    seen = ", ".join(f"{name} {float(table.decay_seen.sel(likelihood=name)):.3f}" for name in table.likelihood.values)
    return [
        f"Images with a negative durbin-koopman weight on this orbit: {negative}. Shifts change a likelihood by orders"
        " of magnitude, so this is far more than under the design's Beta(2,2) views (9% at K = 2).",
        f"Effective views under log-mean: {effective}.",
        f"Signal-to-noise ratio of the batch gradient of 4 views: {ratios}.",
        f"Mean decay of a view {table.attrs['mean_decay']:.3f}; weighted by the responsibilities of the exact marginal:"
        f" {seen}. Unnormalized over labels, tempered gives a view without its label the likelihood 1 for every label,"
        " and noisy-dirichlet gives it a narrower density: both turn the marginal to views that say less.",
        "Batch norms use their running statistics. A view's decay, in the comparison of likelihoods, is the share"
        " of the image that its shift pushes out, over that of the largest shift. sink is left out: it needs a network"
        " with another output.",
    ]
