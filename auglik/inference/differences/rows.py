"""The rows of an inference: what a report shows."""

from dataclasses import dataclass

import xarray

from auglik.inference.components import Bounds, Components
from auglik.inference.differences.power import SeedsNeeded

OUTCOMES = ("better", "worse", "equal", "undecided", "unknown")


@dataclass(frozen=True, kw_only=True, slots=True)
class Effect:
    """One cell's difference for new seeds and new test images, in nats; NaN nowhere."""

    mean: float
    lower: float
    upper: float
    """95% interval of this cell alone: not adjusted for the other cells."""
    p_better: float
    """P(difference < 0 given the data)."""
    p_in_rope: float
    """P(|difference| <= rope given the data)."""
    p_adjusted: float
    """Of no difference, by Holm over the family."""
    p_equal_adjusted: float
    """Of a difference beyond the region of practical equivalence, by Holm over the family."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Primary:
    """Clean NLL of a cell less that of its reference, in nats per test image, paired by seed and image."""

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
    """On these test images: Student's t."""
    new_images: Bounds
    """By these networks."""
    effect: Effect | None
    """None where the verdict says why: one seed, one image, scores that are not finite, seeds without spread."""
    seeds_needed: SeedsNeeded | None
    """Needed to decide; None if decided already, or nothing can be concluded."""
    between_seeds: bool
    """Whether anything is claimed about other seeds: False for one seed."""
    outcome: str
    """One of OUTCOMES."""
    verdict: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """A metric's paired difference over seeds.

    Exploratory: on these test images, Student's t, Holm over the cells of this metric. Clean NLL: as in `Effect`.
    """

    cell: str
    reference: str
    metric: str
    exploratory: bool
    """All metrics but the primary endpoint, clean NLL."""
    mean: float
    standard_error: float
    """Over seeds."""
    lower: float
    upper: float
    """95% interval of this cell and metric alone."""
    p_adjusted: float
    seeds: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Inference:
    """All conclusions about the cells; every list is in the order of the runs."""

    primary: list[Primary]
    metrics: list[Metric]
    rope: float
    family: int
    """How many cells are compared with a reference: the family of the primary endpoint."""
    data: xarray.DataTree
    """posterior: delta, theta, seed_sd [chain,draw,cell]; observed_data: y [cell,seed]."""
    warnings: list[str]
