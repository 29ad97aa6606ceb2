"""`compare`: a comparison from Python, planned and carried out as `auglik compare` does."""

import threading
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import numpy as np

from auglik.comparison.images import Images, keep_images
from auglik.comparison.loaded import Comparison
from auglik.comparison.named import text_of
from auglik.comparison.progress_bar import bar
from auglik.data import Source
from auglik.experiments import cells as cells_
from auglik.experiments.cells import MOST_RUNS, Cell
from auglik.experiments.engines.engine import Engine, Outcome
from auglik.experiments.engines.local import Local
from auglik.experiments.plan import Place, carry_out, collect, make_plan, runs_at_a_time, write
from auglik.experiments.progress import by_work
from auglik.experiments.status import noted
from auglik.objectives import InputError
from auglik.runs.settings import RunConfig, change
from auglik.system.cards import asked_elsewhere
from auglik.system.files import unless_refused
from auglik.system.stop import StopRequest, stop_on_signals

SEEDS = 5
Settings = Mapping[str, object]
"""Flat names of settings (those of `RunConfig`) and their values; objectives and networks may be objects."""


def compare(
    cells: Mapping[str, Settings] | Sequence[Cell] | None = None,
    dataset: str | Path | Source | Images | None = None,
    seeds: int | Sequence[int] = SEEDS,
    *,
    settings: Settings | None = None,
    reference: str | None = None,
    output: str | Path = Place.output,
    data_dir: str | Path = Place.data_dir,
    download: bool = Place.download,
    jobs: int | None = Place.jobs,
    threads: int | None = Place.threads,
    engine: Engine | None = None,
    fail_fast: bool = False,
    quiet: bool = False,
) -> Comparison:
    """Trains cells over seeds and compares each with the reference, as `auglik compare` does, but writes no report.

    `cells` are settings by cell name, the reference first; without them it is the main job, unless `settings`,
    which all cells share, list several likelihoods or aggregators: then their product is compared, as is
    any other setting given as a list. `seeds` is a number or a list of seeds. `dataset` is a name or a path, arrays
    or two torch data sets, training and test; a copy is kept in `output`. Objectives, networks and augmentations may
    be objects, even of classes defined in the program itself: their source is kept there too. Finished runs in
    `output` are not trained again; after an interruption, call it again to continue.

    Raises InputError for anything that would stop a run before it starts, and if no run succeeded; warns of runs that
    failed. Raises KeyboardInterrupt once an interrupted run has written its checkpoint.
    """
    place = Place(output=str(output), data_dir=str(data_dir), download=download, threads=threads, jobs=jobs)
    with unless_refused(Path(output)), asked_elsewhere():
        shared = {key: _values(key, value, Path(output)) for key, value in (settings or {}).items()}
        if dataset is not None:
            if "dataset" in shared:
                raise InputError("dataset: expected once, got it in `settings` too")
            shared["dataset"] = [_dataset(dataset, Path(output))]
        single = {key: values[0] for key, values in shared.items() if len(values) == 1}
        everywhere = {key: one for key, one in single.items() if key not in ("likelihood", "aggregator")}
        planned = cells_.plan(change(RunConfig(), everywhere), shared, _cells(cells, Path(output)))
        planned = cells_.in_order(planned, cells_.reference_of(planned, reference))
        plan = make_plan(planned, _seeds(seeds), place)
        engine = engine or Local(runs_at_a_time(plan.todo, place.jobs))
    asked = noted(Path(output), plan.jobs, cells_.reference_of(planned, reference))
    with asked, _stopping() as stop, bar("training", quiet or not plan.todo) as tell:
        progress = by_work(plan.todo, tell)

        def ended(outcome: Outcome[object]) -> None:
            progress(outcome.job, 1.0)
            _warn(outcome)

        outcomes = carry_out(plan, engine, stop, progress, ended, fail_fast)
    if len(outcomes) < len(plan.todo) and not stop:
        raise InputError("the runs were handed over: make the same call again without detach to take their results")
    runs = collect(plan, outcomes)
    write(Path(output), plan, planned, runs, reference)
    if stop.signal is not None:
        raise KeyboardInterrupt(f"interrupted; make the same call again to continue ({output} has what is done)")
    if not any(runs.values()):
        raise InputError(f"no run succeeded: {outcomes[0].job.folder.parent.name}: {outcomes[0].error}")
    return Comparison(Path(output), reference)


def _dataset(dataset: str | Path | Source | Images, output: Path) -> object:
    if isinstance(dataset, str | Path):
        return str(dataset)
    is_source = hasattr(dataset, "train") and hasattr(dataset, "test")
    return text_of("dataset", dataset, output) if is_source else keep_images(cast(Images, dataset), output)


def _cells(cells: Mapping[str, Settings] | Sequence[Cell] | None, output: Path) -> list[Cell] | None:
    if cells is None:
        return None
    given: object = cells.items() if isinstance(cells, Mapping) else cells
    found = list[Cell]()
    for one in given if isinstance(given, Iterable) and not isinstance(given, str) else [given]:
        match one:
            case (str(name), Mapping() as changes):
                found.append(Cell(name, {key: text_of(key, value, output) for key, value in changes.items()}))
            case _:
                raise InputError(f"cells: expected settings by cell name, {{'name': {{...}}}}, got {one!r:.60}")
    return found


def _values(key: str, value: object, output: Path) -> list[object]:
    given = [*value] if isinstance(value, list | tuple) else [value]
    if key == "seed":
        raise InputError(f"seed: expected none in settings: give seeds={given!r:.60}")
    return [text_of(key, one, output) for one in given]


def _seeds(seeds: int | Sequence[int]) -> list[int]:
    """Raises InputError for no seeds, duplicates, and anything but integers >= 0."""
    given = np.asarray(seeds)
    if given.ndim == 0 and given.dtype.kind in "iu" and int(given) > MOST_RUNS:
        raise InputError(f"seeds: expected at most {MOST_RUNS:,}, got {seeds!r}: for one seed give [{seeds!r}]")
    found = list(range(int(given))) if given.ndim == 0 and given.dtype.kind in "iu" else given.ravel().tolist()
    whole = given.dtype.kind in "iu" and all(seed >= 0 for seed in found)
    if not found or not whole or len(set(found)) < len(found):
        raise InputError(f"seeds: expected a number (at least 1) or distinct integers >= 0, got {seeds!r:.60}")
    return found


def _warn(outcome: Outcome[object]) -> None:
    if outcome.error is not None:
        warnings.warn(f"{outcome.job.folder} failed: {outcome.error}", RuntimeWarning, stacklevel=5)


@contextmanager
def _stopping() -> Iterator[StopRequest]:
    """Only the main thread can receive signals."""
    if threading.current_thread() is threading.main_thread():
        with stop_on_signals() as stop:
            yield stop
    else:
        yield StopRequest()
