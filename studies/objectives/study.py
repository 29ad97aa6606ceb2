"""Does the code that trains compute what the objectives are defined to be?

Every likelihood and aggregator, with parameters and in both dtypes, against its twin: the definition in probabilities,
in JAX float64 (studies/twins.py), values and gradients, on ordinary logits and on logits from exactly uniform to 200.
Then the objectives as a whole: losses at observed labels, predictions, and the order of the estimators.
Sources: DESIGN of auglik, section 3; Heinonen et al. 2025; Kapoor et al. 2022; Durbin & Koopman 1997.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
import torch
import xarray
from matplotlib.figure import Figure

from auglik.objectives import AGGREGATORS, Objective
from auglik.objectives.probes.aggregators import refuses_importance, refuses_weights
from auglik.studies.common.pictures import BLUE, GREEN, ORANGE, SKY, VERMILION, panels
from auglik.studies.objectives.cases import (
    DTYPES,
    ROUNDINGS,
    AggregatorCase,
    LikelihoodCase,
    Pair,
    Worst,
    aggregator_cases,
    amplified,
    extreme_batch,
    folded_batch,
    likelihood_cases,
    magnitude_of_terms,
    ordinary_batch,
    torch_fold,
    torch_table,
    twin_fold,
    twin_table,
    worst,
    worst_of,
)
from auglik.studies.study import Claim, Context, Findings, at_most, equal
from auglik.system.keys import host_generator

QUANTITIES = ("value", "gradient")
ARITHMETIC = ("log-mean", "durbin-koopman", "power-mean", "jackknife", "thermodynamic", "sumo", "multilevel")
"""The aggregators that predict with the mean of the views' probabilities; the others with their geometric mean."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreement:
    """What an objective's torch code is off by in a dtype."""

    label: str
    kind: str
    dtype: str
    quantity: str
    worst: Worst

    def claim(self) -> Claim:
        what = {"value": self.kind, "gradient": f"gradient of the {self.kind}"}[self.quantity]
        text = f"{self.label}: {what} in {self.dtype} equals its twin's (at its worst entry)"
        return equal(text, self.worst.value, self.worst.reference, self.worst.tolerance)


def _of_likelihood(case: LikelihoodCase, classes: Sequence[int], seed: int) -> list[Agreement]:
    """The table and its gradient in the logits, on ordinary and extreme logits."""
    batches = [draw(case, C, seed) for C in classes for draw in (ordinary_batch, extreme_batch)]
    exact = [twin_table(case, batch) for batch in batches]
    magnitudes = [magnitude_of_terms(case, twin.value) for twin in exact]
    steepness = [
        magnitude * (1 + np.abs(twin.gradient).max(-1, keepdims=True))
        for magnitude, twin in zip(magnitudes, exact, strict=True)
    ]
    ours = partial(torch_table, case)
    return _agreements(f"likelihood {case.label}", "table", ours, batches, exact, magnitudes, steepness)


def _of_aggregator(case: AggregatorCase, classes: Sequence[int], seed: int) -> list[Agreement]:
    """The fold and its gradient in the table: of plain views, of weighted ones and of ones from a proposal."""
    refused = {
        "weight": refuses_weights(case.aggregator, equal=True), "importance": refuses_importance(case.aggregator),
    }  # fmt: skip
    settings = ["plain", *(setting for setting in refused if not refused[setting])]
    batches = [folded_batch(case, setting, C, seed) for C in classes for setting in settings]
    exact = [twin_fold(case, batch) for batch in batches]
    name, order = case.label.partition(":")[0], case.parameters.get("order", 1)
    tables = [batch.table.numpy() for batch in batches]
    magnitudes = [((1 + np.abs(table).max((0, 2))) * amplified(name, order, table))[:, None] for table in tables]
    steepness = [
        magnitude * (1 + np.abs(twin.gradient).max((0, 2))[:, None])
        for magnitude, twin in zip(magnitudes, exact, strict=True)
    ]
    ours = partial(torch_fold, case)
    return _agreements(f"aggregator {case.label}", "fold", ours, batches, exact, magnitudes, steepness)


B = TypeVar("B")


def _agreements(
    label: str,
    kind: str,
    ours: Callable[[B, torch.dtype], Pair],
    batches: Sequence[B],
    exact: Sequence[Pair],
    *magnitudes: Sequence[np.ndarray],
) -> list[Agreement]:
    """The worst of all batches in each dtype, by the magnitudes of the terms of the value and of its gradient."""
    found: list[Agreement] = []
    for name, dtype in DTYPES.items():
        computed = [ours(batch, dtype) for batch in batches]
        for place, (quantity, scales) in enumerate(zip(QUANTITIES, magnitudes, strict=True)):
            several = [
                worst(one[place], twin[place], scale, dtype)
                for one, twin, scale in zip(computed, exact, scales, strict=True)
            ]
            found.append(Agreement(label=label, kind=kind, dtype=name, quantity=quantity, worst=worst_of(several)))
    return found


def _loss_claim(case: LikelihoodCase, folds: Sequence[AggregatorCase], classes: int, seed: int) -> Claim:
    """The training loss under every aggregator that trains: minus the mean of the twins' value at the labels."""
    batch = ordinary_batch(case, classes, seed)
    labels = host_generator(seed, "objectives", "labels").integers(classes, size=batch.logits.shape[1])
    table = torch.tensor(twin_table(case, batch).value)
    losses = []
    for fold in (fold for fold in folds if fold.aggregator.trains):
        seen = folded_batch(fold, "plain", classes, seed)._replace(table=table)
        exact = -twin_fold(fold, seen).value[np.arange(len(labels)), labels].mean()
        ours = Objective(case.likelihood, fold.aggregator).loss(batch.logits, batch.decay, torch.tensor(labels))
        magnitude = 1 + np.abs(table.numpy()).max()
        losses.append(worst(np.array([float(ours)]), np.array([exact]), magnitude, torch.float64))
    value = worst_of(losses)
    text = f"loss of {case.label} equals minus the mean of its twins at the labels (under its worst aggregator)"
    return equal(text, value.value, value.reference, value.tolerance)


def _prediction_claims(fold: AggregatorCase, cases: Sequence[LikelihoodCase], seed: int) -> list[Claim]:
    """Predictions under every likelihood: they sum to one, and are the mean of the views that the design names."""
    sums, masses = [], []
    for case in cases:
        logits = ordinary_batch(case, 10, seed).logits
        predicted = Objective(case.likelihood, fold.aggregator).predict(logits).exp().numpy()
        clean = np.exp(logits.numpy())[..., : logits.shape[-1] - case.likelihood.extra_outputs]
        clean /= clean.sum(-1, keepdims=True)
        arithmetic = fold.label.partition(":")[0] in ARITHMETIC
        mean = clean.mean(0) if arithmetic else clean.prod(0) ** (1 / len(clean))
        exact = mean / mean.sum(-1, keepdims=True)
        sums.append(worst(predicted.sum(-1), np.ones(len(predicted)), np.ones(1), torch.float64))
        masses.append(worst(predicted, exact, np.ones(1), torch.float64))
    total, mass = worst_of(sums), worst_of(masses)
    how = "mean" if arithmetic else "geometric mean"
    return [
        equal(f"prediction of {fold.label} sums to one under every likelihood", *total),
        equal(f"prediction of {fold.label} is the {how} of the views' clean probabilities, renormalized", *mass),
    ]


def _bounds(images: int, seed: int) -> xarray.Dataset:
    """The estimators of the log marginal likelihood on views that disagree by e^-5 to e^5 nats, K in 2..16."""
    rng = host_generator(seed, "objectives", "bounds")
    columns: dict[str, list[np.ndarray]] = {"disagreement": [], "jensen": [], "log-mean": [], "durbin-koopman": []}
    views = (2, 4, 16)
    for K in views:
        table = np.exp(rng.uniform(-5, 5, images)) * rng.normal(size=(K, images))
        columns["disagreement"].append(table.std(0))
        for name in ("jensen", "log-mean", "durbin-koopman"):
            columns[name].append(AGGREGATORS[name].fold(torch.tensor(table)[..., None])[:, 0].numpy())
    dims = ("K", "image")
    data = xarray.Dataset({name: (dims, np.stack(rows)) for name, rows in columns.items()}, {"K": list(views)})
    for column in data.data_vars.values():
        column.attrs["units"] = "nat"
    data["disagreement"].attrs["long_name"] = "standard deviation of the log-likelihood over an image's views"
    return data


def _bound_claims(data: xarray.Dataset) -> list[Claim]:
    jensen, log_mean, upper = (data[name].to_numpy() for name in ("jensen", "log-mean", "durbin-koopman"))
    rounding = ROUNDINGS * np.finfo(np.float64).eps * (1 + np.abs(log_mean).max())
    return [
        at_most("jensen <= log-mean: the largest difference", (jensen - log_mean).max(), 0, rounding),
        at_most("log-mean <= durbin-koopman: the largest difference", (log_mean - upper).max(), 0, rounding),
        at_most("durbin-koopman <= log-mean + 1/2: the largest difference", (upper - log_mean).max(), 0.5, rounding),
    ]


def _agreement_data(found: Sequence[Agreement]) -> xarray.Dataset:
    labels = list(dict.fromkeys(entry.label for entry in found))
    errors = xarray.DataArray(
        np.full((len(labels), len(DTYPES), 2), np.nan),
        {"objective": labels, "dtype": list(DTYPES), "quantity": list(QUANTITIES)},
        attrs={"long_name": "largest difference to the twin", "units": f"tolerances / {ROUNDINGS}, roundings"},
    )
    for entry in found:
        errors.loc[entry.label, entry.dtype, entry.quantity] = entry.worst.roundings
    return xarray.Dataset({"roundings": errors})


def _agreement_figure(data: xarray.Dataset) -> Figure:
    figure, (axes,) = panels(1, 1, (8.6, 7.4))
    rows = np.arange(data.sizes["objective"])
    marks = {"float32": (BLUE, SKY), "float64": (VERMILION, ORANGE)}
    for dtype, colours in marks.items():
        for quantity, colour, marker in zip(QUANTITIES, colours, "os", strict=True):
            values = data["roundings"].sel(dtype=dtype, quantity=quantity)
            label = f"{quantity}, {dtype}"
            axes.plot(values.clip(min=1e-3), rows, marker, color=colour, label=label, alpha=0.9, markersize=6)
    axes.axvline(ROUNDINGS, color="black", linewidth=1)
    axes.text(0.95 * ROUNDINGS, len(rows) - 0.7, "tolerance", ha="right", fontsize=9)
    axes.set_xscale("log")
    axes.set_yticks(rows, [str(name) for name in data["objective"].values])
    axes.set_ylim(len(rows) - 0.5, -0.6)
    axes.set_xlabel("largest difference to the twin (roundings of the dtype)")
    axes.grid(axis="x", color="0.9")
    figure.legend(loc="outside lower center", ncols=4, frameon=False)
    figure.suptitle(f"Torch and JAX agree within {data['roundings'].max():.2g} roundings on every objective")
    return figure


def _bounds_figure(data: xarray.Dataset) -> Figure:
    figure, (axes,) = panels(1, 1, (7.2, 4.6))
    at_four = data.sel(K=4)
    for name, colour in (("durbin-koopman", GREEN), ("jensen", VERMILION)):
        difference = at_four[name] - at_four["log-mean"]
        axes.plot(at_four["disagreement"], difference, ".", color=colour, markersize=3, label=f"{name} - log-mean")
    for level, text in ((0.0, "log-mean"), (0.5, "log-mean + 1/2")):
        axes.axhline(level, color="black", linewidth=1)
        axes.text(1.2e-2, level + 0.03, text, fontsize=9)
    axes.set(xscale="log", ylim=(-2, 0.8), xlim=(1e-2, 1e2))
    axes.set_xlabel("standard deviation of the log-likelihood over 4 views of an image (nat)")
    axes.set_ylabel("difference to the log-mean (nat)")
    axes.legend(loc="lower left", frameon=False, markerscale=4)
    figure.suptitle("jensen <= log-mean <= durbin-koopman <= log-mean + 1/2")
    return figure


def objectives(context: Context) -> Findings:
    """Every likelihood and aggregator against its twin, their losses, predictions and order."""
    classes = (10,) if context.quick else (10, 2, 3, 100)
    likelihoods, aggregators = likelihood_cases(), aggregator_cases()
    steps = len(likelihoods) + len(aggregators)
    agreements: list[Agreement] = []
    for done, case in enumerate(likelihoods, 1):
        agreements += _of_likelihood(case, classes, context.seed)
        context.progress(0.8 * done / steps)
    for done, fold in enumerate(aggregators, 1 + len(likelihoods)):
        agreements += _of_aggregator(fold, classes, context.seed)
        context.progress(0.8 * done / steps)

    claims = [entry.claim() for entry in agreements]
    claims += [_loss_claim(case, aggregators, 10, context.seed) for case in likelihoods]
    claims += [claim for fold in aggregators for claim in _prediction_claims(fold, likelihoods, context.seed)]
    bounds = _bounds(1000 if context.quick else 20_000, context.seed)
    claims += _bound_claims(bounds)

    agreement = _agreement_data(agreements)
    data = xarray.DataTree.from_dict({"agreement": agreement, "bounds": bounds})
    figures = {"agreement": _agreement_figure(agreement), "bounds": _bounds_figure(bounds)}
    return Findings(claims, data, figures, _remarks(agreement, bounds))


def _remarks(agreement: xarray.Dataset, bounds: xarray.Dataset) -> list[str]:
    worst_case = agreement["roundings"].max(("dtype", "quantity"))
    name = str(worst_case.idxmax().item())
    gap = 0.5 - float((bounds["durbin-koopman"] - bounds["log-mean"]).max())
    return [
        f"The least accurate objective is {name}: off by {worst_case.max():.2g} roundings at the magnitude of its"
        f" terms, where {ROUNDINGS} are allowed.",
        f"The bound log-mean + 1/2 is attained: durbin-koopman comes within {max(gap, 1e-15):.0e} nat of it where one"
        " view outweighs the others.",
    ]
