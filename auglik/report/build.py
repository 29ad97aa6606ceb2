"""All that a report consists of, in memory: read, inferred, drawn and written as text."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from auglik.inference import infer, infer_corrupted
from auglik.inference.calibration import Calibration, calibrate, save
from auglik.report.collect import collect
from auglik.report.content import Page
from auglik.report.page import page
from auglik.report.sections.corrupted import corrupted_runs
from auglik.report.settings import ReportSettings
from auglik.report.writers.html import html
from auglik.report.writers.latex import latex
from auglik.report.writers.long_csv import LONG_COLUMNS, long_rows
from auglik.report.writers.markdown import markdown
from auglik.scoring.predictions import Predictions

READ, INFERRED, CALIBRATED, DRAWN = 0.05, 0.4, 0.85, 0.95
"""Shares of the time after each part."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Built:
    """The page, and its files by name: texts, the rows of tables.csv, and what writes NetCDF."""

    page: Page
    texts: Mapping[str, str]
    rows: Sequence[Mapping[str, object]]
    columns: Sequence[str]
    trees: Mapping[str, Callable[[Path], object]]


def build(folder: Path, settings: ReportSettings, progress: Callable[[float], None]) -> Built:
    """Raises InputError as `collect` does."""
    collected = collect(folder, settings.reference)
    progress(READ)
    predictions = collected.predictions()
    inference = infer(predictions, collected.references, rope=settings.rope, seed=settings.seed)
    corrupted = infer_corrupted(corrupted_runs(collected), collected.references, seed=settings.seed)
    progress(INFERRED)
    calibration = _calibration(predictions, settings, collected.warnings, progress)
    progress(CALIBRATED)
    shown = page(collected, inference, corrupted, calibration, settings)
    progress(DRAWN)
    texts = {"report.html": html(shown), "report.md": markdown(shown), "tables.tex": latex(shown)}
    texts |= {f"figures/{figure.key}.svg": figure.svg for figure in shown.figures()}
    trees: dict[str, Callable[[Path], object]] = {}
    if len(inference.data.children):
        trees["differences.nc"] = lambda path: inference.data.to_netcdf(path, engine="h5netcdf")
    if len(corrupted.data.children):
        trees["corruptions.nc"] = lambda path: corrupted.data.to_netcdf(path, engine="h5netcdf")
    if calibration is not None:
        trees["calibration.nc"] = lambda path: save(calibration, path)
    return Built(page=shown, texts=texts, rows=list(long_rows(shown)), columns=LONG_COLUMNS, trees=trees)


def _calibration(
    runs: Mapping[str, Mapping[int, Predictions]],
    settings: ReportSettings,
    warnings: list[str],
    progress: Callable[[float], None],
) -> Calibration | None:
    """Of the runs whose predictions are numbers; the others are named."""
    if not settings.calibration:
        return None
    kept: dict[str, dict[int, Predictions]] = {}
    for cell, of_cell in runs.items():
        for seed, run in of_cell.items():
            if np.isnan(run.log_probabilities).any():
                warnings.append(f"{cell}, seed {seed}: its predictions are not numbers, so they have no calibration")
            else:
                kept.setdefault(cell, {})[seed] = run
    if not kept:
        return None
    part = CALIBRATED - INFERRED
    return calibrate(kept, seed=settings.seed, progress=lambda share: progress(INFERRED + part * share))
