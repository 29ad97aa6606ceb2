"""How far is each aggregator from log I on a real network and real test images?

A network is trained on digits, and every test image is seen under every shift up to 2 pixels: 25 equally likely views,
so log I = log of a mean over 25 is exact. The aggregators see K views drawn from them with replacement. Digits are not
flipped: a mirrored digit is another sign or none, and a remark says what it does to the error. A data set whose
classes survive flips (--data, e.g. CIFAR-10) is studied beside it with flips, 50 views.

The exact expectation of every aggregator for every K comes from Laplace transforms over the orbit (common.exact), and
for two views from the sum over all pairs. Sources: Heinonen et al. 2025, Appendix C; Durbin & Koopman 1997.
"""

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
import torch
import xarray

from auglik.objectives import AGGREGATORS
from auglik.studies.common import exact
from auglik.studies.common.trained import LARGEST_SHIFT, Offset, Trained, trained
from auglik.studies.estimators.claims import Slope, slope_of
from auglik.studies.estimators.measure import CONSISTENT, VIEWS, views_of
from auglik.studies.orbit.figures import orbit_figure
from auglik.studies.orbit.measure import (
    MIXES_LABELS,
    Sampled,
    Tables,
    over_all_pairs,
    pairs_of_geometric_normalized,
    sample,
    tables_of,
    views_sampled,
)
from auglik.studies.study import Claim, Context, Findings, at_least, at_most, equal
from auglik.studies.twins import AGGREGATOR_TWINS, LIKELIHOOD_TWINS

FITTED_FROM = 16


def view_claims(found: Trained) -> list[Claim]:
    """The rendered orbit is what slices of the padded images are."""
    pad = ((0, 0), (0, 0), (LARGEST_SHIFT,) * 2, (LARGEST_SHIFT,) * 2)
    H, W = found.pixels.shape[2:]
    mean, std = (np.array(values)[:, None, None] for values in (found.mean, found.std))
    worst = 0.0
    for offset, view in zip(found.offsets, found.views.numpy(), strict=True):
        padded = np.pad(found.pixels[..., ::-1] if offset.flip else found.pixels, pad)
        rows = slice(LARGEST_SHIFT + offset.top, LARGEST_SHIFT + offset.top + H)
        columns = slice(LARGEST_SHIFT + offset.left, LARGEST_SHIFT + offset.left + W)
        worst = max(worst, float(np.abs((padded[..., rows, columns] / 255 - mean) / std - view).max()))
    text = f"{found.dataset}: the {len(found.offsets)} rendered views against NumPy slices of padded images"
    return [at_most(text, worst, 1e-5)]


def integral_claims(found: Trained, tables: Tables, logits: np.ndarray) -> list[Claim]:
    """torch's log-mean over the whole orbit is log I, by NumPy and by the twins."""
    labels, images = found.labels.numpy(), np.arange(len(found.labels))
    whole = AGGREGATORS["log-mean"].fold(torch.from_numpy(tables.log_f)).numpy()[images, labels]
    table = LIKELIHOOD_TWINS["categorical"](jnp.asarray(logits), jnp.zeros(logits.shape[:2]))
    twin = np.asarray(AGGREGATOR_TWINS["log-mean"](table))[images, labels]
    name = f"{found.dataset}: log-mean over the whole orbit"
    return [
        at_most(f"{name} against NumPy's log of the mean, the worst image", gap(whole, tables.log_integral), 1e-12),
        at_most(f"{name} against the JAX twins, the worst image", gap(whole, twin), 1e-12),
    ]  # fmt: skip


def gap(a: np.ndarray, b: np.ndarray) -> float:
    """The largest absolute difference."""
    return float(np.abs(a - b).max())


def pair_claims(found: Trained, tables: Tables, expected: Mapping[str, np.ndarray]) -> list[Claim]:
    """Two views: the sum over all pairs of views of every image."""
    labels = found.labels.numpy()
    place = list(VIEWS).index(2)
    claims = []
    for name in AGGREGATORS:
        if name == MIXES_LABELS:
            reference, source = pairs_of_geometric_normalized(tables, labels), "its definition in NumPy"
        else:
            reference, source = expected[name][place], "the Laplace integral"
        value = gap(over_all_pairs(name, tables, labels), reference)
        text = f"{found.dataset}: {name} of 2 views, all pairs summed, against {source}, the worst image"
        claims.append(at_most(text, value, 1e-10))
    errors = [
        np.abs(over_all_pairs(name, tables, labels) - tables.log_integral) for name in ("log-mean", "durbin-koopman")
    ]
    text = f"{found.dataset}: share of images on which durbin-koopman of 2 views has a smaller bias than log-mean"
    claims.append(at_least(text, (errors[1] < errors[0]).mean(), 0.95))
    return claims


def sampling_claims(
    found: Trained, tables: Tables, sampled: Mapping[str, Sampled], expected: Mapping[str, np.ndarray]
) -> list[Claim]:
    """The mean error over images of K random views, against the exact one.

    Where views hardly differ errors are rounding: of log p, of M(s)^K to K eps over the range of log s, and K times
    that of K L_K less K - 1 times the others, the jackknife.
    """
    claims, size = [], float(np.abs(tables.log_p).max())
    for name, result in sampled.items():
        if name == MIXES_LABELS:
            continue
        exact_bias = (expected[name] - tables.log_integral).mean(1)[-len(result.bias) :]
        K = views_of(name)
        rounding = np.finfo(float).eps * (size - K * exact.LOWEST) * (K if name == "jackknife" else 1)
        worst = (np.abs(result.bias - exact_bias) / np.hypot(result.standard_error, rounding)).max()
        text = f"{found.dataset}: {name}'s mean error against the exact one, at the worst K, in standard errors"
        claims.append(at_most(text, worst, 4.0))
    return claims


def law_claims(
    found: Trained, tables: Tables, sampled: Mapping[str, Sampled], expected: Mapping[str, np.ndarray]
) -> tuple[list[Claim], dict[str, Slope]]:
    """What holds for known laws holds here: jensen's gap stays, log-mean's falls as 1/K, the corrected ones' faster."""
    jensen, mean_gap = sampled["jensen"], float((tables.log_p @ tables.weights - tables.log_integral).mean())
    text = f"{found.dataset}: jensen's mean error at K = 256 is the whole Jensen gap of the orbit"
    claims = [equal(text, jensen.bias[-1], mean_gap, 4 * jensen.standard_error[-1])]
    place = list(VIEWS).index(1)
    log_mean = sampled["log-mean"]
    text = f"{found.dataset}: log-mean's mean error at K = 1 is that gap too, not 0"
    claims.append(equal(text, log_mean.bias[place], mean_gap, 4 * log_mean.standard_error[place]))
    slopes = {}
    for name, power in CONSISTENT.items():
        late = views_of(name) >= FITTED_FROM
        result = sampled[name]
        slope = slopes[name] = slope_of(views_of(name)[late], result.bias[late], result.covariance[np.ix_(late, late)])
        if len(slope.fitted) < 2 and found.dataset != "digits":
            continue  # views of another data set may differ too little for a bias of order 1/K^2 to be seen
        text = f"{found.dataset}: slope of {name}'s log|mean error| over K = {FITTED_FROM}.. (theory {power})"
        # Next order in 1/K, for images one of whose views dominates.
        claims.append(equal(text, slope.value, power, 4 * slope.standard_error + 0.25))
    return claims, slopes


def as_dataset(
    found: Trained, tables: Tables, sampled: Mapping[str, Sampled], expected: Mapping[str, np.ndarray]
) -> xarray.Dataset:
    """Sampled and exact errors by aggregator and K, and the exact ones of every image."""

    def padded(values: np.ndarray, name: str) -> np.ndarray:
        row = np.full(len(VIEWS), np.nan)
        row[np.isin(VIEWS, views_sampled(name))] = values
        return row

    def of_images(name: str) -> np.ndarray:
        if name == MIXES_LABELS:
            return np.full((len(VIEWS), len(found.labels)), np.nan)
        return np.where((views_of(name).min() <= VIEWS)[:, None], expected[name] - tables.log_integral, np.nan)

    dims = ("aggregator", "views")
    nat = {"units": "nat"}
    columns = {
        "bias": [padded(result.bias, name) for name, result in sampled.items()],
        "bias_standard_error": [padded(result.standard_error, name) for name, result in sampled.items()],
        "rmse": [padded(result.rmse, name) for name, result in sampled.items()],
    }
    return xarray.Dataset(
        {
            **{name: (dims, np.stack(rows), nat) for name, rows in columns.items()},
            "exact_bias_of_image": ((*dims, "image"), np.stack([of_images(name) for name in sampled]), nat),
            "log_integral": ("image", tables.log_integral, nat),
            "relative_variance": ("image", tables.relative_variance, {"meaning": "Var p / I^2 over the orbit"}),
            "log_likelihood": (("image", "view"), tables.log_p, {**nat, "meaning": "log p(true label) of each view"}),
        },
        {"aggregator": list(sampled), "views": VIEWS, "top": ("view", [offset.top for offset in found.offsets]),
         "left": ("view", [offset.left for offset in found.offsets]),
         "flip": ("view", [int(offset.flip) for offset in found.offsets])},
        {"dataset": found.dataset, "views_of_orbit": len(found.offsets)},
    )  # fmt: skip


@torch.no_grad()
def error_rates(found: Trained, logits: np.ndarray) -> tuple[float, float, float]:
    """Shares of wrong predictions: test images as they are, mirrored, and over the orbit of logits [m,N,C]."""
    at_rest = found.offsets.index(Offset(0, 0, False))
    mirrored = found.logits(found.views[at_rest][None].flip(-1))[0].numpy()
    truth = found.labels.numpy()
    clean, flipped, everywhere = (np.mean(scores.argmax(-1) != truth) for scores in (logits[at_rest], mirrored, logits))
    return float(clean), float(flipped), float(everywhere)


def one_dataset(dataset: str, context: Context) -> tuple[list[Claim], xarray.Dataset, list[str]]:
    """The whole study on one data set."""
    images, rounds, draws = (100, 1, 300) if context.quick else (500, 12, 50)
    found = trained(dataset, images, context.quick, context.seed)
    with torch.no_grad():
        logits = found.logits(found.views).numpy()
    tables, labels = tables_of(found, logits), found.labels.numpy()
    context.progress(0.2)
    expected = exact.expected(tables.log_p, tables.weights, [int(K) for K in VIEWS])
    sampled = sample(tables, labels, context, found.dataset, rounds, draws)
    claims = view_claims(found) + integral_claims(found, tables, logits) + pair_claims(found, tables, expected)
    claims += sampling_claims(found, tables, sampled, expected)
    of_law, slopes = law_claims(found, tables, sampled, expected)
    data = as_dataset(found, tables, sampled, expected)
    data.attrs |= {f"slope_{name}": slope.value for name, slope in slopes.items()}
    clean, mirrored, everywhere = error_rates(found, logits)
    K = list(VIEWS).index(4)
    means = {name: float((expected[name][K] - tables.log_integral).mean()) for name in ("jensen", *CONSISTENT)}
    stated = ", ".join(f"{name} {value:+.4f}" for name, value in means.items())
    shifts_only = "" if any(offset.flip for offset in found.offsets) else ": a flip changes what it is, so shifts only"
    remarks = [
        f"{found.dataset}: {len(found.offsets)} views of {len(labels)} test images; error {clean:.1%} on images as they"
        f" are, {everywhere:.1%} over the orbit, {mirrored:.1%} on mirrored images{shifts_only}.",
        f"{found.dataset}: mean log I {tables.log_integral.mean():.4f} nats; mean bias of 4 views: {stated}.",
    ]  # fmt: skip
    return claims + of_law, data, remarks


def orbit(context: Context) -> Findings:
    """Every aggregator's error against the exact log I of real test images under a finite set of views."""
    claims: list[Claim] = []
    groups: dict[str, xarray.Dataset] = {}
    remarks: list[str] = []
    for dataset in dict.fromkeys(["digits", *([context.data] if context.data else [])]):
        found, data, said = one_dataset(dataset, context)
        claims += found
        remarks += said
        groups[str(data.attrs["dataset"])] = data
    figures = {f"orbit-{name}": orbit_figure(data) for name, data in groups.items()}
    context.progress(1.0)
    return Findings(claims, xarray.DataTree.from_dict(groups), figures, remarks)
