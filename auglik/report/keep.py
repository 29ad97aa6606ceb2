"""What a report needs of a comparison, in little room: to be kept, sent or committed without its weights."""

import csv
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from auglik.experiments.differences import COMPARISON_CSV, RUNS_CSV, read_rows
from auglik.experiments.plan import write_tables
from auglik.experiments.status import note_references, references_of
from auglik.experiments.tuning import TUNING_CSV
from auglik.objectives import InputError
from auglik.report.collect import Collected, collect
from auglik.report.run_files import Run, check_scores
from auglik.runs.identity import MOVABLE
from auglik.runs.log import METRICS_FILE
from auglik.runs.results import RESULTS, finished
from auglik.runs.run import CONFIG
from auglik.runs.settings import flatten
from auglik.sampling.files import DENSITIES
from auglik.scoring.conditions import MEASURED, SCORES
from auglik.scoring.ensembles import ENSEMBLES_CSV
from auglik.scoring.predictions import DIGESTS, PREDICTIONS, Predictions, as_arrays, load_predictions
from auglik.settings.fields import Scalar, read_toml
from auglik.system.files import copy, ensure_writable, write_compressed_npz, write_csv, write_toml
from auglik.system.progress import Progress

COPIED = (METRICS_FILE, SCORES, MEASURED, DENSITIES)
"""Of a run, where it has them; its results come last, as they say that it is whole."""
TABLES = (RUNS_CSV, COMPARISON_CSV, ENSEMBLES_CSV)
"""Of the comparison."""


class Kept(NamedTuple):
    """What was kept: how many runs, in how many bytes of how many before, and what was left out and why."""

    runs: int
    bytes: int
    before: int
    warnings: tuple[str, ...]


def keep(folder: Path, output: Path, progress: Progress = lambda share: None) -> Kept:
    """Writes what `write_report` reads of the comparison in `folder` into `output`; runs that are there stay.

    Data sets and weights that runs name by an absolute path are named by its last part, unless two of them end alike.
    Log-probabilities are kept in float16, each off by 0.05%, and by 0.15% where two round to one, lest another class be
    predicted; but as they are where that would move an NLL by more than a report allows.
    Raises InputError as `collect` does, for `output` in `folder` or around it, for another run that has a name there,
    of other settings or of the same ones trained anew, and if it cannot write.
    """
    inner, outer = output.resolve(), folder.resolve()
    if inner == outer or outer in inner.parents or inner in outer.parents:
        raise InputError(f"{output}: expected a folder apart from {folder}, got one that lies in it or around it")
    collected = collect(folder)
    runs = [run for cell in collected.cells.values() for run in cell.runs.values()]
    ensure_writable(output)
    shorter = _shorter(flatten(run.config)[setting] for run in runs for setting in MOVABLE)
    for done, run in enumerate(runs):
        _keep_run(run, output / run.folder.relative_to(folder), shorter)
        progress((done + 1) / len(runs))
    _keep_tables(collected, output, shorter)
    if (folder / TUNING_CSV).is_file():
        _keep_tuning(folder, output)
    places = [run.folder.relative_to(folder) for run in runs]
    after, before = (sum(_bytes(root / place) for place in places) for root in (output, folder))
    return Kept(len(runs), after, before, tuple(collected.warnings))


def _shorter(names: Iterable[Scalar]) -> dict[str, str]:
    """The last part of every absolute path, where no other name ends in it."""
    last = {name: Path(name).name for name in names if isinstance(name, str)}
    often = Counter(last.values())
    return {name: part for name, part in last.items() if often[part] == 1 and Path(name).is_absolute()}


def _keep_tables(collected: Collected, output: Path, shorter: Mapping[str, str]) -> None:
    """As they are where `output` holds no other runs; else made of all that it holds."""
    note_references(output, references_of(collected.folder))
    kept = collect(output)
    runs = {name: [run.results for run in cell.runs.values()] for name, cell in kept.cells.items()}
    runs |= {name: [] for name in kept.unfinished}
    if sum(map(len, runs.values())) > sum(len(cell.runs) for cell in collected.cells.values()):
        named = {
            name: {"dataset": cell.config.dataset, "network": cell.config.network} for name, cell in kept.cells.items()
        }
        write_tables(output, runs, kept.references, kept.predictions(), named)
        return
    for name in TABLES:
        if (collected.folder / name).is_file():
            _keep_table(collected.folder / name, output / name, shorter)


def _keep_tuning(folder: Path, output: Path) -> None:
    """What was tried of every cell, beside what is there of others."""
    with (folder / TUNING_CSV).open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        columns, own = rows.fieldnames or (), list(rows)
    cells = {row.get("cell") for row in own}
    others = [row for row in read_rows(output / TUNING_CSV) if row["cell"] not in cells]
    write_csv(output / TUNING_CSV, [*others, *own], columns)


def _keep_table(table: Path, output: Path, shorter: Mapping[str, str]) -> None:
    with table.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        columns = rows.fieldnames or ()
        moved = [row | {"dataset": shorter.get(row["dataset"], row["dataset"])} for row in rows if "dataset" in row]
    if any(row["dataset"] in shorter.values() for row in moved):
        write_csv(output, moved, columns)
    else:
        copy(table, output)


def _keep_run(run: Run, output: Path, shorter: Mapping[str, str]) -> None:
    kept = (output / RESULTS).is_file()
    if kept and not _same(run.folder / RESULTS, output / RESULTS):
        before = finished(output)
        anew = before is not None and before.settings == run.results.settings
        raise InputError(
            f"{output}: expected no run, or {run.folder} kept before, got another run of that name, of"
            f" {'the same settings, trained anew' if anew else 'other settings'}: keep it in another folder"
        )
    output.mkdir(parents=True, exist_ok=True)
    settings = read_toml(run.folder / CONFIG)
    moved = {key: shorter[value] for key in MOVABLE if isinstance(value := settings.get(key), str) and value in shorter}
    if not (output / CONFIG).is_file() or read_toml(output / CONFIG) != settings | moved:
        write_toml(output / CONFIG, settings | moved)
    for name in COPIED:  # of a kept run too, as robustness may have been measured since
        if (run.folder / name).is_file() and not _same(run.folder / name, output / name):
            copy(run.folder / name, output / name)
    if kept:
        return
    chain = run.chain._asdict() if run.chain is not None else {}
    write_compressed_npz(output / PREDICTIONS, **_arrays(run.predictions, np.float16), **chain)
    try:
        same = check_scores(output, run.results, load_predictions(output)) <= run.rounded
    except InputError:  # of so few images that their roundings do not cancel
        same = False
    if not same:
        write_compressed_npz(output / PREDICTIONS, **_arrays(run.predictions, np.float32), **chain)
    copy(run.folder / RESULTS, output / RESULTS)


def _arrays(predictions: Predictions, floats: type[np.floating]) -> dict[str, NDArray[np.generic]]:
    """Numbers below the least of that type as that; labels and indices as the shortest integers that hold them."""
    least = np.finfo(floats).min
    arrays: dict[str, NDArray[np.generic]] = {}
    for name in Predictions._fields:
        array: NDArray[np.generic] = getattr(predictions, name)
        if name in DIGESTS:
            arrays |= as_arrays({name: str(array)})
        elif array.dtype.kind == "f":
            arrays[name] = np.where(np.isfinite(array), np.maximum(array, least), array).astype(floats)
            if name.endswith("log_probabilities"):
                _raise_predicted(arrays[name], array)
        else:
            arrays[name] = array.astype(np.min_scalar_type(int(array.max(initial=0))))
    return arrays


def _raise_predicted(rounded: NDArray[np.generic], array: NDArray[np.generic]) -> None:
    """Raises the predicted class [...,C] to the next number where it was rounded to the same as an earlier one."""
    predicted = array.argmax(-1)[..., None]
    highest = np.take_along_axis(rounded, predicted, -1)
    tied = rounded.argmax(-1)[..., None] != predicted
    raised = np.where(tied, np.nextafter(highest, np.inf, dtype=highest.dtype), highest)
    np.put_along_axis(rounded, predicted, raised, -1)


def _same(one: Path, other: Path) -> bool:
    return other.is_file() and one.read_bytes() == other.read_bytes()


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
