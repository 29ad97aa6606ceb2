"""The rows of an inference: what a report shows."""

from typing import NamedTuple

import xarray

from auglik.inference.components import Bounds, Components
from auglik.inference.power import SeedsNeeded


class Effect(NamedTuple):
    """The hierarchical model's say on one cell's difference for new seeds and new test images, in nats."""

    mean: float
    lower: float
    upper: float
    """95% HDI."""
    p_better: float
    """P(difference < 0 given the data)."""
    p_in_rope: float
    hdi_in_rope: float
    """Share of the HDI's draws within the region of practical equivalence."""


class Primary(NamedTuple):
    """Clean NLL of a cell less that of its reference, in nats a test image, paired by seed and image."""

    cell: str
    reference: str
    seeds: tuple[int, ...]
    images: int
    mean: float
    components: Components
    seed_sd: float
    image_sd: float
    residual_sd: float
    new_seeds: Bounds
    """On these test images."""
    new_images: Bounds
    """By these networks."""
    new_seeds_and_images: Bounds
    effect: Effect | None
    """None for one seed, for scores that are not finite and for cells that are the same."""
    seeds_needed: SeedsNeeded | None
    """To tell the cells apart; None where they are told, or nothing can be said."""
    between_seeds: bool
    """Whether anything is claimed about other seeds: False for one seed."""
    verdict: str


class Metric(NamedTuple):
    """A metric's paired difference over seeds on these test images, its interval simultaneous over all cells."""

    cell: str
    reference: str
    metric: str
    exploratory: bool
    """All metrics but the primary endpoint, clean NLL."""
    mean: float
    standard_error: float
    lower: float
    upper: float
    p_adjusted: float
    seeds: int


class Diagnostics(NamedTuple):
    """Of the sampler, the worst over all cells; NaN where nothing was sampled."""

    rhat: float
    ess: float
    divergences: int


class Inference(NamedTuple):
    """All that can be said of the cells; every list in the order of the runs."""

    primary: list[Primary]
    metrics: list[Metric]
    diagnostics: Diagnostics
    rope: float
    data: xarray.DataTree
    """Draws and data of the hierarchical model; a child `test_set_<digest>` for each where cells have several."""
    warnings: list[str]
