"""Which class probabilities does a degraded label ask for, if it is read as a Dirichlet observation?

Dir(f given 1+q) has its mode at q / sum q: a tempered label keeps it at the vertex and only flattens the density, a
smoothed one moves it to q. The published B(y) reads as the concentration q instead, whose density has no mode at all.
Sources: Heinonen et al. 2025, Eq. 9 and Fig. 4; DESIGN of auglik, section 3.1.
"""

import mpmath
import numpy as np
import torch
import xarray
from scipy import special

from auglik.objectives import LIKELIHOODS
from auglik.objectives.numerics import log_beta_of_smoothed_label
from auglik.studies.dirichlet.figures import densities, mode_figure, ternary_figure
from auglik.studies.dirichlet.modes import (
    ASCENT,
    KINDS,
    densest,
    draw,
    label,
    log_density,
    mode_by_numpyro,
    mode_by_torch,
    tolerance_of_densest,
)
from auglik.studies.dirichlet.printed import published_reading
from auglik.studies.study import Claim, Context, Findings, equal
from auglik.system.keys import host_generator

OF_TORCH = {"categorical": "one-hot", "tempered": "tempered", "smoothed": "smoothed", "dirichlet": "smoothed"}
"""Whose label's Dirichlet a likelihood's table is, as a function of the class probabilities."""
DTYPES = {"float32": torch.float32, "float64": torch.float64}


def _levels(context: Context) -> np.ndarray:
    """Decays in [0,1], both ends among them."""
    return np.linspace(0, 1, 5 if context.quick else 21)


def ascended_modes(context: Context) -> tuple[list[Claim], xarray.Dataset]:
    """The mode of NumPyro's density, and that of the torch tables, against q / sum q."""
    levels, sizes = _levels(context), (3, 10)
    rng = host_generator(context.seed, "dirichlet", "starts")
    shape = (len(KINDS), len(sizes), len(levels))
    found, share, expected = (np.full(shape, np.nan) for _ in range(3))
    of_torch = np.full((len(OF_TORCH), *shape[1:]), np.nan)
    for column, C in enumerate(sizes):
        for step, gamma in enumerate(levels):
            start = rng.normal(size=C)
            for row, kind in enumerate(KINDS):
                q = label(kind, gamma, C)
                if not q.any():
                    continue  # a label without mass: the density is uniform, and every point a mode
                mode = mode_by_numpyro(1 + q, start)
                found[row, column, step] = np.abs(mode - q / q.sum()).max()
                share[row, column, step], expected[row, column, step] = mode[0], q[0] / q.sum()
            for row, (name, kind) in enumerate(OF_TORCH.items()):
                q = label(kind, gamma, C)
                if q.any():
                    mode = mode_by_torch(LIKELIHOODS[name], gamma, start)
                    of_torch[row, column, step] = np.abs(mode - q / q.sum()).max()
    dims = ("classes", "gamma")
    data = xarray.Dataset(
        {
            "distance": (("kind", *dims), found, {"long_name": "largest coordinate of NumPyro's mode - q / sum q"}),
            "true_class": (("kind", *dims), share, {"long_name": "true class's probability at NumPyro's mode"}),
            "expected": (("kind", *dims), expected, {"long_name": "true class's share of q"}),
            "torch_distance": (("likelihood", *dims), of_torch, {"long_name": "the same of torch tables"}),
        },
        {"kind": list(KINDS), "likelihood": list(OF_TORCH), "classes": list(sizes), "gamma": levels},
        attrs={"units": "1", "missing": "tempered labels at gamma = 1 have no mass and no mode"},
    )
    return [*_ascent_claims(data), *_kind_claims(data)], data


def _ascent_claims(data: xarray.Dataset) -> list[Claim]:
    claims = []
    for kind in KINDS:
        distance = data["distance"].sel(kind=kind).values
        if kind == "tempered":
            distance = distance[:, :-1]
        text = f"{kind} label: distance of the mode of Dir(1+q), by ascent, from q / sum q"
        claims.append(equal(text, distance.max(), 0.0, ASCENT))
    for name, kind in OF_TORCH.items():
        distance = data["torch_distance"].sel(likelihood=name).values
        if kind == "tempered":
            distance = distance[:, :-1]
        text = f"torch table of {name}: distance of its mode, by ascent, from q / sum q of the {kind} label"
        claims.append(equal(text, distance.max(), 0.0, ASCENT))
    return claims


def _kind_claims(data: xarray.Dataset) -> list[Claim]:
    """What temper and smooth do to the mode, in the true class's probability."""
    share = {kind: data["true_class"].sel(kind=kind, classes=10) for kind in KINDS}
    kept, moved = (share[kind].sel(gamma=0.5).item() for kind in ("tempered", "smoothed"))
    at_one = share["smoothed"].sel(gamma=1.0).item()
    return [
        equal("tempered label keeps the mode at the vertex, C = 10, gamma = 1/2", kept, 1.0, ASCENT),
        equal("smoothed label moves the mode to q, C = 10, gamma = 1/2", moved, 0.55, ASCENT),
        equal("smoothed label at gamma = 1 puts the mode at the center, C = 10", at_one, 0.1, ASCENT),
    ]


def drawn_modes(context: Context) -> tuple[list[Claim], xarray.Dataset]:
    """The densest of NumPyro's draws against q / sum q; torch's densities at the draws against NumPyro's."""
    settings = [
        ("one-hot", 0.0),
        *((kind, gamma) for kind in KINDS[1:] for gamma in (0.25, 0.5, 0.75)),
        ("smoothed", 1.0),
    ]
    claims: list[Claim] = []
    modes = []
    for purpose, (kind, gamma) in enumerate(settings):
        q = label(kind, gamma, 3)
        drawn = draw(1 + q, context, purpose)
        best = densest(drawn, 1 + q)
        modes.append(best)
        allowed = tolerance_of_densest(q, len(drawn))
        at = int(np.argmax(np.abs(best - q / q.sum()) / allowed))
        text = f"{kind} label, gamma = {gamma:g}: class {at} of the densest of {len(drawn)} draws of Dir(1+q)"
        claims.append(equal(text, best[at], q[at] / q.sum(), allowed[at]))
        claims += _density_claims(kind, gamma, drawn[:2000])
    data = xarray.Dataset(
        {"densest": (("setting", "class"), np.array(modes))},
        {"kind": ("setting", [kind for kind, _ in settings]), "gamma": ("setting", [gamma for _, gamma in settings])},
        attrs={"units": "1", "meaning": "class probabilities of the densest of NumPyro's draws of Dir(1+q)"},
    )
    return claims, data


def _density_claims(kind: str, gamma: float, f: np.ndarray) -> list[Claim]:
    """At draws f [N,3]: torch's tables against NumPyro's log-density; those without a constant, up to one."""
    exact = log_density(f, 1 + label(kind, gamma, 3))
    claims = []
    for name in (name for name, of in OF_TORCH.items() if of == kind):
        log_f = torch.tensor(np.log(f))[None]
        table = LIKELIHOODS[name].table(log_f, torch.full(log_f.shape[:2], gamma, dtype=torch.float64))[0, :, 0]
        difference = table.numpy() - exact
        if name != "dirichlet":
            difference = difference - difference[0]
        worst = difference[np.argmax(np.nan_to_num(np.abs(difference), nan=np.inf))]
        up_to = "" if name == "dirichlet" else ", up to a constant"
        text = f"torch table of {name} is NumPyro's log Dir(1+q) of the {kind} label{up_to}, gamma = {gamma:g}"
        claims.append(equal(f"{text}: worst difference", worst, 0.0, 1e-12))
    return claims


def constant_claims(context: Context) -> list[Claim]:
    """log B(1+q) of torch against scipy, 40 digits and NumPyro; and the density's integral, by NumPyro's draws."""
    gammas = np.array([0.0, 1e-3, 0.25, 0.5, 0.75, 0.999, 1.0], np.float32).astype(np.float64)
    claims: list[Claim] = []
    for name, dtype in DTYPES.items():
        compared: dict[str, list[tuple[float, float, float]]] = {"scipy": [], "mpmath": [], "NumPyro": []}
        for C in (2, 3, 10, 100, 1000):
            found = log_beta_of_smoothed_label(torch.tensor(gammas, dtype=dtype)[None], C)[0].double().numpy()
            allowed = 16 * torch.finfo(dtype).eps * (1 + special.gammaln(C + 1))
            for value, gamma in zip(found, gammas, strict=True):
                for route, exact in _log_beta(label("smoothed", gamma, C)).items():
                    compared[route].append((float(value), exact, float(allowed)))
        for route, entries in compared.items():
            worst = max(entries, key=lambda entry: np.nan_to_num(abs(entry[0] - entry[1]) / entry[2], nan=np.inf))
            claims.append(equal(f"log B(1+q) in {name}, C = 2..1000, against {route} (worst entry)", *worst))
    claims += [_integral_claim(gamma, context) for gamma in (0.0, 0.5, 1.0)]
    return claims


def _log_beta(q: np.ndarray) -> dict[str, float]:
    """log B(1+q) by three routes; NumPyro's is what its log-density at the center lacks."""
    center = np.full(len(q), 1 / len(q))
    with mpmath.workdps(40):
        exact = mpmath.fsum(mpmath.loggamma(1 + mpmath.mpf(x)) for x in q.tolist())
        exact -= mpmath.loggamma(mpmath.fsum(1 + mpmath.mpf(x) for x in q.tolist()))
    return {
        "scipy": float(special.gammaln(1 + q).sum() - special.gammaln((1 + q).sum())),
        "mpmath": float(exact),
        "NumPyro": float((q * np.log(center)).sum() - log_density(center, 1 + q)),
    }


def _integral_claim(gamma: float, context: Context) -> Claim:
    """exp of the torch table over the simplex: its mean over NumPyro's uniform draws times the volume 1/(C-1)!."""
    C = 3
    log_f = torch.tensor(np.log(draw(np.ones(C), context, 100 + int(100 * gamma))))[None]
    table = LIKELIHOODS["dirichlet"].table(log_f, torch.full(log_f.shape[:2], gamma, dtype=torch.float64))[0, :, 0]
    masses = table.exp().numpy() / special.gamma(C)
    error = masses.std(ddof=1) / np.sqrt(len(masses))
    text = f"torch table of dirichlet, gamma = {gamma:g}: integrates to one over the simplex, within 4 standard errors"
    return equal(text, masses.mean(), 1.0, 4 * error)


def dirichlet(context: Context) -> Findings:
    """Modes, constants and the printed reading of the Dirichlet likelihood."""
    claims, ascended = ascended_modes(context)
    context.progress(0.3)
    drawn_claims, drawn = drawn_modes(context)
    context.progress(0.5)
    claims += [*drawn_claims, *constant_claims(context)]
    context.progress(0.7)
    printed_claims, printed = published_reading(context)
    claims += printed_claims
    pictured = densities(40 if context.quick else 100)
    data = {"ascended": ascended, "drawn": drawn, "printed": printed, "density": pictured}
    figures = {"ternary": ternary_figure(pictured), "modes": mode_figure(ascended, drawn)}
    return Findings(claims, xarray.DataTree.from_dict(data), figures, _remarks())


def _remarks() -> list[str]:
    share = np.exp(log_beta_of_smoothed_label(torch.tensor([[0.0, 1.0]], dtype=torch.float64), 10)[0].numpy())
    return [
        "Eq. 9 prints B(y). Read as the concentration y it is no density for a one-hot label (B is infinite) and has no"
        " mode for any smoothed one: it is unbounded at every edge, and its interior stationary point is a minimum. A"
        " mode exists once every concentration is above 1, as in Dir(1+q); on the edge of that, a concentration of"
        " exactly 1, the density is flat in that class and the mode lies on the boundary.",
        "A tempered label at gamma = 1 has no mass: its Dirichlet is uniform and has no mode. Temper keeps the mode at"
        " the vertex for every gamma below 1.",
        f"The constant re-weights views in a log-mean: for C = 10 1/B(1+q) is {share[0] / share[1]:.3g} times as large"
        " at gamma = 1 as at gamma = 0.",
    ]
