"""How far is each aggregator of K views from log I = log E p, the log marginal likelihood that it stands for?

Views with a known log I (Beta, log-normal, two-point), the same draws for every aggregator, K = 1..256 a prefix of the
last. Means are compared with exact ones from Laplace transforms (common.exact), two-point views are summed exactly.
A bias of order 1/K^2 drowns in replicates of standard deviation 1/sqrt(K), so I_K/I - 1, its square and the sample
variance of p/I, whose means 0, V/K and V are known, serve as control variates, with the coefficients of the expansion.

Sources: Heinonen et al. 2025, Appendix C; Durbin & Koopman 1997; Nowozin 2018 (the jackknife).
"""

import numpy as np
import xarray

from auglik.studies.common.laws import Law
from auglik.studies.estimators.allocation import allocation
from auglik.studies.estimators.budgets import budgets
from auglik.studies.estimators.claims import (
    bias_claims,
    design_claims,
    jensen_claims,
    order_claims,
    single_view_claims,
    slope_claims,
    spread_claims,
)
from auglik.studies.estimators.figures import bias_figure, error_figure
from auglik.studies.estimators.measure import (
    CONSISTENT,
    LAWS,
    ROUND,
    VIEWS,
    Measured,
    by_sampling,
    by_summing,
    exact_biases,
    views_of,
)
from auglik.studies.estimators.negative import negative_claims, negative_remark, negative_shares
from auglik.studies.estimators.proposals import proposals
from auglik.studies.study import Claim, Context, Findings


def as_dataset(measured: dict[str, Measured], exact: dict[str, np.ndarray], law: Law) -> xarray.Dataset:
    """Every measure by aggregator and K, NaN where an aggregator takes no K = 1."""

    def padded(values: np.ndarray) -> np.ndarray:
        return np.concatenate([np.full(len(VIEWS) - len(values), np.nan), values])

    columns = {
        "bias": [found.bias for found in measured.values()],
        "bias_standard_error": [found.standard_error for found in measured.values()],
        "standard_deviation": [found.deviation for found in measured.values()],
        "rmse": [found.rmse for found in measured.values()],
        "exact_bias": [exact[name] for name in measured],
    }
    dims = ("aggregator", "views")
    data = xarray.Dataset(
        {name: (dims, np.stack([padded(row) for row in rows]), {"units": "nat"}) for name, rows in columns.items()},
        {"aggregator": list(measured), "views": VIEWS},
        {"law": law.title, "log_integral": law.log_integral, "relative_variance": law.relative_variance},
    )
    data["exact_bias"].attrs["meaning"] = "from Laplace transforms, no draws"
    return data


def estimators(context: Context) -> Findings:
    """Bias, standard deviation and RMSE of every aggregator against K, all on the same draws."""
    rounds = 3 if context.quick else 30
    claims: list[Claim] = []
    groups: dict[str, xarray.Dataset] = {}
    remarks = []
    for key, law in LAWS.items():
        summed = len(law.atoms) == 2
        measured = by_summing(law) if summed else by_sampling(key, law, context, rounds)
        exact = exact_biases(law)
        claims += bias_claims(law, measured, exact)
        of_slopes, slopes = slope_claims(law, measured, exact)
        claims += of_slopes + jensen_claims(law, measured)
        claims += spread_claims(law, measured, 0 if summed else rounds * ROUND) + order_claims(law, context.seed)
        if key == "beta":
            claims += design_claims(measured)
        groups[key] = as_dataset(measured, exact, law)
        for name, slope in slopes.items():
            groups[key].attrs[f"slope_{name}"] = slope.value
            groups[key].attrs[f"slope_{name}_standard_error"] = slope.standard_error
        remarks.append(_rmse_remark(law, measured))
    claims += single_view_claims()
    shares = negative_shares(context)
    claims += negative_claims(shares)
    remarks.append(negative_remark(shares))
    groups["negative-share"] = shares
    for name, part in {"budgets": budgets, "proposal": proposals, "allocation": allocation}.items():
        of_part, groups[name], table = part(context)
        claims += of_part
        remarks.append(table)
    context.progress(1.0)
    figures = {"estimators-bias": bias_figure(groups, list(LAWS)), "estimators-rmse": error_figure(groups, list(LAWS))}
    return Findings(claims, xarray.DataTree.from_dict(groups), figures, [*remarks, *REMARKS])


def _rmse_remark(law: Law, measured: dict[str, Measured]) -> str:
    def at(name: str, K: int) -> float:
        return float(measured[name].rmse[list(views_of(name)).index(K)])

    parts = [
        f"K = {K}: " + ", ".join(f"{name} {at(name, K):.4f}" for name in ("jensen", *CONSISTENT)) for K in (2, 4, 16)
    ]
    return f"RMSE against log I in nats, {law.title}: {'; '.join(parts)}."


REMARKS = (
    "At K = 1 the log-mean is not unbiased, against the paper's remark: it is log p itself, and its bias the whole"
    " Jensen gap.",
    "Nor do the corrections exist there: durbin-koopman and jackknife refuse K = 1.",
    "power-mean (rho = 1/2) is not consistent: it tends to 2 log E sqrt(p). geometric-normalized tends to the logistic"
    " function of the mean log-odds, which for Beta(2,2) is right by symmetry alone; on log-normal views (densities,"
    " no second label) it means nothing and is left out. geometric at T = 1 is jensen.",
)
