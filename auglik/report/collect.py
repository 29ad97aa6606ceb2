"""What a comparison left in its folder: finished runs that can be compared, and what was left out and why."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from auglik.experiments.cells import names_of
from auglik.experiments.differences import COMPARISON_CSV, order_of, read_rows
from auglik.experiments.status import references_of
from auglik.objectives import InputError
from auglik.report.run_files import Run, read_run
from auglik.runs.results import RESULTS, Results
from auglik.runs.run import CONFIG
from auglik.runs.settings import RunConfig, flatten
from auglik.scoring.predictions import Predictions
from auglik.settings.fields import Scalar
from auglik.settings.names import nearest
from auglik.system.paths import check_local
from auglik.system.records import OtherRecordError


class Cell(NamedTuple):
    """The finished runs of a cell by seed, in order: same settings but the seed, same test images."""

    name: str
    runs: Mapping[int, Run]

    @property
    def config(self) -> RunConfig:
        """The first seed's."""
        return next(iter(self.runs.values())).config

    @property
    def first(self) -> Results:
        """The first seed's."""
        return next(iter(self.runs.values())).results

    def scores(self, metric: str) -> list[float]:
        """A score of results.json over the seeds."""
        return [run.results.score(metric) for run in self.runs.values()]

    def last_epoch(self, name: str) -> list[float]:
        """Metrics of the last epoch over the seeds."""
        return [run.results.last_epoch.get(name, math.nan) for run in self.runs.values()]


class Collected(NamedTuple):
    """The cells in the order of the plan, the cell that each is compared with, and the warnings."""

    folder: Path
    cells: Mapping[str, Cell]
    references: Mapping[str, str]
    """Those of `unfinished` too."""
    warnings: list[str]
    unfinished: tuple[str, ...] = ()
    """Cells that were asked for and have no finished run: of the family all the same."""

    def predictions(self) -> dict[str, dict[int, Predictions]]:
        """Of every cell that was asked for, by seed."""
        found = {name: {seed: run.predictions for seed, run in cell.runs.items()} for name, cell in self.cells.items()}
        return found | {name: {} for name in self.unfinished}

    def named(self) -> Callable[[object], str]:
        """What settings are called: own code by its file and class, by its whole path where several share these."""
        configs = [cell.config for cell in self.cells.values()]
        texts = [text for of in configs for text in (of.dataset, of.network, of.likelihood, of.aggregator)]
        texts += [cell.first.pipeline for cell in self.cells.values()]
        return names_of(texts, apart=lambda match: match[0])


def collect(folder: Path, reference: str | None = None) -> Collected:
    """Reads the output folder of a comparison.

    Raises InputError for a missing folder, one without a finished run, and a reference that is not a cell.
    """
    found = sorted({path.parent for name in (CONFIG, RESULTS) for path in folder.glob(f"*/seed-*/{name}")})
    if not found:
        check_local(folder)
        got = "a folder without runs" if folder.is_dir() else "no such folder"
        raise InputError(f"{folder}: expected the output folder of `auglik compare`, <cell>/seed-<n>/ in it, got {got}")
    warnings: list[str] = []
    runs: dict[str, list[Run]] = {}
    for place in found:
        try:
            run = read_run(place)
            runs.setdefault(place.parent.name, []).append(run)
        except OtherRecordError:
            continue  # of pretraining, which is no cell
        except InputError as error:
            warnings.append(f"left out: {error}")
    if not runs and not warnings:
        raise InputError(f"{folder}: expected runs of `auglik compare`, got runs of pretraining alone")
    if not runs:
        what = "that cannot be read" if any((place / RESULTS).is_file() for place in found) else "unfinished ones"
        raise InputError(f"{folder}: expected at least one finished run, got {len(found)} {what}: {warnings[0]}")
    planned = references_of(folder)
    runs = _of_plan(runs, planned, warnings)
    if off := [run.rounded for of_cell in runs.values() for run in of_cell if run.rounded]:
        warnings.append(
            f"predictions of {len(off)} of {sum(map(len, runs.values()))} runs were rounded where they were kept: error"
            " rates that are counted from them are off those of results.json by up to"
            f" {100 * max(off):.2f} points"
        )
    order = {name: place for place, name in enumerate(planned)} or order_of(folder)
    names = sorted(runs, key=lambda name: (order.get(name, len(order)), name))
    cells = {name: _cell(name, runs[name], warnings) for name in names}
    unfinished = tuple(name for name in planned if name not in cells)
    references = _references(folder, cells, planned, reference, warnings)
    names = sorted(cells, key=lambda name: name not in references.values())
    ordered = {name: cells[name] for name in names}
    return Collected(
        folder=folder, cells=ordered, references=references, warnings=warnings, unfinished=unfinished
    )  # fmt: skip


def _of_plan(runs: dict[str, list[Run]], planned: Mapping[str, str], warnings: list[str]) -> dict[str, list[Run]]:
    """Without cells whose runs other cells have, those of the latest comparison else of the first by name; warns."""
    asked = {run.results.settings for name in planned for run in runs.get(name, ())}
    others, alike = [name for name in sorted(runs) if name not in planned], list[str]()
    for name in others:
        own = {run.results.settings for run in runs[name]}
        if own <= asked:
            alike.append(name)
        elif not planned:
            asked |= own
    if alike:
        of = ", of an earlier comparison, as the latest has" if planned else ", as other cells have"
        warnings.append(f"left out: {', '.join(alike)}{of} the same runs")
    if planned and (earlier := [name for name in others if name not in alike]):
        warnings.append(
            f"{', '.join(earlier)}: of an earlier comparison in this folder, and of the family for which p-values allow"
            " here; comparison.csv is of the latest alone"
        )
    return {name: found for name, found in runs.items() if name not in alike}


def _cell(name: str, runs: Iterable[Run], warnings: list[str]) -> Cell:
    """The runs of one cell that were trained alike and scored on the same test images; warns of those left out."""
    ordered = sorted(runs, key=lambda run: run.seed)
    alike = _most(
        ordered, lambda run: (_settings(run.config), tuple(sorted((run.results.own_code or {}).values()))),
        f"{name}: settings or code different from the cell's other runs", warnings,
    )  # fmt: skip
    same = _most(alike, _test_set, f"{name}: test images different from the cell's other runs", warnings)
    return Cell(name, {run.seed: run for run in same})


def _most(runs: list[Run], key: Callable[[Run], object], why: str, warnings: list[str]) -> list[Run]:
    keys = [key(run) for run in runs]
    [(chosen, _)] = Counter(keys).most_common(1)
    if other := [run.seed for run, found in zip(runs, keys, strict=True) if found != chosen]:
        warnings.append(f"left out: {why}, seed{'s' * (len(other) > 1)} {', '.join(map(str, other))}")
    return [run for run, found in zip(runs, keys, strict=True) if found == chosen]


def _test_set(run: Run) -> tuple[object, ...]:
    """The images and their views by the digests of the run and its predictions, and the counts of classes and views."""
    found = run.predictions
    shape = found.mollified_log_probabilities.shape
    return run.results.test_digest, found.images_digest, found.evaluation_views_digest, shape


def _settings(config: RunConfig) -> tuple[tuple[str, Scalar], ...]:
    return tuple((key, value) for key, value in flatten(config).items() if key not in ("seed", "device"))


def _references(
    folder: Path, cells: Mapping[str, Cell], planned: Mapping[str, str], asked: str | None, warnings: list[str]
) -> dict[str, str]:
    """Of every cell that has runs or was planned, the cell with runs that it is compared with."""
    if asked is not None and asked not in cells:
        raise InputError(f"unknown reference {asked!r}{nearest(asked, cells)}")
    compared = {row["cell"]: row.get("reference") or "" for row in read_rows(folder / COMPARISON_CSV)} | dict(planned)
    data = {name: cell.config.dataset for name, cell in cells.items()}
    names = list(dict.fromkeys([*planned.values(), *compared.values()]))
    chosen = asked or next((name for name in names if name in cells), next(iter(cells)))
    if missing := sorted({name for name in names if name not in cells}):
        warnings.append(f"no finished run of the reference {', '.join(missing)}: cells are compared with {chosen}")
    elif not names and asked is None and len(cells) > 1:
        warnings.append(
            f"{folder}: nothing says which cell is the reference: cells are compared with {chosen}, the first by name"
        )
    found = {}
    for name in dict.fromkeys([*cells, *planned]):
        of_file = compared.get(name, name if name in names else chosen)
        own = data.get(name, data[chosen])
        fallback = next((other for other in names if other in cells and data[other] == own), chosen)
        if asked is not None and data[asked] == own:
            found[name] = asked
        else:
            found[name] = of_file if of_file in cells else fallback
    return found
