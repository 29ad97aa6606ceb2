"""Temperatures from a proposal that follows the responsibilities, against independent views at the same cost.

Sixteen images of ten classes whose logit of the label falls with the decay of a view, under `smoothed`; the first is
hard, the last easy. The proposal follows responsibilities of views of earlier passes, as in training, by the code that
training has; a pass has 4 views of an image. What is exact comes from Gauss-Legendre rules in every bin of quantiles,
and from the Laplace integrals of common.exact over them: no draw from the proposal is used there.
"""

from typing import NamedTuple

import numpy as np
import torch
import xarray
from scipy.special import betaincinv

from auglik.objectives import AGGREGATORS, LIKELIHOODS, ROLES, Objective, Schedule, view_gradients
from auglik.studies.common import exact
from auglik.studies.study import Claim, Context, at_least, at_most
from auglik.system.keys import host_generator
from auglik.views.mollification import Mollification
from auglik.views.proposal import BINS, DEFENSIVE, Mollified, Proposal

SCHEDULE = Schedule()
MOLLIFICATION = Mollification(SCHEDULE)
IMAGES, CLASSES, PASSES, NODES = 16, 10, 6, 6
MARGIN = np.linspace(1.0, 9.0, IMAGES)
"""The logit of the label, over those of the others, of a clean view."""
VIEWS = (2, 4, 8, 16)
NAMES = ("log-mean", "durbin-koopman")
OWN, FOLLOWING = "own distribution", "proposal"


class Atoms(NamedTuple):
    """The law of a view: log p of each image [B,m], and the views' own weights and cells [m]."""

    log_p: np.ndarray
    weights: np.ndarray
    cell: np.ndarray


def logits_of(decay: np.ndarray) -> torch.Tensor:
    """[...,B] -> [...,B,C], the label first."""
    falling = MARGIN * (1 - decay) ** 2 - decay
    return torch.from_numpy(np.stack([falling, *(np.zeros_like(decay) for _ in range(CLASSES - 1))], -1))


def objective(name: str) -> Objective:
    return Objective(LIKELIHOODS["smoothed"], AGGREGATORS[name])


def atoms() -> Atoms:
    """Of every role and bin, Gauss-Legendre nodes in the quantile of the temperature; a clean view is one."""
    nodes, node_weights = np.polynomial.legendre.leggauss(NODES)
    quantile = ((np.arange(BINS)[:, None] + (nodes + 1) / 2) / BINS).ravel()
    within = np.tile(node_weights / 2, BINS) / BINS
    decays, weights, cells = [], [], []
    for role, share in enumerate(SCHEDULE.shares()):
        if share:
            t = torch.from_numpy(betaincinv(SCHEDULE.alpha, SCHEDULE.beta, quantile))
            decays.append(SCHEDULE.decay(ROLES[role], t).numpy())
            weights.append(share * within)
            cells.append(role * BINS + np.repeat(np.arange(BINS), NODES))
    decay = np.concatenate(decays)[:, None].repeat(IMAGES, 1)
    table = LIKELIHOODS["smoothed"].table(logits_of(decay), torch.from_numpy(decay))
    return Atoms(table[..., 0].numpy().T, np.concatenate(weights), np.concatenate(cells))


def drawn(proposal: Proposal, seed: int, what: str, views: int, rounds: int) -> tuple[Mollified, np.ndarray]:
    """Views [K,B R] of every image R times, and their decay."""
    uniforms = host_generator(seed, "estimators", "proposal", what).random((views, IMAGES * rounds, 2))
    found = proposal.place(uniforms)
    return found, MOLLIFICATION.decay(found.role, found.temperature)


def arguments(found: Mollified, decay: np.ndarray, rounds: int) -> tuple[torch.Tensor, ...]:
    """What an objective takes: logits [K,B R,C], decay, labels [B R], and log importance [K,B R]."""
    shaped = decay.astype(np.float64).reshape(len(decay), rounds, IMAGES)
    labels = torch.zeros(decay.shape[1], dtype=torch.int64)
    assert found.log_importance is not None
    importance = torch.from_numpy(found.log_importance.astype(np.float64))
    return logits_of(shaped).flatten(1, 2), torch.from_numpy(shaped).flatten(1), labels, importance


def followed(seed: int, views: int = 4, rounds: int = 60) -> Proposal:
    """The proposal after PASSES passes over IMAGES x rounds images."""
    proposal, sums = Proposal.own(SCHEDULE), np.zeros(len(ROLES) * BINS)
    for index in range(PASSES):
        found, decay = drawn(proposal, seed, f"pass {index}", views, rounds)
        logits, of_views, labels, importance = arguments(found, decay, rounds)
        counted = view_gradients(objective("log-mean"), logits, of_views, labels, None, importance)
        assert found.cell is not None
        sums = sums / 2 + np.bincount(found.cell.ravel(), counted.numpy().ravel(), len(sums))
        proposal = proposal.following(sums)
    return proposal


def relative_variance(proposal: Proposal, law: Atoms) -> np.ndarray:
    """Var(w p) / I^2 of every image [B] by quadrature: the own distribution's mean of w p^2, over I^2, less 1."""
    p = np.exp(law.log_p)
    ratio = np.exp(proposal.log_weights())[law.cell]
    return (p**2 * ratio) @ law.weights / (p @ law.weights) ** 2 - 1


def exact_biases(proposal: Proposal, law: Atoms) -> dict[str, np.ndarray]:
    """Of every aggregator by K, mean over images, under the law of w p."""
    log_ratio = proposal.log_weights()[law.cell]
    found = exact.expected_of_two(law.log_p + log_ratio, law.weights / np.exp(log_ratio), list(VIEWS))
    log_integral = np.log(np.exp(law.log_p) @ law.weights)
    return {name: (found[name] - log_integral).mean(1) for name in NAMES}


def proposals(context: Context) -> tuple[list[Claim], xarray.Dataset, str]:
    """Claims, the table by distribution, aggregator and K, and a remark."""
    law, rounds = atoms(), 1000 if context.quick else 10_000
    integral = np.exp(law.log_p) @ law.weights
    kinds = {OWN: Proposal.own(SCHEDULE), FOLLOWING: followed(context.seed)}
    claims, columns = [], {key: np.zeros((2, len(NAMES), len(VIEWS))) for key in ("bias", "exact", "deviation", "rmse")}
    effective, spreads = np.zeros((2, len(VIEWS))), {}
    for row, (kind, proposal) in enumerate(kinds.items()):
        found, decay = drawn(proposal, context.seed, "scored", VIEWS[-1], rounds)
        logits, of_views, _, importance = arguments(found, decay, rounds)
        table = objective("log-mean").likelihood.table(logits, of_views)[..., :1]
        ratio = (table[..., 0] + importance).exp().numpy().reshape(VIEWS[-1], rounds, IMAGES) / integral
        off = (ratio - 1).mean((0, 2))  # views of a round are independent, and rounds
        text = f"{kind}: mean of w p / I over {ratio.size} views off 1, in standard errors"
        claims.append(at_most(text, abs(off.mean()) / (off.std() / np.sqrt(rounds)), 4.0))
        spreads[kind] = relative_variance(proposal, law)
        squares = ((ratio - 1) ** 2).mean((0, 2))
        text = f"{kind}: variance of w p / I off that by quadrature, in standard errors"
        error = squares.std() / np.sqrt(rounds)
        claims.append(at_most(text, abs(squares.mean() - spreads[kind].mean()) / error, 4.0))
        biases = exact_biases(proposal, law)
        for place, K in enumerate(VIEWS):
            weighted = ratio[:K]
            effective[row, place] = (weighted.sum(0) ** 2 / (weighted**2).sum(0)).mean() / K
            for column, name in enumerate(NAMES):
                values = objective(name).aggregator.fold(table[:K], None, importance[:K])[:, 0].numpy()
                errors = values.reshape(rounds, IMAGES) - np.log(integral)
                mean, spread = errors.mean(1).mean(), errors.mean(1).std() / np.sqrt(rounds)
                text = f"{kind}: {name}'s bias of {K} views off the exact one, in standard errors"
                claims.append(at_most(text, abs(mean - biases[name][place]) / spread, 4.0))
                of_row = (mean, biases[name][place], errors.std(0).mean(), np.sqrt((errors**2).mean()))
                for key, value in zip(columns, of_row, strict=True):
                    columns[key][row, column, place] = value
    claims += bounded_claims(kinds[FOLLOWING], law, spreads)
    dims = ("distribution", "aggregator", "views")
    data = xarray.Dataset(
        {**{key: (dims, value, {"units": "nat"}) for key, value in columns.items()},
         "effective_share": (("distribution", "views"), effective),
         "relative_variance": ("distribution", [spreads[kind].mean() for kind in kinds])},
        {"distribution": list(kinds), "aggregator": list(NAMES), "views": list(VIEWS)},
    )  # fmt: skip
    return claims, data, remark(data)


def bounded_claims(proposal: Proposal, law: Atoms, spreads: dict[str, np.ndarray]) -> list[Claim]:
    """What holds of any proposal, and what this one gains."""
    wrong = Proposal.own(SCHEDULE).following(np.arange(len(proposal.masses)) == 3 * BINS - 1)
    bound = (spreads[OWN] + 1) / DEFENSIVE - 1
    excess = (relative_variance(wrong, law) - bound).max()
    return [
        at_most("proposal: the largest importance weight", np.exp(proposal.log_weights()).max(), 1 / DEFENSIVE, 1e-12),
        at_most("a proposal that has gone to the wrong end: variance of w p / I over its bound, at the worst image",
                excess, 0.0),
        at_least("own distribution: variance of p / I over that of w p / I from the proposal",
                 spreads[OWN].mean() / spreads[FOLLOWING].mean(), 2.0),
    ]  # fmt: skip


def remark(data: xarray.Dataset) -> str:
    """The table on one line."""
    parts = []
    for kind in data.distribution.values:
        row = data.sel(distribution=kind)
        cells = [
            f"{name} of {K}: {float(of.exact):+.4f}, {float(of.deviation):.3f}"
            for K in VIEWS for name in NAMES for of in [row.sel(aggregator=name, views=K)]
        ]  # fmt: skip
        share = ", ".join(f"{float(row.effective_share.sel(views=K)):.2f} at {K}" for K in VIEWS)
        variance = float(row.relative_variance)
        parts.append(f"{kind} (variance of w p / I {variance:.3f}; ESS/K {share}): {', '.join(cells)}")
    return f"Roles and temperatures, exact bias and standard deviation in nats: {'; '.join(parts)}."
