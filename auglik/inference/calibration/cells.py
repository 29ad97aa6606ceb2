"""The whole calibration of a comparison's runs."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from auglik.inference.calibration import errors
from auglik.inference.calibration.bins import Outcomes, count, equal_width, outcomes
from auglik.inference.calibration.data import CellData, cell_data
from auglik.inference.calibration.interval import ErrorInterval, ece_interval
from auglik.inference.calibration.posterior import band, quantities, tree
from auglik.inference.calibration.results import Calibration, CellCalibration, Curve, RunErrors
from auglik.inference.calibration.sampling import sample
from auglik.inference.calibration.temperature import temperature_scaling
from auglik.inference.convergence import diagnose
from auglik.objectives.errors import InputError
from auglik.scoring.metrics import equal_mass_calibration_error
from auglik.scoring.predictions import Predictions
from auglik.system.array_types import Float64Array
from auglik.system.keys import host_generator

RunsBySeed = Mapping[int, Predictions]

WARMUP = 250
CONSTANT_FOR_ONE_SEED = ("concentration", "line_deviation")
"""Made of what was sampled, which is diagnosed anyhow."""
SEVERAL = "for networks trained with other seeds too, on other images like these"
ONE = "for this one network on other images like these; nothing about other seeds"


def calibrate(
    runs: Mapping[str, RunsBySeed],
    *,
    seed: int = 0,
    bins: int = 15,
    draws: int = 1000,
    progress: Callable[[float], None] = lambda share: None,
) -> Calibration:
    """Calibration of every cell, {cell: {seed: predictions}}; 4 chains of `draws`; `progress` gets the share done.

    Raises InputError for no cells, a cell without runs, runs of a cell on different images, and bad predictions.
    """
    _check(runs, bins, draws)
    seeds = sorted({one for cell in runs.values() for one in cell})
    seen = {
        name: {one: outcomes(p.log_probabilities, p.labels) for one, p in _sorted(cell)} for name, cell in runs.items()
    }
    progress(0.1)
    data = [cell_data(cell, seeds, bins) for cell in seen.values()]
    drawn = sample(data, seed, WARMUP, draws)
    progress(0.7)
    values = quantities(data, drawn)
    limits = [
        ece_interval(list(cell.values()), equal_width(bins), host_generator(seed, "calibration", "interval"))
        for cell in seen.values()
    ]
    cells = {
        name: _cell(runs[name], seen[name], data[m], limits[m], {k: v[:, :, m] for k, v in values.items()}, seeds)
        for m, name in enumerate(runs)
    }
    progress(0.9)
    sampled = {name: sites for name, sites in drawn.sites.items() if name not in CONSTANT_FOR_ONE_SEED}
    diagnostics = diagnose(sampled, drawn.statistics["diverging"])
    found = Calibration(cells, diagnostics, tree(list(runs), seeds, data, limits, values, drawn))
    progress(1.0)
    return found


def _cell(
    runs: RunsBySeed,
    seen: Mapping[int, Outcomes],
    data: CellData,
    ece: ErrorInterval,
    values: Mapping[str, Float64Array],
    seeds: Sequence[int],
) -> CellCalibration:
    bins, places = data.images.shape[1], [seeds.index(one) for one in seen]
    return CellCalibration(
        seeds=tuple(seen),
        between_seeds=data.several,
        claim=f"calibration {SEVERAL if data.several else ONE}",
        image_correlation=data.shared,
        curve=_curve(data, values["curve"]),
        histogram=data.images[places],
        intercept=band(values["intercept"]),
        slope=band(values["slope"]),
        seed_intercept=band(values["seed_intercept"][..., places]),
        seed_slope=band(values["seed_slope"][..., places]),
        ece=ece,
        errors=_errors([(runs[one], outcome) for one, outcome in seen.items()], bins),
        temperature=tuple(
            temperature_scaling(
                (runs[one].validation_log_probabilities, runs[one].validation_labels),
                (runs[one].log_probabilities, runs[one].labels),
                bins,
            )
            for one in seen
        ),
    )


def _curve(data: CellData, drawn: Float64Array) -> Curve:
    images, bins = data.images.sum(0), data.images.shape[1]
    edges = np.arange(bins + 1) / bins
    filled = np.maximum(images, 1)
    return Curve(
        edges=edges,
        counts=images,
        confidence=np.where(images > 0, data.confidence.sum(0) / filled, (edges[1:] + edges[:-1]) / 2),
        accuracy=np.where(images > 0, data.correct.sum(0) / filled, np.nan),
        posterior=band(drawn),
    )


def _errors(runs: Sequence[tuple[Predictions, Outcomes]], bins: int) -> RunErrors:
    edges = equal_width(bins)
    rows = [
        (
            errors.plug_in(count(seen.confidence, seen.correct, edges)),
            equal_mass_calibration_error(run.log_probabilities, run.labels, bins),
            errors.debiased(seen, edges),
            errors.debiased_squared(seen, edges),
            errors.classwise(run.log_probabilities, run.labels, bins),
        )
        for run, seen in runs
    ]
    return RunErrors(*(np.array(column) for column in zip(*rows, strict=True)))


def _sorted(cell: RunsBySeed) -> list[tuple[int, Predictions]]:
    return sorted(cell.items(), key=lambda pair: pair[0])


def _check(runs: Mapping[str, RunsBySeed], bins: int, draws: int) -> None:
    if not runs or not all(runs.values()):
        raise InputError("expected at least one finished run in every cell, got none: were they all left out?")
    if bins < 2 or draws < 4:
        raise InputError(f"expected at least 2 bins and 4 draws, got {bins} and {draws}")
    for name, cell in runs.items():
        first, *others = cell.values()
        for run in others:
            if run.images_digest != first.images_digest:
                raise InputError(
                    f"expected the runs of {name} to predict the same test images, got different ones: "
                    "are they from different data?"
                )
