"""The concentration that the printed B(y) suggests, q instead of 1+q: a density without a mode.

Heinonen et al. 2025, Eq. 9. A Dirichlet density is unbounded at an edge of the simplex if that class's concentration
is below 1, and q of a smoothed label is below 1 for every class.
"""

import numpy as np
import xarray

from auglik.studies.dirichlet.modes import (
    ASCENT,
    densest,
    draw,
    label,
    log_density,
    lowest_curvature,
    mode_by_numpyro,
    rises_at_an_edge,
)
from auglik.studies.study import Claim, Context, at_least, at_most, equal
from auglik.system.keys import host_generator


def published_reading(context: Context) -> tuple[list[Claim], xarray.Dataset]:
    """Dir(q), the concentration that the printed B(y) suggests: no mode for any gamma; and where modes begin."""
    gammas, offsets = np.linspace(0.1, 1, 5 if context.quick else 19), np.linspace(0, 1, 5 if context.quick else 21)
    rises = np.array(
        [[rises_at_an_edge(offset + label("smoothed", gamma, 3)) for gamma in gammas] for offset in offsets]
    )
    below = np.array([[(offset + label("smoothed", gamma, 3)).min() < 1 for gamma in gammas] for offset in offsets])
    data = xarray.Dataset(
        {
            "unbounded": (("offset", "gamma"), rises, {"long_name": "the density of Dir(offset + q) rises at an edge"}),
            "below_one": (("offset", "gamma"), below, {"long_name": "a concentration is below 1"}),
        },
        {"offset": offsets, "gamma": gammas},
        attrs={"label": "smoothed, 3 classes"},
    )
    return [*_no_mode_claims(context), *_boundary_claims(data)], data


def _boundary_claims(data: xarray.Dataset) -> list[Claim]:
    bounded = ~data["unbounded"]
    reading, ours = (bounded.sel(offset=offset).mean().item() for offset in (0.0, 1.0))
    agreement = (data["unbounded"] == data["below_one"]).mean().item()
    what = "share of (a, gamma) where it is unbounded exactly if a concentration is below 1"
    return [
        equal("Dir(q), the printed B(y): share of gamma in (0,1] with a bounded density", reading, 0.0, 0),
        equal("Dir(1+q): share of gamma in (0,1] with a bounded density", ours, 1.0, 0),
        equal(f"Dir(a+q): {what}", agreement, 1.0, 0),
    ]


def _no_mode_claims(context: Context) -> list[Claim]:
    gamma, C = 0.5, 3
    q = label("smoothed", gamma, C)
    start = host_generator(context.seed, "dirichlet", "valley").normal(size=C)
    valley = mode_by_numpyro(q, start, sign=-1.0)
    near = np.array([1e-4, 1e-8])
    edge = np.stack([(1 - near) / 2, (1 - near) / 2, near], -1)
    rise = float(np.diff(log_density(edge, q))[0]) / np.log(1e4)
    best = densest(draw(q, context, 1000), q)
    tiny = 1e-6
    almost = label("smoothed", tiny, C)
    center = np.full(C, 1 / C)
    log_b = float(((almost - 1) * np.log(center)).sum() - log_density(center, almost))
    where = "Dir(q), gamma = 1/2:"
    interior, toward = (1 - q[0]) / (C - 1), "log B(q) grows as (C-1) log(C/gamma) toward a one-hot label"
    return [
        equal(
            f"{where} the true class where its density is least, by descent, (1-q)/(C-1)", valley[0], interior, ASCENT
        ),
        at_least(f"{where} that stationary point is a minimum, its least curvature", lowest_curvature(valley, q), 0.0),
        equal(f"{where} its log-density rises at an edge by 1 - q_c per log", rise, 1 - q[2], 1e-4),
        at_most(f"{where} the least coordinate of its densest draw", best.min(), 1e-6),
        equal(f"{toward}, gamma = 1e-6", log_b, (C - 1) * np.log(C / tiny), 1e-4),
    ]
