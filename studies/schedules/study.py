"""Do views lose label as the schedule says, and are temperatures, roles and decays drawn from it?

Signal-to-noise ratio, decay, blur and the laws of temperature and decay, as training computes, draws and renders them,
against JAX, SciPy, NumPyro and mpmath. Source: Heinonen et al. 2025, Eq. 13.
"""

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
import torch
import xarray
from scipy import optimize, special, stats
from scipy.ndimage import gaussian_filter  # type: ignore[attr-defined]

from auglik.objectives import ROLES, Schedule
from auglik.objectives.numerics import gauss_jacobi
from auglik.studies.information.measure import photographs, reference_blur
from auglik.studies.schedules import references
from auglik.studies.schedules.figures import curves_figure, views_figure
from auglik.studies.schedules.measure import Drawn, Noised, amplitudes, blurred, deviation, draw, noised_views
from auglik.studies.study import Claim, Context, Findings, at_least, at_most, equal
from auglik.system.array_types import Float64Array

SCHEDULES = {
    "default": Schedule(),
    "all roles": Schedule(clean=1, noise=2, blur=3, both=2, alpha=2, beta=1.5, k_noise=0.5, k_blur=2),
    "early": Schedule(clean=1, noise=2, blur=2, alpha=0.7, beta=2.5, k_noise=2, k_blur=0.7),
}
LEVEL = 1e-6
"""Of every test of draws: of a right schedule one seed in a million fails it."""
ERRORS = 4.9
"""The standard errors that a normal deviate exceeds with the chance LEVEL."""
CELLS = 25
FEWEST = 10
"""Expected draws in a cell of a chi-square test; cells of fewer are pooled."""
POWERS = (0.5, 1.0, 2.0)
ROUNDING = 1e-12
"""Of a few operations in float64 on numbers up to 1."""
LEVELS = 2e-3
"""Of float32 sums over 32 pixels of up to 255: 32 x 255 x 6e-8 = 5e-4, twice, as there are two axes."""
GRID = np.linspace(0, 1, 201)
INNER = GRID[1:-1]


def p_value(counts: np.ndarray, expected: np.ndarray) -> float:
    """Of a chi-square test of counts in cells."""
    rare = expected < FEWEST
    if rare.any():
        counts, expected = (np.append(of[~rare], of[rare].sum()) for of in (counts, expected))
    kept = expected > 0
    return float(stats.chisquare(counts[kept], expected[kept], sum_check=False).pvalue)


def decay_claims() -> list[Claim]:
    """The decay of every role as a function of t, and where it is one half."""
    image, noise = amplitudes(INNER)
    exact = np.asarray(references.snr(jnp.asarray(INNER)))
    crossing = optimize.brentq(lambda t: np.subtract(*amplitudes(np.array([t])))[0], 0.01, 0.99, xtol=1e-14)
    claims = [
        at_most(
            "SNR of noised views over cos^2/sin^2: largest |ratio - 1|",
            np.abs(image**2 / noise**2 / exact - 1).max(),
            1e-9,
        ),
        at_most(
            "power of image and noise together: largest |sum - 1|", np.abs(image**2 + noise**2 - 1).max(), ROUNDING
        ),
        equal("SNR of noised views is 1 at t", crossing, 0.5, ROUNDING),
    ]
    for k in POWERS:
        at = float(Schedule(k_noise=k).decay("noise", torch.tensor(crossing, dtype=torch.float64)))
        claims.append(equal(f"gamma of noise at SNR = 1, k = {k:g}, is 2^-k", at, 2**-k, ROUNDING))
    for role in ROLES[1:]:
        errors, steps, ends = [], [], []
        for k in POWERS:
            schedule = Schedule(k_noise=k, k_blur=k)
            found = schedule.decay(role, torch.from_numpy(GRID)).numpy()
            errors.append(np.abs(found - np.asarray(references.decay(schedule, role, jnp.asarray(GRID)))).max())
            steps.append(np.diff(found).min())
            ends.append(max(abs(found[0]), abs(found[-1] - 1)))
        text = f"gamma of {role} against its definition in SNR and t, k = 1/2, 1, 2: largest difference"
        claims += [
            at_most(text, max(errors), ROUNDING),
            at_least(f"gamma of {role} rises with t: least step over 1/200", min(steps), 0.0, ROUNDING),
            at_most(f"gamma of {role} is 0 at t = 0 and 1 at t = 1: largest difference", max(ends), ROUNDING),
        ]
    return claims


def draw_claims(name: str, schedule: Schedule, drawn: Drawn) -> list[Claim]:
    """Temperatures, roles and decays of draws, and that roles do not depend on temperatures."""
    n, (a, b) = len(drawn.role), (schedule.alpha, schedule.beta)
    shares = np.array(schedule.shares())
    title = f"{name}, t ~ Beta({a:g},{b:g})"
    edges = np.linspace(0, 1, CELLS + 1)
    below = references.temperature_below(schedule, edges)
    tests = {
        "temperatures, Kolmogorov-Smirnov, SciPy": float(
            stats.kstest(drawn.temperature, lambda t: special.betainc(a, b, t)).pvalue
        ),
        f"temperatures, chi-square in {CELLS} cells, NumPyro": p_value(
            np.histogram(drawn.temperature, edges)[0], n * np.diff(below)
        ),
        "roles, chi-square": p_value(np.bincount(drawn.role, minlength=len(ROLES)), n * shares),
        "roles and fourths of temperatures, independence": float(
            stats.contingency.chi2_contingency(_table(drawn)).pvalue
        ),
        f"decays above 0, chi-square in {CELLS} cells, change of variables": p_value(
            np.histogram(drawn.decay[drawn.decay > 0], edges)[0], n * np.diff(references.mixed_below(schedule, edges))
        ),
    }
    claims = [at_least(f"{title}: {test}: p-value", p, LEVEL) for test, p in tests.items()]
    error = ERRORS * np.sqrt(a * b / ((a + b) ** 2 * (a + b + 1) * n))
    claims.append(
        equal(
            f"{title}: mean temperature, alpha/(alpha+beta) = {a:g}/{a + b:g}",
            drawn.temperature.mean(),
            a / (a + b),
            error,
        )
    )
    clean = shares[0]
    error = ERRORS * np.sqrt(clean * (1 - clean) / n)
    claims.append(
        equal(f"{title}: share of views without decay, the clean ones", (drawn.decay == 0).mean(), clean, error)
    )
    decays = np.select(
        [drawn.role == place for place in range(len(ROLES))],
        [np.asarray(references.decay(schedule, role, jnp.asarray(drawn.temperature))) for role in ROLES],
    )
    text = f"{title}: decay of every draw, of its role and temperature: largest difference, float32"
    claims.append(at_most(text, np.abs(drawn.decay - decays).max(), 1e-6))
    for power in (1, 2):
        exact, of = references.moment(schedule, power), references.moment(schedule, 2 * power)
        error = ERRORS * np.sqrt((of - exact**2) / n)
        claims.append(equal(f"{title}: E gamma^{power} of draws, mpmath", (drawn.decay**power).mean(), exact, error))
    return claims


def _table(drawn: Drawn) -> np.ndarray:
    """Counts of roles that occur by fourths of temperatures."""
    fourth = np.searchsorted(np.quantile(drawn.temperature, [0.25, 0.5, 0.75]), drawn.temperature)
    counts = np.bincount(4 * drawn.role.astype(np.int64) + fourth, minlength=4 * len(ROLES)).reshape(-1, 4)
    return counts[counts.sum(1) > 0]


def measure_claims(name: str, schedule: Schedule) -> list[Claim]:
    """The nodes and weights that an objective normalizes with."""
    levels, weights = (values.numpy() for values in schedule.measure())
    claims = [
        equal(f"{name}: E gamma^{n} by the schedule's nodes, mpmath", (weights * levels**n).sum(), exact, 1e-11)
        for n in (1, 2, 4)
        for exact in [references.moment(schedule, n)]
    ]
    for d in (-3.0, -400.0):
        found = float(special.logsumexp(levels * d, b=weights))
        exact = references.log_mean_exponential(schedule, d)
        claims.append(
            equal(f"{name}: log E e^(gamma d), d = {d:g}, by the schedule's nodes, mpmath", found, exact, 1e-10)
        )
    return claims


def node_claims() -> list[Claim]:
    """The quadrature rule itself, and the closed form for gamma = t."""
    differences = []
    for left, right in ((0.0, 1.0), (2.5, -0.5), (-0.3, 1.5)):
        nodes, weights = (values.numpy() for values in gauss_jacobi(64, left, right))
        x, w = special.roots_jacobi(64, right, left)
        differences.append(max(np.abs(nodes - (1 + x) / 2).max(), np.abs(weights - w / w.sum()).max()))
    linear = Schedule(clean=0, noise=0)
    levels, weights = (values.numpy() for values in linear.measure())
    found = float(special.logsumexp(-50 * levels, b=weights))
    closed = references.log_hypergeometric(linear, -50.0)
    return [
        at_most("64 Gauss-Jacobi nodes and weights, SciPy's: largest difference", max(differences), 1e-12),
        equal("gamma = t: log E e^(-50 gamma) = log 1F1(alpha; alpha+beta; -50), mpmath", found, closed, 1e-10),
    ]


def noise_claims(found: Noised, cells: int = 9) -> list[Claim]:
    """Rendered views: measured SNR, cell by cell in t below 0.9, where the image is still measurable."""
    exact = np.asarray(references.snr(jnp.asarray(found.temperature)))
    gap, cell = np.log(found.snr / exact), np.floor(10 * found.temperature).astype(int)
    deviations = []
    for place in range(cells):
        within = (cell == place) & (found.temperature > 1e-3)  # float32 rounds what less noise adds
        error = np.sqrt(np.square(found.standard_error[within]).sum()) / within.sum()
        deviations.append(abs(gap[within].mean()) / error)
    text = "rendered views: log of measured SNR against log cos^2/sin^2, worst tenth of t, in standard errors"
    return [at_most(text, max(deviations), ERRORS)]


def blur_claims() -> list[Claim]:
    """The heat equation's time, and blurred images, square and oblong."""
    sigma = deviation(np.array([0.0, 0.5, 1.0]), 32)
    images = photographs()[::8].astype(float)
    claims = [
        equal("sigma of the blur at t = 0, in pixels", sigma[0], 0.3, 1e-12),
        equal("sigma of the blur at t = 1 is the width", sigma[2], 32.0, 1e-12 * 32),
        equal("sigma of the blur at t = 1/2 is the geometric mean of its ends", sigma[1], np.sqrt(0.3 * 32), 1e-12),
    ]
    for kind, these in {"square": images, "oblong": images[:, :, :20], "upright": images[..., :13]}.items():
        errors = [np.abs(blurred(these, t) - reference_blur(these, t)).max() for t in (0.0, 0.5, 1.0)]
        text = f"blur of {kind} images at t = 0, 1/2, 1, SciPy's DCT: largest difference, of 255 levels"
        claims.append(at_most(text, max(errors), LEVELS))
    # From sigma = 1 on a Gaussian on pixels is the heat kernel to exp(-2 pi^2) = 3e-9 of it; all of it is summed here.
    t, width = 0.5, images.shape[3]
    wide = gaussian_filter(images, np.sqrt(0.3 * width), mode="reflect", truncate=12.0, axes=(2, 3))
    text = "blur at t = 1/2, SciPy's Gaussian filter with reflecting borders: largest difference, of 255 levels"
    claims.append(at_most(text, np.abs(blurred(images, t) - wide).max(), LEVELS))
    variance = np.array([blurred(images, t).var((2, 3)).mean() for t in GRID[::10]])
    text = "variance of blurred images falls with t: largest rise over 1/20, share of that at t = 0"
    claims.append(at_most(text, np.diff(variance).max() / variance[0], 0.0))
    return claims


def schedules(context: Context) -> Findings:
    """Verifies the schedules."""
    count = 20_000 if context.quick else 400_000
    drawn = {name: draw(schedule, count, context.seed) for name, schedule in SCHEDULES.items()}
    claims = decay_claims()
    for place, (name, schedule) in enumerate(SCHEDULES.items()):
        claims += draw_claims(name, schedule, drawn[name]) + measure_claims(name, schedule)
        context.progress((place + 1) / (len(SCHEDULES) + 2))
    noised = noised_views(8 if context.quick else 40, context.seed)
    claims += node_claims() + noise_claims(noised) + blur_claims()
    data = as_tree(drawn, noised)
    figures = {"schedules": curves_figure(data, SCHEDULES), "schedules_views": views_figure(context.seed)}
    return Findings(claims, data, figures, remarks())


def remarks() -> list[str]:
    """How much label a view loses on average."""
    return [
        f"{name}: views lose {references.moment(schedule, 1):.3f} of their label on average, those that are not clean"
        f" {references.moment(schedule, 1) / (1 - schedule.shares()[0]):.3f}"
        for name, schedule in SCHEDULES.items()
    ]


def as_tree(drawn: Mapping[str, Drawn], noised: Noised) -> xarray.DataTree:
    """curves: SNR and decays over t; NAME: densities and histograms; rendered: the measured SNR of every view."""
    edges = np.linspace(0, 1, 2 * CELLS + 1)
    middle = (edges[:-1] + edges[1:]) / 2
    curves = xarray.Dataset({"snr": ("t", np.asarray(references.snr(jnp.asarray(INNER))))}, {"t": INNER})
    curves["t"].attrs = {"meaning": "temperature", "units": "1"}
    nodes = {"curves": curves}
    for name, schedule in SCHEDULES.items():
        roles = [role for role, share in zip(ROLES, schedule.shares(), strict=True) if share and role != "clean"]
        found = xarray.Dataset(
            {
                "gamma": (("role", "t"), np.stack([_decay(schedule, role) for role in roles])),
                "gamma_density": (
                    ("role", "t"),
                    np.stack([references.decay_density(schedule, role, INNER) for role in roles]),
                ),
                "temperature_density": ("t", references.temperature_density(schedule, INNER)),
                "drawn_temperature": ("cell", np.histogram(drawn[name].temperature, edges, density=True)[0]),
                "drawn_gamma": (
                    "cell",
                    np.histogram(drawn[name].decay[drawn[name].decay > 0], edges)[0]
                    * 2
                    * CELLS
                    / len(drawn[name].decay),
                ),
                "drawn_clean": (drawn[name].decay == 0).mean(),
            },
            {"role": roles, "t": INNER, "cell": middle},
        )
        found["gamma_density"].attrs = {"meaning": "density of the decay at gamma(t), of the role's own views"}
        found["drawn_gamma"].attrs = {"meaning": "density of the decay over 0, of all views"}
        nodes[name] = found
    rendered = {"snr": ("view", noised.snr), "standard_error_of_log": ("view", noised.standard_error)}
    nodes["rendered"] = xarray.Dataset(rendered, {"t": ("view", noised.temperature)})
    return xarray.DataTree.from_dict(nodes)


def _decay(schedule: Schedule, role: str) -> Float64Array:
    return schedule.decay(role, torch.from_numpy(INNER)).numpy()
