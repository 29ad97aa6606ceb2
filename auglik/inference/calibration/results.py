"""The results of a calibration for each cell."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import xarray

from auglik.inference.calibration.interval import ErrorInterval
from auglik.inference.calibration.temperature import Scaling
from auglik.inference.convergence import Diagnostics
from auglik.system.array_types import Float64Array


@dataclass(frozen=True, kw_only=True, slots=True)
class Band:
    """A posterior's mean and the bounds of its central 50% and 95%, of one quantity [] or several [n]."""

    mean: Float64Array
    lower_50: Float64Array
    upper_50: Float64Array
    lower_95: Float64Array
    upper_95: Float64Array


class Curve(NamedTuple):
    """The reliability of a cell in B equal-width bins; all seeds' images together."""

    edges: Float64Array
    """[B+1]"""
    counts: Float64Array
    """Images, summed over seeds [B]."""
    confidence: Float64Array
    """Mean confidence; the bin's centre where it has no image [B]."""
    accuracy: Float64Array
    """NaN where the bin has no image [B]."""
    posterior: Band
    """Of the accuracy of the cell's curve at that confidence, each [B]."""


class RunErrors(NamedTuple):
    """Calibration errors of the S runs of a cell, each [S]."""

    plug_in: Float64Array
    equal_mass: Float64Array
    debiased: Float64Array
    """May be negative; see auglik.inference.calibration.errors."""
    debiased_squared: Float64Array
    """The mean squared error, may be negative."""
    classwise: Float64Array


class CellCalibration(NamedTuple):
    """One cell with S seeds, whose order all fields share."""

    seeds: tuple[int, ...]
    between_seeds: bool
    """Whether there are several seeds; else nothing is said about others."""
    claim: str
    """What curve and line are about, in a sentence."""
    image_correlation: float
    """Of the seeds' errors on the same image and in the same bin."""
    curve: Curve
    histogram: Float64Array
    """Images by bin of confidence [S,B]."""
    intercept: Band
    """Of the cell; 0 if calibrated."""
    slope: Band
    """Of the cell; 1 if calibrated, below 1 if overconfidence grows with confidence."""
    seed_intercept: Band
    """Each [S]."""
    seed_slope: Band
    """Each [S]."""
    ece: ErrorInterval
    """Of the mean binned ECE of the seeds' networks, on other images like these; of these networks alone."""
    errors: RunErrors
    temperature: tuple[Scaling | None, ...]
    """None without validation images, [S]."""


class Calibration(NamedTuple):
    """All cells, and their posteriors for ArviZ."""

    cells: Mapping[str, CellCalibration]
    diagnostics: Diagnostics
    data: xarray.DataTree
