"""Is the normalizer of the smoothed likelihoods right, wherever a network can go, and what is it the normalizer of?

Z(f) = sum_j E_gamma prod_c f_c^{q_c(gamma, e_j)} with the level gamma uniform on [0,1], or as a schedule draws it. The
torch code against quadrature of the definition, Monte Carlo and NUTS; the published form of it; and the loss of every
likelihood as logits grow on a clean label. Sources: Heinonen et al. 2025, Eq. 10-11; DESIGN of auglik, section 3.1.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import jax
import numpy as np
import torch
import xarray
from scipy.integrate import quad_vec  # type: ignore[attr-defined]
from torch import Tensor

from auglik.objectives import LIKELIHOODS, Likelihood, Schedule, SmoothedNormalizedSchedule
from auglik.objectives.likelihoods.smoothed_normalized_schedule import log_normalizer_under
from auglik.objectives.numerics import log_softmax
from auglik.studies.normalizer import direct as normalizer_direct
from auglik.studies.normalizer import draws as normalizer_draws
from auglik.studies.normalizer import rays as normalizer_rays
from auglik.studies.normalizer import toward as normalizer_toward
from auglik.studies.normalizer.direct import our_log_normalizer
from auglik.studies.normalizer.references import (
    BREAKS,
    Normalizer,
    by_confluent_function,
    by_jax,
    by_numpyro,
    by_scipy,
    level_quantile,
)
from auglik.studies.study import Claim, Context, Findings, at_most, equal
from auglik.system.keys import host_generator

CLASSES = (2, 10, 100, 1000)
SCALES = (0.0, 1e-6, 1e-3, 0.1, 1.0, 5.0, 20.0, 80.0, 200.0)
DTYPES = {"float32": torch.float32, "float64": torch.float64}
ROUNDINGS = {"float32": 16, "float64": 64}
"""What log Z may be off by, in roundings of the dtype at 1 + |log Z|; in float64 half of it is the quadratures'."""

TEMPERATURES = ((1.0, 2.0), (2.0, 2.0), (0.7, 2.5))
"""alpha and beta of t ~ Beta(alpha, beta) for gamma = t."""
EXPONENTS = (0.5, 1.0, 2.0)
"""k of gamma = sin(t pi/2)^(2k)."""

Form = Callable[[Tensor], Tensor]


@dataclass(frozen=True, kw_only=True, slots=True)
class Compared:
    """log Z and its gradient by torch and by a reference: logits [N,C], values [N], gradients [N,C]."""

    value: np.ndarray
    gradient: np.ndarray
    exact_value: np.ndarray
    exact_gradient: np.ndarray
    rounding: float

    def claims(self, what: str, reference: str) -> list[Claim]:
        """The value, and the gradient, where they differ most from the reference for their magnitude."""
        allowed = self.rounding * (1 + np.abs(self.exact_value))
        at = _worst(np.abs(self.value - self.exact_value) / allowed)
        entry = _worst(np.abs(self.gradient - self.exact_gradient) / allowed[:, None])
        worst_value = self.value[at], self.exact_value[at], allowed[at]
        worst_slope = self.gradient[entry], self.exact_gradient[entry], allowed[entry[0]]
        return [
            equal(f"{what}: value, against {reference}", *worst_value),
            equal(f"{what}: gradient, against {reference}", *worst_slope),
        ]


def _worst(errors: np.ndarray) -> tuple[np.intp, ...]:
    """Where errors are largest; NaN is larger than any."""
    return np.unravel_index(np.argmax(np.nan_to_num(errors, nan=np.inf)), errors.shape)


def grid_of_logits(classes: int, draws: int, seed: int) -> np.ndarray:
    """[N,C] of values that float32 holds: uniform within each of SCALES, and one sure of a class, of that length."""
    rng = host_generator(seed, "normalizer", "grid", classes)
    spread = [scale * rng.uniform(-1, 1, classes) for scale in SCALES for _ in range(draws)]
    sure = [scale * np.eye(classes)[0] for scale in SCALES]
    return np.array(spread + sure, np.float32).astype(np.float64)


def by_torch(form: Form, logits: np.ndarray, dtype: torch.dtype) -> tuple[np.ndarray, np.ndarray]:
    """log Z [N] and its gradients [N,C] of the torch code, computed in `dtype`."""
    leaf = torch.tensor(logits, dtype=dtype).requires_grad_()
    value = form(leaf)
    (gradient,) = torch.autograd.grad(value.sum(), leaf)
    return value.detach().double().numpy(), gradient.double().numpy()


def _compared(form: Form, logits: np.ndarray, exact: Sequence[Normalizer], name: str) -> Compared:
    values, slopes = np.array([one.value for one in exact]), np.array([one.gradient for one in exact])
    dtype = DTYPES[name]
    value, gradient = by_torch(form, logits, dtype)
    rounding = ROUNDINGS[name] * torch.finfo(dtype).eps
    return Compared(value=value, gradient=gradient, exact_value=values, exact_gradient=slopes, rounding=rounding)


def uniform_level(context: Context) -> tuple[list[Claim], xarray.Dataset]:
    """log Z under a uniform level against scipy, JAX and NumPyro; its bound."""
    claims: list[Claim] = []
    rows = []
    for C in CLASSES:
        logits = grid_of_logits(C, 1 if context.quick else 8, context.seed)
        exact = [by_scipy(x) for x in logits]
        values, slopes = by_jax(logits)
        gauss = [Normalizer(*pair) for pair in zip(values, slopes, strict=True)]
        for name in DTYPES:
            what = f"log Z (uniform level), C = {C}, {name}"
            compared = _compared(our_log_normalizer, logits, exact, name)
            claims += compared.claims(what, "scipy quadrature")
            claims += _compared(our_log_normalizer, logits, gauss, name).claims(what, "JAX Gauss-Legendre")
            flat = (logits == 0).all(-1)
            at_uniform = np.abs(compared.value[flat]).max()
            claims.append(equal(f"{what}: 0 at uniform logits", at_uniform, 0.0, compared.rounding))
            claims.append(at_most(f"{what}: at most 0, the largest", compared.value.max(), 0.0, compared.rounding))
            rows.append((C, name, compared))
        claims.append(_monte_carlo_claim(C, context))
    return claims, _accuracy_data(rows)


def _monte_carlo_claim(C: int, context: Context) -> Claim:
    """Z where it is farthest from NumPyro's mean over levels, in standard errors."""
    rng = host_generator(context.seed, "normalizer", "monte carlo", C)
    logits = np.array([scale * rng.uniform(-1, 1, C) for scale in (0.1, 1.0, 5.0, 20.0, 80.0)])
    draws = 4000 if context.quick else 40_000
    estimate = by_numpyro(logits, draws, jax.random.key(context.seed + C))
    Z = np.exp(by_torch(our_log_normalizer, logits, torch.float64)[0])
    (at,) = _worst(np.abs(Z - estimate.mean) / estimate.standard_error)
    text = f"Z (uniform level), C = {C}: within 4 standard errors of {draws} draws of the level by NumPyro"
    return equal(text, Z[at], estimate.mean[at], 4 * estimate.standard_error[at])


def _accuracy_data(rows: Sequence[tuple[int, str, Compared]]) -> xarray.Dataset:
    """Values and errors on the grid of logits; the rows with a class that is sure come after the spread ones."""
    dims = ("classes", "dtype", "logits")
    shape = (len(CLASSES), len(DTYPES), -1)
    exact = np.array([compared.exact_value for *_, compared in rows]).reshape(shape)[:, 0]
    value = np.array([compared.value - compared.exact_value for *_, compared in rows]).reshape(shape)
    slope = [np.abs(compared.gradient - compared.exact_gradient).max(-1) for *_, compared in rows]
    draws = exact.shape[-1] // len(SCALES) - 1
    scale = np.concatenate([np.repeat(SCALES, draws), SCALES])
    kind = ["spread"] * (draws * len(SCALES)) + ["sure"] * len(SCALES)
    return xarray.Dataset(
        {
            "log_Z": (("classes", "logits"), exact, {"units": "nat", "long_name": "log Z by scipy quadrature"}),
            "error": (dims, value, {"units": "nat", "long_name": "torch minus scipy quadrature"}),
            "gradient_error": (dims, np.array(slope).reshape(shape), {"long_name": "largest over the logits"}),
        },
        {
            "classes": list(CLASSES),
            "dtype": list(DTYPES),
            "scale": ("logits", scale),
            "kind": ("logits", kind),
        },
    )


def _form_under(schedule: Schedule) -> Form:
    measure = SmoothedNormalizedSchedule(schedule).measure
    return lambda logits: log_normalizer_under(measure, log_softmax(logits))


def schedule_level(context: Context) -> list[Claim]:
    """log Z under a schedule: 1F1 for gamma = t, quadrature for gamma = sin^2k, and the shares of the roles."""
    claims: list[Claim] = []
    sizes = (10,) if context.quick else (2, 10, 100)
    grids = [grid_of_logits(C, 1, context.seed) for C in sizes]

    def add(schedule: Schedule, what: str, reference: str, exact: Callable[[np.ndarray], Normalizer]) -> None:
        for C, logits in zip(sizes, grids, strict=True):
            references = [exact(x) for x in logits]
            for name in DTYPES:
                compared = _compared(_form_under(schedule), logits, references, name)
                claims.extend(compared.claims(f"log Z (schedule, {what}), C = {C}, {name}", reference))

    for alpha, beta in TEMPERATURES:
        blur = Schedule(clean=0, noise=0, alpha=alpha, beta=beta)
        what = f"gamma = t ~ Beta({alpha:g},{beta:g})"
        add(blur, what, "sum f 1F1", lambda x, a=alpha, b=beta: by_confluent_function(x, a, b))  # type: ignore[misc]
    for k in EXPONENTS:
        noise = Schedule(clean=0, blur=0, k_noise=k)
        level = level_quantile(noise, "noise")
        add(noise, f"gamma = sin^{2 * k:g}", "scipy quadrature", lambda x, level=level: by_scipy(x, level))  # type: ignore[misc]
    return claims


def total_mass(likelihood: Likelihood, logits: np.ndarray, level: Callable[[float], float]) -> np.ndarray:
    """sum_j E exp table_j over levels, by adaptive quadrature of the torch table: [N,C] -> [N]."""
    views = torch.tensor(logits)[None]

    def mass(u: float) -> np.ndarray:
        decay = torch.full(views.shape[:2], float(level(u)), dtype=torch.float64)
        return likelihood.table(views, decay)[0].exp().sum(-1).numpy()

    result, _ = quad_vec(mass, 0, 1, epsabs=1e-13, epsrel=1e-12, norm="max", points=BREAKS)
    return np.asarray(result)


def mass_claims(context: Context) -> list[Claim]:
    """The densities over (label, level) integrate to one."""
    logits = grid_of_logits(10, 1, context.seed)
    scheduled = Schedule()
    by_role = [
        total_mass(LIKELIHOODS["smoothed-normalized-schedule"], logits, level)
        for level in (lambda u: 0.0, level_quantile(scheduled, "noise"), level_quantile(scheduled, "blur"))
    ]
    masses = {
        "smoothed-normalized": total_mass(LIKELIHOODS["smoothed-normalized"], logits, lambda u: u),
        "smoothed-normalized-schedule": np.average(by_role, axis=0, weights=scheduled.shares()[:3]),
    }
    claims = []
    for name, mass in masses.items():
        (at,) = _worst(np.abs(mass - 1))
        claims.append(equal(f"{name}: integrates to one over labels and levels", mass[at], 1.0, 1e-10))
    return claims


def normalizer(context: Context) -> Findings:
    """The normalizer's accuracy, its density, its published form, and the loss on clean labels."""
    claims, accuracy = uniform_level(context)
    context.progress(0.3)
    claims += schedule_level(context)
    claims += mass_claims(context) + normalizer_toward.claims_of(context)
    context.progress(0.4)
    drawn = normalizer_draws.sample(context.seed, 1500 if context.quick else 6000)
    draw_claims, shares = normalizer_draws.compare(drawn)
    context.progress(0.8)
    sizes = (2, 3, 5, 10, 30, 100, 300, 1000)
    direct = normalizer_direct.error_map(sizes, 64 if context.quick else 1000, context.seed)
    rays = normalizer_rays.data_of(context.seed)
    claims += [*draw_claims, *normalizer_direct.claims_of(direct), *normalizer_rays.claims_of(rays)]

    data = {"accuracy": accuracy, "draws": drawn["posterior"].to_dataset(), "shares": shares}
    figures = {
        "direct_form": normalizer_direct.figure_of(direct),
        "rays": normalizer_rays.figure_of(rays),
        "draws": normalizer_draws.figure_of(shares),
    }
    tree = xarray.DataTree.from_dict({**data, "direct": direct, "rays": rays})
    return Findings(claims, tree, figures, [normalizer_direct.remark(direct), normalizer_rays.remark(rays)])
