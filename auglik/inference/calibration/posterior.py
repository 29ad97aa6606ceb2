"""From draws of the models to what is asked: curves, calibration errors, lines, and a tree for ArviZ."""

from collections.abc import Mapping, Sequence

import numpy as np
import xarray
from arviz_base import from_dict
from scipy import special

from auglik.inference.calibration.data import CellData, mean_logit
from auglik.inference.calibration.interval import ErrorInterval
from auglik.inference.calibration.results import Band
from auglik.inference.whitened import Draws
from auglik.system.array_types import Float64Array

DIMENSIONS = {
    "curve": ["cell", "bin"],
    "deviation": ["cell", "bin"],
    "concentration": ["cell"],
    "intercept": ["cell"],
    "slope": ["cell"],
    "seed_intercept": ["cell", "seed"],
    "seed_slope": ["cell", "seed"],
    "line_deviation": ["cell", "coefficient"],
    "images": ["cell", "seed", "bin"],
    "correct": ["cell", "seed", "bin"],
    "mean_confidence": ["cell", "seed", "bin"],
    "image_correlation": ["cell"],
    "ece_limits": ["cell", "limit"],
    "diverging": ["cell"],
    "n_steps": ["cell"],
    "acceptance_rate": ["cell"],
    "energy": ["cell"],
}


def quantities(cells: Sequence[CellData], draws: Draws) -> dict[str, Float64Array]:
    """The posterior's variables, each [chain,draw,cell,...] as in DIMENSIONS; NaN for seeds that a cell lacks, and
    for their spread if there is one."""
    images, confidence = (np.stack(column) for column in zip(*((c.images, c.confidence) for c in cells), strict=True))
    deviation = draws.sites["deviation"]
    values = {
        "curve": special.expit(mean_logit(confidence.sum(1), images.sum(1)) + deviation),
        "deviation": deviation,
        "concentration": draws.sites["concentration"],
        "line_deviation": draws.sites["line_deviation"],
    }
    centre, scale = (np.array(column)[:, None] for column in zip(*((c.centre, c.scale) for c in cells), strict=True))
    for prefix, lines in {"": draws.sites["cell_line"][..., None, :], "seed_": draws.sites["seed_lines"]}.items():
        extra = lines[..., 1] / scale
        slope, intercept = 1 + extra, lines[..., 0] - extra * centre
        values[f"{prefix}slope"] = slope if prefix else slope[..., 0]
        values[f"{prefix}intercept"] = intercept if prefix else intercept[..., 0]
    several = np.array([cell.several for cell in cells])
    values["concentration"] = np.where(several, values["concentration"], np.nan)
    values["line_deviation"] = np.where(several[:, None], values["line_deviation"], np.nan)
    for name in ("seed_slope", "seed_intercept"):
        values[name] = np.where(images.sum(-1) > 0, values[name], np.nan)
    return values


def band(draws: Float64Array) -> Band:
    """Over the first two axes, chains and draws."""
    lower_95, lower_50, upper_50, upper_95 = np.quantile(draws, [0.025, 0.25, 0.75, 0.975], axis=(0, 1))
    return Band(mean=draws.mean((0, 1)), lower_50=lower_50, upper_50=upper_50, lower_95=lower_95, upper_95=upper_95)


def tree(
    names: Sequence[str],
    seeds: Sequence[int],
    cells: Sequence[CellData],
    limits: Sequence[ErrorInterval],
    values: Mapping[str, Float64Array],
    draws: Draws,
) -> xarray.DataTree:
    """ArviZ's groups posterior, sample_stats, observed_data and constant_data."""
    images, correct, confidence = (np.stack(column) for column in list(zip(*cells, strict=True))[:3])
    mean = np.where(images > 0, confidence / np.maximum(images, 1), np.nan)
    bins = images.shape[-1]
    found = from_dict(
        {
            "posterior": {name: value.astype(np.float32) for name, value in values.items()},
            "sample_stats": dict(draws.statistics),
            "observed_data": {"correct": correct.astype(np.int64)},
            "constant_data": {
                "images": images.astype(np.int64),
                "mean_confidence": mean,
                "image_correlation": np.array([cell.shared for cell in cells]),
                "ece_limits": np.array(limits),
            },
        },
        coords={
            "cell": list(names),
            "seed": list(seeds),
            "bin": (np.arange(bins) + 0.5) / bins,
            "coefficient": ["intercept", "slope"],
            "limit": ["lower", "upper"],
        },
        dims=DIMENSIONS,
    )
    found["posterior"]["line_deviation"].attrs["meaning"] = "between seeds, of the standardized intercept and slope"
    found["constant_data"]["ece_limits"].attrs["meaning"] = "95%, of the mean binned ECE of the seeds' networks"
    return found
